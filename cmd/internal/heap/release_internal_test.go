package heap

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/internal/await"
)

func TestBurst(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	var b burst
	for i, step := range []struct {
		taken, allocated uint64
		over             bool
	}{
		{20 * mib, 25 * mib, false},
		{21 * mib, 30 * mib, false},   // quiet, without a burst
		{300 * mib, 500 * mib, false}, // the burst
		{310 * mib, 900 * mib, false},
		{310 * mib, 905 * mib, true},
		{300 * mib, 910 * mib, false}, // it is in use, or was when that was tried
		{300 * mib, 915 * mib, false},
		{300 * mib, 920 * mib, true},
		{50 * mib, 925 * mib, false}, // and is not any more
		{50 * mib, 930 * mib, false},
		{50 * mib, 935 * mib, false},
		{310 * mib, 1300 * mib, false}, // the next
		{310 * mib, 1310 * mib, true},
	} {
		if got := b.over(step.taken, step.allocated, floor); got != step.over {
			t.Errorf("step %d: %v, want %v", i, got, step.over)
		}
	}
}

func TestRelease(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { Release(ctx, 0) })
	defer running.Wait()
	defer cancel()
	garbage := make([][]byte, 0, 200)
	await.Eventually(t, time.Minute, "a look at the burst", func() bool { // one falls between two looks
		for range 64 {
			garbage = append(garbage[:len(garbage)%200], make([]byte, 1<<20))
		}
		taken, _ := used()
		return taken > 64<<20
	})
	runtime.KeepAlive(garbage)
	garbage = nil
	await.Eventually(t, time.Minute, "little memory taken", func() bool {
		taken, _ := used()
		return taken < 48<<20
	})
}
