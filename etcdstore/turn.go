package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// A publish that has a session may wait for its turn. It takes a place in the lock's queue, as any
// acquire does, on its session's lease. What it publishes stays in this store's memory:
//
//	place   it is fresh, its session lives    put queue/l//S.r                    at 46
//	        (some release hands the lock on)  put locks/l, delete queue/l//S.r    at 51
//	finish  51 holds l, it is fresh           put its records and its marker, as a holder's
//	                                          section under 51; its lane's note; pass l on
//
// So nobody is overtaken, and what is published in its turn is a section that was held, for as long
// as a commit of etcd's takes. If the store is gone with what it was to publish, the place stays
// there as long as the session, and so does the hold: the client's repeat through another store
// finds either, and goes on. A client that does not repeat does not list the request in its
// heartbeats any more, and these end it.
//
// While the lock is held for it nothing else is published. So a condition that is evaluated then
// still holds when it is published.

// turn is what a publish has besides that may wait.
type turn struct {
	session
	acquisition
	began time.Time
	noted bool // its lane has a note, as far as is known
	over  bool // it has waited long enough
	tries int  // to do without a place, or to get one
}

// mayWait reports whether the publish may take a place in the queue.
func (p *publishing) mayWait() bool {
	return p.turn != nil && !p.turn.over && p.args.Wait != 0 && p.turn.tries < evaluations
}

// remaining is how much of the wait is left.
func (p *publishing) remaining() time.Duration {
	if p.args.Wait == WaitForever {
		return WaitForever
	}
	return max(0, p.args.Wait-time.Since(p.turn.began))
}

// settle ends the publish, unless it is to wait for its turn.
func (p *publishing) settle(is Publication, err error) {
	if err == nil && is.Outcome == Occupied && p.mayWait() {
		p.turn.tries++ // it takes a place now, even if the lock is free again
		p.look()
		return
	}
	p.told(is, err)
}

// place takes a place in the queue, once. The places of acquires that have had their turn are not
// taken anew. That of a publish may be, for it is fresh.
func (p *publishing) place() {
	s, args, w := p.s, p.args, p.turn
	err := s.mirror.roomForAcquisition(w.acquisition, true, s.limits)
	if err == nil {
		err = s.lacksRoom(p.bytes)
	}
	if err == nil {
		err = s.room()
	}
	if err == nil {
		err = p.keep()
	}
	if err != nil {
		p.told(Publication{}, changedNothing{err})
		return
	}
	w.tries++
	e := s.entry(w.session, AcquireArgs{Acquisition: Acquisition{args.Lock, args.Request}})
	t, enqueued := e.enqueueFirst()
	t.If, t.Refuse, t.Caller = append(t.If, p.fresh()...), nil, callerOf(p.ctx)
	s.engine.Submit(t, func(resp *pb.TxnResponse, err error) {
		switch outcomeOf(resp, err) {
		case plainDone:
			s.mirror.own(enqueued.at(resp.Header.Revision))
			p.await(resp.Header.Revision)
		case plainFailed:
			p.told(Publication{}, fmt.Errorf("publish: %w", err))
		case plainUnclear:
			if errors.Is(err, ErrNoSpace) {
				p.told(Publication{}, fmt.Errorf("publish: %w", err))
				return
			}
			p.look()
		}
	})
}

// fresh holds while the publish was neither made nor ruled out.
func (p *publishing) fresh() []*pb.Compare {
	if p.turn.noted {
		return p.s.freshNoted(p.args.Lock, p.args.PublishID)
	}
	return p.s.freshUnnoted(p.args.Lock, p.args.PublishID)
}

// notes has a publish that may wait know whether its lane has a note.
func (p *publishing) notes(note *mvccpb.KeyValue) {
	if p.turn != nil {
		p.turn.noted = note != nil
	}
}

// waitingBytes bounds what publishes that wait have in a store's memory. It is no setting.
const (
	waitingBytes      = 64 << 20
	limitWaitingBytes = "waiting-bytes"
)

// keep counts what the publish has in memory while it waits, until it is told.
func (p *publishing) keep() error {
	if p.kept {
		return nil
	}
	if p.s.waiting.Add(p.bytes) > waitingBytes {
		p.s.waiting.Add(-p.bytes)
		return Exceeded(limitWaitingBytes, waitingBytes, "bytes of publishes that wait", limitRetry)
	}
	p.kept = true
	told := p.told
	p.told = func(is Publication, err error) {
		p.s.waiting.Add(-p.bytes)
		told(is, err)
	}
	return nil
}

// await waits in the queue, where the publish has had a place as of a revision.
func (p *publishing) await(rev int64) {
	s, w := p.s, p.turn
	if err := p.keep(); err != nil { // the place is found again, or given up by a heartbeat
		p.told(Publication{}, err)
		return
	}
	if o := followerOf(p.ctx); o != nil {
		o.Queued(s.mirror.place(w.acquisition))
	}
	q := s.publishWaits.add(*p)
	s.await(p.ctx, p.args.Credential, w.acquisition, rev, p.remaining(), func(g Grant, err error) {
		s.publishWaits.drop(q)
		switch {
		case errors.Is(err, errRun) && q.ran != nil:
			receiptOf(p.ctx).Raise(q.ran.Version.Token)
			p.told(*q.ran, nil)
		case errors.Is(err, errRun): // another delivery of it
			p.look()
		case err == nil && g.Outcome == Granted:
			p.finish(g.Token)
		case err == nil, errors.Is(err, ErrLockExpired): // or it was granted, and lost or finished by another delivery
			w.over = err == nil
			p.look()
		default:
			p.told(Publication{}, fmt.Errorf("publish: %w", err))
		}
	})
}

// finish publishes under a token that was granted for just that. It does so also if its caller is
// gone: nobody else would end the hold.
func (p *publishing) finish(token int64) {
	lost := false
	resolve(urgent(context.WithoutCancel(p.ctx)), p.s, func(ctx context.Context) (is Publication, err error) {
		is, lost, err = p.finished(ctx, token)
		return is, err
	}, func(is Publication, err error) {
		if lost {
			p.look()
			return
		}
		p.told(is, err)
	})
}

// finished is finish. lost: the token did not hold the lock any more, for whatever reason.
func (p *publishing) finished(ctx context.Context, token int64) (is Publication, lost bool, err error) {
	s, lock := p.s, p.args.Lock
	var told *Publication
	for range evaluations {
		if told, err = p.unlessTold(ctx); err == nil && told == nil {
			err = s.roomForBytes(p.bytes)
		}
		if err != nil || told != nil {
			break
		}
		is, lost, err = p.publishUnder(ctx, token)
		s.hadRoomForBytes(p.bytes)
		switch {
		case errors.Is(err, ErrDataLoss): // it is not fresh, or its lane has a note, or none, after all
			err = fmt.Errorf("publish: %w: its lane's note changes all the time", ErrNoQuorum)
			continue
		case err == nil || !errors.Is(err, ErrNoSpace):
			return is, lost, err
		}
		break
	}
	// If this fails, the client's next heartbeat ends the hold.
	_, _ = s.end(ctx, ending{lock: lock, token: token, guard: s.guard(lock, token, p.turn.session), spareless: true, discards: true})
	if told != nil {
		return *told, false, nil
	}
	return Publication{}, false, err
}

// remember makes forgotten, as it was not there at a revision, and looks again.
func (p *publishing) remember(rev int64) {
	resolve(p.ctx, p.s, func(ctx context.Context) (Publication, error) { return Publication{}, p.s.remember(ctx, rev) },
		func(_ Publication, err error) {
			if err != nil {
				p.told(Publication{}, fmt.Errorf("publish: %w", changedNothing{err}))
				return
			}
			p.look()
		})
}

// unlessTold is what the publish comes to by its lane's note, or its condition; nil: it is to be
// made.
func (p *publishing) unlessTold(ctx context.Context) (told *Publication, err error) {
	if !p.args.If.empty() {
		p.looks = 0
		_, told, err = p.evaluate(ctx)
		return told, err
	}
	resp, err := p.s.engine.Commit(ctx, commit.Txn{Then: p.s.lookAtLane(p.args.Lock, p.args.Lane)})
	if err != nil {
		return nil, err
	}
	p.notes(op.First(resp, 0))
	return p.s.laneSaid(ctx, p.args.PublishID, resp, 0)
}

// publishUnder publishes as the section of a token, and passes the lock on. [ErrDataLoss]: it is
// not fresh. lost: the token does not hold the lock.
func (p *publishing) publishUnder(ctx context.Context, token int64) (is Publication, lost bool, err error) {
	s, args := p.s, p.args
	note := laneNote{number: args.Number, Token: token, At: millis(time.Now())}
	records := make([]*pb.RequestOp, len(args.Operations))
	for i, o := range args.Operations {
		records[i] = op.Put(s.keys.record(args.Lock, token, fmt.Sprintf("publish.%d", i)), encodeRecord(uint64(i+1), o))
	}
	if len(records) > stepOps/4 {
		records = commit.Nested(records)
	}
	e := ending{
		lock: args.Lock, token: token, guard: s.guard(args.Lock, token, p.turn.session), whole: p.fresh(),
		then:      append(records, op.Put(s.keys.applied(args.Lock, args.Lane), note.encode())),
		publishes: true, bytes: p.bytes,
	}
	e.then = append(e.then, s.marker(p.turn.session, Section{Lock: args.Lock, Token: token})...)
	ended, err := s.end(ctx, e)
	if err != nil {
		return Publication{}, false, fmt.Errorf("publish: %w", err)
	}
	return Publication{Outcome: Published, Version: Version{Token: token}}, !ended, nil
}
