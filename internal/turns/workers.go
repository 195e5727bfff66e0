package turns

import "sync"

// Workers do what takes a goroutine: so many at once, and the rest by turns, client by client.
// Thousands of goroutines that become ready together would keep all others from the processor for
// as long as it takes to run each.
type Workers struct {
	start  func(func()) bool
	atOnce int

	mu      sync.Mutex
	running int
	waiting Queue[func()]
}

// NewWorkers returns workers, so many of whom work at once. start runs a function in a goroutine,
// and reports whether it does.
func NewWorkers(atOnce int, start func(func()) bool) *Workers {
	return &Workers{start: start, atOnce: atOnce}
}

// Do has f done for a client, and reports whether it will be. f must not panic.
func (w *Workers) Do(client string, f func()) bool {
	w.mu.Lock()
	if w.running == w.atOnce {
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

// work does one after the other, until nothing waits.
func (w *Workers) work(f func()) {
	for more := true; more; {
		f()
		w.mu.Lock()
		if f, more = w.waiting.Pop(); !more {
			w.running--
		}
		w.mu.Unlock()
	}
}
