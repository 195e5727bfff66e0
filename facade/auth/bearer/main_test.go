package bearer_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"github.com/distributed-lock-manager/dlm/facade/auth/bearer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What the tests' tokens are about.
const (
	issuer   = "https://issuer.example"
	audience = "dlm"
	subject  = "system:serviceaccount:prod:jobs"
)

var (
	now     = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	discard = slog.New(slog.DiscardHandler)

	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	weakKey  = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 1024)) })
	ecKey    = sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P256()) })
	otherKey = sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P256()) })
	edKey    = sync.OnceValue(func() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newEC(curve elliptic.Curve) *ecdsa.PrivateKey {
	return must(ecdsa.GenerateKey(curve, rand.Reader))
}

// public is a private key's entry in a set.
func public(kid string, private crypto.Signer) jose.JSONWebKey {
	return jose.JSONWebKey{KeyID: kid, Key: private.Public()}
}

// set is a set of keys.
func set(keys ...jose.JSONWebKey) []byte { return must(json.Marshal(jose.JSONWebKeySet{Keys: keys})) }

// write writes a file, whose name it returns.
func write(tb testing.TB, text []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "file")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// at judges tokens by the tests' time.
func at() bearer.Options {
	return bearer.Options{Logger: discard, Now: func() time.Time { return now }}
}

// open returns a verifier that is closed with the test.
func open(tb testing.TB, issuers ...bearer.Issuer) *bearer.Verifier {
	tb.Helper()
	v, err := bearer.Open(issuers, at())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(v.Close)
	return v
}

// fields are the members of a header, or of claims.
type fields map[string]any

// with returns fields with others in their place; nil: without one.
func (f fields) with(others fields) fields {
	f = maps.Clone(f)
	for key, value := range others {
		if f[key] = value; value == nil {
			delete(f, key)
		}
	}
	return f
}

// claims are those of a good token.
func claims() fields {
	return fields{
		"iss": issuer, "aud": audience, "sub": subject,
		"iat": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

// encode is a part of a token: JSON, or text as it is.
func encode(part any) string {
	text, is := part.(string)
	if !is {
		text = string(must(json.Marshal(part)))
	}
	return base64.RawURLEncoding.EncodeToString([]byte(text))
}

// byHand signs whatever it is given with ES256, in compact form.
func byHand(key *ecdsa.PrivateKey, header, payload any) string {
	input := encode(header) + "." + encode(payload)
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		panic(err)
	}
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return input + "." + encode(string(signature))
}

// signed is a token as the library makes it.
func signed(algorithm jose.SignatureAlgorithm, kid string, key any, header, payload fields) string {
	options := &jose.SignerOptions{}
	for name, value := range header {
		options.WithHeader(jose.HeaderKey(name), value)
	}
	signer := must(jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, options))
	return must(must(signer.Sign(must(json.Marshal(payload)))).CompactSerialize())
}
