package client_test

import (
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// A server whose process is stopped is left before the time is over that one may be silent, and
// another one in that state costs little.
func TestStoppedServerIsLeftSoon(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t)
	first, second := newPipe(t, n.Addr()), newPipe(t, n.Addr())
	second.freeze()
	// 3 s is the longest that a server may be silent, and that connecting to one may take.
	c := open(t, client.Config{Endpoints: []string{first.addr(), second.addr(), n.Addr()}, TTL: time.Minute, ConnectTimeout: patience})
	name := fresh(t)
	l := lock(t, c, name)
	first.freeze()
	start := time.Now()
	must(t, l.Append(t.Context(), "f", []byte("a")))
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v to get past two stopped servers", took)
	}
	must(t, l.Unlock(t.Context()))
	reads(t, c, name, "f", "a")
}

// A server that waits for its cluster answers nobody, but it lives.
func TestWaitingServerIsNotLeft(t *testing.T) {
	t.Parallel()
	elected := time.After(2500 * time.Millisecond) // longer than a sign of life is waited for
	slow := startScripted(t, when(isAppend, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
		<-elected
		return nil
	}))
	other := startScripted(t, usually)
	c := open(t, client.Config{Endpoints: []string{slow.addr, other.addr}, TTL: time.Minute, ConnectTimeout: patience})
	l := lock(t, c, "a")
	must(t, l.Append(t.Context(), "f", nil))
	if slow.opened() != 1 || other.opened() != 0 {
		t.Errorf("%d streams to the server that waited, %d to the other one; want 1 and 0", slow.opened(), other.opened())
	}
}

// Who waits hears of the grant although the server stops, and long before the next heartbeat.
func TestWaiterLeavesAStoppedServer(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t)
	p := newPipe(t, n.Addr())
	c := open(t, client.Config{Endpoints: []string{p.addr(), n.Addr()}, TTL: time.Minute, ConnectTimeout: patience})
	other := open(t, client.Config{Endpoints: []string{n.Addr()}})
	name := fresh(t)
	held := lock(t, other, name)
	granted := make(chan *client.Lock, 1)
	go func() {
		l, err := c.Lock(t.Context(), name)
		if err != nil {
			t.Error(err)
		}
		granted <- l
	}()
	waiting(t, other, name, 1)
	p.freeze()
	start := time.Now()
	must(t, held.Unlock(t.Context()))
	if l := <-granted; l != nil {
		must(t, l.Unlock(t.Context()))
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v to hear of the grant", took)
	}
}
