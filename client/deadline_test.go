package client_test

import (
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// A holder knows its deadline, is warned before, and told when it is over; the next one has the
// lock then.
func TestDeadline(t *testing.T) {
	t.Parallel()
	c, next := open(t, client.Config{TTL: longTTL}), open(t, client.Config{})
	name := fresh(t)
	began := time.Now()
	l := lock(t, c, name, client.WithMaxHold(2*time.Second))
	at, ok := l.Deadline()
	if left := at.Sub(began); !ok || left < 2*time.Second || left > 2*time.Second+patience {
		t.Fatalf("the deadline is %v after the call, %t; want 2s", left, ok)
	}
	must(t, l.Append(t.Context(), "f", []byte("published")))
	must(t, l.Commit(t.Context()))
	must(t, l.Append(t.Context(), "f", []byte("undone")))
	storetest.Await(t, "the warning", l.Ending())
	after := lock(t, next, name)
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("the lock passed on after %v; want 2s", took)
	}
	lostBecause(t, l, "held longer than 2s")
	is(t, l.Unlock(t.Context()), client.ErrLockExpired)
	if _, ok := after.Deadline(); ok {
		t.Error("a hold without an end has a deadline")
	}
	reads(t, next, name, "f", "published")
	must(t, after.Unlock(t.Context()))
	again := lock(t, c, name, client.WithMaxHold(time.Hour)) // by the same session
	if at, ok := again.Deadline(); !ok || time.Until(at) < 50*time.Minute {
		t.Errorf("the next deadline is %v, %t; want one of its own", at, ok)
	}
	must(t, again.Unlock(t.Context()))
}

// A wait does not count, and a bound that makes no sense is refused.
func TestDeadlineCountsFromTheGrant(t *testing.T) {
	t.Parallel()
	c := open(t, client.Config{})
	name := fresh(t)
	first := lock(t, c, name)
	granted := make(chan *client.Lock, 1)
	go func() {
		l, err := c.Lock(t.Context(), name, client.WithMaxHold(10*time.Minute))
		if err != nil {
			t.Error(err)
		}
		granted <- l
	}()
	waiting(t, c, name, 1)
	before := time.Now()
	must(t, first.Unlock(t.Context()))
	l := <-granted
	if at, ok := l.Deadline(); !ok || at.Before(before.Add(10*time.Minute)) {
		t.Errorf("the deadline is %v after the grant, %t; want 10m", at.Sub(before), ok)
	}
	must(t, l.Unlock(t.Context()))
	for _, d := range []time.Duration{0, -time.Second, time.Nanosecond, 25 * time.Hour, 2_000_000 * time.Hour} {
		_, err := c.TryLock(t.Context(), name, client.WithMaxHold(d))
		is(t, err, client.ErrInvalidArgument)
	}
}

// The deadline is in the holder's record: after the server that granted has gone, another one
// warns and evicts.
func TestDeadlineOutlivesTheServer(t *testing.T) {
	t.Parallel()
	n := facadetest.Start(t, facadetest.WithFacades(2))
	c := open(t, client.Config{Endpoints: n.Addrs(), TTL: shortTTL})
	l := lock(t, c, fresh(t), client.WithMaxHold(3*time.Second))
	n.StopFacade(0)
	storetest.Await(t, "the warning", l.Ending())
	lostBecause(t, l, "held longer than 3s")
	operator := open(t, client.Config{Endpoints: n.Addrs()[1:]})
	if at, _ := l.Deadline(); time.Until(at) > time.Second {
		t.Errorf("it was taken away %v early", time.Until(at))
	}
	lock(t, operator, l.Name())
}
