package etcdstore

import (
	"context"
	"errors"
	"testing"
	"time"
)

// What was asked of a leader that is gone ends soon after another one is heard of, and nothing else does.
func TestElectionEndsOldCalls(t *testing.T) {
	t.Parallel()
	h := newHealth(nil)
	h.set(true)
	call := func() context.Context {
		ctx, cancel := h.bound(t.Context())
		t.Cleanup(cancel)
		return ctx
	}
	began := time.Now()
	oldest := call()
	h.led(7)
	second := call()
	h.led(7)
	h.led(8)
	h.led(7) // a member that is behind
	third := call()
	for name, ctx := range map[string]context.Context{"first": oldest, "second": second} {
		<-ctx.Done() // after txnTimeout at the latest
		if !errors.Is(context.Cause(ctx), ErrNoQuorum) {
			t.Errorf("the %s call: %v", name, context.Cause(ctx))
		}
	}
	if took := time.Since(began); took < lastWord || took >= txnTimeout {
		t.Errorf("they ended after %v", took)
	}
	if third.Err() != nil {
		t.Errorf("a call of the new leader's ended: %v", context.Cause(third))
	}
	h.set(false)
	<-third.Done()
	if !errors.Is(context.Cause(third), ErrNoQuorum) {
		t.Errorf("without a quorum: %v", context.Cause(third))
	}
}
