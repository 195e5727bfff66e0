package certs

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// What can be wrong with a certificate. It is said plainly, because whoever shows it is told.
var (
	// ErrNone is returned if no certificate was shown.
	ErrNone = errors.New("there is no certificate")
	// ErrExpired is returned if the time of a certificate is over.
	ErrExpired = errors.New("the certificate has expired")
	// ErrNotYetValid is returned if the time of a certificate has not come.
	ErrNotYetValid = errors.New("the certificate is not valid yet")
	// ErrUnknownAuthority is returned if no authority that is trusted vouches for a certificate.
	ErrUnknownAuthority = errors.New("the certificate is not from an authority that is trusted here")
	// ErrUsage is returned if a certificate is not for what it is used for.
	ErrUsage = errors.New("the certificate is not for this use")
	// ErrName is returned if a certificate is not of who is called.
	ErrName = errors.New("the certificate is another's")
	// ErrInvalid is returned if a certificate breaks a rule that is not named above.
	ErrInvalid = errors.New("the certificate is invalid")
	// ErrRevoked is returned if the issuer of a certificate has revoked it.
	ErrRevoked = errors.New("the certificate has been revoked")
	// ErrStaleList is returned if all lists of an issuer's revoked certificates have expired.
	ErrStaleList = errors.New("whether the certificate has been revoked is not known")
)

// Verify returns an error, one of those above, unless the first of the certificates that a peer has
// shown is good at that moment: as that of a server or of a client, and of that name, which is not
// looked at if it is empty.
func (s *Set) Verify(peer []*x509.Certificate, usage x509.ExtKeyUsage, name string, now time.Time) error {
	if len(peer) == 0 {
		return ErrNone
	}
	between := x509.NewCertPool()
	for _, cert := range peer[1:] {
		between.AddCert(cert)
	}
	chains, err := peer[0].Verify(x509.VerifyOptions{
		Roots: s.Roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}, DNSName: name,
	})
	if err != nil {
		return inWords(err, usage, now)
	}
	return s.revoked(chains, now)
}

// inWords is an error of package x509 as one of this package.
func inWords(err error, usage x509.ExtKeyUsage, now time.Time) error {
	if _, is := errors.AsType[x509.UnknownAuthorityError](err); is {
		return fmt.Errorf("%w: %w", ErrUnknownAuthority, err)
	}
	if _, is := errors.AsType[x509.HostnameError](err); is {
		return fmt.Errorf("%w: %w", ErrName, err)
	}
	invalid, is := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case is && invalid.Reason == x509.Expired && now.Before(invalid.Cert.NotBefore):
		return fmt.Errorf("%w: it is from %s on, and it is %s", ErrNotYetValid, stamp(invalid.Cert.NotBefore), stamp(now))
	case is && invalid.Reason == x509.Expired:
		return fmt.Errorf("%w: it was valid until %s, and it is %s", ErrExpired, stamp(invalid.Cert.NotAfter), stamp(now))
	case is && invalid.Reason == x509.IncompatibleUsage:
		return fmt.Errorf("%w: want one for %s", ErrUsage, called(usage))
	}
	return fmt.Errorf("%w: %w", ErrInvalid, err)
}

func called(usage x509.ExtKeyUsage) string {
	if usage == x509.ExtKeyUsageServerAuth {
		return "servers (extended key usage serverAuth)"
	}
	return "clients (extended key usage clientAuth)"
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
