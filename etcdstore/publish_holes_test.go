package etcdstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// The tests below are named after the holes that tools/model/publish finds with one of the rules
// left out. Each says what happens then.

// Without a note of the lane the repeat of what is folded is published again.
func TestP1RepeatAfterTheFold(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, startEtcd(t))
	p := newPublisher(t, s, "l", 1)
	p.publish(appendTo("f", "before;"))
	args := p.unanswered(s, appendTo("f", "once;"))
	storetest.WantContents(t, s, "l", "f", "before;once;")
	got, err := s.Publish(storetest.Bounded(t), args)
	p.want("the repeat", etcdstore.Published, got, err)
	storetest.WantContents(t, s, "l", "f", "before;once;")
}

// If a note is dropped by a clock alone, a repeat that comes after that is published again.
func TestP2RepeatAfterTheNote(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openStore(t, etcd), openStore(t, etcd)
	p := newPublisher(t, s, "l", 1)
	p.id.Born = revision(t, etcd)
	_, first := p.publish(appendTo("f", "once;"))
	_, second := p.publish(appendTo("f", "twice;"))
	if err := s.Forget(storetest.Bounded(t), time.Now().Add(25*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if left := keys(t, etcd, "applied/"); len(left) > 0 {
		t.Fatalf("notes are left: %v", left)
	}
	for _, args := range []etcdstore.PublishArgs{first, second} {
		for _, via := range []storetest.Publisher{s, other} {
			_, err := via.Publish(storetest.Bounded(t), args)
			storetest.Want(t, "a repeat after its note", err, etcdstore.ErrOutcomeUnknown)
			_, err = via.Withdraw(storetest.Bounded(t), "l", args.PublishID)
			storetest.Want(t, "a withdrawal after its note", err, etcdstore.ErrOutcomeUnknown)
		}
	}
	p.id.Born = revision(t, etcd)
	p.publish(appendTo("f", "thrice;")) // the lane goes on
	storetest.WantContents(t, s, "l", "f", "once;twice;thrice;")
}

// If forgotten is made anew at 0 once somebody has deleted it, the repeat is published again.
func TestP2ForgottenIsDeleted(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	p := newPublisher(t, s, "l", 1)
	p.id.Born = revision(t, etcd)
	_, args := p.publish(appendTo("f", "once;"))
	if err := s.Forget(storetest.Bounded(t), time.Now().Add(25*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := etcd.Delete(storetest.Bounded(t), "/dlm/forgotten"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Publish(storetest.Bounded(t), args)
	storetest.Want(t, "the repeat", err, etcdstore.ErrOutcomeUnknown)
	storetest.WantContents(t, s, "l", "f", "once;")
}

// Busy is not for good: a late delivery is published when the lock is free, unless the lane's next
// publish, or a withdrawal, has come before.
func TestP5BusyIsNotFinal(t *testing.T) {
	t.Parallel()
	s := openStore(t, startEtcd(t))
	c := begin(t, s)
	p := newPublisher(t, s, "l", 1)
	var given []etcdstore.PublishArgs
	for range 2 {
		h := c.Acquire("l")
		args := p.next(appendTo("f", "late;"))
		got, err := s.Publish(storetest.Bounded(t), args)
		p.want("Publish", etcdstore.Occupied, got, err)
		c.Release(h)
		given = append(given, args)
	}
	got, err := s.Publish(storetest.Bounded(t), given[1])
	p.want("a late delivery", etcdstore.Published, got, err)
	_, err = s.Publish(storetest.Bounded(t), given[0])
	storetest.Want(t, "one of before", err, etcdstore.ErrOutcomeUnknown)
	storetest.WantContents(t, s, "l", "f", "late;")
}

// If a publish shares a revision with a grant, two sections have one token. And those that share
// one differ, and are read in the order of their versions: P8.
func TestP7PublishAndGrant(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, startEtcd(t))
	c := begin(t, s)
	newPublisher(t, s, "l", 99).publish(appendTo("f", ""))
	free := busy(t, s, "/dlm/")
	type told struct {
		what  string
		is    etcdstore.Publication
		grant etcdstore.Grant
		err   error
	}
	answers := make(chan told, 8)
	texts := map[etcdstore.Version]string{}
	ask := func(lane byte, text string) {
		p := newPublisher(t, s, "l", lane)
		s.StartPublish(t.Context(), p.next(appendTo("f", text)), func(is etcdstore.Publication, err error) {
			answers <- told{what: text, is: is, err: err}
		})
	}
	ask(1, "a")
	ask(2, "b")
	args := c.Args("l", c.Request(), etcdstore.WaitForever)
	s.StartAcquire(t.Context(), args, func(g etcdstore.Grant, err error) { answers <- told{grant: g, err: err} })
	ask(3, "c")
	free()
	var token int64
	for range 4 {
		a := await.Receive(t, time.Minute, "an answer", answers)
		switch {
		case a.err != nil:
			t.Fatalf("%q: %v", a.what, a.err)
		case a.what == "":
			token = a.grant.Token
		case a.is.Outcome == etcdstore.Published:
			texts[a.is.Version] = a.what
		}
	}
	if len(texts) < 2 {
		t.Errorf("published were %v; want two at least", texts)
	}
	for v := range texts {
		if v.Token == token {
			t.Errorf("a section and a grant have the token %d", token)
		}
	}
	storetest.WantContents(t, s, "l", "f", inOrder(texts))
}

// If a slot is used again in which there is a bundle that its store was told nothing of, an
// acknowledged section is overwritten.
func TestP11SlotThatIsNotFree(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, startEtcd(t))
	first, second := newPublisher(t, s, "l", 1), newPublisher(t, s, "l", 2)
	first.publish(appendTo("f", "0;"))
	args := first.unanswered(s, appendTo("f", "1;"))
	second.publish(appendTo("f", "2;"))
	got, err := s.Publish(storetest.Bounded(t), args)
	first.want("the repeat", etcdstore.Published, got, err)
	storetest.WantContents(t, s, "l", "f", "0;1;2;")
}

// If what is folded counts from when the fold was written, and not from when it was read, a section
// that was published in between is not seen.
func TestP12PublishedDuringTheFold(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openFaulty(t, etcd), openFaulty(t, etcd)
	foldsNothing(other)
	p := newPublisher(t, other, "l", 1)
	p.publish(appendTo("f", "one;"))
	reached, release := hold(t, s.Faults, deletes("/dlm/bundles/"))
	read := make(chan string, 1)
	go func() {
		text, _ := storetest.ReadAll(context.WithoutCancel(t.Context()), s, "l", "f")
		read <- text
	}()
	storetest.Await(t, "a fold", reached)
	p.publish(appendTo("f", "two;"))
	release()
	await.Receive(t, time.Minute, "what was read", read)
	storetest.WantContents(t, s, "l", "f", "one;two;")
}
