package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
)

// The calls that come by the thousand, [Store.StartAcquire], [Store.StartRelease] and
// [Store.StartAppend], are started: none of them is a goroutine while it is under way. What became
// of a call is passed to its done, which is called
//
//   - once;
//   - from any goroutine, the caller's included, and before Start has returned if it is known at
//     once;
//   - where transactions are committed, with everybody else's waiting behind it: so it must not
//     block, take long, or log.
//
// Each call first tries a plain transaction. It has the compares that nearly always hold and no
// other branch, so that many of these fit into one transaction of etcd's (see internal/commit). And
// it does not compare whether the session lives on whose lease it puts something: etcd looks for
// the lease anyhow, and refuses the whole transaction if that has ended, with everybody else's part
// in it. Then all parts run once more, with the compare. That is rare, and spares every grant a
// compare.
//
// Where the plain one comes to nothing, the call is resolved: made again, as a repeat, with
// transactions that also find out what stands instead. All calls can be repeated, so it does not
// matter whether the plain one was really without effect.
//
//	release, plain     m(locks/l)=7; hand over to w, whom the mirror shows next
//	                   fails: w has left, or the token 7 has ended, or this is a repeat
//	release, resolved  guard alone? It holds: the next waiter is tried, or the lock is freed.
//	                   It does not: the truth rule

// plainOutcome is what a plain transaction has come to for its call.
type plainOutcome int

const (
	plainDone    plainOutcome = iota + 1 // its compares held
	plainFailed                          // the call ends with the error
	plainUnclear                         // the call has to be resolved
)

// outcomeOf is the one rule for where a call goes on. An error ends it, but for three, which need
// not be the call's own fate:
//
//   - [ErrNoSpace]: etcd is full, and refuses a put even in a branch that would not run. But a
//     repeat may find what it put when there was room, and a lock can be released by a deletion.
//   - [ErrSessionExpired]: a lease that the transaction puts on has ended. That may be the next
//     waiter's, which is no reason to refuse a release.
//   - errStale: an acquire has been overtaken by its own end. Whether that was a release, a cancel
//     or nothing after all is known when the end is answered.
func outcomeOf(resp *pb.TxnResponse, err error) plainOutcome {
	switch {
	case errors.Is(err, ErrNoSpace), errors.Is(err, ErrSessionExpired), errors.Is(err, errStale):
		return plainUnclear
	case err != nil:
		return plainFailed
	case !resp.Succeeded:
		return plainUnclear
	}
	return plainDone
}

// finish makes a call that is started one that returns. If ctx ends first, its cause is returned,
// and the call goes on without its caller: what becomes of it is not known.
func finish[T any](ctx context.Context, start func(done func(T, error))) (T, error) {
	type result struct {
		value T
		err   error
	}
	told := make(chan result, 1)
	start(func(value T, err error) { told <- result{value, err} })
	select {
	case r := <-told:
		return r.value, r.err
	case <-ctx.Done():
	}
	select {
	case r := <-told: // what is known counts
		return r.value, r.err
	default:
		var none T
		return none, context.Cause(ctx)
	}
}

// finishCall is finish for a call that returns nothing but an error.
func finishCall(ctx context.Context, start func(done func(error))) error {
	_, err := finish(ctx, func(done func(struct{}, error)) { start(func(err error) { done(struct{}{}, err) }) })
	return err
}

// resolveTimeout bounds the resolution of a call. A place in a queue that comes of it has no bound
// but its own.
const resolveTimeout = 2 * commit.Timeout

// resolvers is how many calls are resolved at once, but for those that are urgent.
const resolvers = 128

// resolve makes a call in a goroutine, which Close waits for; at once if it is urgent, else when
// its client's turn has come. It is bounded by resolveTimeout, and by the store's own end. A panic
// of the call becomes its error: it must not cost the others their server.
func resolve[T any](ctx context.Context, s *Store, call func(context.Context) (T, error), done func(T, error)) {
	run := func(f func()) bool { return s.resolving.Do(clientOf(ctx), f) }
	if isUrgent(ctx) {
		run = s.start
	}
	running := run(func() {
		done(func() (result T, err error) {
			defer func() {
				if p := recover(); p != nil {
					s.panics.Add(1)
					err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
				}
			}()
			ctx, cancel := context.WithTimeoutCause(ctx, resolveTimeout, ErrNoQuorum)
			defer cancel()
			ctx, end := context.WithCancelCause(ctx)
			defer end(nil)
			defer context.AfterFunc(s.ctx, func() { end(ErrClosed) })()
			return call(ctx)
		}())
	})
	if !running {
		var none T
		done(none, ErrClosed)
	}
}
