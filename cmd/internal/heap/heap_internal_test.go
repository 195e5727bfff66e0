package heap

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

const floor = 40 << 20

func TestPercent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		live uint64
		want int
	}{{0, 900}, {1, 900}, {8 << 20, 400}, {20 << 20, 100}, {40 << 20, 100}, {60 << 20, 133}, {80 << 20, 140}, {8 << 30, 100}} {
		if got := percent(c.live, floor); got != c.want {
			t.Errorf("%d bytes alive: %d %%, want %d", c.live, got, c.want)
		}
	}
}

// The percentage follows what is alive, up and down.
func TestRoomy(t *testing.T) {
	t.Setenv("GOGC", "") // and not parallel
	Roomy(floor)
	func() {
		large := make([]byte, floor/2)
		expectPercent(t, func(p uint64) bool { return p == 100 }, "100 with much alive")
		runtime.KeepAlive(large)
	}()
	expectPercent(t, func(p uint64) bool { return p > 100 }, "more than 100 with little alive")
}

func expectPercent(t *testing.T, ok func(uint64) bool, want string) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for range 500 {
		runtime.GC()
		if ok(percentNow()) {
			return
		}
		<-poll.C // a cleanup runs some time after the collection
	}
	t.Fatalf("GOGC is %d, want %s", percentNow(), want)
}

func percentNow() uint64 {
	set := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(set)
	return set[0].Value.Uint64()
}
