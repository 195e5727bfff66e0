package auth

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// Identity is who a caller is; empty: nobody has said so. See the package's comment.
type Identity string

// Kind is where in a certificate a server looks for the identity.
type Kind string

// The kinds that certificates have.
const (
	SPIFFE     Kind = "spiffe"
	DNS        Kind = "dns"
	CommonName Kind = "cn"
)

// MaxName bounds in bytes the part of an identity that comes after its kind: SPIFFE's own bound is
// 2,048, and no name that is meant has so many.
const MaxName = 500

// FromCertificate returns the identity of a certificate's owner. The certificate is to be verified
// already. The error says why there is none.
func FromCertificate(kind Kind, cert *x509.Certificate) (Identity, error) {
	name, err := nameIn(kind, cert)
	if err == nil {
		err = checkName(name)
	}
	if err != nil {
		return "", fmt.Errorf("the certificate has no %s identity: %w", kind, err)
	}
	return Identity(string(kind) + ":" + name), nil
}

func nameIn(kind Kind, cert *x509.Certificate) (string, error) {
	switch kind {
	case SPIFFE:
		if len(cert.URIs) != 1 {
			return "", fmt.Errorf("it has %d URI names, not one", len(cert.URIs))
		}
		id, err := spiffeid.FromURI(cert.URIs[0])
		return id.String(), err
	case DNS:
		if len(cert.DNSNames) != 1 {
			return "", fmt.Errorf("it has %d DNS names, not one", len(cert.DNSNames))
		}
		name := strings.ToLower(cert.DNSNames[0])
		if strings.Contains(name, "*") || net.ParseIP(name) != nil {
			return "", fmt.Errorf("%q names no single host", name)
		}
		return name, nil
	case CommonName:
		return cert.Subject.CommonName, nil
	}
	return "", fmt.Errorf("there is no such kind")
}

// FromToken returns the identity of a token's owner. The token is to be verified already.
func FromToken(issuer, subject string) (Identity, error) {
	if err := errors.Join(checkName(issuer), checkName(subject), checkName(issuer+"#"+subject)); err != nil {
		return "", fmt.Errorf("the token has no identity: %w", err)
	}
	return Identity("jwt:" + issuer + "#" + subject), nil
}

// checkName refuses names that people could mistake for others, or that are too long.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > MaxName:
		return fmt.Errorf("the name has %d bytes, more than %d", len(name), MaxName)
	case !utf8.ValidString(name), strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("the name %q has characters that cannot be shown", name)
	case strings.TrimSpace(name) != name:
		return fmt.Errorf("the name %q begins or ends with a space", name)
	}
	return nil
}

// CheckIdentity returns an error unless a text has the form of an identity.
func CheckIdentity(text string) error {
	p, err := parsePattern(text)
	if err == nil && !p.exact {
		err = fmt.Errorf("identity %q is a pattern: want one identity", text)
	}
	return err
}

// pattern matches identities.
type pattern struct {
	text           string
	prefix, suffix string // what the identity begins and ends with, with something between them; both empty: anything
	exact          bool   // it is the identity
}

// parsePattern reads a pattern: an identity, or one with a star that stands for whole segments, and
// for one at least:
//
//   - anybody who has an identity
//     spiffe:…/*  jwt:…#*    whatever comes behind the separator: / : or #
//     dns:*.example.org      whatever comes before the dot
func parsePattern(text string) (pattern, error) {
	before, after, star := strings.Cut(text, "*")
	kind, name, _ := strings.Cut(text, ":")
	switch {
	case text == "":
		return pattern{}, errors.New("identity is missing")
	case text == "*":
		return pattern{text: text}, nil
	case kind != string(SPIFFE) && kind != string(DNS) && kind != string(CommonName) && kind != "jwt" || name == "":
		return pattern{}, fmt.Errorf("identity %q: want spiffe:…, dns:…, cn:… or jwt:…, or *", text)
	case !star:
		if err := checkName(name); err != nil {
			return pattern{}, fmt.Errorf("identity %q: %w", text, err)
		}
		return pattern{text: text, exact: true}, nil
	case strings.Contains(after, "*"):
	case after == "" && strings.ContainsAny(before[len(before)-1:], "/:#"):
		return pattern{text: text, prefix: before}, nil
	case before == "dns:" && len(after) > 1 && after[0] == '.':
		return pattern{text: text, prefix: before, suffix: after}, nil
	}
	return pattern{}, fmt.Errorf("identity %q: a * stands for whole segments: at the end behind a / : or #, or as in dns:*.example.org", text)
}

// matches reports whether an identity is meant. Nobody, the empty one, never is.
func (p pattern) matches(id Identity) bool {
	if p.exact {
		return string(id) == p.text
	}
	return id != "" && len(id) > len(p.prefix)+len(p.suffix) &&
		strings.HasPrefix(string(id), p.prefix) && strings.HasSuffix(string(id), p.suffix)
}
