package commit

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// What was asked of a leader that is gone ends soon after another one is heard of, and nothing else
// does.
func TestElectionEndsOldCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(nil)
		h.Set(true)
		call := func() context.Context {
			ctx, cancel := h.Bound(t.Context())
			t.Cleanup(cancel)
			return ctx
		}
		began := time.Now()
		oldest := call()
		h.Led(7)
		second := call()
		h.Led(7)
		h.Led(8)
		third := call()
		h.Led(7) // a member that is behind
		for name, ctx := range map[string]context.Context{"first": oldest, "second": second} {
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), ErrNoQuorum) {
				t.Errorf("the %s call: %v", name, context.Cause(ctx))
			}
		}
		if took := time.Since(began); took != lastWord {
			t.Errorf("they ended after %v", took)
		}
		<-time.After(lastWord)
		if third.Err() != nil {
			t.Errorf("a call of the new leader's ended: %v", context.Cause(third))
		}
		h.Set(false)
		<-third.Done()
		if !errors.Is(context.Cause(third), ErrNoQuorum) {
			t.Errorf("without a quorum: %v", context.Cause(third))
		}
	})
}

// Whoever is told of changes hears of each once.
func TestHealth(t *testing.T) {
	t.Parallel()
	var told []bool
	h := NewHealth(func(up bool) { told = append(told, up) })
	down := func(want bool) {
		t.Helper()
		select {
		case <-h.Down():
			if !want {
				t.Error("it is down")
			}
		default:
			if want {
				t.Error("it is not down")
			}
		}
		if h.Up() == want {
			t.Errorf("up: %t", h.Up())
		}
	}
	down(true)
	h.Set(false)
	h.Set(true)
	down(false)
	was := h.Down()
	h.Set(true)
	h.Set(false)
	down(true)
	<-was
	h.Set(true)
	down(false)
	if want := []bool{true, false, true}; !slices.Equal(told, want) {
		t.Errorf("told %v; want %v", told, want)
	}
}

// A call of etcd has Timeout, not more; and no more than its caller.
func TestBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(nil)
		h.Set(true)
		errOwn := errors.New("the caller's own")
		for name, test := range map[string]struct {
			leave func(context.CancelCauseFunc)
			after time.Duration
			want  error
		}{
			"no answer":         {func(context.CancelCauseFunc) {}, Timeout, ErrNoQuorum},
			"the caller's end":  {func(cancel context.CancelCauseFunc) { cancel(errOwn) }, 0, errOwn},
			"no quorum":         {func(context.CancelCauseFunc) { h.Set(false) }, 0, ErrNoQuorum},
			"no quorum already": {func(context.CancelCauseFunc) {}, 0, ErrNoQuorum},
		} {
			h.Set(name != "no quorum already")
			caller, cancel := context.WithCancelCause(t.Context())
			ctx, end := h.Bound(caller)
			began := time.Now()
			test.leave(cancel)
			<-ctx.Done()
			if took := time.Since(began); took != test.after || !errors.Is(context.Cause(ctx), test.want) {
				t.Errorf("%s: after %v, %v; want after %v, %v", name, took, context.Cause(ctx), test.after, test.want)
			}
			end()
			cancel(nil)
		}
	})
}

// Two elections close to each other: what was asked of each of the two leaders that are gone ends,
// in its own time.
func TestElectionsInARow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHealth(nil)
		h.Set(true)
		h.Led(1)
		var calls []context.Context
		for term := uint64(2); term < 5; term++ {
			ctx, cancel := h.Bound(t.Context())
			defer cancel()
			calls = append(calls, ctx)
			h.Led(term)
			<-time.After(lastWord / 4)
		}
		last, cancel := h.Bound(t.Context())
		defer cancel()
		began := time.Now().Add(-3 * lastWord / 4)
		for i, ctx := range calls {
			<-ctx.Done()
			if took, want := time.Since(began), lastWord+time.Duration(i)*lastWord/4; took != want {
				t.Errorf("the call of leader %d ended after %v; want %v", i+1, took, want)
			}
		}
		<-time.After(lastWord)
		if last.Err() != nil {
			t.Errorf("the last leader's: %v", context.Cause(last))
		}
	})
}

// While etcd cannot commit nobody asks it anything, and everybody is told why.
func TestNothingIsServed(t *testing.T) {
	t.Parallel()
	for name, closed := range map[string]bool{"no quorum": false, "closed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withRig(t, func(r *rig) {
				r.env.Health.Set(false)
				r.closed.Store(closed)
				want := ErrNoQuorum
				if closed {
					want = ErrClosed
				}
				_, committed := r.Commit(r.Context(), put("a"))
				_, read := r.Commit(r.Context(), Txn{Then: []*pb.RequestOp{op.Get("a")}})
				_, alone := r.Alone(r.Context(), put("b"))
				called := r.Call(r.Context(), func(context.Context) error {
					r.Error("etcd was called")
					return nil
				})
				submitted := r.ask(put("c"))[0].err
				later := r.asked(put("d"))
				r.SubmitLater(Caller{}, later.footprint, func() Txn { return later.Txn }, later.answer)
				for name, got := range map[string]error{
					"Commit": committed, "Commit of a read": read, "Alone": alone, "Call": called, "Submit": submitted,
					"SubmitLater": later.err, "Unserved": r.Unserved(),
				} {
					if !errors.Is(got, want) {
						t.Errorf("%s: %v; want %v", name, got, want)
					}
				}
				for name, got := range map[string]error{"Commit": committed, "Submit": submitted, "SubmitLater": later.err} {
					if !NotSent(got) {
						t.Errorf("%s: %v does not say that nothing was sent", name, got)
					}
				}
				r.called(r.settle(), 0)
			})
		})
	}
}

// Those whose batch is on its way when the quorum is lost, and those who wait behind it, are told
// at once. Afterwards it goes on.
func TestQuorumIsLost(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		began := time.Now()
		r.hold()
		all := r.ask(put("a"))
		r.settled()
		all = append(all, r.ask(put("a"), put("b"))...)
		r.env.Health.Set(false)
		r.called(r.settle(), 1)
		r.refused(ErrNoQuorum, all...)
		r.env.Health.Set(true)
		again := r.ask(put("a"))
		r.settle()
		r.succeeded(again...)
		if took := time.Since(began); took > 0 {
			r.Errorf("it took %v", took)
		}
	})
}

// What etcd says of a call is one of the errors that callers know, where it is one.
func TestCallErrors(t *testing.T) {
	t.Parallel()
	errGone := errors.New("gone")
	for name, test := range map[string]struct {
		says   error
		during func(*rig, context.CancelCauseFunc)
		want   error
	}{
		"no error":     {},
		"ended lease":  {says: rpctypes.ErrLeaseNotFound, want: ErrSessionExpired},
		"full":         {says: rpctypes.ErrNoSpace, want: ErrNoSpace},
		"no leader":    {says: rpctypes.ErrNoLeader, want: ErrNoQuorum},
		"another one":  {says: rpctypes.ErrPermissionDenied, want: rpctypes.ErrPermissionDenied},
		"closed":       {says: context.Canceled, during: func(r *rig, _ context.CancelCauseFunc) { r.closed.Store(true) }, want: ErrClosed},
		"caller gone":  {says: context.Canceled, during: func(_ *rig, cancel context.CancelCauseFunc) { cancel(errGone) }, want: errGone},
		"quorum gone":  {says: context.Canceled, during: func(r *rig, _ context.CancelCauseFunc) { r.env.Health.Set(false) }, want: ErrNoQuorum},
		"lease, late":  {says: rpctypes.ErrLeaseNotFound, during: func(r *rig, _ context.CancelCauseFunc) { r.closed.Store(true) }, want: ErrSessionExpired},
		"out of time":  {says: context.DeadlineExceeded, during: func(r *rig, _ context.CancelCauseFunc) { r.pass(Timeout) }, want: ErrNoQuorum},
		"other stream": {says: status.Error(codes.ResourceExhausted, "too many requests"), want: ErrNoQuorum},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withRig(t, func(r *rig) {
				ctx, cancel := context.WithCancelCause(r.Context())
				defer cancel(nil)
				err := r.Call(ctx, func(ctx context.Context) error {
					if test.during != nil {
						test.during(r, cancel)
						<-ctx.Done()
					}
					return test.says
				})
				if !errors.Is(err, test.want) {
					t.Errorf("got %v; want %v", err, test.want)
				}
			})
		})
	}
}
