package etcdstore

import (
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// What is listed is the state as the watch has shown it, as of one revision. The mirror itself is
// no such state: own changes are in it that the watch has not come to. Of each key that has one,
// lead.before is what it was before.
//
// How far the watch has come, it says with each event (rev). While nothing happens here that is
// long ago, and others' keys may have had their revisions since; so it is asked (told).

// hope is what waits for the watch to come to a revision.
type hope struct {
	rev  int64
	came chan struct{}
}

// hope returns a channel that is closed when the watch has come to a revision.
func (m *mirror) hope(rev int64) (came chan struct{}) {
	came = make(chan struct{})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hoped = append(m.hoped, hope{rev, came})
	m.reach(m.rev)
	return came
}

// despair drops what hope returned.
func (m *mirror) despair(came chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hoped = slices.DeleteFunc(m.hoped, func(h hope) bool { return h.came == came })
}

// reached notes that everything up to a revision has been told by the watch.
func (m *mirror) reached(rev int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reach(rev)
}

// reach is reached with mu held.
func (m *mirror) reach(rev int64) {
	m.told = max(m.told, rev)
	if len(m.hoped) == 0 {
		return
	}
	m.hoped = slices.DeleteFunc(m.hoped, func(h hope) bool {
		if h.rev > m.told {
			return false
		}
		close(h.came)
		return true
	})
}

// listed is a lock that is listed. What it points to does not change.
type listed struct {
	name    string
	holder  *mirrorHolder // nil: nobody, or odd
	odd     oddHolder     // 0: it is none
	waiters []placed      // the first of those that are listed
	length  int           // how many wait
}

// placed is a waiter and its place, from 1.
type placed struct {
	*mirrorWaiter
	position int
}

func (l *listed) used() bool { return l.holder != nil || l.odd != 0 || l.length > 0 }

// list returns the locks that are held or waited for, in any order, as of a revision that it
// returns. With a filter, those that it selects.
func (m *mirror) list(f filter) (locks []listed, rev int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.overlaid()
	add := func(name string, l *mirrorLock) {
		if e := m.listed(name, l, o, f); e.used() && f.selects(&e) {
			locks = append(locks, e)
		}
	}
	if f.all() {
		locks = make([]listed, 0, len(m.locks)+len(m.odd))
	}
	for name, l := range m.locks {
		add(name, l)
	}
	for name := range m.odd {
		if m.locks[name] == nil {
			add(name, nil)
		}
	}
	for name := range o {
		if _, odd := m.odd[name]; !odd && m.locks[name] == nil {
			add(name, nil)
		}
	}
	return locks, m.told
}

// listNamed returns what is known of some locks, as of one revision, which it returns.
func (m *mirror) listNamed(names []string) (locks []listed, rev int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := m.overlaid()
	locks = make([]listed, len(names))
	for i, name := range names {
		locks[i] = m.listed(name, m.locks[name], o, filter{})
	}
	return locks, m.told
}

// overlay is what locks were before own changes that the watch has not come to.
type overlay map[string]*before

type before struct {
	held    bool // the holder is among it
	holder  *mirrorHolder
	odd     oddHolder
	waiters map[acquisition]*mirrorWaiter // nil: it was not in the queue
}

// overlaid finds the overlay. mu is held.
func (m *mirror) overlaid() overlay {
	o := overlay{}
	of := func(lock string) *before {
		b := o[lock]
		if b == nil {
			b = &before{}
			o[lock] = b
		}
		return b
	}
	for key, own := range m.ahead {
		if lock, ok := m.keys.parseLock(key); ok {
			b := of(lock)
			b.held = true
			switch was := own.before.(type) {
			case *mirrorHolder:
				b.holder = was
			case oddHolder:
				b.odd = was
			case *mvccpb.KeyValue:
				if v, err := decodeHolder(was.Value); err != nil {
					b.odd = oddHolder(was.ModRevision)
				} else {
					b.holder = &mirrorHolder{holderValue: v, lock: lock, token: was.ModRevision}
				}
			}
		} else if a, ok := m.keys.parseWaiter(key); ok {
			b := of(a.lock)
			if b.waiters == nil {
				b.waiters = map[acquisition]*mirrorWaiter{}
			}
			b.waiters[a] = nil
			switch was := own.before.(type) {
			case *mirrorWaiter:
				b.waiters[a] = was
			case *mvccpb.KeyValue:
				if v, err := decodeWaiter(was.Value); err == nil {
					b.waiters[a] = &mirrorWaiter{acquisition: a, waiterValue: v, created: was.CreateRevision}
				}
			}
		}
	}
	return o
}

// listed is what the watch has shown of a lock; l is nil if nothing is known of it. mu is held.
func (m *mirror) listed(name string, l *mirrorLock, o overlay, f filter) listed {
	e := listed{name: name, odd: oddHolder(m.odd[name])}
	b := o[name]
	if l != nil {
		e.holder, e.length = l.holder, l.queue.len()
	}
	if b != nil && b.held {
		e.holder, e.odd = b.holder, b.odd
	}
	if e.length == 0 && (b == nil || b.waiters == nil) {
		return e
	}
	if b == nil {
		b = &before{}
	}
	was := make([]*mirrorWaiter, 0, len(b.waiters)) // in the queue, though not where it is now
	for a, w := range b.waiters {
		if m.queued[a] != nil {
			e.length--
		}
		if w != nil {
			was = append(was, w)
			e.length++
		}
	}
	slices.SortFunc(was, func(v, w *mirrorWaiter) int {
		if v.before(w) {
			return -1
		}
		return 1
	})
	position := 0
	place := func(w *mirrorWaiter) bool {
		position++
		if f.takes(w.session, w.Owner) {
			e.waiters = append(e.waiters, placed{w, position})
		}
		return len(e.waiters) < listedWaiters
	}
	full := false
	if l != nil {
		l.queue.all(func(w *mirrorWaiter) bool {
			if _, ahead := b.waiters[w.acquisition]; ahead {
				return true
			}
			for len(was) > 0 && was[0].before(w) && !full {
				full = !place(was[0])
				was = was[1:]
			}
			full = full || !place(w)
			return !full
		})
	}
	for len(was) > 0 && !full {
		full = !place(was[0])
		was = was[1:]
	}
	return e
}
