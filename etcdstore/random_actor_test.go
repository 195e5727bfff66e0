package etcdstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// actor is one client. It does what a client may: repeat what it does not know the outcome of, end
// a section in one way only, and never release over an append that may not have arrived.
type actor struct {
	*random
	rng        *rand.Rand
	session    etcdstore.Session
	number     uint64
	unfinished []etcdstore.Acquisition
	past       []func() // earlier calls, each to be made again at any time
}

func (a *actor) run() {
	for a.ctx.Err() == nil {
		if a.session.ID == "" && !a.begin() {
			continue
		}
		if sec := a.acquire(); sec != nil {
			a.use(sec)
		}
		a.heartbeat()
		a.again()
		if a.rng.IntN(25) == 0 {
			credential := a.session.Credential
			a.past = append(a.past, func() { _ = a.any().CloseSession(a.ctx, credential) })
			_ = a.any().CloseSession(a.ctx, credential)
			a.forgetSession()
		}
	}
}

func (a *actor) any() *faulty {
	a.calls.Add(1)
	return a.stores[a.rng.IntN(len(a.stores))]
}

func (a *actor) begin() bool {
	store := a.any()
	s, err := store.Init(a.ctx, etcdstore.InitArgs{Label: "actor", Link: a.told.links[store], TakesLost: true})
	if err != nil {
		return false
	}
	a.told.begun(s.ID, store)
	a.session, a.number, a.past = s, 0, nil
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions = append(a.sessions, s.ID)
	return true
}

func (a *actor) forgetSession() { a.session, a.unfinished = etcdstore.Session{}, nil }

// until repeats a call until it is answered. Its error is then definite, or that of the run's end.
func (a *actor) until(call func(context.Context, *faulty) error) error {
	for {
		ctx, cancel := context.WithTimeout(a.ctx, time.Duration(5+a.rng.IntN(100))*time.Millisecond)
		err := call(ctx, a.any())
		cancel()
		if err == nil || !indeterminate(err) || a.ctx.Err() != nil {
			return err
		}
	}
}

func (a *actor) request() string {
	a.number++
	return strconv.FormatUint(a.number, 10)
}

// again makes an earlier call again.
func (a *actor) again() {
	for range a.rng.IntN(3) {
		if len(a.past) > 0 {
			a.repeats.Add(1)
			a.past[a.rng.IntN(len(a.past))]()
		}
	}
	if len(a.past) > 60 {
		a.past = slices.Clone(a.past[30:])
	}
}

// acquire gets a lock, or gives up.
func (a *actor) acquire() *modelSection {
	lock := lockName(a.rng)
	ended, _ := a.m.marks(lock)
	acq := etcdstore.Acquisition{Lock: lock, Request: a.request()}
	args := etcdstore.AcquireArgs{
		Credential: a.session.Credential, Acquisition: acq,
		Wait: []time.Duration{0, 20 * time.Millisecond, etcdstore.WaitForever, etcdstore.WaitForever}[a.rng.IntN(4)],
	}
	a.unfinished = append(a.unfinished, acq)
	a.past = append(a.past, func() {
		ctx, cancel := context.WithTimeout(a.ctx, 5*time.Millisecond)
		defer cancel()
		_, _ = a.any().Acquire(ctx, args) // what it gets, the next heartbeat ends
	})
	var token int64
	for tries := 0; ; tries++ {
		ctx, cancel := context.WithTimeout(a.ctx, time.Duration(5+a.rng.IntN(100))*time.Millisecond)
		g, err := a.any().Acquire(ctx, args)
		cancel()
		if err == nil {
			if g.Outcome == etcdstore.Cancelled {
				a.m.t.Errorf("Acquire(%v) is cancelled, by nobody", acq)
			}
			token = g.Token
			break
		}
		if errors.Is(err, etcdstore.ErrSessionExpired) {
			a.forgetSession()
			return nil
		}
		if errors.Is(err, etcdstore.ErrLockExpired) { // lost before it was heard of
			a.finished(acq)
			return nil
		}
		if a.ctx.Err() != nil {
			return nil
		}
		if !indeterminate(err) {
			a.m.t.Errorf("Acquire(%v): %v", acq, err)
			return nil
		}
		a.heartbeat()
		if a.session.ID == "" {
			return nil
		}
		if tries > a.rng.IntN(10) {
			a.past = append(a.past, func() { _, _ = a.any().Cancel(a.ctx, args.Credential, acq) })
			err := a.until(func(ctx context.Context, s *faulty) (err error) {
				token, err = s.Cancel(ctx, args.Credential, acq)
				return err
			})
			if err != nil {
				a.definite("Cancel", err, etcdstore.ErrSessionExpired)
				a.forgetSession()
				return nil
			}
			break
		}
	}
	if token == 0 {
		a.finished(acq)
		return nil
	}
	return a.m.granted(etcdstore.Section{Credential: a.session.Credential, Lock: lock, Token: token}, ended)
}

func (a *actor) finished(acq etcdstore.Acquisition) {
	a.unfinished = slices.DeleteFunc(a.unfinished, func(o etcdstore.Acquisition) bool { return o == acq })
}

// definite checks that an error is one of those that a call may end with.
func (a *actor) definite(call string, err error, may ...error) {
	if a.ctx.Err() != nil || slices.ContainsFunc(may, func(m error) bool { return errors.Is(err, m) }) {
		return
	}
	a.m.t.Errorf("%s: %v", call, err)
}

// use appends to a section and ends it somehow, or leaves it to a heartbeat.
func (a *actor) use(sec *modelSection) {
	defer func() { a.unfinished = nil }()
	for {
		for i := range a.rng.IntN(4) {
			if !a.append(sec, i) {
				return
			}
			if a.rng.IntN(3) == 0 {
				a.again()
			}
			if a.rng.IntN(4) == 0 {
				a.heartbeat()
			}
		}
		switch n := a.rng.IntN(10); {
		case n < 5:
			a.release(sec)
			return
		case n < 7:
			if sec = a.commit(sec); sec == nil {
				return
			}
		case n < 9:
			a.discard(sec)
			return
		default:
			a.m.ended(sec, undone) // never to be published: nobody will ask for it
			return
		}
	}
}

// append stages a record; false: the section is over.
func (a *actor) append(sec *modelSection, i int) bool {
	r := etcdstore.Record{
		Credential: sec.Credential, Lock: sec.Lock, Token: sec.Token, Request: a.request(), File: string(rune('a' + a.rng.IntN(2))),
		Number: a.number,
	}
	r.Data = fmt.Appendf(nil, "%d.%d.%s;", r.Token, i, r.Request)
	if len(sec.files) > 0 && a.rng.IntN(3) == 0 { // what it has appended elsewhere tells whether it was published
		o := operationOf(string(r.Data))
		r.File, r.Kind, r.Data, r.Offset = o.File, o.Kind, o.Data, o.Offset
	}
	a.past = append(a.past, func() {
		err := storetest.AppendTo(a.ctx, a.any(), r)
		if err != nil && !indeterminate(err) {
			a.definite("Append repeated", err, etcdstore.ErrLockExpired)
		}
	})
	err := a.until(func(ctx context.Context, s *faulty) error { return storetest.AppendTo(ctx, s, r) })
	if err != nil {
		a.definite("Append", err, etcdstore.ErrLockExpired)
		a.m.ended(sec, undone) // it will not be released
		return false
	}
	a.m.appended(sec, r)
	return true
}

func (a *actor) release(sec *modelSection) {
	section := sec.Section
	a.past = append(a.past, func() { a.judge("Release repeated", sec, a.any().Release(a.ctx, section)) })
	err := a.until(func(ctx context.Context, s *faulty) error { return s.Release(ctx, section) })
	a.settle("Release", sec, err)
}

// settle notes how a section ended.
func (a *actor) settle(call string, sec *modelSection, err error) {
	switch {
	case err == nil:
		a.m.ended(sec, published)
	case errors.Is(err, etcdstore.ErrLockExpired):
		a.m.ended(sec, undone)
	case a.m.forgotten(sec, err):
	default: // the run is over
		a.definite(call, err)
	}
}

// judge compares the answer of a repeat with what is known.
func (a *actor) judge(call string, sec *modelSection, err error) {
	if err != nil && indeterminate(err) || !sec.Appended || a.m.forgotten(sec, err) {
		return
	}
	switch f := a.m.fateOf(sec); {
	case f == published && err != nil, f == undone && !errors.Is(err, etcdstore.ErrLockExpired):
		a.m.t.Errorf("%s of section %d of %s, whose fate is %d: %v", call, sec.Token, sec.Lock, f, err)
	}
}

func (a *actor) commit(sec *modelSection) *modelSection {
	section := sec.Section
	a.past = append(a.past, func() {
		_, err := a.any().Commit(a.ctx, section)
		a.judge("Commit repeated", sec, err)
	})
	var token int64
	err := a.until(func(ctx context.Context, s *faulty) (err error) {
		token, err = s.Commit(ctx, section)
		return err
	})
	a.settle("Commit", sec, err)
	if token == 0 {
		return nil
	}
	return a.m.granted(etcdstore.Section{Credential: sec.Credential, Lock: sec.Lock, Token: token}, sec.Token)
}

func (a *actor) discard(sec *modelSection) {
	section := sec.Section
	a.m.ended(sec, undone) // whatever becomes of the call: it is not released
	drop := func(ctx context.Context, s *faulty) error {
		published, err := s.Discard(ctx, section)
		if a.m.forgotten(sec, err) {
			err = nil
		}
		if published {
			a.m.t.Errorf("Discard of section %d of %s answers that it was published", section.Token, section.Lock)
		}
		return err
	}
	a.past = append(a.past, func() { _ = drop(a.ctx, a.any()) })
	if err := a.until(drop); err != nil {
		a.definite("Discard", err)
	}
}

// heartbeat lists what is unfinished. A session that has ended is forgotten; what it held was lost.
func (a *actor) heartbeat() {
	if a.session.ID == "" {
		return
	}
	credential, highest, listed := a.session.Credential, a.number, slices.Clone(a.unfinished)
	a.past = append(a.past, func() {
		_, _ = a.any().Heartbeat(a.ctx, etcdstore.HeartbeatArgs{Credential: credential, Highest: highest, Unfinished: listed})
	})
	store := a.any()
	_, err := store.Heartbeat(a.ctx, etcdstore.HeartbeatArgs{
		Credential: credential, Highest: highest, Unfinished: listed, Link: a.told.links[store], TakesLost: true,
	})
	if errors.Is(err, etcdstore.ErrSessionExpired) {
		a.forgetSession()
	} else if err != nil && !indeterminate(err) {
		a.definite("Heartbeat", err)
	}
}
