package etcdstore

import (
	"sync"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
)

// atWork is how many of the calls that are resolved are at work at once. Thousands of goroutines that
// become ready together keep all others from the processor for as long as it takes to run each.
const atWork = 128

// workers run what takes a goroutine, so many at once, and the rest by turns, client by client.
type workers struct {
	start func(func()) bool // runs one in a goroutine; false: not any more

	mu      sync.Mutex
	running int
	waiting commit.Turns[func()]
}

// do has f run. It reports whether it will.
func (w *workers) do(client string, f func()) bool {
	w.mu.Lock()
	if w.running == atWork {
		w.waiting.Push(client, f)
		w.mu.Unlock()
		return true
	}
	w.running++
	w.mu.Unlock()
	if w.start(func() { w.work(f) }) {
		return true
	}
	w.mu.Lock()
	w.running--
	w.mu.Unlock()
	return false
}

// work runs one after the other, until nothing waits.
func (w *workers) work(f func()) {
	for more := true; more; {
		f()
		w.mu.Lock()
		if f, more = w.waiting.Pop(); !more {
			w.running--
		}
		w.mu.Unlock()
	}
}
