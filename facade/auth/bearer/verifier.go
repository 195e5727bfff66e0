package bearer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	// MaxToken bounds a token in bytes.
	MaxToken = 16 << 10
	// MaxSubject bounds a token's subject in bytes.
	MaxSubject = 255
	// Leeway is how far apart an issuer's clock and this one may be.
	Leeway = time.Minute
)

// Claims are what a verified token says.
type Claims struct {
	Issuer  string
	Subject string
	Issued  time.Time // zero: it does not say
	Expiry  time.Time
}

// Options of a verifier.
type Options struct {
	Logger *slog.Logger
	Now    func() time.Time // by which tokens are judged; nil: time.Now
}

// Verifier verifies tokens. It is safe for concurrent use.
type Verifier struct {
	now     func() time.Time
	issuers map[string]*source
	seen    cache

	stop    context.CancelFunc
	running sync.WaitGroup
}

// Open returns a verifier of the issuers' tokens. It reads keys that are in files; those at URLs
// are fetched in the background.
func Open(issuers []Issuer, opts Options) (*Verifier, error) {
	return open(issuers, opts, pace{every: 10 * time.Minute, apart: 10 * time.Second, patience: 2 * time.Second})
}

func open(issuers []Issuer, opts Options, pace pace) (*Verifier, error) {
	v := &Verifier{now: opts.Now, issuers: map[string]*source{}}
	if v.now == nil {
		v.now = time.Now
	}
	for _, issuer := range issuers {
		s := &source{Issuer: issuer}
		err := issuer.Validate()
		switch logger := opts.Logger.With("issuer", issuer.Issuer); {
		case err != nil:
		case v.issuers[issuer.Issuer] != nil:
			err = errors.New("is there twice")
		case issuer.remote():
			s.keys = newRemote(issuer, pace, logger)
		default:
			s.keys, err = openLocal(issuer, logger)
		}
		if err != nil {
			return nil, fmt.Errorf("issuer %q: %w", issuer.Issuer, err)
		}
		v.issuers[issuer.Issuer] = s
	}
	ctx, stop := context.WithCancel(context.Background())
	v.stop = stop
	for _, s := range v.issuers {
		v.running.Go(func() { s.keys.run(ctx) })
	}
	return v, nil
}

// Close has keys be read no more, and waits until none is being read. A repeat does nothing.
func (v *Verifier) Close() {
	v.stop()
	v.running.Wait()
}

// Verify returns what a token says, or why it is refused. It may wait for keys, as the package's
// comment says.
func (v *Verifier) Verify(token string) (Claims, error) {
	if len(token) > MaxToken {
		return Claims{}, fmt.Errorf("%w: it has more than %d bytes", ErrMalformed, MaxToken)
	}
	sum, now := sha256.Sum256([]byte(token)), v.now()
	if seen := v.seen.get(sum); seen != nil && seen.keys == seen.by.keys.current() {
		return seen.at(now)
	}
	verified, err := v.verify(token)
	if err != nil {
		return Claims{}, err
	}
	claims, err := verified.at(now)
	if err == nil {
		v.seen.put(sum, verified)
	}
	return claims, err
}

// verified is a token of which everything is right but, maybe, the time.
type verified struct {
	claims    Claims
	notBefore time.Time

	by   *source
	keys *keySet // of its issuer, as they were then
}

// at returns a token's claims, if this is its time.
func (t *verified) at(now time.Time) (Claims, error) {
	if !now.Before(t.claims.Expiry) {
		return Claims{}, ErrExpired
	}
	if early := now.Add(Leeway); early.Before(t.notBefore) || early.Before(t.claims.Issued) {
		return Claims{}, ErrNotYet
	}
	return t.claims, nil
}

func (v *Verifier) verify(token string) (*verified, error) {
	if strings.ContainsAny(token, "\r\n") { // which decoding skips
		return nil, ErrMalformed
	}
	// What the library says is not passed on: it repeats what is in the token.
	jws, err := jose.ParseSignedCompact(token, algorithms())
	if _, is := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); is {
		return nil, ErrAlgorithm
	} else if err != nil {
		return nil, ErrMalformed
	}
	header := jws.Signatures[0].Protected
	if err := supported(header); err != nil {
		return nil, err
	}
	var claims jwt.Claims // not to be trusted before the signature is verified
	if json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &claims) != nil {
		return nil, ErrMalformed
	}

	by := v.issuers[claims.Issuer]
	if by == nil {
		return nil, ErrIssuer
	}
	if !slices.Contains(by.algorithms(), header.Algorithm) {
		return nil, ErrAlgorithm
	}
	keys, key, err := by.find(header.KeyID, jose.SignatureAlgorithm(header.Algorithm))
	if err != nil {
		return nil, err
	}
	if _, err := jws.Verify(key); err != nil {
		return nil, ErrSignature
	}

	switch {
	case !claims.Audience.Contains(by.Audience):
		return nil, ErrAudience
	case claims.Expiry == nil:
		return nil, fmt.Errorf("%w: it does not expire", ErrMalformed)
	case claims.Subject == "" || len(claims.Subject) > MaxSubject || !printable(claims.Subject):
		return nil, ErrSubject
	}
	return &verified{
		claims: Claims{
			Issuer: claims.Issuer, Subject: claims.Subject, Issued: claims.IssuedAt.Time(), Expiry: claims.Expiry.Time(),
		},
		notBefore: claims.NotBefore.Time(),
		by:        by, keys: keys,
	}, nil
}

// supported reports whether a header has a token's type, and asks for nothing more.
func supported(header jose.Header) error {
	for key, value := range header.ExtraHeaders {
		text, _ := value.(string)
		switch key {
		case jose.HeaderType:
			if typ := strings.ToLower(text); typ != "jwt" && typ != "at+jwt" && typ != "application/at+jwt" {
				return fmt.Errorf("%w: its type is neither JWT nor at+jwt", ErrUnsupported)
			}
		case jose.HeaderContentType:
			if strings.EqualFold(text, "JWT") {
				return fmt.Errorf("%w: there is another token in it", ErrUnsupported)
			}
		case "crit", "b64": // the latter means nothing in a token, and would change what is signed
			return fmt.Errorf("%w: it needs extensions", ErrUnsupported)
		}
	}
	return nil
}
