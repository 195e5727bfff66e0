package certs

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// list is what an authority says of certificates that it has revoked.
type list struct {
	*x509.RevocationList
	since map[string]time.Time // by serial number
}

// newList reads a list. If it is one of the roots', its signature is checked, so that a mistake is
// found when it is made; else when it is used.
func newList(der []byte, roots []*x509.Certificate) (list, error) {
	parsed, err := x509.ParseRevocationList(der)
	if err != nil {
		return list{}, err
	}
	l := list{parsed, map[string]time.Time{}}
	for _, extension := range l.Extensions {
		if extension.Critical {
			return l, fmt.Errorf("the list of revoked certificates of %q is not a whole one of its own (critical extension %v)",
				l.Issuer, extension.Id)
		}
	}
	for _, entry := range l.RevokedCertificateEntries {
		for _, extension := range entry.Extensions {
			if extension.Critical {
				return l, fmt.Errorf("the list of revoked certificates of %q has entries of others (critical extension %v)", l.Issuer, extension.Id)
			}
		}
		l.since[string(entry.SerialNumber.Bytes())] = entry.RevocationTime
	}
	for _, root := range roots {
		if err := l.check(root); err != nil {
			return l, err
		}
	}
	return l, nil
}

// of reports whether a list says that it is that of an authority. Keys are compared as well, if
// they are named: an authority that has a new one keeps its name.
func (l list) of(authority *x509.Certificate) bool {
	return bytes.Equal(l.RawIssuer, authority.RawSubject) &&
		(len(l.AuthorityKeyId) == 0 || len(authority.SubjectKeyId) == 0 || bytes.Equal(l.AuthorityKeyId, authority.SubjectKeyId))
}

// check returns an error if a list says that it is that of an authority, and is not.
func (l list) check(authority *x509.Certificate) error {
	if !l.of(authority) {
		return nil
	}
	if err := l.CheckSignatureFrom(authority); err != nil {
		return fmt.Errorf("the list of revoked certificates of %q is not signed by it: %w", l.Issuer, err)
	}
	return nil
}

// Revoked is all that is in the lists, expired ones included.
func (s *Set) Revoked() (all []x509.RevocationListEntry) {
	for _, l := range s.lists {
		for _, entry := range l.RevokedCertificateEntries {
			all = append(all, x509.RevocationListEntry{SerialNumber: entry.SerialNumber, RevocationTime: entry.RevocationTime})
		}
	}
	return all
}

// revoked returns an error unless one of the chains has nothing in it that is revoked. It returns
// the error of the last.
func (s *Set) revoked(chains [][]*x509.Certificate, now time.Time) (err error) {
	for _, chain := range chains {
		var all error
		for i, cert := range chain[:len(chain)-1] {
			all = errors.Join(all, s.revokedBy(cert, chain[i+1], now))
		}
		if all == nil {
			return nil
		}
		err = all
	}
	return err
}

// revokedBy returns an error if the lists of a certificate's issuer have it, or are too old.
func (s *Set) revokedBy(cert, issuer *x509.Certificate, now time.Time) error {
	var last time.Time // when the last of the lists expires
	found, fresh := false, false
	for _, l := range s.lists {
		if !l.of(issuer) {
			continue
		}
		if err := l.check(issuer); err != nil {
			return fmt.Errorf("%w: %w", ErrStaleList, err)
		}
		if since, is := l.since[string(cert.SerialNumber.Bytes())]; is {
			return fmt.Errorf("%w: number %x of %q, at %s", ErrRevoked, cert.SerialNumber, issuer.Subject, stamp(since))
		}
		found, fresh = true, fresh || l.NextUpdate.IsZero() || now.Before(l.NextUpdate)
		if l.NextUpdate.After(last) {
			last = l.NextUpdate
		}
	}
	if found && !fresh {
		return fmt.Errorf("%w: the list of %q expired at %s", ErrStaleList, issuer.Subject, stamp(last))
	}
	return nil
}
