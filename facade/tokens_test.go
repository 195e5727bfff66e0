package facade_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/auth/bearer"
	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
)

const issuer = "https://issuer.example"

// mint signs tokens, of which the verifier knows some.
type mint struct {
	*testing.T
	*bearer.Verifier
	ec, unknown *ecdsa.PrivateKey
	rsa         *rsa.PrivateKey
}

func newMint(t *testing.T) *mint {
	t.Helper()
	m := &mint{T: t}
	var err error
	for _, key := range []**ecdsa.PrivateKey{&m.ec, &m.unknown} {
		if *key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	if m.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{KeyID: "ec", Key: m.ec.Public()}, {KeyID: "rsa", Key: m.rsa.Public()},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := certstest.Write(t, filepath.Join(t.TempDir(), "jwks"), set)
	m.Verifier, err = bearer.Open([]bearer.Issuer{{Issuer: issuer, Audience: "dlm", JWKS: file}}, bearer.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// sign makes a token of alice's, with some claims changed; nil: without that one.
func (m *mint) sign(algorithm jose.SignatureAlgorithm, kid string, key any, change map[string]any) string {
	m.Helper()
	now := time.Now()
	claims := map[string]any{"iss": issuer, "aud": "dlm", "sub": "alice", "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix()}
	for name, value := range change {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	text, err := json.Marshal(claims)
	if err != nil {
		m.Fatal(err)
	}
	opts := (&jose.SignerOptions{}).WithHeader("kid", kid)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, opts)
	if err != nil {
		m.Fatal(err)
	}
	signed, err := signer.Sign(text)
	if err != nil {
		m.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		m.Fatal(err)
	}
	return token
}

func (m *mint) good() string { return m.sign(jose.ES256, "ec", m.ec, nil) }

// with makes a token with some claims changed.
func (m *mint) with(change map[string]any) string { return m.sign(jose.ES256, "ec", m.ec, change) }

// bad are tokens that nobody is to be taken for.
func (m *mint) bad() map[string]string {
	m.Helper()
	good := m.good()
	parts := strings.Split(good, ".")
	der, err := x509.MarshalPKIXPublicKey(m.rsa.Public())
	if err != nil {
		m.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	const none = "eyJhbGciOiJub25lIn0" // {"alg":"none"}
	return map[string]string{
		"expired":                        m.with(map[string]any{"exp": time.Now().Add(-time.Second).Unix()}),
		"without an end":                 m.with(map[string]any{"exp": nil}),
		"of tomorrow":                    m.with(map[string]any{"nbf": time.Now().Add(24 * time.Hour).Unix()}),
		"for another audience":           m.with(map[string]any{"aud": "else"}),
		"for nobody":                     m.with(map[string]any{"aud": nil}),
		"of another issuer":              m.with(map[string]any{"iss": issuer + "/"}),
		"of nobody":                      m.with(map[string]any{"sub": ""}),
		"of a name that hides":           m.with(map[string]any{"sub": "ali\u202ece"}),
		"huge":                           m.with(map[string]any{"x": strings.Repeat("x", 10<<10)}) + "x",
		"nested":                         m.sign(jose.ES256, "ec", m.ec, map[string]any{"sub": nil, "jwt": good}),
		"signed by nobody, alg none":     none + "." + parts[1] + ".",
		"another's signature":            none + "." + parts[1] + "." + parts[2],
		"other claims":                   parts[0] + "." + strings.Split(m.with(map[string]any{"sub": "root"}), ".")[1] + "." + parts[2],
		"cut":                            good[:len(good)-1],
		"without a signature":            parts[0] + "." + parts[1] + ".",
		"HMAC with a public key, PEM":    m.sign(jose.HS256, "rsa", block, nil),
		"HMAC with a public key, DER":    m.sign(jose.HS256, "rsa", der, nil),
		"an unknown key":                 m.sign(jose.ES256, "unknown", m.unknown, nil),
		"an unknown key by a known name": m.sign(jose.ES256, "ec", m.unknown, nil),
		"PS256, which is not allowed":    m.sign(jose.PS256, "rsa", m.rsa, nil),
		"nothing":                        "",
	}
}

// A token that is not good is nobody's: no call is made with it, by itself or over a stream, and
// nothing is changed.
func TestBadTokensAreNobodys(t *testing.T) {
	t.Parallel()
	m := newMint(t)
	g := guardBy(t, 1, 1, everything, func(a *facade.Access) { a.ClientAuth, a.Bearers = facade.RequestCertificates, m })
	alice := "jwt:" + issuer + "#alice"
	conn := g.DialBy(0, credentials.NewTLS(g.secured.tls(nil)))
	named := g.to(0, "named")
	good := map[string]string{"ES256": m.good(), "RS256": m.sign(jose.RS256, "rsa", m.rsa, nil)}
	for name, token := range good {
		h := take(t, dlmv1.NewLockServiceClient(tokened{conn, token}), "", "of"+name)
		lock, err := dlmv1.NewLockServiceClient(named).Inspect(storetest.Bounded(t), &dlmv1.InspectRequest{Lock: h.lock})
		if err != nil || lock.GetLock().GetHolder().GetIdentity() != alice {
			t.Errorf("%s: the holder is %v, %v; want %s", name, lock, err, alice)
		}
		bad := m.bad()
		for what, conn := range map[string]*grpc.ClientConn{"without a certificate": conn, "with a good one": named} {
			g.still(what, func() {
				for name, token := range bad {
					as := tokened{conn, token}
					for _, try := range h.attempts(h.credential) {
						err := try.call(storetest.Bounded(t), dlmv1.NewLockServiceClient(as))
						if code, reason := refusalOf(err); code != codes.Unauthenticated || reason != "UNAUTHENTICATED" {
							t.Errorf("%s by a token that is %s, %s: %v; want UNAUTHENTICATED", try.name, name, what, err)
						}
						if token != "" && strings.Contains(err.Error(), token) {
							t.Errorf("the refusal repeats the token: %v", err)
						}
					}
					stream, err := dlmv1.NewLockServiceClient(as).Stream(storetest.Bounded(t))
					if err == nil {
						_ = stream.Send(initRequest(false))
						_, err = stream.Recv()
					}
					if code, _ := refusalOf(err); code != codes.Unauthenticated {
						t.Errorf("a stream by a token that is %s, %s: %v; want UNAUTHENTICATED", name, what, err)
					}
				}
			})
		}
		if _, err := dlmv1.NewLockServiceClient(tokened{conn, token}).Release(storetest.Bounded(t), &dlmv1.ReleaseRequest{
			Session: h.credential, Lock: h.lock, Token: h.token, Appended: true,
		}); err != nil {
			t.Errorf("%s: the owner's release: %v", name, err)
		}
	}
}

// tokened is a connection whose calls show a token.
type tokened struct {
	*grpc.ClientConn
	token string
}

func (c tokened) Invoke(ctx context.Context, method string, in, out any, opts ...grpc.CallOption) error {
	return c.ClientConn.Invoke(withToken(ctx, c.token), method, in, out, opts...)
}

func (c tokened) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return c.ClientConn.NewStream(withToken(ctx, c.token), desc, method, opts...)
}

// Of a certificate and a token that come together both have to be good, and the token says who
// calls.
func TestCertificatesAndTokensTogether(t *testing.T) {
	t.Parallel()
	m := newMint(t)
	for auth, bare := range map[facade.ClientAuth]codes.Code{facade.RequestCertificates: codes.OK, facade.RequireCertificates: codes.Unauthenticated} {
		g := guardBy(t, 1, 1, everything+"revoked:\n  - identity: spiffe:spiffe://example.org/revoked\n  - identity: jwt:"+issuer+"#revoked\n",
			func(a *facade.Access) { a.ClientAuth, a.Bearers = auth, m })
		named, revoked, listed := g.named("named"), g.named("revoked"), g.named("listed")
		expired := g.authority.Issue(t, certstest.Spec{URIs: []string{identityOf("named")[len("spiffe:"):]}, NotAfter: time.Now().Add(-time.Minute)})
		foreign := certstest.New(t).Issue(t, certstest.Spec{URIs: []string{identityOf("named")[len("spiffe:"):]}})
		g.write(g.crl, string(g.authority.CRL(t, listed)))
		g.access.Certificates.Look()
		good, other, bad := m.good(), m.with(map[string]any{"sub": "revoked"}), m.with(map[string]any{"aud": "else"})
		for _, c := range []struct {
			name  string
			pair  *certstest.Pair
			token string
			want  codes.Code
			is    string
		}{
			{"neither", nil, "", codes.Unauthenticated, ""},
			{"a token", nil, good, bare, "jwt:" + issuer + "#alice"},
			{"a bad token", nil, bad, codes.Unauthenticated, ""},
			{"a revoked token", nil, other, codes.Unauthenticated, ""},
			{"a certificate", &named, "", codes.OK, identityOf("named")},
			{"both", &named, good, codes.OK, "jwt:" + issuer + "#alice"},
			{"both, a bad token", &named, bad, codes.Unauthenticated, ""},
			{"both, a revoked token", &named, other, codes.Unauthenticated, ""},
			{"both, an expired certificate", &expired, good, codes.Unauthenticated, ""},
			{"both, another authority's certificate", &foreign, good, codes.Unauthenticated, ""},
			{"both, a listed certificate", &listed, good, codes.Unauthenticated, ""},
			{"both, the certificate of who was revoked", &revoked, good, codes.Unauthenticated, ""},
			{"both bad", &expired, bad, codes.Unauthenticated, ""},
		} {
			conn := g.DialBy(0, credentials.NewTLS(g.secured.tls(c.pair)))
			for way, by := range map[string]grpc.ClientConnInterface{"unary": conn, "multiplexed": conn} {
				if c.token != "" {
					by = tokened{conn, c.token}
				}
				ctx := storetest.Bounded(t)
				api := dlmv1.NewLockServiceClient(by)
				var session *dlmv1.InitResponse
				err := decided(func() (err error) {
					if way == "unary" {
						session, err = api.Init(ctx, &dlmv1.InitRequest{Ttl: minute})
					} else {
						session, err = initOver(ctx, api)
					}
					return err
				})
				if code, reason := refusalOf(err); code != c.want || (reason == "UNAUTHENTICATED") != (c.want == codes.Unauthenticated) {
					t.Errorf("%v, %s, %s: %v; want %v", auth, c.name, way, err, c.want)
					continue
				}
				if err != nil {
					continue
				}
				if _, err := api.Acquire(ctx, &dlmv1.AcquireRequest{Session: session.GetSession(), Lock: "l", Request: "1"}); err != nil {
					t.Fatal(err)
				}
				if lock, err := api.Inspect(ctx, &dlmv1.InspectRequest{Lock: "l"}); err != nil || lock.GetLock().GetHolder().GetIdentity() != c.is {
					t.Errorf("%v, %s, %s: the holder is %v, %v; want %s", auth, c.name, way, lock, err, c.is)
				}
				if _, err := api.Close(ctx, &dlmv1.CloseRequest{Session: session.GetSession()}); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// initOver begins a session over a stream.
func initOver(ctx context.Context, api dlmv1.LockServiceClient) (*dlmv1.InitResponse, error) {
	stream, err := api.Stream(ctx)
	if err != nil {
		return nil, err
	}
	_ = stream.Send(initRequest(false)) // if it cannot be sent, Recv says why
	answer, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	return answer.GetInit(), errorOf(answer.GetError())
}
