package facade

import (
	"github.com/distributed-lock-manager/dlm/facade/audit"
	"github.com/distributed-lock-manager/dlm/facade/auth"
	"github.com/distributed-lock-manager/dlm/facade/auth/bearer"
	"github.com/distributed-lock-manager/dlm/internal/certs"
	"github.com/distributed-lock-manager/dlm/internal/reread"
)

// Access says who may call, and what, and where that is written down. The zero Access: anybody may
// do everything, in plain text, and nothing is written down.
type Access struct {
	// Certificates are the server's own, and the authorities of its clients'; nil: plain text.
	// While it serves, a server looks at their files, and the policy's, several times a second.
	Certificates *reread.Files[*certs.Set]
	ClientAuth   ClientAuth
	Kind         auth.Kind // of the identities that certificates have
	// Bearers verifies tokens; nil: none are taken, and those that come are not looked at.
	Bearers Bearers
	// Policy is what callers may do; nil: everything.
	Policy *reread.Files[*auth.Policy]
	// Audit is where it is written down; nil: nowhere.
	Audit *audit.Log
	// Server is who this server is, in what is written down.
	Server string
}

// Bearers verifies tokens, without delay. It is what a [bearer.Verifier] does.
type Bearers interface {
	Verify(token string) (bearer.Claims, error)
}

// ClientAuth is whether clients show certificates.
type ClientAuth int

// Whether clients show certificates. A certificate that is shown has to be good.
const (
	NoCertificates      ClientAuth = iota // none are asked for
	RequestCertificates                   // a client may show one
	RequireCertificates                   // each has to
)

// anonymous reports whether somebody may call who has no identity.
func (a *Access) anonymous() bool {
	return a.ClientAuth != RequireCertificates && a.Bearers == nil && a.Policy == nil
}

// changes reports whether what a caller may do can change while its call goes on.
func (a *Access) changes() bool { return a.Certificates != nil || a.Bearers != nil || a.Policy != nil }
