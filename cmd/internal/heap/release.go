package heap

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	look  = 5 * time.Second // how often
	quiet = 32 << 20        // bytes that a program allocates at most between two looks while it is quiet
	spare = 16 << 20        // bytes beyond its floor that are not worth the work
	rest  = 3               // looks between one try and the next
)

// Release gives the memory that a burst has taken back to the system, within some twenty seconds
// after it, until ctx ends. By itself Go would do so when it collects garbage the next time, which
// in a program that has become quiet is every two minutes. It is for a program's main, with the
// floor that [Roomy] is given.
func Release(ctx context.Context, floor uint64) {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	var b burst
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			taken, allocated := used()
			if b.over(taken, allocated, floor) {
				debug.FreeOSMemory()
			}
		}
	}
}

// burst is what is known of one.
type burst struct {
	allocated uint64 // bytes that the program had ever allocated at the last look
	rests     int    // looks until the next try
}

// over takes a look, and reports whether the program is quiet and may have taken more memory than
// it needs. What is in use at one try may not be at the next.
func (b *burst) over(taken, allocated, floor uint64) bool {
	calm := allocated-b.allocated <= quiet
	b.allocated = allocated
	b.rests = max(0, b.rests-1)
	if !calm || b.rests > 0 || taken <= floor+spare {
		return false
	}
	b.rests = rest
	return true
}

// used is how many bytes the program has taken from the system for its heap, and all that it ever
// allocated.
func used() (taken, allocated uint64) {
	m := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
		{Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(m)
	return m[0].Value.Uint64() + m[1].Value.Uint64() + m[2].Value.Uint64(), m[3].Value.Uint64()
}
