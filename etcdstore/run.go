package etcdstore

import (
	"context"
	"errors"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// Where several publishes wait one behind the other whose payload this store has, they need not be
// granted the lock one by one, a commit for each: all of them are published in one transaction, as
// if they had come while the lock was free. So a queue that has grown behind a long hold shrinks by
// dozens a commit, and not by fewer than come meanwhile:
//
//	release   the first two who wait are publishes of     delete locks/l, hand it to nobody
//	          this store's
//	run       nobody holds l, each place as it was taken, put the bundles and notes of all,
//	          each publish fresh                          and latest/l; delete the places
//	promote   behind them waits a holder                  put locks/l
//
// A run is of the first who wait, so that nobody is overtaken. It has none with a condition, whose
// state the one before it changes; and no two of one lane, whose notes are one key.

// mostRun is how many are published in one run: etcd takes 128 compares.
const mostRun = 30

// errRun: a publish that waited was published in a run.
var errRun = errors.New("published in a run")

// publishWait is a publish that waits for its turn, as it was when it took its place.
type publishWait struct {
	publishing
	ran *Publication // what came of it in a run; nil: it was not in one
}

// publishWaits are those that wait in this store, by their places.
type publishWaits struct {
	mu sync.Mutex
	of map[acquisition]*publishWait
}

func (ws *publishWaits) add(p publishing) *publishWait {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.of == nil {
		ws.of = map[acquisition]*publishWait{}
	}
	own := *p.turn
	p.turn, p.slot = &own, -1
	q := &publishWait{publishing: p}
	ws.of[own.acquisition] = q
	return q
}

func (ws *publishWaits) drop(q *publishWait) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if a := q.turn.acquisition; ws.of[a] == q {
		delete(ws.of, a)
	}
}

// all returns those at the first of some places, as long as there are any.
func (ws *publishWaits) all(places []*mirrorWaiter) (first []*publishWait) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range places {
		q := ws.of[w.acquisition]
		if q == nil {
			break
		}
		first = append(first, q)
	}
	return first
}

func (ws *publishWaits) len() int {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return len(ws.of)
}

// turnOf is one publish of a run.
type turnOf struct {
	publishing
	wait  *publishWait
	place *mirrorWaiter
}

// runnable are the first waiters of a lock, as long as they can be published in one run; nil: that
// is not worth it.
func (s *Store) runnable(lock string) (run []turnOf) {
	if s.publishWaits.len() < 2 {
		return nil
	}
	places, lanes, bytes := s.mirror.firsts(lock, mostRun), map[Lane]bool{}, int64(0)
	for i, q := range s.publishWaits.all(places) {
		if !q.args.If.empty() || lanes[q.args.Lane] || bytes+q.bytes > MaxPublish {
			break
		}
		lanes[q.args.Lane] = true
		bytes += q.bytes
		run = append(run, turnOf{q.publishing, q, places[i]})
	}
	if len(run) < 2 || s.lacksRoom(bytes) != nil {
		return nil
	}
	return run
}

// run publishes the first waiters of a free lock, if they are publishes whose payload this store
// has. It reports whether it did. Otherwise the first of them is granted the lock, as any waiter.
func (s *Store) run(ctx context.Context, lock string) (ran bool, err error) {
	run := s.runnable(lock)
	if run == nil {
		return false, nil
	}
	bytes := int64(0)
	for _, r := range run {
		bytes += r.bytes
	}
	if s.roomForBytes(bytes) != nil {
		return false, nil
	}
	defer s.hadRoomForBytes(bytes)
	key := s.keys.lock(lock)
	t := commit.Txn{If: []*pb.Compare{op.Absent(key)}, Then: []*pb.RequestOp{op.Put(s.keys.latest(lock), "")}, Besides: key}
	var gone []change
	for i := range run {
		r := &run[i]
		r.slot = s.bundles.take(lock)
		place := s.keys.waiter(r.place.acquisition)
		t.Then = append(append(t.Then, r.puts()...), op.Delete(place))
		t.If = append(append(t.If, op.CreatedAt(place, r.place.created), r.slotFree()), r.fresh()...)
		gone = append(gone, change{key: place, deleted: true})
	}
	through := s.engine.Alone // a batch has no room for many
	if t.Small() {
		through = s.engine.Commit
	}
	resp, err := through(ctx, t)
	if err != nil || !resp.Succeeded {
		for i := range run {
			run[i].leave(err != nil && !commit.NotSent(err))
		}
		return false, err
	}
	rev := resp.Header.Revision
	var verdicts []verdict
	for i := range run {
		r := &run[i]
		is := r.published(rev)
		r.wait.ran = &is
		verdicts = append(verdicts, s.mirror.ends(r.place.acquisition, fate{err: errRun})...)
		gone[i].rev = rev
	}
	s.mirror.own(gone...)
	tellAll(verdicts)
	return true, nil
}
