package main

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

func TestHeapPercent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		live uint64
		want int
	}{{0, 900}, {1, 900}, {8 << 20, 400}, {20 << 20, 100}, {21 << 20, 100}, {8 << 30, 100}, {1 << 62, 100}} {
		if got := heapPercent(c.live); got != c.want {
			t.Errorf("%d bytes alive: %d %%, want %d", c.live, got, c.want)
		}
	}
}

// The percentage follows what is alive, up and down.
func TestRoomyHeap(t *testing.T) {
	t.Setenv("GOGC", "") // and not parallel
	roomyHeap()
	func() {
		large := make([]byte, heapFloor)
		expectPercent(t, func(p uint64) bool { return p == 100 }, "100 with much alive")
		runtime.KeepAlive(large)
	}()
	expectPercent(t, func(p uint64) bool { return p > 100 }, "more than 100 with little alive")
}

func expectPercent(t *testing.T, ok func(uint64) bool, want string) {
	t.Helper()
	percent := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for range 500 {
		runtime.GC()
		metrics.Read(percent)
		if ok(percent[0].Value.Uint64()) {
			return
		}
		<-poll.C // a cleanup runs some time after the collection
	}
	t.Fatalf("GOGC is %d, want %s", percent[0].Value.Uint64(), want)
}
