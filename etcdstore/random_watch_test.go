package etcdstore_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// chronicle is what happens to all locks, by a watch of etcd and nothing else.
type chronicle struct {
	t *testing.T

	mu     sync.Mutex
	events []etcdstore.Event          // in order
	now    map[string]etcdstore.Event // by key, the holders and waiters
	until  int64
	broken bool // the watch was too slow
}

// chronicles begins a chronicle of an etcd that has no locks yet. It ends with ctx; ended is closed
// then.
func chronicles(ctx context.Context, t *testing.T, etcd *clientv3.Client) (c *chronicle, ended <-chan struct{}) {
	c = &chronicle{t: t, now: map[string]etcdstore.Event{}}
	over := make(chan struct{})
	watch := etcd.Watch(ctx, "/dlm/", clientv3.WithPrefix(), clientv3.WithRev(revision(t, etcd)+1), clientv3.WithCreatedNotify())
	if created := <-watch; !created.Created { // from here on etcd tells at once, and compacts nothing untold
		t.Fatalf("the chronicle's watch: %v", created.Err())
	}
	go func() {
		defer close(over)
		for resp := range watch {
			c.mu.Lock()
			c.broken = c.broken || errors.Is(resp.Err(), rpctypes.ErrCompacted)
			for len(resp.Events) > 0 {
				rev := resp.Events[0].Kv.ModRevision
				n := slices.IndexFunc(resp.Events, func(e *clientv3.Event) bool { return e.Kv.ModRevision != rev })
				if n < 0 {
					n = len(resp.Events)
				}
				c.note(rev, resp.Events[:n])
				resp.Events = resp.Events[n:]
			}
			c.mu.Unlock()
		}
	}()
	return c, over
}

// to is up to which revision the chronicle goes.
func (c *chronicle) to() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.until
}

// written is what a holder's, a waiter's or a note's value has.
type written struct {
	Label  string `json:"label"`
	Prev   int64  `json:"prev"`
	Why    string `json:"why"`
	Reason string `json:"reason"`
}

// parsed is the event that a holder's or waiter's key stands for, and its value.
func (c *chronicle) parsed(e *clientv3.Event) (key string, made etcdstore.Event, v written, ok bool) {
	key = strings.TrimPrefix(string(e.Kv.Key), "/dlm/")
	made.Revision = e.Kv.ModRevision
	value := string(e.Kv.Value)
	var owner string
	if lock, is := strings.CutPrefix(key, "locks/"); is {
		made.Type, made.Lock, made.Token = etcdstore.EventGranted, lock, made.Revision
		owner, value, _ = strings.Cut(value, "\x00")
	} else if rest, is := strings.CutPrefix(key, "queue/"); is {
		made.Type = etcdstore.EventWaiting
		made.Lock, owner, _ = strings.Cut(rest, "//")
	} else {
		return key, made, v, false
	}
	made.Session, made.Request, _ = strings.Cut(owner, ".")
	if e.Type == clientv3.EventTypePut {
		if err := json.Unmarshal([]byte(value), &v); err != nil {
			c.t.Errorf("%s: %v", key, err)
		}
		made.Label = v.Label
	}
	return key, made, v, true
}

// note takes in one revision.
func (c *chronicle) note(rev int64, events []*clientv3.Event) {
	granted, ended, undone := map[string]bool{}, map[string]bool{}, map[string]written{}
	for _, e := range events {
		key, made, _, ok := c.parsed(e)
		switch {
		case ok && made.Token > 0 && e.Type == clientv3.EventTypePut:
			granted["queue/"+made.Lock+"//"+made.Session+"."+made.Request] = true
		case strings.HasPrefix(key, "sessions/") && e.Type == clientv3.EventTypeDelete:
			ended[strings.TrimPrefix(key, "sessions/")] = true
		case strings.HasPrefix(key, "undone/") && e.Type == clientv3.EventTypePut:
			var v written
			if err := json.Unmarshal(e.Kv.Value, &v); err != nil {
				c.t.Errorf("%s: %v", key, err)
			}
			undone[key] = v
		}
	}
	for _, e := range events {
		key, made, v, ok := c.parsed(e)
		if !ok {
			continue
		}
		left, was := c.now[key]
		note, noted := undone["undone/"+left.Lock+"//"+hex16(left.Token)]
		left.Revision = rev
		switch {
		case !was:
		case left.Token == 0 && e.Type == clientv3.EventTypePut, granted[key]:
			was = false
		case left.Token == 0:
			left.Type = etcdstore.EventLeft
			if ended[left.Session] {
				left.Reason = "its session ended"
			}
		case ended[left.Session]:
			left.Type, left.Reason = etcdstore.EventLost, "its session ended"
		case e.Type == clientv3.EventTypePut && v.Prev == left.Token:
			left.Type = etcdstore.EventCommitted
		case noted && note.Why == "discarded":
			left.Type, left.Reason = etcdstore.EventReleased, "discarded"
		case noted:
			left.Type, left.Reason = etcdstore.EventLost, note.Why
			if note.Reason != "" {
				left.Reason += ": " + note.Reason
			}
		default:
			left.Type = etcdstore.EventReleased
		}
		if was {
			c.events = append(c.events, left)
		}
		if e.Type == clientv3.EventTypePut {
			c.events = append(c.events, made)
			c.now[key] = made
		} else {
			delete(c.now, key)
		}
	}
	c.until = rev
}

// comesTo waits until all is in the chronicle up to a revision, whose key need not be one of the
// service's.
func (c *chronicle) comesTo(rev int64) {
	c.t.Helper()
	storetest.Eventually(c.t, "the chronicle", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.broken {
			c.t.Fatal("the chronicle was too slow")
		}
		return c.until >= rev
	})
}

// between are the events of a prefix that are later than a revision, up to another.
func (c *chronicle) between(prefix string, after, upTo int64) (events []etcdstore.Event) {
	for _, e := range c.events {
		if e.Revision > after && e.Revision <= upTo && strings.HasPrefix(e.Lock, prefix) {
			events = append(events, e)
		}
	}
	return events
}

// state are the holders and waiters at a revision, as a watch begins with them.
func (c *chronicle) state(prefix string, rev int64) (state []etcdstore.Event) {
	type place struct{ lock, session, request string }
	holders, waiters := map[string]etcdstore.Event{}, map[place]etcdstore.Event{}
	for _, e := range c.between(prefix, 0, rev) {
		at := place{e.Lock, e.Session, e.Request}
		e.Initial = true
		switch e.Type {
		case etcdstore.EventWaiting:
			waiters[at] = e
		case etcdstore.EventLeft:
			delete(waiters, at)
		case etcdstore.EventGranted:
			delete(waiters, at)
			holders[e.Lock] = e
		default:
			delete(holders, e.Lock)
		}
	}
	for _, e := range holders {
		state = append(state, e)
	}
	for _, e := range waiters {
		state = append(state, e)
	}
	slices.SortFunc(state, byPlace)
	return state
}

// byPlace puts a state in any order that is always the same.
func byPlace(a, b etcdstore.Event) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Lock, b.Lock), cmp.Compare(a.Session, b.Session), cmp.Compare(a.Request, b.Request))
}

// onlooker is a watcher that keeps what it is told.
type onlooker struct {
	prefix string
	done   chan struct{}

	mu       sync.Mutex
	episodes []*episode
}

// episode is what an onlooker is told from one state on.
type episode struct {
	state  []etcdstore.Event
	begun  int64 // the state's revision; 0: it is not whole
	events []etcdstore.Event
	until  int64
}

// watchAlong watches through a store, again and again, until ctx ends.
func watchAlong(ctx context.Context, t *testing.T, s *faulty, prefix string) *onlooker {
	o := &onlooker{prefix: prefix, done: make(chan struct{})}
	go func() {
		defer close(o.done)
		for ctx.Err() == nil {
			o.begin()
			err := s.Watch(ctx, prefix, func(n *etcdstore.News) error {
				o.take(t, n)
				return nil
			})
			if !indeterminate(err) && !errors.Is(err, etcdstore.ErrQuota) {
				t.Errorf("Watch %q: %v", prefix, err)
				return
			}
		}
	}()
	return o
}

func (o *onlooker) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.episodes = append(o.episodes, &episode{})
}

// take judges what can be judged without the chronicle, and keeps the rest.
func (o *onlooker) take(t *testing.T, n *etcdstore.News) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.episodes[len(o.episodes)-1]
	if n.Revision == 0 && e.begun > 0 { // the state again
		e = &episode{}
		o.episodes = append(o.episodes, e)
	}
	switch {
	case n.Revision == 0:
		e.state = append(e.state, n.Events...)
	case e.begun == 0 || len(n.Events) == 0: // the state's end; of an empty one that comes again, too
		if e.begun > 0 {
			e = &episode{}
			o.episodes = append(o.episodes, e)
		}
		if len(n.Events) > 0 {
			t.Errorf("the end of a state has events: %+v", n.Events)
		}
		e.begun, e.until = n.Revision, n.Revision
	default:
		if n.Revision <= e.until {
			t.Errorf("told up to %d after %d", n.Revision, e.until)
		}
		for _, event := range n.Events {
			if event.Revision <= e.until || event.Revision > n.Revision {
				t.Errorf("told up to %d, and then up to %d with %+v", e.until, n.Revision, event)
			}
		}
		e.events, e.until = append(e.events, n.Events...), n.Revision
	}
}

// until is up to where the onlooker was told everything.
func (o *onlooker) until() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.episodes[len(o.episodes)-1].until
}

// check compares all that an onlooker was told with the chronicle, once it has come to its end. It
// returns how many events that were.
func (c *chronicle) check(t *testing.T, o *onlooker) (events int) {
	t.Helper()
	c.mu.Lock()
	last := c.between(o.prefix, 0, c.until)
	c.mu.Unlock()
	if len(last) > 0 {
		storetest.Eventually(t, fmt.Sprintf("a watch of %q to come to its end", o.prefix), func() bool {
			return o.until() >= last[len(last)-1].Revision
		})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.episodes {
		if e.begun == 0 || e.until > c.until {
			continue
		}
		slices.SortFunc(e.state, byPlace)
		if want := c.state(o.prefix, e.begun); !slices.Equal(e.state, want) {
			t.Errorf("watch of %q: the state at %d is told as\n%+v; want\n%+v", o.prefix, e.begun, e.state, want)
		}
		want := c.between(o.prefix, e.begun, e.until)
		if !slices.Equal(e.events, want) {
			at := 0
			for at < min(len(want), len(e.events)) && want[at] == e.events[at] {
				at++
			}
			t.Errorf("watch of %q from %d to %d: %d events, want %d; they differ from number %d on:\n%+v; want\n%+v", o.prefix, e.begun, e.until,
				len(e.events), len(want), at, e.events[at:min(at+3, len(e.events))], want[at:min(at+3, len(want))])
		}
		events += len(e.events)
	}
	return events
}
