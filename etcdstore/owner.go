package etcdstore

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// A session is its owner's: the identity in whose name its Init was called, or nobody's, if nobody
// asked for one. Whoever has the credential besides must be the same, so that a credential, an id
// or a token that was stolen is of no use to another identity. The two are compared byte for byte,
// and nobody is as different from somebody as two are from each other.
//
//	it lives      its record says whose it is, and each call compares
//	it has ended  its record is gone, and its credential says it, by its tag. As long as etcd's
//	              history has the record, that is compared as well
//
// The tag is a MAC of the session's id and its owner under the cluster's secret: see secret.go. It
// is asked for while the session lives, too, so that a session has one credential.
//
// What is compared is a question of who may call, never of what holds: no transaction depends on
// it. A session does not change hands, so what was read of its record is true as long as it lives.

// tagBytes is how long a tag is.
const tagBytes = 16

type ownerKey struct{}

// WithOwner returns a context whose calls are made in the name of an identity: the sessions that
// are begun are that identity's, and the calls of another's are refused. Calls without an owner, as
// with an empty one, are made in nobody's name, which is not: in anybody's.
func WithOwner(ctx context.Context, owner string) context.Context {
	return context.WithValue(ctx, ownerKey{}, owner)
}

// OwnerOf is in whose name a context's calls are made; empty: in nobody's.
func OwnerOf(ctx context.Context) string {
	owner, _ := ctx.Value(ownerKey{}).(string)
	return owner
}

type issuedKey struct{}

// WithIssued returns a context whose caller shows who it is by something that was issued then. It
// is noted of the sessions that are begun: see [Store.EndSessions].
func WithIssued(ctx context.Context, issued time.Time) context.Context {
	return context.WithValue(ctx, issuedKey{}, issued)
}

// issuedOf is when that was issued in ms since 1970; 0: it is not known.
func issuedOf(ctx context.Context) int64 {
	if issued, _ := ctx.Value(issuedKey{}).(time.Time); isTime(millis(issued)) {
		return millis(issued)
	}
	return 0
}

// tagOf is what says in a credential whose the session is; empty: nobody's.
func tagOf(secret []byte, session, owner string) string {
	if owner == "" {
		return ""
	}
	mac := hmac.New(sha256.New, secret)
	_, _ = io.WriteString(mac, "session\x00"+session+"\x00"+owner) // a session's id has one length
	return hex.EncodeToString(mac.Sum(nil)[:tagBytes])
}

// tagged reports whether a caller's credential has the tag that it has under a secret.
func (c session) tagged(secret []byte) bool {
	return hmac.Equal([]byte(tagOf(secret, c.id, c.owner)), []byte(c.tag))
}

// ownTag is [ErrNotOwner] unless the caller's credential says that the session is, or was, the
// caller's.
func (s *Store) ownTag(ctx context.Context, c session) error {
	var own bool
	var err error
	switch {
	case c.owner == "" || c.tag == "":
		own = c.owner == c.tag
	case s.vouched(c):
		own = c.tagged(s.voucher)
	default:
		own, err = s.fitsSecret(ctx, c.tagged)
	}
	if err == nil && !own {
		err = notOwner(c.id)
	}
	return err
}

func notOwner(session string) error { return fmt.Errorf("%w: %s", ErrNotOwner, session) }

// endingAtOnce is how many sessions EndSessions ends at once.
const endingAtOnce = 16

// EndSessions ends all sessions of which a function says so, by their owner and by when that was
// issued which the owner began them with, as far as this store knows them: one that was begun
// through another store a moment ago may be missed. What they hold passes on, and their open
// sections are undone, as when a session is closed. It returns how many were ended, or had ended
// meanwhile. An error is the first of those met; the other sessions were ended all the same. It may
// be repeated, and made by several stores at once. Sessions that are nobody's are not asked for.
func (s *Store) EndSessions(ctx context.Context, revoked func(owner string, issued time.Time) bool) (n int, err error) {
	ctx = urgent(ctx)
	var leases []clientv3.LeaseID
	for by, sessions := range s.mirror.owned() {
		if revoked(by.owner, fromMillis(by.issued)) {
			leases = append(leases, sessions...)
		}
	}
	return endEach(leases, func(lease clientv3.LeaseID) error {
		s.partings.begin(hex16(int64(lease)), EndRevoked)
		return s.revoke(ctx, lease)
	})
}

// EndWaits takes their places in queues from those of whom a function says so, by whose the session
// is and the lock, as far as this store knows them. It returns how many there were. What has been
// granted meanwhile stays granted. An error is the first of those met. It may be repeated, and made
// by several stores at once. Sessions that are nobody's are not asked for.
func (s *Store) EndWaits(ctx context.Context, denied func(owner, lock string) bool) (n int, err error) {
	return endEach(s.mirror.waiting(denied), func(a acquisition) error {
		_, _, err := s.leave(ctx, a, true)
		return err
	})
}

// endEach ends some things at once, and returns how many were ended, or had ended.
func endEach[T any](all []T, end func(T) error) (n int, err error) {
	var ended atomic.Int64
	failed := make(chan error, len(all))
	each(all, endingAtOnce, func(one T) {
		if err := end(one); err != nil {
			failed <- err
			return
		}
		ended.Add(1)
	})
	select {
	case err = <-failed:
		err = fmt.Errorf("end what is denied: %w", err)
	default:
	}
	return int(ended.Load()), err
}

// waiting are the waiters in sessions that are somebody's, of whom a function says so.
func (m *mirror) waiting(denied func(owner, lock string) bool) (waiters []acquisition) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for a := range m.queued {
		if s := m.sessions[a.session]; s != nil && s.Owner != "" && denied(s.Owner, a.lock) {
			waiters = append(waiters, a)
		}
	}
	return waiters
}

// begunBy is who began a session, and when that was issued by which the owner was known.
type begunBy struct {
	owner  string
	issued int64 // ms since 1970; 0: it is not known
}

// owned are the sessions that are somebody's.
func (m *mirror) owned() map[begunBy][]clientv3.LeaseID {
	m.mu.Lock()
	defer m.mu.Unlock()
	by := map[begunBy][]clientv3.LeaseID{}
	for id, s := range m.sessions {
		if lease, ok := parseSessionID(id); ok && s.Owner != "" {
			who := begunBy{s.Owner, s.Issued}
			by[who] = append(by[who], lease)
		}
	}
	return by
}
