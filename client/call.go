package client

import (
	"context"
	"errors"
	"time"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// answer is what became of a call.
type answer struct {
	msg  *dlmv1.StreamResponse
	sent time.Time // when the message that it answers was sent; zero with err
	link uint64    // the number of the link that it came on; 0 with err
	err  error     // *Error: a server refused it; ErrUnavailable, ErrClosed: no server answered
	once bool      // the call was sent once, to whichever server; with ErrLimit, all of its sendings were refused
}

// call is one request, from its start until it is answered. It outlives streams and servers.
type call struct {
	// message returns what is to be sent, without a number. It is called for every sending, with
	// the transport's mu held: it must not block, and must not change a message that it returned
	// before.
	message func() *dlmv1.StreamRequest
	// done is called with the answer: once, or never if the call was forgotten before. Any
	// goroutine may call it, without a lock of the transport. It must not block, as the next
	// answers wait for it.
	done func(answer)
	// waits says that a healthy server may take any time to answer.
	waits bool
	// limit is how long a server may leave this call unanswered, even if it answers others, before
	// another server is tried. 0: no limit. Calls that have a limit are sent first.
	limit time.Duration
	// bound is how long the caller waits for servers. Zero: as long as the connect timeout says.
	bound bound
	// lease is the session whose locks the call is about: while it lives, the call is never given
	// up. nil: none.
	lease *session
	// says is that the message says what the client has seen: it is sent on a link whose server's
	// cluster is not known yet.
	says bool

	// traceparent goes with the message; empty: none does.
	traceparent string

	// Below: guarded by the transport's mu.

	size    int       // of the message, in bytes
	order   uint64    // its place among the unanswered calls
	started time.Time // set by start unless the caller did
	numbers []uint64  // those that it was sent under on the current link
	link    *link     // where it was last sent; nil: nowhere yet
	began   time.Time // when it was first sent there
	sent    time.Time // when it was last sent
	resent  int       // how often on this link
	sends   int       // how often in all
	queued  bool
	ended   bool // answered or forgotten

	misses       int       // how many endpoints in a row could not be reached since it was started
	refusedSince time.Time // since when servers say that they cannot serve it; zero: they did not
	refusals     int       // how often on this link
	limited      *Error    // the last answer was this limit's; nil: it was not
	limits       int       // how often in a row
	limitedSince time.Time // since when, on this link; zero: it was not
	retryAt      time.Time // not before this, the next try on this link
}

// bound is what a bounded wait for a lock means for the wait for servers. The zero value is none.
type bound struct {
	due  time.Time // from then on a healthy server does not wait any more, and answers
	by   time.Time // the caller waits until then
	once bool      // the caller does not wait for a server that cannot be reached now
}

// What a bounded wait may take longer, for answers on their way and servers that do not answer: so
// long in all at least, and so long after the wait.
const (
	leastBound = 2 * time.Second
	lateBound  = time.Second
)

func boundOf(wait time.Duration, start time.Time) bound {
	if wait == forever {
		return bound{}
	}
	return bound{due: start.Add(wait), by: start.Add(max(leastBound, wait+lateBound)), once: wait == 0}
}

// passed reports whether the time to wait has gone by.
func (b bound) passed(now time.Time) bool { return !b.due.IsZero() && !now.Before(b.due) }

func (b bound) over(now time.Time) bool { return !b.by.IsZero() && !now.Before(b.by) }

// sending is one message of a call. A call that is repeated on a link has several.
type sending struct {
	call  *call
	at    time.Time
	bytes int // sent on the link up to this message, and with it
}

func request(m *dlmv1.StreamRequest) func() *dlmv1.StreamRequest {
	return func() *dlmv1.StreamRequest { return m }
}

// ask starts a call that a healthy server answers at once, and waits for the answer. pick is the
// getter of the kind of answer that belongs to the call: if the server answered something else, it
// returns nil, and ask errMalformed.
func ask[M any](
	ctx context.Context, t *transport, m *dlmv1.StreamRequest, pick func(*dlmv1.StreamResponse) *M,
) (*M, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	hooks := t.cfg.Hooks.begin(ctx, opOf(m))
	picked, err := askWith(ctx, t, m, pick, hooks.Traceparent)
	hooks.end(Result{Err: err})
	return picked, err
}

func askWith[M any](
	ctx context.Context, t *transport, m *dlmv1.StreamRequest, pick func(*dlmv1.StreamResponse) *M, traceparent string,
) (*M, error) {
	a, _ := t.answerTo(ctx, m, traceparent)
	if a.err != nil {
		return nil, a.err
	}
	if picked := pick(a.msg); picked != nil {
		return picked, nil
	}
	return nil, errMalformed
}

// answerTo is the answer to a call that a healthy server answers at once, or with the error of ctx
// if that ends first. sent: it may have taken effect, as far as the client knows.
func (t *transport) answerTo(ctx context.Context, m *dlmv1.StreamRequest, traceparent string) (a answer, sent bool) {
	answers := make(chan answer, 1)
	c := &call{message: request(m), done: func(a answer) { answers <- a }, traceparent: traceparent}
	if err := t.start(c); err != nil {
		return answer{err: err}, false
	}
	select {
	case a = <-answers:
	case <-ctx.Done():
		t.forget(c)
		a = answer{err: t.orLimit(c, ctx.Err())}
	}
	return a, t.sent(c)
}

// errMalformed is the error of an answer that does not fit its call.
var errMalformed = errors.New("the server's answer does not fit the call")
