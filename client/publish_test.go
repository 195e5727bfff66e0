package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/distributed-lock-manager/dlm/client"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

func TestPublish(t *testing.T) {
	c, name := open(t, client.Config{}), fresh(t)
	data := []byte("one;")
	first, err := c.Publish(t.Context(), name, client.Append("f", data), client.Append("g", nil), client.Append("f", []byte("uno;")))
	must(t, err)
	copy(data, "XXXX") // the caller's again
	second, err := c.Publish(t.Context(), name, client.Append("f", []byte("two;")))
	must(t, err)
	if first.GetToken() == 0 || second.GetToken() <= first.GetToken() {
		t.Errorf("versions %v and %v", first, second)
	}
	reads(t, c, name, "f", "one;uno;two;")
	reads(t, c, name, "g", "")
	files, err := c.ListFiles(t.Context(), name)
	must(t, err)
	if len(files) != 2 || files[0].GetVersion().GetToken() != second.GetToken() || files[0].GetVersion().GetN() != second.GetN() {
		t.Errorf("files %v; want f as of %v", files, second)
	}
	_, err = c.Publish(t.Context(), name)
	must(t, err)

	l := lock(t, c, name)
	_, err = c.Publish(t.Context(), name, client.Append("f", []byte("no")))
	is(t, err, client.ErrBusy)
	var busy *client.BusyError
	if !errors.As(err, &busy) || busy.Holder.GetToken() != l.Token() {
		t.Errorf("%v; want the holder", err)
	}
	must(t, l.Append(t.Context(), "f", []byte("three;")))
	must(t, l.Unlock(t.Context()))
	reads(t, c, name, "f", "one;uno;two;three;")

	_, err = c.Publish(t.Context(), "a//b", client.Append("f", nil))
	is(t, err, client.ErrInvalidName)
	_, err = c.Publish(t.Context(), name, client.Append("\xff", nil))
	is(t, err, client.ErrInvalidName)
	_, err = c.Publish(t.Context(), name, &client.Operation{File: "f"})
	is(t, err, client.ErrInvalidArgument)
	_, err = c.Publish(t.Context(), name, client.Append("f", make([]byte, 1<<20+1)))
	is(t, err, client.ErrTooLarge)
}

// Who adds to what it has read adds to that and nothing else, among many who do.
func TestPublishIf(t *testing.T) {
	c, name := open(t, client.Config{}), fresh(t)
	v, err := c.FileVersion(t.Context(), name, "f")
	must(t, err)
	if v != nil {
		t.Errorf("a file that is not there is of version %v", v)
	}
	var running sync.WaitGroup
	const workers, each = 4, 10
	for range workers {
		running.Go(func() {
			for done := 0; done < each; {
				data, version, err := c.ReadVersion(t.Context(), name, "f")
				if err != nil && !errors.Is(err, client.ErrFileNotFound) {
					t.Errorf("ReadVersion: %v", err)
					return
				}
				next := fmt.Appendf(nil, "%d;", len(data))
				_, err = c.PublishIf(t.Context(), name, &client.Condition{Files: []*client.FileCondition{client.VersionIs("f", version)}}, client.Append("f", next))
				switch {
				case err == nil:
					done++
				case !errors.Is(err, client.ErrConflict):
					t.Errorf("PublishIf: %v", err)
					return
				}
			}
		})
	}
	running.Wait()
	want := ""
	for range workers * each {
		want += fmt.Sprintf("%d;", len(want))
	}
	reads(t, c, name, "f", want)

	v, err = c.FileVersion(t.Context(), name, "f")
	must(t, err)
	_, err = c.PublishIf(t.Context(), name, &client.Condition{Lock: &client.Version{}, Files: []*client.FileCondition{client.SizeIs("f", 1)}})
	var conflict *client.ConflictError
	if !errors.As(err, &conflict) || conflict.Version.GetToken() != v.GetToken() || len(conflict.Files) != 1 || conflict.Files[0].GetSize() != int64(len(want)) {
		t.Errorf("%v; want a conflict with version %v", err, v)
	}
	parsed, err := client.ParseVersion(client.FormatVersion(v))
	must(t, err)
	_, err = c.PublishIf(t.Context(), name, &client.Condition{Lock: parsed})
	must(t, err)
	_, err = c.PublishIf(t.Context(), name, &client.Condition{Files: []*client.FileCondition{{File: "f"}}})
	is(t, err, client.ErrInvalidArgument)
	_, err = c.PublishIf(t.Context(), name, &client.Condition{Files: []*client.FileCondition{client.SizeIs("a//", 1)}})
	is(t, err, client.ErrInvalidName)
}

// What is published through a server that loses and doubles messages is there as it was answered:
// once, or not at all, or nobody knows.
func TestPublishThroughFaults(t *testing.T) {
	t.Parallel()
	p := startFaulty(t, faults{requests: 0.1, replies: 0.1, twice: 0.1}, 7)
	c := open(t, client.Config{Endpoints: []string{p.addr}, TTL: 4 * time.Second, ConnectTimeout: 900 * time.Millisecond})
	direct, name := open(t, client.Config{}), fresh(t)
	var mu sync.Mutex
	told := map[string]error{}
	var running sync.WaitGroup
	for w := range 10 {
		running.Go(func() {
			for i := range 20 {
				text := fmt.Sprintf("<%d.%d>", w, i)
				_, err := c.Publish(t.Context(), name, client.Append("f", []byte(text)))
				mu.Lock()
				told[text] = err
				mu.Unlock()
			}
		})
	}
	running.Wait()
	all, err := direct.Read(t.Context(), name, "f")
	must(t, err)
	unknown := 0
	for text, err := range told {
		n := strings.Count(string(all), text)
		switch {
		case err == nil && n == 1, errors.Is(err, client.ErrOutcomeUnknown) && n <= 1, errors.Is(err, client.ErrUnavailable) && n == 0:
		default:
			t.Errorf("%s is there %d times, and was answered %v", text, n, err)
		}
		if errors.Is(err, client.ErrOutcomeUnknown) {
			unknown++
		}
	}
	t.Logf("%d messages lost, %d doubled; of %d publishes %d are not known", p.lost.Load(), p.doubled.Load(), len(told), unknown)
	if p.lost.Load() < 20 {
		t.Errorf("only %d messages were lost", p.lost.Load())
	}
}

func isPublish(r *dlmv1.StreamRequest) bool  { return r.GetPublish() != nil }
func isWithdraw(r *dlmv1.StreamRequest) bool { return r.GetWithdraw() != nil }

func published(token int64) *dlmv1.StreamResponse {
	return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Publish{Publish: &dlmv1.PublishResponse{
		Outcome: dlmv1.PublishResponse_OUTCOME_PUBLISHED, Version: &dlmv1.Version{Token: token, N: 1},
	}}}
}

// publishing has a scripted server answer publishes by turns, the last answer for ever, and
// withdrawals in one way.
func publishing(withdrawn *dlmv1.Version, publishes ...*dlmv1.StreamResponse) func(*dlmv1.StreamRequest) *dlmv1.StreamResponse {
	var mu sync.Mutex
	return func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case isPublish(r):
			next := publishes[0]
			if len(publishes) > 1 {
				publishes = publishes[1:]
			}
			return next
		case isWithdraw(r):
			return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Withdraw{Withdraw: &dlmv1.WithdrawResponse{Published: withdrawn}}}
		}
		return nil
	}
}

// scriptedPublish publishes through a server that answers in a given way.
func scriptedPublish(
	t *testing.T, patience time.Duration, answer func(*dlmv1.StreamRequest) *dlmv1.StreamResponse,
) (*scripted, *client.Version, error) {
	t.Helper()
	s := startScripted(t, answer)
	c := open(t, client.Config{Endpoints: []string{s.addr}, ConnectTimeout: patience})
	version, err := c.Publish(t.Context(), "l", client.Append("f", []byte("x")))
	return s, version, err
}

// What a publish comes to by what servers answer to it, and to it again.
func TestPublishAnswers(t *testing.T) {
	occupied := func() *dlmv1.StreamResponse {
		return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Publish{Publish: &dlmv1.PublishResponse{
			Outcome: dlmv1.PublishResponse_OUTCOME_BUSY,
		}}}
	}
	conflict := func() *dlmv1.StreamResponse {
		return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Publish{Publish: &dlmv1.PublishResponse{
			Outcome: dlmv1.PublishResponse_OUTCOME_CONFLICT,
		}}}
	}
	unserved := func() *dlmv1.StreamResponse { return refusal(codes.Unavailable, "NO_QUORUM") }
	nothing := func() *dlmv1.StreamResponse {
		r := refusal(codes.Unavailable, "NO_QUORUM")
		detail, err := anypb.New(&errdetails.ErrorInfo{Domain: "dlm", Reason: "NO_QUORUM", Metadata: map[string]string{"changed_nothing": "true"}})
		must(t, err)
		r.GetError().Details = []*anypb.Any{detail}
		return r
	}
	unknown := func() *dlmv1.StreamResponse { return refusal(codes.FailedPrecondition, "OUTCOME_UNKNOWN") }
	for name, test := range map[string]struct {
		publishes []*dlmv1.StreamResponse
		withdrawn *dlmv1.Version
		token     int64
		is, isNot error
		withdraws int
		lanes     int
	}{
		"published":                        {publishes: []*dlmv1.StreamResponse{published(7)}, token: 7, lanes: 1},
		"busy, sent once":                  {publishes: []*dlmv1.StreamResponse{occupied()}, is: client.ErrBusy, lanes: 1},
		"busy, sent twice":                 {publishes: []*dlmv1.StreamResponse{unserved(), occupied()}, is: client.ErrBusy, withdraws: 1, lanes: 1},
		"busy, and published by the first": {publishes: []*dlmv1.StreamResponse{unserved(), occupied()}, withdrawn: &dlmv1.Version{Token: 9}, token: 9, withdraws: 1, lanes: 1},
		"conflict, sent once":              {publishes: []*dlmv1.StreamResponse{conflict()}, is: client.ErrConflict, lanes: 1},
		"conflict with its own first":      {publishes: []*dlmv1.StreamResponse{unserved(), conflict()}, withdrawn: &dlmv1.Version{Token: 9}, token: 9, withdraws: 1, lanes: 1},
		"too old, sent once":               {publishes: []*dlmv1.StreamResponse{unknown(), published(8)}, token: 8, lanes: 2},
		"too old, sent twice":              {publishes: []*dlmv1.StreamResponse{unserved(), unknown()}, is: client.ErrOutcomeUnknown, lanes: 1},
		"never served":                     {publishes: []*dlmv1.StreamResponse{nothing()}, is: client.ErrUnavailable, isNot: client.ErrOutcomeUnknown, lanes: 1},
		"perhaps served":                   {publishes: []*dlmv1.StreamResponse{unserved(), nothing()}, is: client.ErrOutcomeUnknown, lanes: 1},
		"no space, sent once":              {publishes: []*dlmv1.StreamResponse{refusal(codes.ResourceExhausted, "NO_SPACE")}, is: client.ErrNoSpace, isNot: client.ErrOutcomeUnknown, lanes: 1},
		"no space, sent twice":             {publishes: []*dlmv1.StreamResponse{unserved(), refusal(codes.ResourceExhausted, "NO_SPACE")}, is: client.ErrOutcomeUnknown, lanes: 1},
		"not implemented":                  {publishes: []*dlmv1.StreamResponse{refusal(codes.Unimplemented, "UNIMPLEMENTED")}, is: client.ErrUnimplemented, isNot: client.ErrOutcomeUnknown, lanes: 1},
		"withdrawn by somebody":            {publishes: []*dlmv1.StreamResponse{{Response: &dlmv1.StreamResponse_Publish{Publish: &dlmv1.PublishResponse{Outcome: dlmv1.PublishResponse_OUTCOME_WITHDRAWN}}}}, isNot: client.ErrBusy, lanes: 1},
	} {
		t.Run(name, func(t *testing.T) {
			patience := time.Minute
			if errors.Is(test.is, client.ErrUnavailable) || errors.Is(test.is, client.ErrOutcomeUnknown) {
				patience = time.Second // it tries until then
			}
			s, version, err := scriptedPublish(t, patience, publishing(test.withdrawn, test.publishes...))
			for errors.Is(test.is, client.ErrUnavailable) && errors.Is(err, client.ErrOutcomeUnknown) && patience < 20*time.Second {
				patience *= 2 // the last try had no time for an answer: nobody knows
				s, version, err = scriptedPublish(t, patience, publishing(test.withdrawn, test.publishes...))
			}
			switch {
			case test.token > 0 && (err != nil || version.GetToken() != test.token):
				t.Errorf("%v, %v; want token %d", version, err, test.token)
			case test.token == 0 && err == nil, test.is != nil && !errors.Is(err, test.is), test.isNot != nil && errors.Is(err, test.isNot):
				t.Errorf("%v; want %v, and not %v", err, test.is, test.isNot)
			}
			lanes := map[string]bool{}
			for _, r := range s.received(isPublish) {
				lanes[string(r.GetPublish().GetLane())] = true
			}
			if n := len(s.received(isWithdraw)); n != test.withdraws || len(lanes) != test.lanes {
				t.Errorf("%d withdrawals and %d lanes; want %d and %d", n, len(lanes), test.withdraws, test.lanes)
			}
		})
	}
}

// That etcd has no space says nothing of a publish that was sent before, in its turn as at once.
func TestPublishInTurnWithoutSpace(t *testing.T) {
	t.Parallel()
	for sends, want := range map[int]bool{1: false, 2: true} {
		publishes := []*dlmv1.StreamResponse{refusal(codes.Unavailable, "NO_QUORUM"), refusal(codes.ResourceExhausted, "NO_SPACE")}[2-sends:]
		s := startScripted(t, publishing(nil, publishes...))
		c := open(t, client.Config{Endpoints: []string{s.addr}})
		_, err := c.PublishInTurn(t.Context(), "l", nil, client.Append("f", []byte("x")))
		is(t, err, client.ErrNoSpace)
		if unknown := errors.Is(err, client.ErrOutcomeUnknown); unknown != want {
			t.Errorf("sent %d times: %v; want that its outcome is unknown: %t", sends, err, want)
		}
	}
}

// Publishes one after the other are of one lane, numbered upwards; several at once are of several.
func TestPublishLanes(t *testing.T) {
	t.Parallel()
	s := startScripted(t, publishing(nil, published(7)))
	c := open(t, client.Config{Endpoints: []string{s.addr}})
	for range 3 {
		_, err := c.Publish(t.Context(), "l", client.Append("f", nil))
		must(t, err)
	}
	lanes := map[string]bool{}
	for i, r := range s.received(isPublish) {
		p := r.GetPublish()
		lanes[string(p.GetLane())] = true
		if p.GetNumber() != uint64(i+1) || len(p.GetLane()) != 16 || i > 0 && p.GetBorn() != 7 {
			t.Errorf("the publish %d has number %d, born %d", i+1, p.GetNumber(), p.GetBorn())
		}
	}
	_, err := c.Publish(t.Context(), "another", client.Append("f", nil))
	must(t, err)
	other := s.received(isPublish)[3].GetPublish()
	if len(lanes) != 1 || lanes[string(other.GetLane())] || other.GetNumber() != 1 {
		t.Errorf("%d lanes of one lock, and %v of another", len(lanes), other)
	}
}

// Who publishes in its turn waits for it as who locks, and is published once.
func TestPublishInTurn(t *testing.T) {
	t.Parallel()
	holder, c, name := open(t, client.Config{}), open(t, client.Config{}), fresh(t)
	l := lock(t, holder, name)
	must(t, l.Append(t.Context(), "f", []byte("held;")))
	const many = 20
	var running sync.WaitGroup
	for range many {
		running.Go(func() {
			if _, err := c.PublishInTurn(t.Context(), name, nil, client.Append("f", []byte("x"))); err != nil {
				t.Errorf("PublishInTurn: %v", err)
			}
		})
	}
	await.Eventually(t, time.Minute, "all wait", func() bool { return queued(t, holder, name) == many })
	_, err := holder.PublishInTurn(t.Context(), name, nil, client.Append("f", []byte("no")))
	is(t, err, client.ErrBusy) // behind itself
	ctx, cancel := context.WithCancel(t.Context())
	gaveUp := make(chan error, 1)
	go func() {
		_, err := c.PublishInTurn(ctx, name, nil, client.Append("f", []byte("no")))
		gaveUp <- err
	}()
	await.Eventually(t, time.Minute, "one more waits", func() bool { return queued(t, holder, name) == many+1 })
	cancel()
	is(t, await.Receive(t, time.Minute, "who gave up", gaveUp), context.Canceled)
	await.Eventually(t, time.Minute, "it has left", func() bool { return queued(t, holder, name) == many })
	must(t, l.Unlock(t.Context()))
	running.Wait()
	reads(t, holder, name, "f", "held;"+strings.Repeat("x", many))
}

func queued(t *testing.T, c *client.Client, name string) int {
	t.Helper()
	info, err := c.Inspect(t.Context(), name)
	must(t, err)
	return int(info.GetQueueLength())
}
