package turns

// FIFO is what waits in a line. What is taken out or looked at is the first. The zero FIFO is
// empty. It is not safe for concurrent use.
type FIFO[T any] struct {
	items []T
	head  int // before it nothing is left
}

// Len is how many there are.
func (f *FIFO[T]) Len() int { return len(f.items) - f.head }

// Cap is for how many there is memory.
func (f *FIFO[T]) Cap() int { return cap(f.items) }

// First is there to be looked at, of a line that is not empty.
func (f *FIFO[T]) First() T { return f.items[f.head] }

// Push puts one at the end.
func (f *FIFO[T]) Push(v T) {
	if f.head > len(f.items)/2 && len(f.items) == cap(f.items) { // rather than grow
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, v)
}

// Pop takes out the first, of a line that is not empty.
func (f *FIFO[T]) Pop() T {
	v := f.items[f.head]
	clear(f.items[f.head : f.head+1]) // nothing is kept alive
	f.head++
	if f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
	}
	return v
}
