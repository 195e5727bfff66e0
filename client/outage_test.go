package client_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

func TestUnavailable(t *testing.T) {
	t.Parallel()
	const timeout = 500 * time.Millisecond
	c := open(t, client.Config{Endpoints: []string{storetest.FreeAddr(t)}, ConnectTimeout: timeout})
	for what, call := range map[string]func() error{
		"Lock":    func() error { _, err := c.Lock(t.Context(), "a"); return err },
		"TryLock": func() error { _, err := c.TryLock(t.Context(), "a"); return err },
		"Read":    func() error { _, err := c.Read(t.Context(), "a", "f"); return err },
		"Section": func() error { return c.Section("a", "x", 1).Append(t.Context(), "f", nil) },
		"Tail": func() error {
			for _, err := range c.Tail(t.Context(), "a", "f", 0) {
				return err
			}
			return nil
		},
	} {
		start := time.Now()
		is(t, call(), client.ErrUnavailable)
		if took := time.Since(start); took < timeout && what != "TryLock" || took > patience {
			t.Errorf("%s failed after %v, want %v", what, took, timeout)
		}
	}
	must(t, c.Close()) // there was no session to end
}

// The hold ends on this side while the server cannot have given the lock away yet.
func TestContextEndsBeforeLease(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t)
	c := open(t, client.Config{Endpoints: []string{n.Addr()}, TTL: 5 * time.Second, ConnectTimeout: time.Second})
	name := fresh(t)
	l := lock(t, c, name)
	must(t, l.Append(t.Context(), "f", []byte("a")))
	n.Stop()

	// A call about the lock rides the outage out, others do not.
	appended := make(chan error, 1)
	go func() { appended <- l.Append(t.Context(), "f", []byte("b")) }()
	_, err := c.Read(t.Context(), name, "f")
	is(t, err, client.ErrUnavailable)
	select {
	case err := <-appended:
		if l.Context().Err() == nil {
			t.Errorf("the append ended while the lock was held: %v", err)
		}
		appended <- err
	default:
	}

	is(t, ended(t, l.Context()), client.ErrLockExpired)
	now := time.Now()
	if early := l.Expiry().Sub(now); early <= 0 || early > l.Margin() {
		t.Errorf("the context ended %v before the lease, want at most %v", early, l.Margin())
	}
	is(t, <-appended, client.ErrLockExpired)
	is(t, l.Append(t.Context(), "f", nil), client.ErrLockExpired)
	is(t, l.Unlock(t.Context()), client.ErrLockExpired)
	is(t, l.Discard(t.Context()), client.ErrEnded)
	_, err = c.Lock(t.Context(), name)
	is(t, err, client.ErrUnavailable)
}

// An unlock that no server answers ends when the lease has ended, and does not claim to know.
func TestUnlockIntoAnOutage(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t)
	c := open(t, client.Config{Endpoints: []string{n.Addr()}, TTL: 3 * time.Second, ConnectTimeout: 3 * time.Second})
	l := lock(t, c, fresh(t))
	n.Stop()
	err := l.Unlock(t.Context())
	is(t, err, client.ErrOutcomeUnknown)
	is(t, err, client.ErrUnavailable)
	is(t, l.Unlock(t.Context()), client.ErrOutcomeUnknown)
}

// A restart that outlasts a waiter's TTL does not end its session, since etcd counts leases anew:
// nor does the waiter.
func TestWaiterKeepsItsPlaceInALongOutage(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t)
	name := fresh(t)
	slow := client.Config{Endpoints: []string{n.Addr()}, TTL: time.Minute, ConnectTimeout: patience}
	quick := slow
	quick.TTL = 2 * time.Second
	holder := open(t, slow)
	l := lock(t, holder, name)
	order := make(chan string, 2)
	var waiters sync.WaitGroup
	for i, who := range []string{"first", "second"} {
		c := open(t, []client.Config{quick, slow}[i])
		waiters.Go(func() {
			l, err := c.Lock(t.Context(), name)
			if err != nil {
				t.Errorf("%s: %v", who, err)
				return
			}
			order <- who
			if err := l.Unlock(t.Context()); err != nil {
				t.Errorf("%s: %v", who, err)
			}
		})
		waiting(t, holder, name, int32(i+1))
	}
	before := state(t, holder, name).GetWaiters()[0].GetSession()
	n.Stop()
	<-time.After(quick.TTL + quick.TTL/2) // Nothing is waited for: this is the outage.
	n.Restart()
	waiting(t, holder, name, 2)
	if now := state(t, holder, name).GetWaiters()[0].GetSession(); now != before {
		t.Errorf("session %s is the first in line, want %s", now, before)
	}
	must(t, l.Unlock(t.Context()))
	waiters.Wait()
	if who := <-order; who != "first" {
		t.Errorf("the %s was granted the lock first", who)
	}
}

// A release that was carried out and never answered is learned of even when the session has ended
// meanwhile.
func TestUnlockLearnsTheTruthAfterLoss(t *testing.T) {
	t.Parallel()
	var dark *darkStore
	n := facadetest.Start(t, facadetest.WithStore(func(s facade.Store) facade.Store {
		dark = &darkStore{Store: s}
		return dark
	}))
	c := open(t, client.Config{Endpoints: []string{n.Addr()}, TTL: 2 * time.Second, ConnectTimeout: patience})
	name := fresh(t)
	l := lock(t, c, name)
	must(t, l.Append(t.Context(), "f", []byte("a")))
	dark.dark.Store(true)
	unlocked := make(chan error, 1)
	go func() { unlocked <- l.Unlock(t.Context()) }()
	is(t, ended(t, l.Context()), client.ErrLockExpired)
	select {
	case err := <-unlocked:
		t.Errorf("Unlock returned before it could know: %v", err)
		unlocked <- err
	default:
	}
	dark.dark.Store(false)
	must(t, <-unlocked)
	reads(t, c, name, "f", "a")
}

// darkStore is a store whose answers are lost: what it is asked to release is released.
type darkStore struct {
	facade.Store
	dark atomic.Bool
}

func (s *darkStore) Heartbeat(ctx context.Context, args etcdstore.HeartbeatArgs) (etcdstore.Renewal, error) {
	if s.dark.Load() {
		return etcdstore.Renewal{}, etcdstore.ErrNoQuorum
	}
	return s.Store.Heartbeat(ctx, args)
}

func (s *darkStore) StartRelease(ctx context.Context, section etcdstore.Section, done func(error)) {
	s.Store.StartRelease(ctx, section, func(err error) {
		if s.dark.Load() {
			err = etcdstore.ErrNoQuorum
		}
		done(err)
	})
}

func TestRestartDuringSection(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t)
	c := open(t, client.Config{Endpoints: []string{n.Addr()}, TTL: 30 * time.Second})
	name := fresh(t)
	l := lock(t, c, name)
	token := l.Token()

	waiter := make(chan error, 1)
	go func() {
		l, err := c.Lock(t.Context(), name)
		if err == nil {
			err = l.Unlock(t.Context())
		}
		waiter <- err
	}()
	waiting(t, c, name, 1)

	var want strings.Builder
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			record := fmt.Sprintln(i)
			if err := l.Append(t.Context(), "f", []byte(record)); err != nil {
				stopped <- err
				return
			}
			want.WriteString(record)
		}
	}()
	for range 2 {
		n.Restart()
		storetest.Eventually(t, "an answer", func() bool { return state(t, c, name) != nil })
	}
	close(stop)
	must(t, <-stopped)
	if st := state(t, c, name); st.GetHolder().GetToken() != token || st.GetQueueLength() != 1 {
		t.Errorf("after the restarts: %v, want token %d and a waiter", st, token)
	}
	must(t, l.Context().Err())
	must(t, l.Unlock(t.Context()))
	must(t, <-waiter)
	reads(t, c, name, "f", want.String())
}

func TestFailoverKeepsSession(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t, facadetest.WithFacades(2))
	c := open(t, client.Config{Endpoints: n.Addrs(), TTL: 30 * time.Second})
	name := fresh(t)
	l := lock(t, c, name)
	session := state(t, c, name).GetHolder().GetSession()

	tailed := make(chan string, 100)
	go func() {
		for m, err := range c.Tail(t.Context(), name, "f", 0) {
			if err == nil {
				tailed <- string(m.GetData())
			}
		}
		close(tailed)
	}()
	events := make(chan *dlmv1.Event, 100)
	go func() {
		for e, err := range c.Watch(t.Context(), name) {
			if err == nil {
				events <- e
			}
		}
		close(events)
	}()

	var want string
	for i := range 4 {
		n.StopFacade(i % 2)
		start := time.Now()
		must(t, l.Append(t.Context(), "f", fmt.Append(nil, i)))
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("failover took %v", took)
		}
		must(t, l.Commit(t.Context()))
		want += fmt.Sprint(i)
		var got string
		for got != fmt.Sprint(i) {
			got += await.Receive(t, patience, fmt.Sprintf("%d to be tailed after %q", i, got), tailed)
		}
		for seen := false; !seen; {
			e := await.Receive(t, patience, fmt.Sprintf("an event of token %d", l.Token()), events)
			seen = e.GetToken() == l.Token()
		}
		n.StartFacade(i % 2)
	}
	if got := state(t, c, name).GetHolder(); got.GetSession() != session || got.GetToken() != l.Token() {
		t.Errorf("held by %v, want session %s, token %d", got, session, l.Token())
	}
	must(t, l.Context().Err())
	must(t, l.Unlock(t.Context()))
	reads(t, c, name, "f", want)
}

// A tail that has had nothing to tell for longer than the connect timeout outlives a server all the
// same.
func TestIdleTailSurvivesRestart(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t)
	const timeout = 3 * time.Second
	c := open(t, client.Config{Endpoints: []string{n.Addr()}, ConnectTimeout: timeout})
	name := fresh(t)
	type piece struct {
		data string
		err  error
	}
	pieces := make(chan piece)
	go func() {
		defer close(pieces)
		for m, err := range c.Tail(t.Context(), name, "f", 0) {
			select {
			case pieces <- piece{string(m.GetData()), err}:
			case <-t.Context().Done():
				return
			}
		}
	}()
	select {
	case p := <-pieces: // the file does not exist yet
		t.Fatalf("got %v", p)
	case <-time.After(timeout + timeout/10):
	}
	n.Restart()
	publish(t, c, name, "f", []byte("b"))
	if p := <-pieces; p.data != "b" {
		t.Fatalf("got %v", p)
	}
}

// A server that goes silent without closing its connections is left as soon as a heartbeat is
// overdue.
func TestSilentServerIsLeft(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t)
	p := newPipe(t, n.Addr())
	c := open(t, client.Config{Endpoints: []string{p.addr(), n.Addr()}, TTL: 6 * time.Second})
	name := fresh(t)
	l := lock(t, c, name)
	must(t, l.Append(t.Context(), "f", []byte("a")))
	p.freeze()
	start := time.Now()
	must(t, l.Append(t.Context(), "f", []byte("b")))
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v to leave a silent server", took)
	}
	must(t, l.Context().Err())
	must(t, l.Unlock(t.Context()))
	reads(t, c, name, "f", "ab")
}

// A wait survives the loss of its session: it goes on under a new one.
func TestWaitSurvivesLostSession(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t)
	p := newPipe(t, n.Addr())
	c := open(t, client.Config{Endpoints: []string{p.addr()}, TTL: 2 * time.Second, ConnectTimeout: patience})
	other := open(t, client.Config{Endpoints: []string{n.Addr()}})
	name := fresh(t)
	held := lock(t, other, name)
	mine := lock(t, c, fresh(t))
	got := make(chan *client.Lock, 1)
	go func() {
		l, err := c.Lock(t.Context(), name)
		if err != nil {
			t.Error(err)
		}
		got <- l
	}()
	waiting(t, other, name, 1)
	p.freeze()
	is(t, ended(t, mine.Context()), client.ErrLockExpired)
	waiting(t, other, name, 0) // its session has ended at the server too
	p.thaw()
	waiting(t, other, name, 1)
	must(t, held.Unlock(t.Context()))
	if l := <-got; l != nil {
		must(t, l.Unlock(t.Context()))
	}
}

// pipe is a TCP proxy that can stop passing anything on while its connections stay open.
type pipe struct {
	l       net.Listener
	to      string
	running sync.WaitGroup

	mu     sync.Mutex
	frozen chan struct{} // closed when thawed; nil: not frozen
	conns  []net.Conn
	closed bool
}

func newPipe(t testing.TB, to string) *pipe {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &pipe{l: l, to: to}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		_ = l.Close()
		p.thaw()
		p.running.Wait()
	})
	return p
}

func (p *pipe) addr() string { return p.l.Addr().String() }

func (p *pipe) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = make(chan struct{})
}

// thaw lets new connections through; the old ones are cut.
func (p *pipe) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frozen != nil {
		close(p.frozen)
		p.frozen = nil
	}
	p.cutLocked()
}

// cut closes all connections, on both sides.
func (p *pipe) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutLocked()
}

func (p *pipe) cutLocked() {
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// hold waits while the pipe is frozen.
func (p *pipe) hold() {
	p.mu.Lock()
	frozen := p.frozen
	p.mu.Unlock()
	if frozen != nil {
		<-frozen
	}
}

func (p *pipe) accept() {
	for {
		in, err := p.l.Accept()
		if err != nil {
			return
		}
		var d net.Dialer
		out, err := d.DialContext(context.Background(), "tcp", p.to)
		if err != nil {
			_ = in.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		closed := p.closed
		p.mu.Unlock()
		if closed {
			p.thaw()
			return
		}
		p.running.Go(func() { p.pass(in, out) })
		p.running.Go(func() { p.pass(out, in) })
	}
}

func (p *pipe) pass(from, to net.Conn) {
	defer func() { _, _ = from.Close(), to.Close() }()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		p.hold()
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}
