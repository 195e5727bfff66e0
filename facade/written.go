package facade

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"google.golang.org/grpc/peer"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	lockservice "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
	"github.com/distributed-lock-manager/dlm/facade/audit"
	"github.com/distributed-lock-manager/dlm/facade/auth"
)

// answered is what becomes of a call's answer, or its error, on its way out: what the caller may
// not see is taken out of it, and what was done, or was refused, is written down.
func (g *gate) answered(c *call, resp any, err error, took time.Duration) {
	if err == nil {
		c.caller.granted(resp)
	}
	if g.access.Audit != nil && written(c.method, err) {
		g.access.Audit.Write(g.line(c, resp, err, took))
	}
	if err == nil {
		g.redact(c, resp)
	}
}

// granted notes how long the sessions live that a caller keeps.
func (c *caller) granted(resp any) {
	switch r := resp.(type) {
	case *dlmv1.InitResponse:
		c.outlives(r.GetTtl().AsDuration())
	case *dlmv1.HeartbeatResponse:
		c.outlives(r.GetTtl().AsDuration())
	}
}

func (c *caller) outlives(ttl time.Duration) {
	if c.token && int64(ttl) > c.ttl.Load() {
		c.ttl.Store(int64(ttl))
	}
}

// written reports whether a call is written down: it was to change something, or its caller was
// refused.
func written(method string, err error) bool {
	if mutates(method) {
		return true
	}
	need, _ := auth.NeedOf(method)
	r, refused := errors.AsType[*refusal](err)
	return refused && need.Scope != auth.Exempt && (r.reason == reasonUnauthenticated || r.reason == reasonPermissionDenied)
}

// line is what is written down of a call: never a credential, nor what was appended.
func (g *gate) line(c *call, resp any, err error, took time.Duration) audit.Line {
	l := audit.Line{
		Time: c.began.Add(took), Server: g.access.Server, Identity: string(c.caller.identity), Verb: brief(verbOf(c.method)), Method: brief(path.Base(c.method)),
		Lock: brief(g.lockOf(c.method, c.req)), Revision: c.receipt.Revision(), Outcome: "OK", Took: took, Refusal: !c.admitted,
	}
	if p, ok := peer.FromContext(c.ctx); ok {
		l.Peer = p.Addr.String()
	}
	if m, ok := c.req.(interface{ GetSession() string }); ok {
		l.Session = publicID(m.GetSession())
	}
	if m, ok := c.req.(interface{ GetRequest() string }); ok {
		l.Request = brief(m.GetRequest())
	}
	if m, ok := c.req.(interface{ GetToken() int64 }); ok {
		l.Token = m.GetToken()
	}
	if m, ok := resp.(interface{ GetToken() int64 }); ok && m.GetToken() != 0 {
		l.Token = m.GetToken()
	}
	switch r := resp.(type) {
	case *dlmv1.InitResponse:
		l.Session = r.GetId()
	case *dlmv1.AcquireResponse:
		l.Outcome = strings.TrimPrefix(r.GetOutcome().String(), "OUTCOME_")
	case *dlmv1.EvictResponse:
		l.Session = r.GetEvicted().GetSession()
		l.Token = max(l.Token, r.GetEvicted().GetToken())
	case *lockservice.Response:
		if r.GetStatus() != lockservice.Status_SUCCESS { // which is no error of the call
			l.Outcome = r.GetStatus().String()
		}
	}
	if m, ok := c.req.(*dlmv1.EvictRequest); ok {
		l.Reason = brief(m.GetReason())
	}
	if m, ok := c.req.(*dlmv1.SetRetentionRequest); ok {
		r := m.GetRetention()
		l.Reason = brief(fmt.Sprintf("%q, files %q: at most %d bytes, at most %s", r.GetPrefix(), r.GetFiles(), r.GetMaxBytes(), r.GetMaxAge().AsDuration()))
	}
	if r, refused := errors.AsType[*refusal](err); refused {
		l.Outcome = r.reason
	}
	return l
}

// maxWritten bounds in bytes what a client chose and a line repeats. Nothing that is good for
// anything is longer; a line of anybody's could fill memory and disks.
const maxWritten = 256

func brief(text string) string {
	if len(text) <= maxWritten {
		return text
	}
	return cut(text, maxWritten) + "…" // a copy: the line outlives the call
}

// verbOf is what a call does, in a policy's words where there is one.
func verbOf(method string) string {
	if need, _ := auth.NeedOf(method); need.Scope == auth.OfLock || need.Scope == auth.Somewhere || need.Scope == auth.Cluster {
		return need.Verb.String()
	}
	return strings.ToLower(path.Base(method))
}
