package etcdstore

import (
	"context"
	"slices"
	"sync"
	"time"
)

// wait is one local call that waits for its acquisition to be granted. It is no goroutine: ten
// thousand may stand in one queue. Several calls may wait for one acquisition, as repeats.
type wait struct {
	acquisition
	rev  int64 // as of which it had its place: see the method fate
	told func(fate)
}

// fate is what ends a wait: a grant, the end of its acquisition, or an error.
type fate struct {
	state State
	token int64
	left  time.Duration // how much longer it may hold
	err   error
}

// verdict is a wait that has met its fate. It is told once the mirror is unlocked, for what it
// calls may ask the mirror.
type verdict struct {
	*wait
	fate
}

func tellAll(vs []verdict) {
	for _, v := range vs {
		v.told(v.fate)
	}
}

// register begins a wait. told is called once, from whichever goroutine, unless unregister comes
// first. The state is looked at and the wait kept in one: no grant falls in between.
func (m *mirror) register(w *wait) {
	m.mu.Lock()
	f, over := m.fate(w)
	if !over {
		m.waits[w.acquisition] = append(m.waits[w.acquisition], w)
	}
	m.mu.Unlock()
	if over {
		w.told(f)
	}
}

func (m *mirror) unregister(w *wait) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keepWaits(w.acquisition, slices.DeleteFunc(m.waits[w.acquisition], func(o *wait) bool { return o == w }))
}

// keepWaits is called with mu held.
func (m *mirror) keepWaits(a acquisition, ws []*wait) {
	if len(ws) == 0 {
		delete(m.waits, a)
	} else {
		m.waits[a] = ws
	}
}

// fate is what a wait has come to, and whether it is over. Holding ends it. None does so only if
// the mirror has come to where the acquisition had its place. Say a repeat finds its place, as of
// 12, that was taken through another store, and the watch is at 10: the mirror does not know the
// place yet. mu is held.
func (m *mirror) fate(w *wait) (f fate, over bool) {
	if f.state, f.token = m.state(w.acquisition); f.state == Holding {
		f.left = m.holdLeft(w.lock, f.token)
	}
	return f, f.state == Holding || f.state == None && m.rev >= w.rev
}

// judge takes out the waits for an acquisition that are over, and returns them. mu is held.
func (m *mirror) judge(a acquisition) (vs []verdict) {
	ws := m.waits[a]
	if len(ws) == 0 {
		return nil
	}
	m.keepWaits(a, slices.DeleteFunc(ws, func(w *wait) bool {
		f, over := m.fate(w)
		if over {
			vs = append(vs, verdict{w, f})
		}
		return over
	}))
	return vs
}

// ends takes out the waits for an acquisition, whatever it has come to, for the caller to tell.
func (m *mirror) ends(a acquisition, f fate) (vs []verdict) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.waits[a] {
		vs = append(vs, verdict{w, f})
	}
	delete(m.waits, a)
	return vs
}

// endWaits ends all waits with an error. The places in etcd are kept.
func (m *mirror) endWaits(err error) {
	m.mu.Lock()
	waits := m.waits
	m.waits = map[acquisition][]*wait{}
	m.mu.Unlock()
	for _, ws := range waits {
		for _, w := range ws {
			w.told(fate{err: err})
		}
	}
}

// standing is an acquire that stands in the queue. Four may end it: the mirror with its fate, its
// timer, the end of its ctx, and a store that no longer serves. The first one does (end), and calls
// done; the others find it over.
type standing struct {
	wait
	store      *Store
	credential string
	done       func(Grant, error)

	mu    sync.Mutex
	over  bool
	timer *time.Timer // of a wait that is bounded
	stop  func() bool // ends the watch over ctx
}

// await waits, once the acquisition stands in the queue, until it holds the lock or the wait is
// over. done is called once. await itself returns at once.
func (s *Store) await(ctx context.Context, credential string, a acquisition, rev int64, bound time.Duration, done func(Grant, error)) {
	q := &standing{wait: wait{acquisition: a, rev: rev}, store: s, credential: credential, done: done}
	q.told = func(f fate) {
		if q.end() {
			q.decided(ctx, f)
		}
	}
	s.mirror.register(&q.wait)
	if !s.Serving() { // endWaits may have come before this one was registered
		q.leave(func() { done(Grant{}, s.engine.Unserved()) })
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over {
		return
	}
	if bound != WaitForever {
		q.timer = time.AfterFunc(bound, func() {
			q.leave(func() {
				resolve(ctx, s, func(ctx context.Context) (Grant, error) {
					token, busy, err := s.giveUp(ctx, q.credential, a)
					if token != 0 {
						return s.granted(a.lock, token), nil
					}
					return busy, err
				}, done)
			})
		})
	}
	q.stop = context.AfterFunc(ctx, func() {
		q.leave(func() { done(Grant{}, context.Cause(ctx)) })
	})
}

// end ends the wait. It reports whether the caller is the first to do so.
func (q *standing) end() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	ends := !q.over
	q.over = true
	if q.timer != nil {
		q.timer.Stop()
	}
	if q.stop != nil {
		q.stop()
	}
	return ends
}

// leave ends the wait for a reason of this side, and the mirror need not know of it any more.
func (q *standing) leave(then func()) {
	if q.end() {
		q.store.mirror.unregister(&q.wait)
		then()
	}
}

// decided ends a wait whose fate the mirror knows. If that is neither a grant nor an error, it is
// to be found out why: the session's end, a cancel, or a grant that was lost.
func (q *standing) decided(ctx context.Context, f fate) {
	switch {
	case f.err != nil:
		q.done(Grant{}, f.err)
	case f.state == Holding:
		receiptOf(ctx).Raise(f.token) // another's transaction has granted it
		q.done(Grant{Outcome: Granted, Token: f.token, HoldLeft: f.left}, nil)
	default:
		resolve(ctx, q.store, func(ctx context.Context) (Grant, error) { // which may ask etcd
			return q.store.gone(ctx, q.credential, q.acquisition)
		}, q.done)
	}
}
