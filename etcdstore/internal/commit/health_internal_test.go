package commit

import (
	"context"
	"errors"
	"testing"
	"time"
)

// What was asked of a leader that is gone ends soon after another one is heard of, and nothing else does.
func TestElectionEndsOldCalls(t *testing.T) {
	t.Parallel()
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
	h.Led(7) // a member that is behind
	third := call()
	for name, ctx := range map[string]context.Context{"first": oldest, "second": second} {
		<-ctx.Done() // after Timeout at the latest
		if !errors.Is(context.Cause(ctx), ErrNoQuorum) {
			t.Errorf("the %s call: %v", name, context.Cause(ctx))
		}
	}
	if took := time.Since(began); took < lastWord || took >= Timeout {
		t.Errorf("they ended after %v", took)
	}
	if third.Err() != nil {
		t.Errorf("a call of the new leader's ended: %v", context.Cause(third))
	}
	h.Set(false)
	<-third.Done()
	if !errors.Is(context.Cause(third), ErrNoQuorum) {
		t.Errorf("without a quorum: %v", context.Cause(third))
	}
}
