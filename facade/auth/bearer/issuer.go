package bearer

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
)

// maxIssuer bounds an issuer's name in bytes, so that with a subject it makes an identity's name of
// 512 bytes at most.
const maxIssuer = 250

// Issuer is one whose tokens count.
type Issuer struct {
	Issuer     string   // as its tokens name it
	Audience   string   // whom they have to be meant for
	JWKS       string   // its keys: a file, or a URL of https
	Algorithms []string // that its tokens may be signed with; none: RS256 and ES256

	// For a URL. Both files are read whenever the keys are fetched.
	CA        string // PEM file of the authorities that count there; empty: the system's
	TokenFile string // a bearer token to show there; empty: none
}

// algorithms are all that there can be.
func algorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	}
}

func (i Issuer) algorithms() []string {
	if len(i.Algorithms) == 0 {
		return []string{string(jose.RS256), string(jose.ES256)}
	}
	return i.Algorithms
}

// remote reports whether the keys are at a URL.
func (i Issuer) remote() bool { return strings.Contains(i.JWKS, "://") }

// Validate says everything that is wrong with an issuer, but what its files say. Errors begin with
// the field's key in the configuration.
func (i Issuer) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	switch {
	case i.Issuer == "":
		fault("issuer: is missing")
	case !printable(i.Issuer) || len(i.Issuer) > maxIssuer:
		fault("issuer: %q is not printable text of at most %d bytes", i.Issuer, maxIssuer)
	case strings.Contains(i.Issuer, "#"): // what ends its name in an identity's
		fault("issuer: %q has a #", i.Issuer)
	}
	if i.Audience == "" {
		fault("audience: is missing: tokens for others would count")
	}
	switch {
	case i.JWKS == "":
		fault("jwks: is missing")
	case i.remote():
		u, err := url.Parse(i.JWKS)
		if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
			fault("jwks: want a file, or a URL https://HOST/… without a user and a fragment")
		}
	case i.CA != "" || i.TokenFile != "":
		fault("jwks-ca, jwks-token-file: are for a URL, and the keys are in a file")
	}
	for _, algorithm := range i.Algorithms {
		if !slices.Contains(algorithms(), jose.SignatureAlgorithm(algorithm)) {
			fault("algorithms: %q is none of %v", algorithm, algorithms())
		}
	}
	return errors.Join(faults...)
}

// Check says everything that is wrong with an issuer, and with the file of its keys if there is
// one.
func (i Issuer) Check() error {
	err := i.Validate()
	if err != nil || i.remote() {
		return err
	}
	if _, err := openLocal(i, slog.New(slog.DiscardHandler)); err != nil {
		return fmt.Errorf("jwks: %q: %w", i.JWKS, err)
	}
	return nil
}

// printable reports whether a text is what it looks like. The character that stands for what could
// not be decoded does not count as such: different texts would have the same name.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) })
}
