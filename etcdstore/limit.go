package etcdstore

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
)

// LimitError says which limit a call would exceed. errors.Is(err, ErrLimit) holds.
type LimitError struct {
	Limit string        // its key in the configuration, below "limits."
	Text  string        // what would be exceeded, for people
	Retry time.Duration // when to ask again at the earliest
}

func (e *LimitError) Error() string { return fmt.Sprintf("%s (%s): %s", ErrLimit, e.Limit, e.Text) }

// Is makes a LimitError an [ErrLimit].
func (e *LimitError) Is(target error) bool { return target == ErrLimit }

// Limits are what clients may take. What would exceed one is refused before etcd is asked, by what
// this store knows: calls on their way at once may exceed it by as many, and so may another
// store's. 0: any number.
type Limits struct {
	Sessions          int // that live, of all stores
	SessionsPerClient int // that live, of those that one client has begun by this store: see [WithClient]
	Acquisitions      int // that one session holds and waits for
	Waiters           int // that wait for one lock
}

// The names of the limits.
const (
	limitSessions          = "sessions"
	limitSessionsPerClient = "sessions-per-client"
	limitAcquisitions      = "acquisitions"
	limitWaiters           = "waiters"
)

// limitRetry is what is asked of who is refused: what these limits count does not end at once.
const limitRetry = time.Second

// exceeds is a limit's error if there are as many as there may be of something; nil: there are not.
func exceeds(limit string, are, most int, of string) error {
	if most == 0 || are < most {
		return nil
	}
	return Exceeded(limit, int64(most), of, limitRetry)
}

// roomForSession is why no client, or this one, may begin a session.
func (m *mirror) roomForSession(client string, limits Limits) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return cmp.Or(
		exceeds(limitSessions, len(m.sessions), limits.Sessions, "sessions"),
		exceeds(limitSessionsPerClient, m.begun[client], limits.SessionsPerClient, "sessions of one client"))
}

// roomForAcquisition is why an acquisition may not be begun that may wait. One that is known
// already may: a repeat finds what it has.
func (m *mirror) roomForAcquisition(a acquisition, waits bool, limits Limits) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sessions[a.session]
	if s == nil {
		return nil
	}
	if _, known := s.acqs[a]; known {
		return nil
	}
	if err := exceeds(limitAcquisitions, len(s.acqs), limits.Acquisitions, "locks that one session holds or waits for"); err != nil {
		return err
	}
	if l := m.locks[a.lock]; l != nil && waits {
		return exceeds(limitWaiters, l.queue.len(), limits.Waiters, "waiters of one lock")
	}
	return nil
}

// attribute notes by which client a session was begun.
func (m *mirror) attribute(session, client string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.sessions[session]; s != nil && s.client == "" && client != "" {
		s.client = client
		m.begun[client]++
	}
}

// disown takes a session that has ended off its client's account. mu is held.
func (m *mirror) disown(s *mirrorSession) {
	if s == nil || s.client == "" {
		return
	}
	if m.begun[s.client]--; m.begun[s.client] <= 0 {
		delete(m.begun, s.client)
	}
}

// Exceeded is the error of a call that would exceed a limit, of which the text names how many there
// may be, and of what.
func Exceeded(limit string, most int64, of string, retry time.Duration) *LimitError {
	return &LimitError{Limit: limit, Text: fmt.Sprintf("%d %s", most, of), Retry: retry}
}

type clientKey struct{}

// WithClient returns a context whose calls are made for a client: what waits for etcd is served by
// turns, client by client, and some limits are each client's own. Two calls of one client have the
// same name here, whatever it is: a connection's, as long as nobody says who is calling. Calls
// without a client are one client's.
func WithClient(ctx context.Context, client string) context.Context {
	return context.WithValue(ctx, clientKey{}, client)
}

type receiptKey struct{}

// Receipt is the highest revision that etcd has answered calls with: that of the last transaction
// of theirs that was committed, or of what was read for them. It may be asked at any time, from any
// goroutine.
type Receipt = commit.Receipt

// WithReceipt returns a context whose calls raise a receipt. Each that has changed something has
// raised it to the revision of that when it returns, or is done; one that found it changed before,
// or that etcd's word refuses, to where that was read. One that was refused before etcd was asked,
// and a wait that was given up for it, raise nothing any more.
func WithReceipt(ctx context.Context, r *Receipt) context.Context {
	return context.WithValue(ctx, receiptKey{}, r)
}

// receiptOf is the receipt that a context's calls raise; nil: none.
func receiptOf(ctx context.Context) *Receipt {
	r, _ := ctx.Value(receiptKey{}).(*Receipt)
	return r
}

type followerKey struct{}

// Follower follows what is done for a context's calls. It must not block, and is told from any
// goroutine.
type Follower interface {
	commit.Follower
	// Queued is told that an acquire waits: at which place, from 1, and how many do.
	Queued(place, length int)
}

// WithFollower returns a context whose calls are followed: what etcd is asked for them, and whether
// they wait for a lock.
func WithFollower(ctx context.Context, o Follower) context.Context {
	return context.WithValue(ctx, followerKey{}, o)
}

func followerOf(ctx context.Context) Follower {
	o, _ := ctx.Value(followerKey{}).(Follower)
	return o
}

type urgentKey struct{}

// urgent returns a context whose calls go before those that begin something: they keep a session
// alive, or end what is held. They have room however much else there is.
func urgent(ctx context.Context) context.Context {
	if isUrgent(ctx) {
		return ctx
	}
	return context.WithValue(ctx, urgentKey{}, true)
}

func isUrgent(ctx context.Context) bool { return ctx.Value(urgentKey{}) != nil }

// callerOf is for whom a context's calls are made, and whether they are urgent.
func callerOf(ctx context.Context) commit.Caller {
	return commit.Caller{Client: clientOf(ctx), Urgent: isUrgent(ctx), Receipt: receiptOf(ctx), Follower: followerOf(ctx)}
}

// clientOf is for whom a context's calls are made.
func clientOf(ctx context.Context) string {
	client, _ := ctx.Value(clientKey{}).(string)
	return client
}
