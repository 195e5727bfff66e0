package commit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// by is a client's transaction.
func by(client string, t Txn) Txn {
	t.Client = client
	return t
}

func urgently(t Txn) Txn {
	t.Urgent = true
	return t
}

// flood makes more transactions of a client than some batches take.
func flood(client string) []Txn {
	return numbered(4*batchMembers, func(key string) Txn { return by(client, put(client+key)) })
}

// A client that asks for thousands costs the others a turn of theirs, however late they come.
func TestTurns(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		free := r.busy()
		many := r.ask(flood("many")...)
		few := r.ask(by("a", put("a1")), by("a", put("a2")), by("b", otherwise(put("b1"))))
		next := r.hold() // the batch after the next one
		free()
		r.settled()
		for i, a := range few {
			if a.n > 0 {
				r.Fatalf("transaction %d was answered before its batch", i)
			}
		}
		next()
		calls := r.settle()
		r.succeeded(few[0], few[1])
		r.failed(few[2])
		r.succeeded(many...)
		first := few[0].resp.Header.Revision
		for i, a := range few[:2] {
			if a.resp.Header.Revision != first || first != many[0].resp.Header.Revision {
				r.Errorf("transaction %d is not in the first batch", i)
			}
		}
		r.called(calls, 16) // a quarter of a batch each, as there has just been another client
	})
}

// Nobody's batches are smaller for those who were served long ago.
func TestLoneClient(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		few := r.ask(by("few", put("few")))
		r.settle()
		r.succeeded(few...)
		for range latelyBatches {
			r.ask(by("many", put("k")))
			r.settle()
		}
		free := r.busy()
		many := r.ask(flood("many")...)
		free()
		r.called(r.settle(), 4)
		r.succeeded(many...)
	})
}

// What is urgent has room in the next batch, whoever fills the queue, the same client above all.
func TestUrgent(t *testing.T) {
	t.Parallel()
	for name, client := range map[string]string{"of the client that floods": "many", "of another one": "few"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withRig(t, func(r *rig) {
				free := r.busy()
				many := r.ask(flood("many")...)
				end := r.ask(urgently(by(client, put("end"))))
				free()
				r.settle()
				r.succeeded(end...)
				r.succeeded(many...)
				if end[0].resp.Header.Revision != many[0].resp.Header.Revision {
					r.Error("it is not in the first batch")
				}
			})
		})
	}
}

// Nor does what is urgent take more than half of what others could have.
func TestUrgentInExcess(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		free := r.busy()
		var ends []*asked
		for _, t := range flood("many") {
			ends = append(ends, r.ask(urgently(t))...)
		}
		others := r.ask(numbered(batchMembers/4, func(key string) Txn { return by("few", put("few"+key)) })...)
		free()
		r.settle()
		r.succeeded(ends...)
		r.succeeded(others...)
		first := ends[0].resp.Header.Revision
		if last := others[len(others)-1].resp.Header.Revision; last != first {
			r.Errorf("the last of the others is at revision %d; want all in the first batch, at %d", last, first)
		}
	})
}

// One client's transactions are run in the order in which they came, those of one key one by one.
func TestOneLine(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		free := r.busy()
		var all []*asked
		for i := range 3 * batchMembers {
			all = append(all, r.ask(put(fmt.Sprint("k", i%(batchMembers+7))))...)
		}
		free()
		calls := r.settle()
		r.succeeded(all...)
		last := map[string]int64{}
		for i, a := range all {
			key, rev := string(a.Then[0].GetRequestPut().Key), a.resp.Header.Revision
			if rev <= last[key] {
				r.Fatalf("transaction %d is at revision %d, and an earlier one of %s at %d", i, rev, key, last[key])
			}
			last[key] = rev
		}
		if len(calls) > 5 {
			r.Errorf("%d batches; want them full", len(calls))
		}
	})
}

// However many wait for one key, a batch looks at the first of them only, and those of other keys
// do not wait for it.
func TestManyOfOneKey(t *testing.T) {
	t.Parallel()
	const many = 60_000
	engine := &Engine{queue: newQueue()}
	q := &engine.queue
	add := func(t Txn) *member {
		m := &member{Txn: t, Footprint: t.footprint(), owner: lineOwner{t.Client, t.Urgent}, since: time.Now(), engine: engine}
		q.add(m)
		return m
	}
	same := put("same")
	for range many {
		add(same)
	}
	other := add(put("other"))
	found := false
	for i := range 100 {
		b := q.fill()
		found = found || slices.Contains(b.members(), other)
		if looks := maxLooks - q.looks; i > many/maxLooks+1 && looks > 4 {
			t.Fatalf("batch %d has looked at %d; want the first of each key", i, looks)
		}
		if b.size == 0 {
			t.Fatalf("batch %d is empty", i)
		}
	}
	if !found {
		t.Error("another key has to wait")
	}
}

// A line whose first has to wait for what others write has its turn before them in the next batch.
func TestStuckLine(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		free := r.busy()
		var all []*asked
		for range 10 {
			all = append(all, r.ask(by("a", put("k")))...)
		}
		one := r.ask(by("b", put("k")))
		free()
		r.settle()
		r.succeeded(append(all, one...)...)
		if one[0].resp.Header.Revision > all[1].resp.Header.Revision {
			r.Error("it had to wait for more than one of the other client's")
		}
	})
}

// What waits for a key is told in time that etcd is too slow.
func TestTooSlowParked(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		free := r.busy()
		all := r.ask(put("k"), put("k"), by("b", put("k")))
		next := r.hold()
		free()
		r.pass(Timeout - 1)
		young := r.ask(put("k"))
		r.pass(1)
		next()
		r.settle()
		r.refused(ErrNoQuorum, all[0])
		r.succeeded(all[1], all[2], young[0])
	})
}

// Calls of etcd are made so many at a time, and those that wait for it by turns. What is urgent
// does not wait for them.
func TestCallsByTurns(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		type client struct {
			name   string
			urgent bool
		}
		type key struct{}
		r.env.Caller = func(ctx context.Context) Caller {
			c, _ := ctx.Value(key{}).(client)
			return Caller{Client: c.name, Urgent: c.urgent}
		}
		open, under := make(chan struct{}), 0
		var order []string
		read := func(c client) chan error {
			done := make(chan error, 1)
			go func() {
				done <- r.Call(context.WithValue(r.Context(), key{}, c), func(context.Context) error {
					r.mu.Lock()
					under++
					order = append(order, c.name)
					r.mu.Unlock()
					<-open
					return nil
				})
			}()
			synctest.Wait()
			return done
		}
		var all []chan error
		for range 3 * callsAtOnce {
			all = append(all, read(client{name: "many"}))
		}
		if under != callsAtOnce {
			r.Errorf("%d calls at once; want %d", under, callsAtOnce)
		}
		all = append(all, read(client{name: "many", urgent: true}))
		if under != callsAtOnce+1 {
			r.Error("what is urgent waits")
		}
		ctx, leave := context.WithCancelCause(context.WithValue(r.Context(), key{}, client{name: "gone"}))
		errGone := errors.New("gone")
		go func() {
			synctest.Wait()
			leave(errGone)
		}()
		if _, err := r.Commit(ctx, Txn{Then: []*pb.RequestOp{op.Get("k")}}); !errors.Is(err, errGone) || !NotSent(err) {
			r.Errorf("got %v; want the caller's own end", err)
		}
		all = append(all, read(client{name: "few"}))
		order = nil
		for range 4 { // of which one may be what is urgent, and two are turns of the others
			open <- struct{}{}
			synctest.Wait()
		}
		if !slices.Contains(order, "few") {
			r.Errorf("the calls of %v had their turns; want another client's to be one of the first two", order)
		}
		close(open)
		for _, done := range all {
			if err := <-done; err != nil {
				r.Error(err)
			}
		}
		if r.Engine.calls.free != callsAtOnce {
			r.Errorf("%d calls may be made; want %d", r.Engine.calls.free, callsAtOnce)
		}
	})
}
