package coursework

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// record is what is remembered of a client. It is written before a call is made, so that a repeat,
// through any server, is made as the first was; and, for a release, once more before it is
// answered, so that a repeat is answered alike when nothing else is left that says how it ended.
//
// It is read by servers of earlier versions too, which drop what they do not know.
type record struct {
	Session  string `json:"session"`            // its id; where an older server may have to act for the client, the credential
	Owner    string `json:"owner,omitempty"`    // in whose name the client was begun; empty: in nobody's
	Ended    int64  `json:"ended,omitempty"`    // when the session was found to have ended, in Unix milliseconds; 0: it was not
	Held     int64  `json:"held,omitempty"`     // the token that the client believes to hold; 0: none
	Released int64  `json:"released,omitempty"` // the last token that it released, or tried to
	Missed   int64  `json:"missed,omitempty"`   // the last token whose loss the client has learned from an append
	Wrote    int64  `json:"wrote,omitempty"`    // the last token under which something was appended
	Last     uint64 `json:"last,omitempty"`     // the highest counter of an acquire that was granted
	Era      int    `json:"era,omitempty"`      // how many holds were lost: an acquire after a loss is another one
	Calls    []call `json:"calls,omitempty"`    // the last ones, oldest first
	Place    *place `json:"place,omitempty"`    // nil: it waits for nothing
}

// call is a call that was made, or is about to be. All acquires here were granted.
type call struct {
	ID      string `json:"id"`                // as kept returns it
	Token   int64  `json:"token"`             // that it was made under, or that it brought
	Acquire bool   `json:"acquire,omitempty"` // it is an acquire
	Kind    kind   `json:"kind,omitempty"`    // unless it is an acquire
	Wrote   bool   `json:"wrote,omitempty"`   // a release: something had been appended
	Session string `json:"session,omitempty"` // a release that is not done: that which it is made with, as the record's
	Staged  bool   `json:"staged,omitempty"`  // an append: it was staged when its hold was released
	Done    bool   `json:"done,omitempty"`    // a release: it has succeeded
}

// kind is a kind of calls. Where calls are kept it is one of append and release, or "" of a call
// that a server of an earlier version has kept.
type kind string

const (
	anAcquire kind = "acquire"
	anAppend  kind = "append"
	aRelease  kind = "release"
)

// kind returns what kind of call it is; "": nobody knows.
func (c call) kind() kind {
	switch {
	case c.Acquire:
		return anAcquire
	case c.Wrote:
		return aRelease
	}
	return c.Kind
}

// place is the one acquisition of the store that all acquires of a client stand for until one of
// them is answered. A client that has given up an acquire and begins another has only this place in
// the queue, and what comes of it is its.
type place struct {
	Request string   `json:"request"` // that the store knows it by
	IDs     []string `json:"ids"`     // of the acquires, as kept returns them, the latest last
}

// refused is the token of a call that was refused before there was one.
const refused = -1

// What is remembered is bounded: with ids of keptID bytes a record has less than 32 KiB.
const (
	keptCalls = 128
	keptIDs   = 16 // of a place
	keptID    = 40 // bytes of an id
)

// kept returns an id as it is remembered. One that is long, or would take more room than it has
// bytes, is remembered by its hash.
func kept(id string) string {
	if len(id) <= keptID && !strings.HasPrefix(id, hashPrefix) && !strings.ContainsFunc(id, takesRoom) {
		return id
	}
	return hashPrefix + hashed(id)
}

const hashPrefix = "h:"

// takesRoom reports whether JSON writes a character in more bytes than it has.
func takesRoom(r rune) bool { return r < ' ' || r > '~' || strings.ContainsRune(`"\<>&`, r) }

// find returns the call with an id and reports whether it is remembered.
func (r *record) find(id string) (call, bool) {
	i := r.index(id)
	if i < 0 {
		return call{}, false
	}
	return r.Calls[i], true
}

// index is where the call with an id is; -1: it is not remembered. Earlier versions kept all ids as
// they are.
func (r *record) index(id string) int {
	short := kept(id)
	return slices.IndexFunc(r.Calls, func(c call) bool { return c.ID == short || c.ID == id })
}

// waiting reports whether an id is that of an acquire which is not answered yet.
func (r *record) waiting(id string) bool {
	return r.Place != nil && slices.Contains(r.Place.IDs, kept(id))
}

// use returns the call with an id, if it is remembered, for a call of some kind. It fails with
// errRefused if the id was used for one of another kind.
func (r *record) use(id string, wanted kind) (known call, seen bool, err error) {
	known, seen = r.find(id)
	used := known.kind()
	if !seen && r.waiting(id) {
		used = anAcquire
	}
	// Earlier versions did not tell appends and releases apart, but for those releases that
	// published something.
	if used != wanted && (used != "" || seen && wanted == anAcquire) {
		return call{}, false, refusedf("the id belongs to another call, of kind %s", cmp.Or(used, "append or release"))
	}
	return known, seen, nil
}

// remember adds a call, and drops the oldest one if there are too many.
func (r *record) remember(c call) {
	c.ID = kept(c.ID)
	r.add(c)
}

func (r *record) add(c call) {
	if len(r.Calls) >= keptCalls {
		r.Calls = r.Calls[len(r.Calls)-keptCalls+1:]
	}
	r.Calls = append(r.Calls, c)
}

// forget drops a call, so that its repeat is a new call.
func (r *record) forget(id string) {
	if i := r.index(id); i >= 0 {
		r.Calls = slices.Concat(r.Calls[:i], r.Calls[i+1:])
	}
}

// lost reports whether a granted acquire brought a hold that its client has not released, and is
// the last call that is known of the client. Its repeat is then no late duplicate: the client was
// granted the lock, did not learn of it in time, and asks again. Example: the response to "1-1" is
// lost, the session ends, and "1-1" comes again; nothing came since.
func (r *record) lost(acquire call) bool {
	return acquire.Acquire && acquire.Token > r.Released && r.Calls[len(r.Calls)-1] == acquire
}

// ended reports whether a release of a token is known to have succeeded.
func (r *record) ended(token int64) bool {
	return slices.ContainsFunc(r.Calls, func(c call) bool { return c.Done && c.Token == token })
}

// releasing returns the release of a token, if one is remembered.
func (r *record) releasing(token int64) (call, bool) {
	for _, c := range r.Calls {
		if c.kind() == aRelease && c.Token == token {
			return c, true
		}
	}
	return call{}, false
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
	id         string // the session's public half
	credential string // of that session, for this server's own calls
	settled    bool   // its place was granted, which its record does not say yet
}

// join gives an acquire the client's place, a new one if it has none, and reports whether it had
// another one, or none.
func (c *caller) join(id string) (joined bool) {
	if c.Place == nil {
		c.Place = &place{Request: c.request(id), IDs: []string{kept(id)}}
		return true
	}
	p := c.Place
	if c.waiting(id) {
		return false
	}
	late := false
	if n, counted := counter(c.ID, id); counted {
		late = slices.ContainsFunc(p.IDs, func(other string) bool {
			m, counted := counter(c.ID, other)
			return counted && m > n
		})
	}
	switch {
	case !late:
		p.IDs = append(p.IDs, kept(id))
	case len(p.IDs) < keptIDs:
		p.IDs = slices.Insert(p.IDs, 0, kept(id))
	default:
		return false
	}
	p.IDs = p.IDs[max(0, len(p.IDs)-keptIDs):]
	return true
}

// settle notes that an acquisition of the store was granted. If it is the client's place, all the
// acquires that stand for it have brought the token.
func (c *caller) settle(request string, token int64) {
	p := c.Place
	if p == nil || p.Request != request {
		return
	}
	for _, id := range p.IDs {
		c.add(call{ID: id, Token: token, Acquire: true})
		if n, ok := counter(c.ID, id); ok {
			c.Last = max(c.Last, n)
		}
	}
	c.hold(token)
	c.Place, c.settled = nil, true
}

// hold notes that the client holds the lock, unless it has released it meanwhile.
func (c *caller) hold(token int64) {
	if token > c.Released {
		c.Held = token
	}
}

// own is [etcdstore.ErrNotOwner] unless a call is made in the name of the identity that has begun
// the client. Numbers of clients can be guessed, and the record is there when its session has
// ended.
func (c *caller) own(ctx context.Context) error {
	if c.Owner != etcdstore.OwnerOf(ctx) {
		return fmt.Errorf("%w: client %d", etcdstore.ErrNotOwner, c.ID)
	}
	return nil
}

// errUnknown is the error of a call of a client that does not exist.
var errUnknown = errors.New("unknown client")

// caller returns a client and keeps it alive, or fails with errUnknown, or with
// [etcdstore.ErrNotOwner]. A session that has ended is replaced: what it held stays lost.
func (s *Service) caller(ctx context.Context, number int32) (*caller, error) {
	for {
		c, err := s.load(ctx, number)
		if err != nil {
			return nil, err
		}
		if err := c.own(ctx); err != nil {
			return nil, err
		}
		_, err = s.store.Heartbeat(ctx, etcdstore.HeartbeatArgs{Credential: c.credential})
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
		s.adopt(c, session.Credential)
		c.Ended = 0
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
	return s.parse(stored)
}

// parse takes a client's record apart.
func (s *Service) parse(stored etcdstore.Client) (*caller, error) {
	c := &caller{Client: stored}
	if err := json.Unmarshal(stored.Record, &c.record); err != nil {
		return nil, fmt.Errorf("%w: client %d: %w", etcdstore.ErrMalformed, stored.ID, err)
	}
	s.adopt(c, c.Session)
	return c, nil
}

// adopt has a client act under a session.
func (s *Service) adopt(c *caller, session string) {
	c.Session = session
	c.id, c.credential = publicHalf(session), s.credential(c, session)
}

// publicHalf is the id of a session, of which a record has that or, from where older servers run,
// the credential.
func publicHalf(session string) string {
	id, _, _ := strings.Cut(session, ".")
	return id
}

// credential is what this server acts with for one of a client's sessions. That of the record, if
// it has one, is for servers of earlier versions.
func (s *Service) credential(c *caller, session string) string {
	return s.store.Credential(publicHalf(session), c.Owner)
}

// save writes a client's record. It fails with ErrClientChanged if another call of the client has
// written it meanwhile.
func (s *Service) save(ctx context.Context, c *caller) (err error) {
	if c.Record, err = s.marshal(c.record); err != nil {
		return err
	}
	c.Client, err = s.store.SaveClient(ctx, c.Client)
	return err
}

// marshal returns a record as it is kept: without credentials, once every server can do without.
func (s *Service) marshal(r record) ([]byte, error) {
	if s.store.BareClients() {
		r.bare()
	}
	return json.Marshal(r)
}

// bare drops the credentials of a record, and reports whether it had any.
func (r *record) bare() (had bool) {
	drop := func(session string) string {
		id := publicHalf(session)
		had = had || id != session
		return id
	}
	r.Session = drop(r.Session)
	for i, c := range r.Calls {
		if session := drop(c.Session); session != c.Session {
			r.Calls = slices.Clone(r.Calls)
			r.Calls[i].Session = session
		}
	}
	return had
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
