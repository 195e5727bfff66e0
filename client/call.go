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
	err  error     // *Error: a server refused; ErrUnavailable, ErrClosed: none answered
}

// call is one request until it is answered: it outlives streams and servers.
type call struct {
	// message gives what is to be sent, without a number. It is called for every sending, and must neither block nor
	// change what it gave before.
	message func() *dlmv1.StreamRequest
	// done gets the answer, once, unless the call was forgotten before. It must not block.
	done func(answer)
	// waits: a healthy server may take any time to answer.
	waits bool
	// limit is how long a server may owe this answer, even if it gives others, before another one is tried. 0: none. Calls
	// that have a limit go first.
	limit time.Duration
	// lease is the session whose locks the call is about: while it lives the call is never given up.
	lease *session

	// Below: guarded by the transport's mu.

	size    int       // bytes of the message
	order   uint64    // place among the unanswered calls
	started time.Time // set by start unless the caller did
	numbers []uint64  // under which it was sent on the current link
	link    *link     // where it was last sent; nil: nowhere yet
	began   time.Time // when it was first sent there
	sent    time.Time // when it was last sent
	resent  int       // how often on this link
	queued  bool
	ended   bool // answered or forgotten

	refusedSince time.Time // since when servers say that they cannot serve it; zero: they did not
	refusals     int       // how often on this link
	retryAt      time.Time // not before this, the next try on this link
}

// sending is one message of a call.
type sending struct {
	call  *call
	at    time.Time
	bytes int // sent on the link up to and with it
}

func request(m *dlmv1.StreamRequest) func() *dlmv1.StreamRequest {
	return func() *dlmv1.StreamRequest { return m }
}

// ask starts a call that a healthy server answers at once, and waits for the answer, of which pick takes what answers the
// call: nil if the server answered another one.
func ask[M any](
	ctx context.Context, t *transport, m *dlmv1.StreamRequest, pick func(*dlmv1.StreamResponse) *M,
) (*M, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	answers := make(chan answer, 1)
	c := &call{message: request(m), done: func(a answer) { answers <- a }}
	if err := t.start(c); err != nil {
		return nil, err
	}
	select {
	case a := <-answers:
		if a.err != nil {
			return nil, a.err
		}
		if picked := pick(a.msg); picked != nil {
			return picked, nil
		}
		return nil, errMalformed
	case <-ctx.Done():
		t.forget(c)
		return nil, ctx.Err()
	}
}

// errMalformed is a server that answers another call than it was asked.
var errMalformed = errors.New("the server's answer does not fit the call")
