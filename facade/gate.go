package facade

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	lockservice "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
	"github.com/distributed-lock-manager/dlm/facade/auth"
	"github.com/distributed-lock-manager/dlm/internal/certs"
)

// gate decides about every call whether its caller is known and may make it. It stands in
// [call.admit], so that a message of a multiplexed stream passes it like any other call. What goes
// on for long is looked at again whenever something may have changed: see review.
type gate struct {
	access     Access
	coursework string // the one lock of the coursework's API
	store      Store
	logger     *slog.Logger
	limiter    *limiter

	mu      sync.Mutex
	conns   map[*watchedConn]struct{}
	lasting map[*call]struct{}

	reviewing sync.Mutex
}

func newGate(cfg Config, l *limiter) *gate {
	g := &gate{
		access: cfg.Access, store: cfg.Store, logger: cfg.Logger, limiter: l,
		conns: map[*watchedConn]struct{}{}, lasting: map[*call]struct{}{},
	}
	if cfg.Coursework != nil {
		g.coursework = cfg.Coursework.Lock()
	}
	return g
}

// credentials are those of the server's connections.
func (g *gate) credentials() credentials.TransportCredentials {
	if g.access.Certificates == nil {
		return insecure.NewCredentials()
	}
	return credentials.NewTLS(certs.ServerConfig(g.access.Certificates, g.access.ClientAuth != NoCertificates))
}

// join finds out who is at the other end of a connection.
func (g *gate) join(conn *watchedConn, info credentials.AuthInfo) {
	conn.caller = &caller{}
	if tls, ok := info.(credentials.TLSInfo); ok {
		conn.caller, conn.chain = g.byCertificate(tls.State), tls.State.PeerCertificates
	}
	conn.caller.client, conn.done = g.limiter.clientOf(conn.caller.identity)
	g.mu.Lock()
	g.conns[conn] = struct{}{}
	g.mu.Unlock()
}

// part forgets a connection. A repeat does nothing.
func (g *gate) part(conn *watchedConn) {
	g.mu.Lock()
	_, joined := g.conns[conn]
	delete(g.conns, conn)
	g.mu.Unlock()
	if joined {
		conn.done()
	}
}

// policy is the policy of this moment.
func (g *gate) policy() *auth.Policy {
	if g.access.Policy == nil {
		return nil
	}
	return g.access.Policy.Get()
}

// certificates are those of this moment; nil: there are none.
func (g *gate) certificates() *certs.Set {
	if g.access.Certificates == nil {
		return nil
	}
	return g.access.Certificates.Get()
}

// check decides whether a call may be made, or go on, at a time: nil, or why not.
//
//   - [auth.ErrUnauthenticated]: it is not known who calls, or not any more.
//   - [auth.ErrPermissionDenied]: the caller may not do that.
//   - errNoAudit: it could not be written down that it was done.
func (g *gate) check(c *call, req any, at time.Time) error {
	need, found := auth.NeedOf(c.method)
	if need.Scope == auth.Exempt {
		return nil
	}
	now := c.caller.standing(g.policy())
	if err := g.known(c, now, at); err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("%w: %s", errUnimplemented, quote(c.method)) // what has no need, nobody may call
	}
	if err := g.allowed(c, now.view, need, req); err != nil {
		return err
	}
	if !g.accounted(c.method, req) {
		return errNoAudit
	}
	return nil
}

// accounted reports whether a call can be written down, if it has to be.
func (g *gate) accounted(method string, req any) bool {
	log := g.access.Audit
	switch {
	case log == nil || !mutates(method):
		return true
	case undoes(method, req):
		return log.Room()
	}
	return log.Ready() == nil // of which the log says why not
}

// errNoAudit is that nothing is done, since it could not be written down.
var errNoAudit = errors.New("the audit log cannot be written, and nothing is changed that it does not tell")

// known is why it is not known who makes a call; nil: it is.
func (g *gate) known(c *call, now *standing, at time.Time) error {
	who := c.caller
	switch {
	case who.fault != nil:
		return who.fault
	case who.identity == "" && !g.access.anonymous():
		return unauthenticated("this server wants to know who calls: %s", g.wanted())
	case now.ends:
		return unauthenticated("%s was revoked, and %w", who.identity, errSessionsEnd)
	case now.revoked:
		return revoked(who)
	case who.expires.IsZero(), at.Before(who.expires):
		return nil
	}
	// A holder is to be able to end what it has begun, though its new token comes late.
	grace := time.Duration(who.ttl.Load())
	if who.token && reserved(c.method) && at.Before(who.expires.Add(grace)) {
		return nil
	}
	return unauthenticated("what says that this is %s has expired", who.identity)
}

// errSessionsEnd is that whoever is refused holds nothing any more: it learns that in no other way.
var errSessionsEnd = errors.New("its sessions are ended")

// wanted is what a caller is to show.
func (g *gate) wanted() string {
	switch {
	case g.access.ClientAuth == NoCertificates && g.access.Bearers != nil:
		return "a bearer token"
	case g.access.Bearers == nil:
		return "a client certificate"
	}
	return "a client certificate or a bearer token"
}

// allowed is why a caller may not make a call; nil: it may.
func (g *gate) allowed(c *call, view *auth.View, need auth.Need, req any) error {
	lock, ok := g.lockOf(c.method, req), true
	switch need.Scope {
	case auth.Anything:
		ok = view.Anything()
	case auth.OfLock:
		if _, all := req.(*dlmv1.ListFilesRequest); all && lock == "" {
			ok = view.Somewhere(need.Verb)
		} else {
			ok = view.Allows(need.Verb, lock)
		}
		if ok && need.Holds {
			need.Verb, ok = auth.Acquire, view.Allows(auth.Acquire, lock)
		}
		if p, is := req.(*dlmv1.PublishRequest); ok && is && p.GetCondition() != nil { // a conflict tells what there is
			need.Verb, ok = auth.Read, view.Allows(auth.Read, lock)
		}
	case auth.Somewhere:
		ok = view.Somewhere(need.Verb)
	case auth.Cluster:
		ok = view.Allows(need.Verb, "")
	}
	if ok {
		return nil
	}
	what := "has no right to anything"
	if need.Scope != auth.Anything {
		what = "may not " + need.Verb.String()
	}
	if need.Scope == auth.Cluster {
		what = "has no right to what is of the whole cluster (admin)"
	}
	if lock != "" {
		what += " " + strconv.Quote(cut(lock, maxLogged))
	}
	return fmt.Errorf("%w: %s %s", auth.ErrPermissionDenied, c.caller.identity, what)
}

// withholds reports whether whoever makes a call may not publish what is staged under a lock. A
// release asks for no right, but for that.
func (g *gate) withholds(ctx context.Context, lock string) bool {
	policy := g.policy()
	return policy != nil && !callerOf(ctx).standing(policy).view.Allows(auth.Append, lock)
}

// lockOf is the lock that a call is about; empty: about none, or about any.
func (g *gate) lockOf(method string, req any) string {
	if m, ok := req.(interface{ GetLock() string }); ok {
		return m.GetLock()
	}
	if need, _ := auth.NeedOf(method); need.Scope == auth.OfLock {
		return g.coursework
	}
	return ""
}

// mutates reports whether a method's calls change something, besides how long a session lives.
func mutates(method string) bool {
	switch method {
	case dlmv1.LockService_Init_FullMethodName, dlmv1.LockService_Close_FullMethodName,
		dlmv1.LockService_Acquire_FullMethodName, dlmv1.LockService_Cancel_FullMethodName,
		dlmv1.LockService_Release_FullMethodName, dlmv1.LockService_Commit_FullMethodName, dlmv1.LockService_Discard_FullMethodName,
		dlmv1.LockService_Append_FullMethodName, dlmv1.LockService_Publish_FullMethodName, dlmv1.LockService_Withdraw_FullMethodName,
		dlmv1.LockService_Evict_FullMethodName, dlmv1.LockService_Repair_FullMethodName,
		dlmv1.LockService_SetRetention_FullMethodName,
		lockservice.LockService_ClientInit_FullMethodName, lockservice.LockService_ClientClose_FullMethodName,
		lockservice.LockService_LockAcquire_FullMethodName, lockservice.LockService_LockRelease_FullMethodName,
		lockservice.LockService_FileAppend_FullMethodName:
		return true
	}
	return false
}

// undoes reports whether a call only gives back what its caller has, and publishes nothing: it goes
// on when nothing else does.
func undoes(method string, req any) bool {
	switch method {
	case dlmv1.LockService_Close_FullMethodName, dlmv1.LockService_Cancel_FullMethodName, dlmv1.LockService_Discard_FullMethodName,
		lockservice.LockService_ClientClose_FullMethodName:
		return true
	}
	release, is := req.(*dlmv1.ReleaseRequest)
	return is && !release.GetAppended()
}

// redact takes out of an answer what its caller may not see: entries of lists and holders, which
// look as if they were not there. Of a holder that was evicted its token is left, which says that
// there was one.
func (g *gate) redact(c *call, resp any) {
	policy := g.policy()
	if policy == nil {
		return
	}
	view := c.caller.standing(policy).view
	switch r := resp.(type) {
	case *dlmv1.AcquireResponse:
		if r.GetHolder() != nil && !view.Allows(auth.Inspect, g.lockOf(c.method, c.req)) {
			r.Holder = nil
		}
	case *dlmv1.PublishResponse:
		if r.GetHolder() != nil && !view.Allows(auth.Inspect, g.lockOf(c.method, c.req)) {
			r.Holder = nil
		}
	case *dlmv1.EvictResponse:
		if r.GetEvicted() != nil && !view.Allows(auth.Inspect, g.lockOf(c.method, c.req)) {
			r.Evicted = &dlmv1.Holder{Token: r.GetEvicted().GetToken()}
		}
	case *dlmv1.ListResponse:
		r.Locks = slices.DeleteFunc(r.Locks, func(l *dlmv1.Lock) bool { return !view.Allows(auth.Inspect, l.GetName()) })
	case *dlmv1.ListFilesResponse:
		r.Files = slices.DeleteFunc(r.Files, func(f *dlmv1.File) bool { return !view.Allows(auth.Read, f.GetLock()) })
	}
}

// discreet is an error without what became of a lock's sections, if its caller has no right to
// anything of the lock: calls of a session's owner ask for none.
func (g *gate) discreet(c *call, err error) error {
	var kind error
	switch {
	case errors.Is(err, etcdstore.ErrLockExpired):
		kind = etcdstore.ErrLockExpired
	case errors.Is(err, etcdstore.ErrOutcomeUnknown):
		kind = etcdstore.ErrOutcomeUnknown
	default:
		return err
	}
	policy := g.policy()
	if policy == nil || c.caller.standing(policy).view.OfLock(g.lockOf(c.method, c.req)) {
		return err
	}
	return hushed{kind, err}
}

// hushed is an error of which no more is said than its kind.
type hushed struct{ said, cause error }

func (h hushed) Error() string { return h.said.Error() }
func (h hushed) Unwrap() error { return h.cause }

// sees reports whether whoever makes a call may see any lock whose name begins with a prefix. Of
// others a list would have no entry, and yet more pages.
func (g *gate) sees(ctx context.Context, prefix string) bool {
	policy := g.policy()
	return policy == nil || callerOf(ctx).standing(policy).view.Below(auth.Inspect, prefix)
}

// visible is news without the events that a watcher may not see; nil: there is nothing left of it.
// Watchers who may see all share what is made of it.
func (g *gate) visible(ctx context.Context, n *etcdstore.News) *etcdstore.News {
	policy := g.policy()
	if policy == nil {
		return n
	}
	view := callerOf(ctx).standing(policy).view
	if view.Everywhere(auth.Inspect) {
		return n
	}
	left := n.Only(func(e etcdstore.Event) bool { return view.Allows(auth.Inspect, e.Lock) })
	if len(left.Events) == 0 && len(n.Events) > 0 { // that something happened is not told either
		return nil
	}
	return left
}
