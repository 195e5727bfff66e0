package commit

// fifo is what waits in a line. What is taken out or looked at is the first.
type fifo[T any] struct {
	items []T
	head  int // before it nothing is left
}

func (f *fifo[T]) len() int { return len(f.items) - f.head }

// first is there to be looked at, of a line that is not empty.
func (f *fifo[T]) first() T { return f.items[f.head] }

func (f *fifo[T]) push(v T) {
	if f.head > len(f.items)/2 && len(f.items) == cap(f.items) { // rather than grow
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, v)
}

func (f *fifo[T]) pop() T {
	v := f.items[f.head]
	clear(f.items[f.head : f.head+1]) // nothing is kept alive
	f.head++
	if f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
	}
	return v
}
