package etcdstore_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// publisher publishes to one lock, one section after the other.
type publisher struct {
	t    *testing.T
	s    storetest.Publisher
	lock string
	id   etcdstore.PublishID
}

func newPublisher(t *testing.T, s storetest.Publisher, lock string, lane byte) *publisher {
	return &publisher{t, s, lock, etcdstore.PublishID{Lane: etcdstore.Lane{lane}, Born: 1}}
}

func appendTo(file, data string) etcdstore.Operation {
	return etcdstore.Operation{File: file, Data: []byte(data)}
}

// next are the arguments of the lane's next publish.
func (p *publisher) next(ops ...etcdstore.Operation) etcdstore.PublishArgs {
	p.id.Number++
	return etcdstore.PublishArgs{PublishID: p.id, Lock: p.lock, Operations: ops}
}

func (p *publisher) want(what string, outcome etcdstore.PublishOutcome, got etcdstore.Publication, err error) {
	p.t.Helper()
	if err != nil || got.Outcome != outcome {
		p.t.Fatalf("%s: %+v, %v; want outcome %d", what, got, err, outcome)
	}
}

// publish publishes, and returns the version and what was asked.
func (p *publisher) publish(ops ...etcdstore.Operation) (etcdstore.Version, etcdstore.PublishArgs) {
	p.t.Helper()
	args := p.next(ops...)
	got, err := p.s.Publish(storetest.Bounded(p.t), args)
	p.want("Publish", etcdstore.Published, got, err)
	return got.Version, args
}

// unanswered publishes through a store that is not told, and returns what was asked.
func (p *publisher) unanswered(s *faulty, ops ...etcdstore.Operation) etcdstore.PublishArgs {
	p.t.Helper()
	lost := lose(s.Faults, puts("/dlm/bundles/"+p.lock))
	args := p.next(ops...)
	if _, err := s.Publish(storetest.Bounded(p.t), args); err == nil {
		p.t.Fatal("Publish succeeded without a reply")
	}
	storetest.Await(p.t, "the lost reply", lost)
	return args
}

// What is published in one call is read whole, in order, and once, however it is repeated.
func TestPublish(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openStore(t, etcd), openStore(t, etcd)
	p := newPublisher(t, s, "l", 1)
	first, args := p.publish(appendTo("f", "one;"), appendTo("g", "1;"), appendTo("f", "uno;"))
	storetest.WantContents(t, other, "l", "f", "one;uno;")
	for _, via := range []storetest.Publisher{s, other} {
		got, err := via.Publish(storetest.Bounded(t), args)
		p.want("a repeat", etcdstore.Published, got, err)
		if got.Version != first {
			t.Errorf("a repeat has version %v; want %v", got.Version, first)
		}
	}
	second, _ := p.publish(appendTo("f", "two;"))
	if second.Token <= first.Token {
		t.Errorf("the second has version %v, the first %v", second, first)
	}
	_, err := other.Publish(storetest.Bounded(t), args)
	storetest.Want(t, "a repeat after the next", err, etcdstore.ErrOutcomeUnknown)
	storetest.WantContents(t, s, "l", "f", "one;uno;two;")
	storetest.WantContents(t, other, "l", "g", "1;")
	gone(t, etcd, "bundles/")
}

// While somebody holds the lock, or waits for it, nothing is published; and nothing was, once it is
// withdrawn.
func TestPublishOccupied(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openStore(t, etcd), openStore(t, etcd)
	p := newPublisher(t, other, "l", 1)
	c := begin(t, s)
	held := c.Acquire("l")
	args := p.next(appendTo("f", "no;"))
	got, err := other.Publish(storetest.Bounded(t), args)
	p.want("Publish", etcdstore.Occupied, got, err)
	if got.Holder == nil || got.Holder.Token != held.Token {
		t.Errorf("it is told of %+v; want the holder, with token %d", got.Holder, held.Token)
	}
	got, err = other.Withdraw(storetest.Bounded(t), "l", args.PublishID)
	p.want("Withdraw", etcdstore.Withdrawn, got, err)
	c.Append(held, "f", "held;")
	c.Release(held)
	for _, via := range []storetest.Publisher{s, other} {
		got, err = via.Publish(storetest.Bounded(t), args)
		p.want("Publish of what is withdrawn", etcdstore.Withdrawn, got, err)
	}
	_, args = p.publish(appendTo("f", "free;"))
	got, err = s.Withdraw(storetest.Bounded(t), "l", args.PublishID)
	p.want("Withdraw of what is published", etcdstore.Published, got, err)
	storetest.WantContents(t, s, "l", "f", "held;free;")
}

// inOrder is what sections come to in the order of their versions.
func inOrder(byVersion map[etcdstore.Version]string) string {
	versions := slices.SortedFunc(maps.Keys(byVersion), func(a, b etcdstore.Version) int {
		return cmp.Or(cmp.Compare(a.Token, b.Token), cmp.Compare(a.N, b.N))
	})
	var all strings.Builder
	for _, v := range versions {
		all.WriteString(byVersion[v])
	}
	return all.String()
}

// Many publish to one lock through two stores, beside holders: each section is there once, whole,
// and by its version in the order of all.
func TestPublishTogether(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	stores := []*etcdstore.Store{openStore(t, etcd), openStore(t, etcd)}
	const publishers, each = 16, 20
	var mu sync.Mutex
	byVersion := map[etcdstore.Version]string{}
	var all sync.WaitGroup
	for i := range publishers {
		p := newPublisher(t, stores[i%2], "l", byte(i+1))
		all.Go(func() {
			for n := range each {
				text := fmt.Sprintf("<%d.%d>", i, n)
				args := p.next(appendTo("f", text), appendTo("f", text))
				for {
					got, err := p.s.Publish(storetest.Bounded(t), args)
					if err != nil {
						t.Errorf("Publish: %v", err)
						return
					}
					if got.Outcome == etcdstore.Published {
						mu.Lock()
						if is, taken := byVersion[got.Version]; taken {
							t.Errorf("%s and %s have version %v", is, text, got.Version)
						}
						byVersion[got.Version] = text + text
						mu.Unlock()
						break
					}
				}
			}
		})
	}
	holder := begin(t, stores[1])
	for n := range 10 {
		h := holder.Acquire("l")
		text := fmt.Sprintf("<held %d>", n)
		holder.Append(h, "f", text)
		holder.Release(h)
		mu.Lock()
		byVersion[etcdstore.Version{Token: h.Token}] = text
		mu.Unlock()
	}
	all.Wait()
	storetest.WantContents(t, stores[0], "l", "f", inOrder(byVersion))
	gone(t, etcd, "bundles/")
}

// A tail that one store serves hears of what is published through another.
func TestPublishIsTailed(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openStore(t, etcd), openStore(t, etcd)
	p := newPublisher(t, s, "l", 1)
	pieces := make(chan string, 16)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var tails sync.WaitGroup
	for _, via := range []*etcdstore.Store{s, other} {
		tails.Go(func() {
			_ = via.Tail(ctx, etcdstore.TailArgs{Lock: "l", File: "f"}, func(piece etcdstore.Piece) error {
				pieces <- string(piece.Data)
				return nil
			})
		})
	}
	for _, text := range []string{"one;", "two;"} {
		p.publish(appendTo("f", text))
		for range 2 {
			if got := await.Receive(t, time.Minute, "a piece", pieces); got != text {
				t.Errorf("a tail was sent %q, want %q", got, text)
			}
		}
	}
	cancel()
	tails.Wait()
}

// foldsNothing has a store's folds of bundles come to nothing.
func foldsNothing(s *faulty) {
	s.Before(func(_ context.Context, c faults.Call) error {
		if deletes("/dlm/bundles/")(c.Op) {
			return faults.ErrLost
		}
		return nil
	})
}

// What is published faster than it is folded waits for that, as long as its caller does.
func TestPublishWaitsForTheFold(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, startEtcd(t))
	foldsNothing(s)
	var all sync.WaitGroup
	var published atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for lane := range 100 {
		p := newPublisher(t, s, "l", byte(lane+1))
		all.Go(func() {
			for range 12 {
				args := p.next(appendTo("f", "x"))
				got, err := s.Publish(ctx, args)
				for err != nil && ctx.Err() == nil { // it shared the batch of a fold that was broken off
					got, err = s.Publish(ctx, args)
				}
				if got.Outcome == etcdstore.Published {
					published.Add(1)
				}
			}
		})
	}
	storetest.Eventually(t, "so many that some wait", func() bool { return published.Load() == etcdstore.UnfoldedMost })
	g := s.Gauges(1, func(string) int { return 0 })
	if g.Unfolded != etcdstore.UnfoldedMost || g.Publishes == 0 {
		t.Errorf("%d are shown as not folded, and %d as waiting; want %d, and some", g.Unfolded, g.Publishes, etcdstore.UnfoldedMost)
	}
	cancel()
	all.Wait()
	if n := published.Load(); n != etcdstore.UnfoldedMost {
		t.Errorf("%d were published without a fold; want %d", n, etcdstore.UnfoldedMost)
	}
	s.Before(nil)
	newPublisher(t, s, "l", 200).publish(appendTo("f", "y"))
	storetest.WantContents(t, s, "l", "f", strings.Repeat("x", etcdstore.UnfoldedMost)+"y")
}

// While etcd is full what is published is read as it is, and a repeat of it is not refused.
func TestPublishWhenFull(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openFaulty(t, etcd)
	p := newPublisher(t, s, "l", 1)
	p.publish(appendTo("f", "folded;"))
	gone(t, etcd, "bundles/")
	foldsNothing(s)
	version, args := p.publish(appendTo("f", "not folded;"), appendTo("g", "new"))
	s.Status(func(st *clientv3.StatusResponse) { st.DbSize, st.DbSizeInUse = st.DbSizeQuota, st.DbSizeQuota })
	storetest.Eventually(t, "new data to be refused", func() bool {
		_, err := s.Init(storetest.Bounded(t), etcdstore.InitArgs{})
		return errors.Is(err, etcdstore.ErrNoSpace)
	})
	storetest.WantContents(t, s, "l", "f", "folded;not folded;")
	storetest.WantContents(t, s, "l", "g", "new")
	files, _, err := s.ListFiles(storetest.Bounded(t), "l", 0, "")
	if err != nil || len(files) != 2 || files[0].Version() != version || files[1].Size != 3 {
		t.Errorf("ListFiles = %v, %v; want both, as of %v", files, err, version)
	}
	got, err := s.Publish(storetest.Bounded(t), args)
	p.want("a repeat", etcdstore.Published, got, err)
	if got.Version != version {
		t.Errorf("a repeat has version %v; want %v", got.Version, version)
	}
	_, err = s.Publish(storetest.Bounded(t), p.next(appendTo("f", "more;")))
	storetest.Want(t, "Publish when etcd is full", err, etcdstore.ErrNoSpace)
}

// Before the feature is switched on nothing is published in one call, and afterwards it is.
func TestPublishFeature(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	founder := openStore(t, etcd)
	if _, err := etcd.Put(storetest.Bounded(t), "/dlm/cluster/features", `{"on":["bare"]}`); err != nil {
		t.Fatal(err)
	}
	closeStore(t, founder)
	s := openStore(t, etcd)
	p := newPublisher(t, s, "l", 1)
	args := p.next(appendTo("f", "x"))
	_, err := s.Publish(storetest.Bounded(t), args)
	storetest.Want(t, "Publish", err, etcdstore.ErrFeatureOff)
	_, err = s.Withdraw(storetest.Bounded(t), "l", args.PublishID)
	storetest.Want(t, "Withdraw", err, etcdstore.ErrFeatureOff)
	if err := etcdstore.EnableFeature(storetest.Bounded(t), etcd, "", "publish"); err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "the feature to be heard of", func() bool { return s.Feature("publish") })
	got, err := s.Publish(storetest.Bounded(t), args)
	p.want("Publish", etcdstore.Published, got, err)
	storetest.WantContents(t, s, "l", "f", "x")
}

// Bad arguments are refused before etcd is asked.
func TestPublishRefusals(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	good := etcdstore.PublishID{Lane: etcdstore.Lane{1}, Number: 1}
	many := make([]etcdstore.Operation, etcdstore.MaxOperations+1)
	for i := range many {
		many[i] = appendTo("f", "x")
	}
	var wide []etcdstore.Operation
	for i := range etcdstore.MaxPublishFiles + 1 {
		wide = append(wide, appendTo(fmt.Sprintf("f%d", i), "x"))
	}
	before := revision(t, etcd)
	for name, test := range map[string]struct {
		args etcdstore.PublishArgs
		want error
	}{
		"lock":       {etcdstore.PublishArgs{PublishID: good, Lock: "a//b"}, etcdstore.ErrInvalidName},
		"file":       {etcdstore.PublishArgs{PublishID: good, Lock: "l", Operations: []etcdstore.Operation{appendTo("..", "x")}}, etcdstore.ErrInvalidName},
		"lane":       {etcdstore.PublishArgs{PublishID: etcdstore.PublishID{Number: 1}, Lock: "l"}, etcdstore.ErrInvalidArgument},
		"number":     {etcdstore.PublishArgs{PublishID: etcdstore.PublishID{Lane: good.Lane}, Lock: "l"}, etcdstore.ErrInvalidArgument},
		"born":       {etcdstore.PublishArgs{PublishID: etcdstore.PublishID{Lane: good.Lane, Number: 1, Born: -1}, Lock: "l"}, etcdstore.ErrInvalidArgument},
		"born late":  {etcdstore.PublishArgs{PublishID: etcdstore.PublishID{Lane: good.Lane, Number: 1, Born: 1 << 50}, Lock: "l"}, etcdstore.ErrWentBack},
		"bytes":      {etcdstore.PublishArgs{PublishID: good, Lock: "l", Operations: []etcdstore.Operation{{File: "f", Data: make([]byte, etcdstore.MaxPublish+1)}}}, etcdstore.ErrTooLarge},
		"operations": {etcdstore.PublishArgs{PublishID: good, Lock: "l", Operations: many}, etcdstore.ErrQuota},
		"files":      {etcdstore.PublishArgs{PublishID: good, Lock: "l", Operations: wide}, etcdstore.ErrQuota},
	} {
		_, err := s.Publish(storetest.Bounded(t), test.args)
		storetest.Want(t, name, err, test.want)
	}
	if after := revision(t, etcd); after != before {
		t.Errorf("refused publishes moved etcd from revision %d to %d", before, after)
	}
}

// The largest that there may be is folded in steps, and is whole.
func TestPublishTheLargest(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	p := newPublisher(t, s, "l", 1)
	var ops []etcdstore.Operation
	want := map[string]string{}
	for i := range etcdstore.MaxOperations {
		file := fmt.Sprintf("f%d", i%etcdstore.MaxPublishFiles)
		text := strings.Repeat(string(rune('a'+i%26)), etcdstore.MaxPublish/etcdstore.MaxOperations)
		ops = append(ops, appendTo(file, text))
		want[file] += text
	}
	p.publish(ops...)
	for file, text := range want {
		storetest.WantContents(t, s, "l", file, text)
	}
	gone(t, etcd, "bundles/")
	got, err := s.Publish(storetest.Bounded(t), p.next())
	p.want("Publish of nothing", etcdstore.Published, got, err)
}
