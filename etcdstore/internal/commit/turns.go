package commit

// Turns is what waits, in a line for each client, and is taken out by turns: one of each. The zero
// Turns is empty. It is not safe for concurrent use.
type Turns[T any] struct {
	lines   map[string]*fifo[T] // none is empty
	clients fifo[string]        // in the order of their turns
	n       int
}

// Len is how many there are.
func (t *Turns[T]) Len() int { return t.n }

// Push puts one at the end of a client's line.
func (t *Turns[T]) Push(client string, v T) {
	l := t.lines[client]
	if l == nil {
		if t.lines == nil {
			t.lines = map[string]*fifo[T]{}
		}
		l = &fifo[T]{}
		t.lines[client] = l
		t.clients.push(client)
	}
	l.push(v)
	t.n++
}

// Pop takes out the first of the client whose turn it is. It reports whether there was one.
func (t *Turns[T]) Pop() (v T, ok bool) {
	if t.n == 0 {
		return v, false
	}
	client := t.clients.pop()
	l := t.lines[client]
	v = l.pop()
	if l.len() > 0 {
		t.clients.push(client)
	} else {
		delete(t.lines, client)
	}
	t.n--
	return v, true
}
