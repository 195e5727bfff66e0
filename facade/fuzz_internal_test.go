package facade

import (
	"errors"
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// A duration that was sent is taken as it is or refused, and never as the store's word for
// something else. One that Go cannot express is far over every bound of the store, and stays so.
func FuzzDurations(f *testing.F) {
	for _, d := range []*durationpb.Duration{
		{}, {Nanos: 1}, {Nanos: -1}, {Seconds: 1}, {Seconds: -1}, {Seconds: 1, Nanos: -1}, {Nanos: 1e9}, {Seconds: 9223372036, Nanos: 854775807},
		{Seconds: 9223372036, Nanos: 854775817},
		{Seconds: 9223372037}, {Seconds: 315_576_000_000}, {Seconds: 315_576_000_001}, {Seconds: math.MaxInt64, Nanos: math.MaxInt32},
		{Seconds: math.MinInt64, Nanos: math.MinInt32},
	} {
		f.Add(d.GetSeconds(), d.GetNanos())
	}
	f.Fuzz(func(t *testing.T, seconds int64, nanos int32) {
		sent := &durationpb.Duration{Seconds: seconds, Nanos: nanos}
		faithful := func(d time.Duration) bool {
			again := durationpb.New(d)
			return again.GetSeconds() == seconds && again.GetNanos() == nanos ||
				d == math.MaxInt64 && seconds >= int64(d/time.Second) || d == math.MinInt64 && seconds <= int64(d/time.Second)
		}
		if ttl, err := decodeTTL(sent); err == nil && (ttl == 0 || !faithful(ttl)) || err != nil && !errors.Is(err, etcdstore.ErrInvalidTTL) {
			t.Errorf("TTL %v: %v, %v", sent, ttl, err)
		}
		wait, err := decodeWait(sent)
		if err == nil && (wait == etcdstore.WaitForever || wait < 0 || !faithful(wait)) ||
			err != nil && !errors.Is(err, etcdstore.ErrInvalidArgument) {
			t.Errorf("wait %v: %v, %v", sent, wait, err)
		}
	})
}

// What the log shows of a credential is a session's public id, and of a client's text at most so
// much, in plain ASCII.
func FuzzLogged(f *testing.F) {
	for _, text := range []string{
		"0123456789abcdef.0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef.0123456789abcdef", "0123456789ABCDEF.x", ".", "",
		"secret.", "a\n.b", "é\u202e.x", "0123456789abcdeé.x", "\xff\xfe", "jobs/nightly",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range quote(text) {
			if r < ' ' || r > '~' {
				t.Errorf("%q is logged as %q", text, quote(text))
			}
		}
		if n := len(quote(text)); n > 6*maxLogged {
			t.Errorf("%d bytes are logged as %d", len(text), n)
		}
		switch id := publicID(text); {
		case id == "":
		case len(id) != 16 || text[:16] != id || text[16] != '.':
			t.Errorf("of credential %q the log shows %q", text, id)
		}
	})
}
