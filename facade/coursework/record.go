package coursework

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// record is what is remembered of a client. It is written before a call is made, so that a repeat,
// through any server, is made as the first was.
type record struct {
	Session  string `json:"session"`            // the credential
	Held     int64  `json:"held,omitempty"`     // the token that the client believes to hold; 0: none
	Released int64  `json:"released,omitempty"` // the last token that it released, or tried to
	Missed   int64  `json:"missed,omitempty"`   // the last token whose loss the client has learned from an append
	Wrote    int64  `json:"wrote,omitempty"`    // the last token under which something was appended
	Last     uint64 `json:"last,omitempty"`     // the highest counter of an acquire that was granted
	Era      int    `json:"era,omitempty"`      // how many holds were lost: an acquire after a loss is another one
	Calls    []call `json:"calls,omitempty"`    // the last ones, oldest first
}

// call is a call that was made, or is about to be.
type call struct {
	ID      string `json:"id"`
	Token   int64  `json:"token"`             // that it was made under, or that it brought
	Acquire bool   `json:"acquire,omitempty"` // it is an acquire
	Wrote   bool   `json:"wrote,omitempty"`   // a release: something had been appended
}

// refused is the token of a call that was refused before there was one.
const refused = -1

// keptCalls bounds what is remembered.
const keptCalls = 128

// find returns the call with an id and reports whether it is remembered.
func (r *record) find(id string) (call, bool) {
	for _, c := range r.Calls {
		if c.ID == id {
			return c, true
		}
	}
	return call{}, false
}

// remember adds a call, and drops the oldest one if there are too many.
func (r *record) remember(c call) {
	if len(r.Calls) >= keptCalls {
		r.Calls = r.Calls[len(r.Calls)-keptCalls+1:]
	}
	r.Calls = append(r.Calls, c)
}

// forget drops a call, so that its repeat is a new call.
func (r *record) forget(id string) {
	for i, c := range r.Calls {
		if c.ID == id {
			r.Calls = append(r.Calls[:i:i], r.Calls[i+1:]...)
			return
		}
	}
}

// lost reports whether a granted acquire brought a hold that its client has not released, and is
// the last call that is known of the client. Its repeat is then no late duplicate: the client was
// granted the lock, did not learn of it in time, and asks again. Example: the response to "1-1" is
// lost, the session ends, and "1-1" comes again; nothing came since.
func (r *record) lost(acquire call) bool {
	return acquire.Acquire && acquire.Token > r.Released && r.Calls[len(r.Calls)-1] == acquire
}

// counter returns the number in an id of the form "<client>-<counter>" and reports whether the id
// is of that form: decimal, from 1, without leading zeros, less than 2^63. "1-01" and "1-1" are two
// ids; only the second has a counter.
func counter(client int32, id string) (uint64, bool) {
	rest, ok := strings.CutPrefix(id, strconv.FormatInt(int64(client), 10)+"-")
	if !ok {
		return 0, false
	}
	return parseCounter(rest)
}

func parseCounter(text string) (uint64, bool) {
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != text {
		return 0, false
	}
	return n, true
}

// caller is a client in the middle of a call, with its record as it was read.
type caller struct {
	etcdstore.Client
	record
	id string // the session's public half
}

// errUnknown is the error of a call of a client that does not exist.
var errUnknown = errors.New("unknown client")

// caller returns a client and keeps it alive, or fails with errUnknown. A session that has ended is
// replaced: what it held stays lost.
func (s *Service) caller(ctx context.Context, number int32) (*caller, error) {
	for {
		c, err := s.load(ctx, number)
		if err != nil {
			return nil, err
		}
		_, err = s.store.Heartbeat(ctx, etcdstore.HeartbeatArgs{Credential: c.Session})
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, etcdstore.ErrSessionExpired) {
			return nil, err
		}
		session, err := s.begin(ctx, number)
		if err != nil {
			return nil, err
		}
		c.Session = session.Credential
		switch err := s.save(ctx, c); {
		case err == nil:
			return c, nil
		case !errors.Is(err, etcdstore.ErrClientChanged):
			return nil, err
		}
		if err := s.store.CloseSession(ctx, session.Credential); err != nil { // another call was faster
			return nil, err
		}
	}
}

// load returns a client, or fails with errUnknown.
func (s *Service) load(ctx context.Context, number int32) (*caller, error) {
	stored, err := s.store.Client(ctx, number)
	if errors.Is(err, etcdstore.ErrClientNotFound) {
		return nil, errUnknown
	}
	if err != nil {
		return nil, err
	}
	c := &caller{Client: stored}
	if err := json.Unmarshal(stored.Record, &c.record); err != nil {
		return nil, fmt.Errorf("client %d: %w", number, err)
	}
	c.id, _, _ = strings.Cut(c.Session, ".")
	return c, nil
}

// save writes a client's record. It fails with ErrClientChanged if another call of the client has
// written it meanwhile.
func (s *Service) save(ctx context.Context, c *caller) (err error) {
	if c.Record, err = json.Marshal(c.record); err != nil {
		return err
	}
	c.Client, err = s.store.SaveClient(ctx, c.Client)
	return err
}

// update calls do with a client, again if another call of it has changed its record meanwhile, and
// returns what do did.
func update[T any](ctx context.Context, s *Service, number int32, do func(*caller) (T, error)) (T, error) {
	for {
		c, err := s.caller(ctx, number)
		if err != nil {
			var none T
			return none, err
		}
		v, err := do(c)
		if !errors.Is(err, etcdstore.ErrClientChanged) {
			return v, err
		}
	}
}
