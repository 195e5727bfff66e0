package facade

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"google.golang.org/grpc/peer"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/auth"
	"github.com/distributed-lock-manager/dlm/internal/certs"
)

// Visitor is who makes a request that does not come by gRPC: to the server's admin address. It can
// be compared: two that are equal may do the same.
type Visitor struct {
	identity auth.Identity
	view     *auth.View // nil: there is no policy
}

// Name returns the identity; empty: nobody is asked who they are.
func (v Visitor) Name() string { return string(v.identity) }

// May reports whether the visitor may do something with a lock; without a name: with the cluster,
// and what no rule's prefix is of.
func (v Visitor) May(verb auth.Verb, lock string) bool {
	return v.view == nil || v.view.Allows(verb, lock)
}

// Shown is what a request has with it that says who makes it.
type Shown struct {
	TLS           *tls.ConnectionState // nil: plain text
	Authorization []string             // the headers of that name
}

// TLSConfig returns how a server speaks TLS with its visitors; nil: it does not. As with calls, any
// certificate is taken in the handshake: [Access.Visit] has to look at it.
func (a *Access) TLSConfig() *tls.Config {
	if a.Certificates == nil {
		return nil
	}
	return certs.ServerConfig(a.Certificates, a.ClientAuth != NoCertificates)
}

// Visit finds out who makes a request, by the rules for calls. The error is
// [auth.ErrUnauthenticated]. What lasts is to be asked about again.
func (a *Access) Visit(by Shown) (Visitor, error) {
	g, who, err := a.visit(by)
	if err != nil {
		return Visitor{}, err
	}
	v := Visitor{identity: who.identity}
	if policy := g.policy(); policy != nil {
		v.view = policy.For(who.identity)
	}
	return v, nil
}

func (a *Access) visit(by Shown) (*gate, *caller, error) {
	g := &gate{access: *a}
	who := &caller{}
	if by.TLS != nil && a.Certificates != nil {
		who = g.byCertificate(*by.TLS)
	}
	policy := g.policy()
	if a.Bearers != nil && who.fault == nil && len(by.Authorization) > 0 {
		shown := who
		if who = g.byToken(by.Authorization); shown.standing(policy).revoked {
			who.fault = revoked(shown)
		}
	}
	return g, who, g.known(&call{caller: who}, who.standing(policy), time.Now())
}

// Evict is the call of that name, made by a visitor: it is admitted, logged and written down as
// any other, and its errors are those of calls. from is where the request came from.
func (s *Server) Evict(ctx context.Context, by Shown, from net.Addr, lock string, token int64, reason string) (*etcdstore.Holder, error) {
	_, who, err := s.gate.access.visit(by)
	if who.fault == nil {
		who.fault = err // by which the call is refused, and written down
	}
	var done func()
	who.client, done = s.gate.limiter.clientOf(who.identity)
	defer done()
	c := &call{
		service: s.service, method: dlmv1.LockService_Evict_FullMethodName, began: time.Now(), caller: who,
		ctx: peer.NewContext(ctx, &peer.Peer{Addr: from}),
	}
	var evicted *etcdstore.Holder
	var resp *dlmv1.EvictResponse
	req := &dlmv1.EvictRequest{Lock: lock, Token: token, Reason: reason}
	err = recovered(func() (err error) {
		if err = c.admit(req); err != nil {
			return err
		}
		if evicted, err = s.service.store.Evict(c.ctx, lock, token, reason); err == nil {
			resp = &dlmv1.EvictResponse{Evicted: encodeHolder(evicted)}
		}
		return err
	})
	if err := c.end(resp, err, time.Since(c.began)); err != nil {
		return nil, err
	}
	if evicted != nil && resp.GetEvicted().GetSession() == "" { // the visitor may not see it
		evicted = &etcdstore.Holder{Token: evicted.Token}
	}
	return evicted, nil
}
