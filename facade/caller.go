package facade

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/facade/auth"
)

// caller is who makes a call: whoever is at the other end of its connection, by a certificate, or
// whoever a token that came with the call is of. A stream's messages have the stream's caller.
type caller struct {
	identity auth.Identity
	fault    error     // why it is not known though it has said who it is; nil: there is none
	issued   time.Time // what says who it is, a certificate or a token
	expires  time.Time // zero: never
	token    bool      // it was a token

	client *client      // what it has of the limits; nil: there are none
	ttl    atomic.Int64 // the longest that a session was granted over this stream, in ns
	now    atomic.Pointer[standing]
}

// standing is what a policy says of a caller.
type standing struct {
	policy  *auth.Policy
	view    *auth.View
	revoked bool
	ends    bool // the caller's sessions, too
}

// standing returns what a policy says of the caller. It is found out once for each policy.
func (c *caller) standing(p *auth.Policy) *standing {
	now := c.now.Load()
	if now == nil || now.policy != p {
		now = &standing{p, p.For(c.identity), p.Revoked(c.identity, c.issued), p.EndsSessions(c.identity, c.issued)}
		c.now.Store(now)
	}
	return now
}

// byCertificate is the caller at the other end of a connection.
func (g *gate) byCertificate(state tls.ConnectionState) *caller {
	c := &caller{}
	if len(state.PeerCertificates) == 0 || g.access.ClientAuth == NoCertificates {
		if g.access.ClientAuth == RequireCertificates {
			c.fault = unauthenticated("this server wants a client certificate, and none was shown")
		}
		return c
	}
	leaf := state.PeerCertificates[0]
	identity, err := auth.FromCertificate(g.access.Kind, leaf)
	if wrong := g.verify(state.PeerCertificates); wrong != nil {
		err = wrong
	}
	if err != nil {
		c.fault = unauthenticated("the client certificate is refused: %w", err)
		return c
	}
	c.identity, c.issued, c.expires = identity, leaf.NotBefore, leaf.NotAfter
	return c
}

// verify is why a chain of certificates is not good now; nil: it is.
func (g *gate) verify(chain []*x509.Certificate) error {
	return g.access.Certificates.Get().Verify(chain, x509.ExtKeyUsageClientAuth, "", time.Now())
}

// byToken is the caller that a token is of.
func (g *gate) byToken(header []string) *caller {
	c := &caller{token: true}
	refused := func(err error) *caller {
		c.fault = unauthenticated("the token is refused: %w", err)
		return c
	}
	if len(header) != 1 {
		return refused(fmt.Errorf("there are %d authorization headers", len(header)))
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	if !strings.EqualFold(scheme, "bearer") {
		return refused(errors.New("the authorization header is no bearer's"))
	}
	claims, err := g.access.Bearers.Verify(token)
	if err == nil {
		c.identity, err = auth.FromToken(claims.Issuer, claims.Subject)
	}
	if err != nil {
		return refused(err)
	}
	c.issued, c.expires = claims.Issued, claims.Expiry
	return c
}

func revoked(who *caller) error { return unauthenticated("%s was revoked", who.identity) }

func unauthenticated(format string, args ...any) error {
	return fmt.Errorf("%w: %w", auth.ErrUnauthenticated, fmt.Errorf(format, args...))
}

// identify finds out who makes a call, and has its context say so. done is to be called when the
// call has ended.
func (g *gate) identify(ctx context.Context) (_ context.Context, who *caller, done func()) {
	who, done = &caller{}, func() {} // of a connection that is not watched
	if conn := watchedOf(ctx); conn != nil {
		who = conn.caller
	}
	if g.access.Bearers != nil && who.fault == nil {
		if header := metadata.ValueFromIncomingContext(ctx, "authorization"); len(header) > 0 {
			shown := who
			who = g.byToken(header)
			if shown.standing(g.policy()).revoked { // its connection is closed soon
				who.fault = revoked(shown)
			}
			if who.fault == nil {
				who.client, done = g.limiter.clientOf(who.identity)
			} else {
				who.client = shown.client
			}
		}
	}
	if who.client != nil {
		ctx = etcdstore.WithClient(ctx, who.client.name)
	}
	if who.identity != "" {
		ctx = etcdstore.WithIssued(etcdstore.WithOwner(ctx, string(who.identity)), who.issued)
	}
	return context.WithValue(ctx, callerKey{}, who), who, done
}

type callerKey struct{}

// callerOf is who makes a call.
func callerOf(ctx context.Context) *caller {
	if who, ok := ctx.Value(callerKey{}).(*caller); ok {
		return who
	}
	return &caller{}
}
