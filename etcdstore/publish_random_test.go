package etcdstore_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// said is what a publisher was told of one publish, by any of its deliveries.
type said struct {
	text    string
	lock    string
	id      etcdstore.PublishID
	version etcdstore.Version // zero: nobody was told that it is published
	never   bool              // that it never will be
}

// tell notes what somebody was told, and reports whether that is how it stays for who was told.
func (s *said) tell(t *testing.T, is etcdstore.Publication, err error) (definite bool) {
	switch {
	case errors.Is(err, etcdstore.ErrOutcomeUnknown):
		return true
	case errors.Is(err, etcdstore.ErrSessionExpired): // and no delivery is under another one
		s.never = true
	case err != nil || is.Outcome == etcdstore.Occupied || is.Outcome == etcdstore.Conflict:
		return false
	case is.Outcome == etcdstore.Withdrawn:
		s.never = true
	case s.version != (etcdstore.Version{}) && s.version != is.Version:
		t.Errorf("%s has versions %v and %v", s.text, s.version, is.Version)
	default:
		s.version = is.Version
	}
	if s.never && s.version != (etcdstore.Version{}) {
		t.Errorf("%s is published and withdrawn", s.text)
	}
	return true
}

// settle has a publish end of which nobody was told what became of it: another message of it may
// still be under way in a store.
func (s *said) settle(t *testing.T, store *faulty) {
	t.Helper()
	if s.never || s.version != (etcdstore.Version{}) {
		return
	}
	is, err := store.Withdraw(storetest.Bounded(t), s.lock, s.id)
	if !s.tell(t, is, err) {
		t.Errorf("withdraw %s: %+v, %v", s.text, is, err)
	}
}

// TestPublishRandomly has publishers repeat what they publish through any of two stores, under lost
// requests and lost replies, late, and withdraw some of it, beside holders that are evicted, while
// notes of what was published are forgotten and files are cut by their retention.
func TestPublishRandomly(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	stores := []*faulty{openFaulty(t, etcd), openFaulty(t, etcd)}
	setRetention(t, stores[1].Store, etcdstore.Retention{Prefix: "l", Files: "g", MaxBytes: 300})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for i, s := range stores {
		rng, mu := rand.New(rand.NewPCG(seed, uint64(i))), new(sync.Mutex)
		sometimes := func(context.Context, faults.Call) error {
			mu.Lock()
			defer mu.Unlock()
			if rng.IntN(40) == 0 {
				return faults.ErrLost
			}
			return nil
		}
		s.Before(sometimes)
		s.After(sometimes)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	var mu sync.Mutex
	all := map[string]*said{}
	held := map[string]etcdstore.Version{} // acknowledged sections of holders
	var running sync.WaitGroup
	for i := range 6 {
		running.Go(func() {
			p := newPublisher(t, nil, fmt.Sprintf("l%d", i%2), byte(i+1))
			rng := rand.New(rand.NewPCG(seed, uint64(100+i)))
			publishRandomly(ctx, p, rng, stores, func(text string, args etcdstore.PublishArgs) *said {
				mu.Lock()
				defer mu.Unlock()
				if all[p.lock+text] == nil {
					all[p.lock+text] = &said{text: text, lock: args.Lock, id: args.PublishID}
				}
				return all[p.lock+text]
			})
		})
	}
	for i := range 2 {
		running.Go(func() {
			holdRandomly(ctx, stores[i], fmt.Sprintf("l%d", i), func(lock, text string, token int64) {
				mu.Lock()
				defer mu.Unlock()
				held[lock+text] = etcdstore.Version{Token: token}
			})
		})
	}
	running.Go(func() { // notes are forgotten under those who use them, and files cut
		for tick := time.NewTicker(100 * time.Millisecond); ctx.Err() == nil; {
			select {
			case <-tick.C:
				_ = stores[0].Forget(ctx, time.Now().Add(25*time.Hour))
				_ = stores[1].Retain(ctx, time.Now())
			case <-ctx.Done():
				tick.Stop()
			}
		}
	})
	readers := map[string]*livesSeen{"l0": {retained: true}, "l1": {retained: true}}
	for lock, seen := range readers {
		running.Go(func() { seen.readRandomly(ctx, stores[0], lock) })
		running.Go(func() { seen.tail(ctx, stores[1], lock) })
	}
	running.Wait()
	for _, s := range stores {
		s.Before(nil)
		s.After(nil)
		storetest.Eventually(t, "a store to serve again", s.Serving)
	}
	for _, s := range all {
		s.settle(t, stores[0])
	}
	published := 0
	for _, lock := range []string{"l0", "l1"} {
		text := storetest.Contents(t, stores[0], lock, "f")
		published += wantPublished(t, lock, text, all, held)
		readers[lock].check(t, stores[0], lock, text)
	}
	t.Logf("%d publishes, %d of them published, and %d sections of holders", len(all), published, len(held))
	if published == 0 || len(held) == 0 {
		t.Error("nothing was tried")
	}
	gone(t, etcd, "bundles/")
	atRest(t, etcd, "/dlm/")
}

// publishRandomly publishes, and repeats that, until ctx ends.
func publishRandomly(ctx context.Context, p *publisher, rng *rand.Rand, stores []*faulty, of func(text string, args etcdstore.PublishArgs) *said) {
	var past []etcdstore.PublishArgs
	textOf := func(args etcdstore.PublishArgs) string {
		if len(args.If.Files) > 0 { // where it may stand
			return fmt.Sprintf("<%d.%d@%d>", args.Lane[0], args.Number, *args.If.Files[0].Size)
		}
		return fmt.Sprintf("<%d.%d>", args.Lane[0], args.Number)
	}
	deliver := func(args etcdstore.PublishArgs) bool {
		patience := 40
		if args.Wait != 0 {
			patience = 400
		}
		ctx, cancel := context.WithTimeout(ctx, time.Duration(1+rng.IntN(patience))*time.Millisecond)
		defer cancel()
		s := stores[rng.IntN(len(stores))]
		is, err := s.Publish(ctx, args)
		return of(textOf(args), args).tell(p.t, is, err)
	}
	session, request := "", uint64(0)
	for ctx.Err() == nil {
		if rng.IntN(20) == 0 || session == "" { // one that ended, or none
			if begun, err := stores[rng.IntN(len(stores))].Init(ctx, etcdstore.InitArgs{}); err == nil {
				session = begun.Credential
			}
		}
		p.id.Born = stores[0].Revision()
		args := p.next()
		if rng.IntN(2) == 0 && session != "" {
			request++
			args.Credential, args.Request = session, fmt.Sprint(request)
			args.Wait = []time.Duration{0, 20 * time.Millisecond, time.Second, etcdstore.WaitForever}[rng.IntN(4)]
		}
		if rng.IntN(2) == 0 {
			if read, err := stores[rng.IntN(len(stores))].Read(ctx, etcdstore.ReadArgs{Lock: p.lock, File: "f", Limit: 1}); err == nil || errors.Is(err, etcdstore.ErrFileNotFound) {
				args.If = ifSize("f", read.Size)
			}
		}
		half := textOf(args)[:2]
		args.Operations = []etcdstore.Operation{appendTo("f", half), operationOf(textOf(args)), appendTo("f", textOf(args)[2:])}
		of(textOf(args), args)
		for tries := 0; ctx.Err() == nil && !deliver(args) && tries < 10; tries++ {
		}
		if rng.IntN(4) == 0 {
			is, err := stores[rng.IntN(len(stores))].Withdraw(ctx, p.lock, args.PublishID)
			of(textOf(args), args).tell(p.t, is, err)
		}
		if past = append(past, args); len(past) > 8 {
			past = past[1:]
		}
		if session != "" { // nothing is under way: what was given up is ended
			_, _ = stores[rng.IntN(len(stores))].Heartbeat(ctx, etcdstore.HeartbeatArgs{Credential: session, Highest: request})
		}
		if rng.IntN(20) == 0 && session != "" { // with what stands under it
			_ = stores[rng.IntN(len(stores))].CloseSession(ctx, session)
			session = ""
		}
		deliver(past[rng.IntN(len(past))]) // late, or once more
	}
}

// holdRandomly holds a lock now and then.
func holdRandomly(ctx context.Context, s *faulty, lock string, published func(lock, text string, token int64)) {
	session, err := etcdstore.Session{}, errors.New("none yet")
	for n := 1; ctx.Err() == nil; n++ {
		if err != nil {
			if session, err = s.Init(ctx, etcdstore.InitArgs{}); err != nil {
				continue
			}
		}
		var g etcdstore.Grant
		g, err = s.Acquire(ctx, etcdstore.AcquireArgs{
			Credential: session.Credential, Acquisition: etcdstore.Acquisition{Lock: lock, Request: fmt.Sprint(n)}, Wait: etcdstore.WaitForever,
		})
		if err != nil {
			_ = s.CloseSession(context.WithoutCancel(ctx), session.Credential)
			continue
		}
		text := fmt.Sprintf("<held %s %d>", session.ID, n)
		_, appended := s.Append(ctx, etcdstore.Record{Credential: session.Credential, Lock: lock, Token: g.Token, Request: "a", File: "f", Data: []byte(text)})
		sec := etcdstore.Section{Credential: session.Credential, Lock: lock, Token: g.Token, Appended: true}
		if appended != nil || n%5 == 0 {
			_, _ = s.Evict(ctx, lock, g.Token, "a test")
			_ = s.CloseSession(context.WithoutCancel(ctx), session.Credential)
			err = errors.New("closed")
			continue
		}
		if err = s.Release(ctx, sec); err == nil {
			published(lock, text, g.Token)
		} else {
			_ = s.CloseSession(context.WithoutCancel(ctx), session.Credential)
		}
	}
}

// wantPublished holds a file against what was said of it, and returns how many publishes are in it.
func wantPublished(t *testing.T, lock, file string, all map[string]*said, held map[string]etcdstore.Version) (published int) {
	t.Helper()
	at, offset := map[string]int{}, 0
	for i, text := range strings.SplitAfter(file, ">") {
		if text == "" {
			continue
		}
		if _, where, conditional := strings.Cut(text, "@"); conditional {
			if where != fmt.Sprintf("%d>", offset) {
				t.Errorf("%s stands at %d of %s", text, offset, lock)
			}
		}
		offset += len(text)
		if _, twice := at[text]; twice {
			t.Errorf("%s is in %s twice", text, lock)
		}
		at[text] = i
	}
	type placed struct {
		etcdstore.Version
		text string
		at   int
	}
	var order []placed
	for key, v := range held {
		text, ok := strings.CutPrefix(key, lock)
		if !ok {
			continue
		}
		i, there := at[text]
		if !there {
			t.Errorf("%s of %s was released with success, and is not there", text, lock)
		}
		order = append(order, placed{v, text, i})
	}
	for key, s := range all {
		if !strings.HasPrefix(key, lock) {
			continue
		}
		i, there := at[s.text]
		if there {
			published++
		}
		switch {
		case s.version != (etcdstore.Version{}) && !there:
			t.Errorf("%s of %s was published, and is not there", s.text, lock)
		case s.never && there:
			t.Errorf("%s of %s was withdrawn, and is there", s.text, lock)
		case s.version != (etcdstore.Version{}):
			order = append(order, placed{s.version, s.text, i})
		}
	}
	slices.SortFunc(order, func(a, b placed) int { return cmp.Or(cmp.Compare(a.Token, b.Token), cmp.Compare(a.N, b.N)) })
	for i := 1; i < len(order); i++ {
		if order[i-1].at > order[i].at {
			t.Errorf("in %s %s (%v) comes after %s (%v)", lock, order[i-1].text, order[i-1].Version, order[i].text, order[i].Version)
		}
	}
	return published
}
