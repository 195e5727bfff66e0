package etcdstore_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// ifFile is the condition that a file is of a version.
func ifFile(file string, v etcdstore.Version) etcdstore.Condition {
	return etcdstore.Condition{Files: []etcdstore.FileCondition{{File: file, Version: v}}}
}

func ifAbsent(file string) etcdstore.Condition {
	return etcdstore.Condition{Files: []etcdstore.FileCondition{{File: file, Absent: true}}}
}

func ifSize(file string, size int64) etcdstore.Condition {
	return etcdstore.Condition{Files: []etcdstore.FileCondition{{File: file, Size: &size}}}
}

func ifLock(v etcdstore.Version) etcdstore.Condition { return etcdstore.Condition{Lock: &v} }

// publishIf publishes on a condition, and returns what came of it, and what was asked.
func (p *publisher) publishIf(c etcdstore.Condition, ops ...etcdstore.Operation) (etcdstore.Publication, etcdstore.PublishArgs) {
	p.t.Helper()
	args := p.next(ops...)
	args.If = c
	got, err := p.s.Publish(storetest.Bounded(p.t), args)
	if err != nil {
		p.t.Fatalf("Publish if %+v: %v", c, err)
	}
	return got, args
}

func (p *publisher) wantIf(outcome etcdstore.PublishOutcome, c etcdstore.Condition, ops ...etcdstore.Operation) etcdstore.Publication {
	p.t.Helper()
	got, _ := p.publishIf(c, ops...)
	p.want(fmt.Sprintf("Publish if %+v", c), outcome, got, nil)
	return got
}

// Each condition holds for what is so, whatever of it is folded, known or another store's, and is a
// conflict else, which says what is so instead.
func TestConditions(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openStore(t, etcd), openStore(t, etcd)
	p, o := newPublisher(t, s, "l", 1), newPublisher(t, other, "l", 2)
	none, published, conflict := etcdstore.Version{}, etcdstore.Published, etcdstore.Conflict

	p.wantIf(conflict, ifFile("f", etcdstore.Version{Token: 1}), appendTo("f", "no"))
	p.wantIf(conflict, ifSize("f", 1), appendTo("f", "no"))
	first := p.wantIf(published, etcdstore.Condition{Lock: &none, Files: ifAbsent("f").Files}, appendTo("f", "one;")).Version
	p.wantIf(conflict, ifAbsent("f"), appendTo("f", "no"))
	p.wantIf(conflict, ifLock(none), appendTo("f", "no"))
	second := p.wantIf(published, ifFile("f", first), appendTo("f", "two;")).Version

	got := o.wantIf(conflict, ifFile("f", first), appendTo("f", "no"))
	if len(got.Files) != 1 || got.Files[0].Version() != second || got.Files[0].Size != 8 {
		t.Errorf("a conflict tells of %+v; want version %v, size 8", got.Files, second)
	}
	third := o.wantIf(published, ifSize("f", 8), appendTo("g", "other file")).Version
	p.wantIf(published, ifFile("f", second)) // nothing: the lock has a new version all the same
	got = o.wantIf(conflict, ifLock(third), appendTo("f", "no"))
	if got.Version.Token <= third.Token {
		t.Errorf("a conflict says that the lock's version is %v; want one behind %v", got.Version, third)
	}
	storetest.WantContents(t, s, "l", "f", "one;two;") // folded by now
	o.wantIf(conflict, ifLock(third), appendTo("f", "no"))
	fourth := o.wantIf(published, ifLock(got.Version), appendTo("f", "four;")).Version

	c := begin(t, s) // a section that is held counts as well
	h := c.Acquire("l")
	c.Append(h, "f", "held;")
	got = o.wantIf(etcdstore.Occupied, ifFile("f", fourth), appendTo("f", "no"))
	if got.Holder == nil {
		t.Error("nobody is said to hold the lock")
	}
	c.Release(h)
	o.wantIf(conflict, ifFile("f", fourth), appendTo("f", "no"))
	o.wantIf(conflict, ifLock(fourth), appendTo("f", "no"))
	o.wantIf(published, etcdstore.Condition{Lock: &etcdstore.Version{Token: h.Token}, Files: ifFile("f", etcdstore.Version{Token: h.Token}).Files}, appendTo("f", "end"))
	storetest.WantContents(t, s, "l", "f", "one;two;four;held;end")
}

// What operations do to files, conditions know, whether that is folded or not.
func TestConditionsOnLives(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	for i, known := range []bool{true, false} { // or read anew each time
		s := openStore(t, etcd)
		p := newPublisher(t, s, fmt.Sprint("l", i), 1)
		now := ifAbsent("f")
		for _, step := range []struct {
			etcdstore.Operation
			size int64 // below 0: there is no such file
		}{
			{appendTo("f", "12345"), 5},
			{appendTo("f", "67"), 7},
			{etcdstore.Operation{File: "f", Kind: etcdstore.Cut, Offset: 3}, 7},
			{appendTo("f", "8"), 8},
			{etcdstore.Operation{File: "f", Kind: etcdstore.Replace, Data: []byte("new")}, 3},
			{etcdstore.Operation{File: "f", Kind: etcdstore.Cut, Offset: 100}, 3},
			{etcdstore.Operation{File: "f", Kind: etcdstore.Remove}, -1},
			{etcdstore.Operation{File: "f", Kind: etcdstore.Remove}, -1},
			{etcdstore.Operation{File: "f", Kind: etcdstore.Cut, Offset: 1}, -1},
			{appendTo("f", "again"), 5},
		} {
			v := p.wantIf(etcdstore.Published, now, step.Operation).Version
			if now = ifAbsent("f"); step.size >= 0 {
				now = ifSize("f", step.size)
				now.Files = append(now.Files, ifFile("f", v).Files...)
			}
			if !known {
				p.s = openStore(t, etcd)
			}
			p.wantIf(etcdstore.Conflict, ifSize("f", step.size+2), appendTo("f", "no"))
		}
		p.wantIf(etcdstore.Published, now)
		storetest.WantContents(t, s, p.lock, "f", "again")
	}
}

// A repeat is told what came of the publish, though its own condition does not hold any more.
func TestConditionalRepeat(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openFaulty(t, etcd), openStore(t, etcd)
	p := newPublisher(t, s, "l", 1)
	first, args := p.publishIf(ifAbsent("f"), appendTo("f", "one;"))
	for _, via := range []storetest.Publisher{s, other} {
		got, err := via.Publish(storetest.Bounded(t), args)
		p.want("a repeat", etcdstore.Published, got, err)
		if got.Version != first.Version {
			t.Errorf("a repeat has version %v; want %v", got.Version, first.Version)
		}
	}
	lost := lose(s.Faults, puts("/dlm/bundles/l"))
	args = p.next(appendTo("f", "two;"))
	args.If = ifFile("f", first.Version)
	if _, err := s.Publish(storetest.Bounded(t), args); err == nil {
		t.Fatal("Publish succeeded without a reply")
	}
	storetest.Await(t, "the lost reply", lost)
	got, err := other.Publish(storetest.Bounded(t), args)
	p.want("a repeat of what was not answered", etcdstore.Published, got, err)
	storetest.WantContents(t, other, "l", "f", "one;two;")
}

// A chain of conditional publishes is one commit each.
func TestConditionalChainCosts(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, startEtcd(t))
	p := newPublisher(t, s, "l", 1)
	v := p.wantIf(etcdstore.Published, ifAbsent("f"), appendTo("f", "x")).Version
	var evaluated atomic.Int32
	s.Faults.Before(func(_ context.Context, c faults.Call) error {
		if gets("/dlm/latest/l")(c.Op) {
			evaluated.Add(1)
		}
		return nil
	})
	const links = 20
	for range links {
		v = p.wantIf(etcdstore.Published, ifFile("f", v), appendTo("f", "x")).Version
	}
	if n := evaluated.Load(); n > 0 {
		t.Errorf("of %d conditional publishes %d have read before", links, n)
	}
	storetest.WantContents(t, s, "l", "f", strings.Repeat("x", links+1))
}

// Of those who publish on one version through several stores at once exactly one does, each time.
func TestConditionsCompete(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	stores := []*etcdstore.Store{openStore(t, etcd), openStore(t, etcd)}
	v, want := etcdstore.Version{}, ""
	lanes := make([]*publisher, 8)
	for i := range lanes {
		lanes[i] = newPublisher(t, stores[i%2], "l", byte(i+1))
	}
	for round := range 10 {
		c := ifFile("f", v)
		if round == 0 {
			c = ifAbsent("f")
		}
		got := make([]etcdstore.Publication, len(lanes))
		errs := make([]error, len(lanes))
		var wg sync.WaitGroup
		for i, p := range lanes {
			args := p.next(appendTo("f", fmt.Sprintf("%d.%d;", round, i)))
			args.If = c
			wg.Go(func() { got[i], errs[i] = p.s.Publish(storetest.Bounded(t), args) })
		}
		wg.Wait()
		won := 0
		for i := range lanes {
			switch {
			case errs[i] != nil:
				t.Errorf("round %d: %v", round, errs[i])
			case got[i].Outcome == etcdstore.Published:
				won++
				v = got[i].Version
				want += fmt.Sprintf("%d.%d;", round, i)
			case got[i].Outcome != etcdstore.Conflict:
				t.Errorf("round %d: %+v; want that it is published, or a conflict", round, got[i])
			}
		}
		if won != 1 {
			t.Fatalf("round %d: %d publishes took effect under one version; want 1", round, won)
		}
	}
	storetest.WantContents(t, stores[1], "l", "f", want)
}

// A conditional publish and one without condition that are asked for at once: that which comes
// second meets the other's state, also in one commit.
func TestP10ConditionInCompany(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	p := newPublisher(t, s, "l", 1)
	for round := range 20 {
		args := p.next(appendTo("f", "c"))
		args.If = ifSize("f", int64(round))
		if round == 0 {
			args.If = ifAbsent("f")
		}
		others := make([]etcdstore.Publication, 4)
		var wg sync.WaitGroup
		for i := range others {
			o := newPublisher(t, s, "l", byte(10+i))
			o.id.Number = uint64(round)
			a := o.next(appendTo("g", "x"), appendTo(fmt.Sprint("h", round), "x"))
			wg.Go(func() { others[i], _ = s.Publish(storetest.Bounded(t), a) })
		}
		got, err := s.Publish(storetest.Bounded(t), args)
		wg.Wait()
		for got.Outcome == etcdstore.Occupied && err == nil { // others all the time
			got, err = s.Publish(storetest.Bounded(t), args)
		}
		p.want("Publish", etcdstore.Published, got, err)
		for _, o := range others {
			if o.Version.Token == got.Version.Token {
				t.Errorf("a conditional publish shares token %d with another", got.Version.Token)
			}
		}
	}
	storetest.WantContents(t, s, "l", "f", strings.Repeat("c", 20))
}

// If what tells that something was published is forgotten with the files, a condition that held
// before all that is taken to hold.
func TestP9OldEvaluation(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openStore(t, etcd)
	committing, commit := hold(t, a.Faults, puts("/dlm/bundles/"))
	late := newPublisher(t, a, "l", 1).next(appendTo("f", "no"))
	late.If = ifLock(etcdstore.Version{})
	answer := make(chan etcdstore.Publication, 1)
	a.StartPublish(t.Context(), late, func(got etcdstore.Publication, err error) {
		if err != nil {
			t.Errorf("Publish: %v", err)
		}
		answer <- got
	})
	storetest.Await(t, "a publish whose condition holds", committing)
	p := newPublisher(t, b, "l", 2)
	p.publish(appendTo("f", "x"))
	storetest.WantContents(t, b, "l", "f", "x")
	p.publish(remove("f"))
	storetest.WantNoFile(t, b, "l", "f")
	gone(t, etcd, "garbage/")
	if err := b.Bury(storetest.Bounded(t), time.Now().Add(25*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if left := keys(t, etcd, "files/"); len(left) > 0 {
		t.Errorf("%q are not buried", left)
	}
	commit()
	if got := await.Receive(t, time.Minute, "an answer", answer); got.Outcome != etcdstore.Conflict {
		t.Errorf("what depends on that nothing was ever published comes to %+v; want a conflict", got)
	}
	storetest.WantNoFile(t, b, "l", "f")
}

// With the token alone for a version, the first of two that are published in one commit would take
// the other for itself.
func TestP8OneCommitOfTwo(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, startEtcd(t))
	lanes := []*publisher{newPublisher(t, s, "l", 1), newPublisher(t, s, "l", 2)}
	for _, p := range lanes {
		p.publish(appendTo("f", "x"))
	}
	free := busy(t, s, "/dlm/")
	versions := make(chan etcdstore.Version, len(lanes))
	for _, p := range lanes {
		s.StartPublish(t.Context(), p.next(appendTo("f", "x")), func(got etcdstore.Publication, _ error) { versions <- got.Version })
	}
	free()
	first := await.Receive(t, time.Minute, "an answer", versions)
	second := await.Receive(t, time.Minute, "an answer", versions)
	if first.Token != second.Token || first.Token == 0 {
		t.Fatalf("published under %v and %v; want one token", first, second)
	}
	if first.N > second.N {
		first, second = second, first
	}
	for _, c := range []etcdstore.Condition{ifFile("f", first), ifLock(first)} {
		lanes[0].wantIf(etcdstore.Conflict, c, appendTo("f", "no"))
	}
	lanes[0].wantIf(etcdstore.Published, etcdstore.Condition{Lock: &second, Files: ifFile("f", second).Files}, appendTo("f", "x"))
}

func TestConditionsRefused(t *testing.T) {
	t.Parallel()
	s := openStore(t, startEtcd(t))
	p := newPublisher(t, s, "l", 1)
	negative, size := int64(-1), int64(1)
	many := make([]etcdstore.FileCondition, etcdstore.MaxPublishFiles+1)
	for i := range many {
		many[i] = etcdstore.FileCondition{File: fmt.Sprint(i), Absent: true}
	}
	for _, c := range []struct {
		etcdstore.Condition
		want error
	}{
		{ifLock(etcdstore.Version{N: 1}), etcdstore.ErrInvalidArgument},
		{ifLock(etcdstore.Version{Token: -1}), etcdstore.ErrInvalidArgument},
		{ifFile("", etcdstore.Version{Token: 1}), etcdstore.ErrInvalidName},
		{ifFile("f", etcdstore.Version{}), etcdstore.ErrInvalidArgument},
		{ifFile("f", etcdstore.Version{Token: -1}), etcdstore.ErrInvalidArgument},
		{etcdstore.Condition{Files: []etcdstore.FileCondition{{File: "f", Size: &negative}}}, etcdstore.ErrInvalidArgument},
		{etcdstore.Condition{Files: []etcdstore.FileCondition{{File: "f", Size: &size, Absent: true}}}, etcdstore.ErrInvalidArgument},
		{etcdstore.Condition{Files: many}, etcdstore.ErrQuota},
	} {
		args := p.next(appendTo("f", "x"))
		args.If = c.Condition
		_, err := s.Publish(storetest.Bounded(t), args)
		storetest.Want(t, fmt.Sprintf("Publish if %+v", c.Condition), err, c.want)
	}
	storetest.WantNoFile(t, s, "l", "f")
}
