package etcdstore

import "math/rand/v2"

// line is the waiters of one lock in the order in which they are served. It is a tree by their
// places, in which each knows how many are in its part of it: so that a position is not counted
// from the front, when thousands who give up at once want to know theirs. A random rank keeps it
// flat, as a treap.
type line struct{ root *mirrorWaiter }

// node is a waiter's place in its line.
type node struct {
	left, right *mirrorWaiter // before it, and after it
	rank        uint32        // of none below it higher
	size        int           // it, and all below it
}

func (w *mirrorWaiter) count() int {
	if w == nil {
		return 0
	}
	return w.size
}

func (w *mirrorWaiter) recount() { w.size = w.left.count() + 1 + w.right.count() }

func (l *line) len() int { return l.root.count() }

// insert puts a waiter at its place.
func (l *line) insert(w *mirrorWaiter) {
	w.node = node{rank: rand.Uint32(), size: 1}
	at := &l.root
	for *at != nil && (*at).rank >= w.rank {
		(*at).size++
		at = (*at).side(w)
	}
	w.left, w.right = parted(*at, w)
	w.recount()
	*at = w
}

// side is where a waiter, another one, is below this one.
func (w *mirrorWaiter) side(o *mirrorWaiter) **mirrorWaiter {
	if o.before(w) {
		return &w.left
	}
	return &w.right
}

// parted takes a tree apart: into what is before a waiter's place, and what is after it.
func parted(t, w *mirrorWaiter) (before, after *mirrorWaiter) {
	if t == nil {
		return nil, nil
	}
	if w.before(t) {
		before, t.left = parted(t.left, w)
		t.recount()
		return before, t
	}
	t.right, after = parted(t.right, w)
	t.recount()
	return t, after
}

// remove takes out a waiter that is in the line.
func (l *line) remove(w *mirrorWaiter) {
	at := &l.root
	for *at != w {
		(*at).size--
		at = (*at).side(w)
	}
	*at = join(w.left, w.right)
	w.node = node{}
}

// join makes one tree of two, all of the one before all of the other.
func join(before, after *mirrorWaiter) *mirrorWaiter {
	switch {
	case before == nil:
		return after
	case after == nil:
		return before
	case before.rank >= after.rank:
		before.right = join(before.right, after)
		before.recount()
		return before
	}
	after.left = join(before, after.left)
	after.recount()
	return after
}

// position is the place of a waiter that is in the line, from 1.
func (l *line) position(w *mirrorWaiter) int {
	n := w.left.count() + 1
	for at := l.root; at != w; at = *at.side(w) {
		if !w.before(at) {
			n += at.left.count() + 1
		}
	}
	return n
}

// first is the one who is served first; nil: there is none.
func (l *line) first() *mirrorWaiter {
	w := l.root
	for w != nil && w.left != nil {
		w = w.left
	}
	return w
}

// all calls f with one after the other, from the first, as long as it returns true.
func (l *line) all(f func(*mirrorWaiter) bool) { l.root.walk(f) }

func (w *mirrorWaiter) walk(f func(*mirrorWaiter) bool) bool {
	return w == nil || w.left.walk(f) && f(w) && w.right.walk(f)
}
