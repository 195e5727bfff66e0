package members

import (
	"context"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// cause is one of the reasons for which a member is of no use, in words for people. gRPC has them
// as text only, in which what was found out about the connection is quoted.
type cause struct {
	text    string // a part of the error
	says    string
	forGood bool // it does not pass by itself
}

// endsIt is what can be told of a connection that ends; a certificate is refused only after the
// handshake, and the word of it may come too late.
const endsIt = "it ends the connection: does it want TLS, so that its URL is https://, or another certificate of this server?"

func causes() []cause {
	return []cause{
		{rpctypes.ErrAuthFailed.Error(), "it refuses the user or the password", true},
		{"user name is empty", "it wants a user", true},
		{"remote error: tls: ", "it does not take the certificate of this server, or its lack of one", true},
		{"signed by unknown authority", "its certificate is not trusted: another authority signed it than the one that was given", true},
		{"failed to verify certificate", "its certificate is not trusted", true},
		{"first record does not look like a TLS handshake", "it does not speak TLS: is its URL http://?", true},
		{"authentication handshake failed: EOF", "it does not speak TLS: is its URL http://?", false},
		{"error reading server preface: EOF", endsIt, false},
		{"broken pipe", endsIt, false},
		{"connection reset by peer", endsIt, false},
		{"looked like an HTTP/1.1 header", "it answers, but is no etcd: is this etcd's client port?", true},
		{"unexpected HTTP status code", "it answers, but is no etcd: is this etcd's client port?", false},
		{"connection refused", "nothing listens there", false},
		{"no such host", "its name cannot be resolved", false},
	}
}

func causeOf(err error) (cause, bool) {
	for _, c := range causes() {
		if strings.Contains(err.Error(), c.text) {
			return c, true
		}
	}
	return cause{}, false
}

// Explain puts words for people before an error of a member's, if there are any.
func Explain(err error) error {
	if c, known := causeOf(err); known {
		return fmt.Errorf("%s (%w)", c.says, err)
	}
	return err
}

// telling returns which of two errors to keep, the later one unless only the one before says why.
func telling(before, err error) error {
	if before != nil {
		_, knew := causeOf(before)
		if _, known := causeOf(err); knew && !known {
			return before
		}
	}
	return err
}

// refused reports whether it would be no use to ask again.
func refused(err error) bool {
	c, known := causeOf(err)
	return known && c.forGood
}

// Why asks the member in use what is the matter with it, of which clientv3 says nothing when it has
// tried again until its time was over. nil: it has an answer now, or cannot be asked like this.
func (m *Members) Why(ctx context.Context) error {
	if m.cfg.Endpoints == nil {
		return nil
	}
	used := m.InUse()
	if err := used.ask(ctx, m.key); err != nil {
		return fmt.Errorf("%s: %w", used.endpoint, Explain(err))
	}
	return nil
}
