package etcdstore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// secretBytes is how long a session's secret is. Etcd has its hash only.
const secretBytes = 16

// Init begins a session, of the identity in whose name it is called: see [WithOwner]. A part of a
// second of its TTL is rounded up, and etcd may grant more: Session.TTL says how much.
//
//   - [ErrInvalidTTL], [ErrInvalidArgument]: the TTL, or the label, linger or owner, is out of
//     bounds.
//   - [ErrOtherCluster], [ErrWentBack]: by args.Seen, this is not the cluster that the client has
//     begun with, or it has gone back since.
//   - [ErrNoSpace]: etcd is (nearly) full.
//   - [ErrLimit]: there are as many as there may be.
//   - any other: indeterminate. A session that was begun, and of which nobody has the credential,
//     ends by itself after its TTL.
//
// A repeat begins another session.
func (s *Store) Init(ctx context.Context, args InitArgs) (Session, error) {
	if args.TTL == 0 {
		args.TTL = DefaultTTL
	}
	if err := errors.Join(
		checkTTL(args.TTL), checkText("label", args.Label, MaxLabel), checkText("owner", OwnerOf(ctx), MaxOwner),
		checkLinger(args.Linger, args.TTL)); err != nil {
		return Session{}, err
	}
	if err := s.check(ctx, args.Seen); err != nil {
		return Session{}, err
	}
	if err := s.room(); err != nil {
		return Session{}, err
	}
	if err := s.mirror.roomForSession(clientOf(ctx), s.limits); err != nil {
		return Session{}, err
	}
	for {
		session, err := s.begin(ctx, args)
		if !errors.Is(err, ErrSessionExpired) {
			return session, err
		}
		if ctx.Err() != nil {
			return Session{}, fmt.Errorf("begin a session: %w: it ends before it has begun", ErrNoQuorum)
		}
	}
}

// begin begins a session on a lease of its own. Etcd may be so slow that the lease has ended before
// the session is put on it: [ErrSessionExpired].
func (s *Store) begin(ctx context.Context, args InitArgs) (Session, error) {
	owner := OwnerOf(ctx)
	var shared []byte
	if owner != "" {
		var err error
		if shared, err = s.ownSecret(ctx); err != nil {
			return Session{}, fmt.Errorf("begin a session: %w", err)
		}
	}
	granted, err := s.grant(ctx, args.TTL)
	if err != nil {
		return Session{}, err
	}
	secret := make([]byte, secretBytes)
	rand.Read(secret)
	text := hex.EncodeToString(secret)
	sum := sha256.Sum256([]byte(text))
	id := hex16(int64(granted.ID))
	tag := tagOf(shared, id, owner)
	v := sessionValue{Label: args.Label, Owner: owner, Issued: issuedOf(ctx), Secret: sum[:]}
	if args.Linger > 0 && s.features.on(featureLinger) { // else a server that would attach nothing may be there
		v.Linger, v.At = args.Linger.Milliseconds(), 1
	}
	key, value := s.keys.session(id), encode(v)
	resp, err := s.engine.Commit(ctx, commit.Txn{
		If:   []*pb.Compare{op.Absent(key)},
		Then: []*pb.RequestOp{op.PutOn(granted.ID, key, value)},
	})
	if err == nil && !resp.Succeeded {
		err = fmt.Errorf("lease %s was given twice", id)
	}
	if err != nil {
		return Session{}, fmt.Errorf("begin a session: %w", err)
	}
	rev := resp.Header.Revision
	s.mirror.own(change{key: key, rev: rev, created: rev, value: []byte(value)})
	s.mirror.tagged(id, tag)
	s.mirror.attribute(id, clientOf(ctx))
	if args.Link != nil && args.TakesLost {
		s.mirror.subscribe(id, args.Link)
	}
	if v.Linger > 0 {
		args.Link.attached(id, attachment{rev, v.linger()})
	}
	ttl := time.Duration(granted.TTL) * time.Second
	s.silences.heard(id, clientOf(ctx), ttl)
	return Session{ID: id, Credential: credentialOf(id, text, tag), TTL: ttl, Revision: rev, Cluster: s.id}, nil
}

func (s *Store) grant(ctx context.Context, ttl time.Duration) (*clientv3.LeaseGrantResponse, error) {
	var granted *clientv3.LeaseGrantResponse
	err := s.engine.Call(ctx, func(ctx context.Context) (err error) {
		granted, err = s.etcd().Grant(ctx, int64((ttl+time.Second-1)/time.Second))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("grant a lease: %w", err)
	}
	return granted, nil
}

// session is an authenticated caller. alive is false if there is no such session (any more): nobody
// could check the secret, so that it authorises nothing, see guard. What became of its sections can
// still be asked.
type session struct {
	id    string
	lease clientv3.LeaseID
	label string
	alive bool

	secret, tag string // as the caller says
	owner       string // in whose name the call is made; of a session that is alive: the session's
}

// credentialOf is what a session's client is given. tag is empty if the session is nobody's.
func credentialOf(id, secret, tag string) string {
	if tag == "" {
		return id + "." + secret
	}
	return id + "." + secret + "." + tag
}

// parseCredential takes a credential apart: a session's id, a secret, and a tag if the session is
// somebody's, all in the only form that Init gives them. A second form would be a second name for
// the same session, under which nothing of it is found.
func parseCredential(credential string) (session, error) {
	id, secret, _ := strings.Cut(credential, ".")
	secret, tag, tagged := strings.Cut(secret, ".")
	lease, ok := parseSessionID(id)
	if !ok || len(secret) != 2*secretBytes || !lowerHex(secret) || tagged && (len(tag) != 2*tagBytes || !lowerHex(tag)) {
		return session{}, fmt.Errorf("%w: malformed session credential", ErrInvalidArgument)
	}
	return session{id: id, lease: lease, secret: secret, tag: tag}, nil
}

// authenticate checks a credential: with the mirror if it knows the session, else with etcd, since
// a session may have been begun elsewhere a moment ago. A session that has ended is no error: its
// record, and with it the secret's hash, is gone, and its endings can still be repeated. What needs
// it alive asks living. Whose the session is or was is compared with whom the call is made for:
// [ErrNotOwner].
func (s *Store) authenticate(ctx context.Context, credential string) (session, error) {
	c, err := parseCredential(credential)
	if err != nil {
		return session{}, err
	}
	c.owner = OwnerOf(ctx)
	is, known := s.knows(c)
	if !known {
		resp, err := s.get(ctx, s.keys.session(c.id))
		if err != nil {
			return session{}, err
		}
		if len(resp.Kvs) == 0 {
			if err := s.ownTag(ctx, c); err != nil {
				return session{}, err
			}
			return c, nil
		}
		v, _, err := sessionOf(resp.Kvs[0])
		if err != nil {
			return session{}, err
		}
		is = bearer{valid: s.proves(c, v), label: v.Label, owner: v.Owner}
		kv := resp.Kvs[0] // what the session does through this store is to be known as its own
		s.mirror.own(change{key: s.keys.session(c.id), rev: kv.ModRevision, created: kv.CreateRevision, value: kv.Value})
	}
	if !is.valid {
		return session{}, wrongCredential(c.id)
	}
	if is.owner != c.owner {
		return session{}, notOwner(c.id)
	}
	if !is.tagged {
		if err := s.ownTag(ctx, c); err != nil {
			return session{}, err
		}
		if !s.vouched(c) {
			s.mirror.tagged(c.id, c.tag)
		}
	}
	c.label, c.alive = is.label, true
	return c, nil
}

func wrongCredential(session string) error {
	return fmt.Errorf("%w: the credential is not that of session %s", ErrSessionExpired, session)
}

// known is authenticate for a session that needs no question to etcd: one that the mirror knows,
// with the right credential, and in its owner's name.
func (s *Store) known(ctx context.Context, credential string) (session, bool) {
	c, err := parseCredential(credential)
	if err != nil {
		return session{}, false
	}
	is, _ := s.knows(c)
	c.label, c.owner = is.label, OwnerOf(ctx)
	c.alive = is.valid && is.tagged && is.owner == c.owner
	return c, c.alive
}

// living is authenticate for calls that need the session alive.
func (s *Store) living(ctx context.Context, credential string) (session, error) {
	c, err := s.authenticate(ctx, credential)
	if err == nil && !c.alive {
		err = ErrSessionExpired
	}
	return c, err
}

// Heartbeat renews a session, and attaches it to the link that it came by: see attach. The TTL
// begins when etcd renews the lease, so that a client counts it from when it sent the call; the
// states of what is unfinished are read from etcd after that.
//
// What the session has besides, under a number up to args.Highest, is ended, since its client knows
// nothing of it any more: a wait is cancelled, a hold is evicted. The number is what makes a late
// heartbeat harmless:
//
//	heartbeat, highest 4, nothing unfinished   sent, and held up on its way
//	acquire 5                                  sent later, and granted
//	the heartbeat comes                        5 is above 4, and goes on
//
// What this store has not heard of yet is ended by a later heartbeat.
//
//   - [ErrOtherCluster], [ErrWentBack]: as [Store.Init]. Nothing was done.
//   - [ErrSessionExpired]: the session has ended, or the credential is not its own.
//   - [ErrInvalidArgument], [ErrInvalidName]: nothing was done.
//   - any other: indeterminate. The lease may have been renewed, and some of the rest ended.
//
// It may be repeated.
func (s *Store) Heartbeat(ctx context.Context, args HeartbeatArgs) (Renewal, error) {
	ctx = urgent(ctx)
	unfinished := args.Unfinished
	if len(unfinished) > MaxUnfinished {
		return Renewal{}, fmt.Errorf("%w: %d acquisitions: want at most %d", ErrInvalidArgument, len(unfinished), MaxUnfinished)
	}
	var listed map[Acquisition]bool
	for _, a := range unfinished {
		if err := checkAcquisition(a); err != nil {
			return Renewal{}, err
		}
		if listed == nil {
			listed = make(map[Acquisition]bool, len(unfinished))
		}
		listed[a] = true
	}
	if err := s.check(ctx, args.Seen); err != nil {
		return Renewal{}, err
	}
	c, err := s.living(ctx, args.Credential)
	if err != nil {
		return Renewal{}, err
	}
	if args.Link != nil && args.TakesLost {
		s.mirror.subscribe(c.id, args.Link) // before the states are read: what is lost in between is told
	}
	at, err := s.attach(ctx, c, args.Attachment, args.Link)
	if err != nil {
		return Renewal{}, err
	}
	ttl, err := s.renew(ctx, c.lease)
	if errors.Is(err, ErrSessionExpired) {
		s.mirror.leaseless(c.id)
	}
	if err != nil {
		return Renewal{}, err
	}
	s.silences.heard(c.id, clientOf(ctx), ttl)
	for _, a := range s.mirror.unlisted(c.id, args.Highest, listed) {
		if err := s.abandon(ctx, a); err != nil && !errors.Is(err, ErrNoSpace) { // without space: at a later heartbeat
			return Renewal{}, fmt.Errorf("end what is not listed: %w", err)
		}
	}
	states, rev, err := s.states(ctx, c.id, unfinished)
	s.mirror.timed(states)
	return Renewal{TTL: ttl, States: states, Revision: rev, Cluster: s.id, Attachment: at}, err
}

func (s *Store) renew(ctx context.Context, lease clientv3.LeaseID) (time.Duration, error) {
	var ttl int64
	err := s.engine.CallNow(ctx, func(ctx context.Context) (err error) {
		ttl, err = s.renewOnce(ctx, lease)
		return err
	})
	if err != nil {
		return 0, err
	}
	if ttl <= 0 {
		return 0, ErrSessionExpired
	}
	return time.Duration(ttl) * time.Second, nil
}

func (s *Store) renewOnce(ctx context.Context, lease clientv3.LeaseID) (ttl int64, err error) {
	if s.renewals != nil {
		return s.renewals.do(ctx, lease)
	}
	resp, err := s.etcd().KeepAliveOnce(ctx, lease)
	if err != nil {
		return 0, err
	}
	return resp.TTL, nil
}

// abandon ends an acquisition that its client no longer knows: it leaves the queue, or is evicted.
func (s *Store) abandon(ctx context.Context, a acquisition) error {
	s.log.Info("ending an acquisition that its client does not list", "session", a.session, "lock", a.lock, "request", a.request)
	token, _, err := s.leave(ctx, a, true)
	if err != nil || token == 0 {
		return err
	}
	_, err = s.evict(ctx, a.lock, token, noteValue{Why: abandoned})
	return err
}

// states reads the states of acquisitions from etcd: what a client is told of its holds never comes
// from the mirror. Each is as of one revision; rev is the earliest of these, 0 if there is none.
func (s *Store) states(ctx context.Context, id string, as []Acquisition) (states []AcquisitionState, rev int64, err error) {
	states = make([]AcquisitionState, 0, len(as))
	for len(as) > 0 {
		n := min(len(as), commit.MaxOps/2)
		var t commit.Txn
		for _, a := range as[:n] {
			t.Then = append(t.Then,
				op.Get(s.keys.lock(a.Lock)),
				op.GetKey(s.keys.waiter(acquisition{a.Lock, id, a.Request})))
		}
		resp, err := s.engine.Commit(ctx, t)
		if err != nil {
			return nil, 0, err
		}
		if rev == 0 {
			rev = resp.Header.Revision
		}
		for i, a := range as[:n] {
			st := AcquisitionState{Acquisition: a}
			if kv := op.First(resp, 2*i); kv != nil && holds(kv, acquisition{a.Lock, id, a.Request}) {
				st.State, st.Token = Holding, kv.ModRevision
			} else if op.First(resp, 2*i+1) != nil {
				st.State = Waiting
			}
			states = append(states, st)
		}
		as = as[n:]
	}
	return states, rev, nil
}

// CloseSession ends a session, and with it, at one revision, all that it holds or waits for. Its
// open sections are undone. It succeeds if the session has ended already, as a repeat finds it.
//
//   - [ErrSessionExpired]: the credential is not that of the session. Nothing was changed.
//   - [ErrInvalidArgument]: it is no credential.
//   - any other: indeterminate.
func (s *Store) CloseSession(ctx context.Context, credential string) error {
	ctx = urgent(ctx)
	c, err := s.authenticate(ctx, credential)
	if err != nil || !c.alive {
		return err
	}
	s.partings.begin(c.id, EndClosed)
	return s.revoke(ctx, c.lease)
}

// revoke revokes a lease, unless that has been done.
func (s *Store) revoke(ctx context.Context, lease clientv3.LeaseID) error {
	err := s.engine.Call(ctx, func(ctx context.Context) error {
		resp, err := s.etcd().Revoke(ctx, lease)
		if err == nil {
			receiptOf(ctx).Raise(resp.Header.Revision)
		}
		return err
	})
	if err != nil && !errors.Is(err, ErrSessionExpired) {
		return fmt.Errorf("revoke a lease: %w", err)
	}
	return nil
}
