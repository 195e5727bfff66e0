package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// notByThisCall is an unknown outcome of a section that the call has not ended.
func notByThisCall() *dlmv1.StreamResponse {
	detail, err := anypb.New(&errdetails.ErrorInfo{
		Domain: "dlm", Reason: "OUTCOME_UNKNOWN", Metadata: map[string]string{"not_by_this_call": "true"},
	})
	if err != nil {
		panic(err)
	}
	return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Error{Error: &dlmv1.Error{
		Code: int32(codes.FailedPrecondition), Message: "refused", Details: []*anypb.Any{detail},
	}}}
}

// What a section came to whose ending is refused: it was lost if the server knows that the message
// has not ended it, and there was no other that may have.
func TestOutcomeOfAnEnding(t *testing.T) {
	t.Parallel()
	unknown := func() *dlmv1.StreamResponse { return refusal(codes.FailedPrecondition, "OUTCOME_UNKNOWN") }
	expired := func() *dlmv1.StreamResponse { return refusal(codes.FailedPrecondition, "SESSION_EXPIRED") }
	repeated := func() *dlmv1.StreamResponse { return refusal(codes.Unavailable, "NO_QUORUM") }
	unproven := func() *dlmv1.StreamResponse { return refusal(codes.Internal, "INTERNAL") }
	calls := map[string]struct {
		is   func(*dlmv1.StreamRequest) bool
		call func(context.Context, *client.Lock) error
		lost error // of a section that was lost
	}{
		"Unlock":  {isRelease, func(ctx context.Context, l *client.Lock) error { return l.Unlock(ctx) }, client.ErrLockExpired},
		"Commit":  {isCommit, func(ctx context.Context, l *client.Lock) error { return l.Commit(ctx) }, client.ErrLockExpired},
		"Discard": {isDiscard, func(ctx context.Context, l *client.Lock) error { return l.Discard(ctx) }, nil},
	}
	for _, test := range []struct {
		name    string
		answers []func() *dlmv1.StreamResponse // one after the other
		lost    bool                           // else it is not known
	}{
		{"unknown", []func() *dlmv1.StreamResponse{unknown}, false},
		{"unknown, not by this call", []func() *dlmv1.StreamResponse{notByThisCall}, true},
		{"session expired", []func() *dlmv1.StreamResponse{expired}, true},
		{"sent twice, unknown, not by this call", []func() *dlmv1.StreamResponse{repeated, notByThisCall}, false},
		{"sent twice, session expired", []func() *dlmv1.StreamResponse{repeated, expired}, false},
		{"tried twice, unknown, not by this call", []func() *dlmv1.StreamResponse{unproven, notByThisCall}, false},
		{"tried twice, session expired", []func() *dlmv1.StreamResponse{unproven, expired}, false},
	} {
		for name, c := range calls {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				var answered atomic.Int64
				s := startScripted(t, when(c.is, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
					n := int(answered.Add(1)) - 1
					return test.answers[min(n, len(test.answers)-1)]()
				}))
				l := lock(t, open(t, client.Config{Endpoints: []string{s.addr}, TTL: time.Minute}), "a")
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				err := c.call(ctx, l)
				if answered.Load() < int64(len(test.answers)) { // refused, and the section goes on
					if err == nil || errors.Is(err, client.ErrLockExpired) {
						t.Errorf("the first answer: %v; want it refused", err)
					}
					err = c.call(ctx, l)
				}
				want := client.ErrOutcomeUnknown
				if test.lost {
					want = c.lost
				}
				is(t, err, want)
				if test.lost && errors.Is(err, client.ErrOutcomeUnknown) {
					t.Errorf("%v: want it known", err)
				}
			})
		}
	}
}

// An ending names the appends that were staged last, of those that were answered over each stream.
func TestEndingNamesTheLastAppend(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	at := map[string]int64{} // by what is appended
	requests := map[string]string{}
	s := startScripted(t, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case isAppend(r):
			data := string(r.GetAppend().GetData())
			requests[data] = r.GetAppend().GetRequest()
			if at[data] < 0 {
				return refusal(codes.ResourceExhausted, "QUOTA")
			}
			return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Append{Append: &dlmv1.AppendResponse{Revision: at[data]}}}
		case isCommit(r):
			return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Commit{Commit: &dlmv1.CommitResponse{Token: 100}}}
		}
		return nil
	})
	p := newPipe(t, s.addr)
	l := lock(t, open(t, client.Config{Endpoints: []string{p.addr()}, TTL: time.Minute}), "a")
	for i, rev := range []int64{20, 40, 30, -1, 0, 60, 50} { // 0: of a server that does not say
		if rev == 60 { // over another stream
			p.cut()
			storetest.Eventually(t, "another stream", func() bool { return s.opened() == 2 })
		}
		data := fmt.Sprint("r", i)
		mu.Lock()
		at[data] = rev
		mu.Unlock()
		if err := l.Append(t.Context(), "f", []byte(data)); (err == nil) != (rev >= 0) {
			t.Errorf("append of revision %d: %v", rev, err)
		}
	}
	must(t, l.Commit(t.Context()))
	must(t, l.Unlock(t.Context()))
	want := []string{requests["r1"], requests["r5"]}
	if got := s.received(isCommit)[0].GetCommit().GetLast(); !slices.Equal(got, want) {
		t.Errorf("the commit names %q; want the appends at 40 and 60, %q", got, want)
	}
	if got := s.received(isRelease)[0].GetRelease().GetLast(); len(got) > 0 {
		t.Errorf("the release of the next section names %q; want nothing", got)
	}
}

// A record that was acknowledged is gone: the section goes on until it is discarded.
func TestDataLoss(t *testing.T) {
	t.Parallel()
	s := startScripted(t, when(func(r *dlmv1.StreamRequest) bool { return isRelease(r) || isCommit(r) }, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
		return refusal(codes.FailedPrecondition, "DATA_LOSS")
	}))
	l := lock(t, open(t, client.Config{Endpoints: []string{s.addr}, TTL: time.Minute}), "a")
	must(t, l.Append(t.Context(), "f", []byte("x")))
	is(t, l.Commit(t.Context()), client.ErrDataLoss)
	is(t, l.Unlock(t.Context()), client.ErrDataLoss)
	must(t, l.Context().Err())
	must(t, l.Discard(t.Context()))
}

// A release that nobody can be sure of, then a discard that no server answers: not known is what it
// is.
func TestDiscardAfterADoubtfulRelease(t *testing.T) {
	t.Parallel()
	s := startScripted(t, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
		switch {
		case isRelease(r):
			return refusal(codes.Internal, "INTERNAL")
		case isDiscard(r), isHeartbeat(r):
			return silence
		}
		return nil
	})
	l := lock(t, open(t, client.Config{Endpoints: []string{s.addr}, TTL: 2 * time.Second, ConnectTimeout: time.Second}), "a")
	if err := l.Unlock(t.Context()); err == nil || errors.Is(err, client.ErrOutcomeUnknown) {
		t.Errorf("Unlock: %v; want the server's refusal", err)
	}
	is(t, l.Discard(t.Context()), client.ErrOutcomeUnknown)
}
