package turns

// Queue is what waits, in a line for each client, and is taken out by turns: one of each. The zero
// Queue is empty. It is not safe for concurrent use.
type Queue[T any] struct {
	lines   map[string]*FIFO[T] // none is empty
	clients FIFO[string]        // in the order of their turns
}

// Push puts one at the end of a client's line.
func (q *Queue[T]) Push(client string, v T) {
	l := q.lines[client]
	if l == nil {
		if q.lines == nil {
			q.lines = map[string]*FIFO[T]{}
		}
		l = &FIFO[T]{}
		q.lines[client] = l
		q.clients.Push(client)
	}
	l.Push(v)
}

// Pop takes out the first of the client whose turn it is. It reports whether there was one.
func (q *Queue[T]) Pop() (v T, ok bool) {
	if q.clients.Len() == 0 {
		return v, false
	}
	client := q.clients.Pop()
	l := q.lines[client]
	v = l.Pop()
	if l.Len() > 0 {
		q.clients.Push(client)
	} else {
		delete(q.lines, client)
	}
	return v, true
}
