package facade_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/auth/bearer"
	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
)

func TestBadCertificatesAreRefused(t *testing.T) {
	s := secure(t, nil, everything)
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	other := certstest.New(t)
	uri := []string{"spiffe://example.org/a"}
	revoked := s.named("a")
	s.write(s.crl, string(s.authority.CRL(t, revoked)))
	s.access.Certificates.Look()
	issue := func(a *certstest.Authority, spec certstest.Spec) *certstest.Pair {
		pair := a.Issue(t, spec)
		return &pair
	}
	for name, pair := range map[string]*certstest.Pair{
		"none":                nil,
		"expired":             issue(s.authority, certstest.Spec{URIs: uri, NotBefore: past.Add(-time.Hour), NotAfter: past}),
		"not yet valid":       issue(s.authority, certstest.Spec{URIs: uri, NotBefore: future, NotAfter: future.Add(time.Hour)}),
		"another authority's": issue(other, certstest.Spec{URIs: uri}),
		"a server's":          issue(s.authority, certstest.Spec{URIs: uri, Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}),
		"revoked":             &revoked,
		"two URIs":            issue(s.authority, certstest.Spec{URIs: append(uri, "spiffe://example.org/b")}),
		"no URI":              issue(s.authority, certstest.Spec{CN: "a", DNS: []string{"a.example.org"}}),
		"self-signed":         {Cert: other.PEM(), Key: selfKey(t, other), Leaf: other.Cert},
	} {
		t.Run(name, func(t *testing.T) {
			conn := s.dial(pair)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err := dlmv1.NewLockServiceClient(conn).Init(ctx, &dlmv1.InitRequest{})
			if code, reason := refusalOf(err); code != codes.Unauthenticated || reason != "UNAUTHENTICATED" {
				t.Errorf("Init: %v, reason %q; want UNAUTHENTICATED", err, reason)
			}
			t.Log(status.Convert(err).Message())
			err = overStream(ctx, conn, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Init{Init: &dlmv1.InitRequest{}}})
			if code, _ := refusalOf(err); code != codes.Unauthenticated {
				t.Errorf("Init over a stream: %v; want UNAUTHENTICATED", err)
			}
			if calls := s.calls.take(); len(calls) > 0 {
				t.Errorf("the store was asked: %v", calls)
			}
			if _, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{}); err != nil {
				t.Errorf("a health check: %v", err)
			}
		})
	}
	t.Run("good", func(t *testing.T) {
		if _, err := dlmv1.NewLockServiceClient(s.as("a")).Init(t.Context(), &dlmv1.InitRequest{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("older than TLS 1.3, and plain text", func(t *testing.T) {
		pair := s.named("a")
		for name, creds := range map[string]credentials.TransportCredentials{
			"TLS 1.2": credentials.NewTLS(&tls.Config{
				RootCAs: s.authority.Pool(), Certificates: []tls.Certificate{pair.TLS(t)}, MaxVersion: tls.VersionTLS12, //nolint:gosec // on purpose
			}),
			"plain text": insecure.NewCredentials(),
		} {
			conn, err := grpc.NewClient("passthrough:///"+s.addr, grpc.WithTransportCredentials(creds))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			if _, err := dlmv1.NewLockServiceClient(conn).Init(ctx, &dlmv1.InitRequest{}); status.Code(err) != codes.Unavailable {
				t.Errorf("%s: %v", name, err)
			}
			cancel()
			_ = conn.Close()
		}
		s.calls.take()
	})
}

// A connection ends with the certificate that it was made with, and when that is in a list.
func TestConnectionsEndWithTheirCertificates(t *testing.T) {
	s := secure(t, newWaiting(), everything)
	short := s.authority.Issue(t, certstest.Spec{URIs: []string{"spiffe://example.org/short"}, NotAfter: time.Now().Add(2 * time.Second)})
	listed, stays := s.named("listed"), s.named("stays")
	ended := map[string]chan error{}
	for name, pair := range map[string]*certstest.Pair{"short": &short, "listed": &listed, "stays": &stays} {
		stream, err := dlmv1.NewLockServiceClient(s.dial(pair)).Stream(t.Context())
		if err == nil {
			_, err = stream.Header()
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		end := make(chan error, 1)
		ended[name] = end
		go func() {
			_, err := stream.Recv()
			end <- err
		}()
	}
	s.write(s.crl, string(s.authority.CRL(t, listed)))
	for _, name := range []string{"listed", "short"} {
		if err := wait(t, ended[name], "the end of "+name); status.Code(err) != codes.Unavailable && status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s ended with %v", name, err)
		}
	}
	if left := time.Until(short.Leaf.NotAfter); left > 0 {
		t.Errorf("the connection ended %v before its certificate", left)
	}
	select {
	case err := <-ended["stays"]:
		t.Errorf("another one's connection ended: %v", err)
	default:
	}
}

// tokens are taken as they are: SUBJECT, until they expire.
type tokens map[string]time.Time

func (tokens tokens) Verify(token string) (bearer.Claims, error) {
	expiry, found := tokens[token]
	if !found || !time.Now().Before(expiry) {
		return bearer.Claims{}, errors.New("it has expired")
	}
	return bearer.Claims{Issuer: "https://issuer", Subject: token, Issued: expiry.Add(-time.Hour), Expiry: expiry}, nil
}

func withToken(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// When a stream's token expires what was begun can be ended over it for one more TTL, and nothing
// else can be done.
func TestTokensExpireOnLiveStreams(t *testing.T) {
	expiry := time.Now().Add(2 * time.Second)
	s := secure(t, nil, everything, func(cfg *facade.Config) {
		cfg.Access.ClientAuth, cfg.Access.Bearers = facade.RequestCertificates, tokens{"a": expiry, "b": expiry.Add(time.Hour)}
	})
	conn := s.dial(nil)
	client := dlmv1.NewLockServiceClient(conn)
	for token, want := range map[string]codes.Code{"a": codes.OK, "c": codes.Unauthenticated, "": codes.Unauthenticated} {
		if _, err := client.Inspect(withToken(t.Context(), token), &dlmv1.InspectRequest{Lock: "l"}); status.Code(err) != want {
			t.Errorf("with token %q: %v, want %v", token, err, want)
		}
	}
	if _, err := client.Inspect(t.Context(), &dlmv1.InspectRequest{Lock: "l"}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("without a token: %v", err)
	}
	twice := withToken(withToken(t.Context(), "a"), "b")
	if _, err := client.Inspect(twice, &dlmv1.InspectRequest{Lock: "l"}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("with two tokens: %v", err)
	}
	stream, err := client.Stream(withToken(t.Context(), "a"))
	if err != nil {
		t.Fatal(err)
	}
	number := uint64(0)
	ask := func(req *dlmv1.StreamRequest) error {
		number++
		req.Call = number
		if err := stream.Send(req); err != nil {
			_, err = stream.Recv()
			return err
		}
		answer, err := stream.Recv()
		if err == nil && answer.GetError() != nil {
			err = status.Error(codes.Code(answer.GetError().GetCode()), answer.GetError().GetMessage()) //nolint:gosec // a code
		}
		return err
	}
	init := func() *dlmv1.StreamRequest {
		return &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Init{Init: &dlmv1.InitRequest{Ttl: durationpb.New(time.Second)}}}
	}
	beat := func() *dlmv1.StreamRequest {
		return &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Heartbeat{Heartbeat: &dlmv1.HeartbeatRequest{}}}
	}
	if err := ask(init()); err != nil { // the scripted store grants a second
		t.Fatal(err)
	}
	look := func() *dlmv1.StreamRequest {
		return &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Inspect{Inspect: &dlmv1.InspectRequest{Lock: "l"}}}
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if err = ask(look()); err != nil {
			break
		}
	}
	if status.Code(err) != codes.Unauthenticated || time.Now().Before(expiry) {
		t.Errorf("a look over it: %v, %v before the token's end", err, time.Until(expiry))
	}
	if err := ask(beat()); err != nil && time.Since(expiry) < time.Second/2 {
		t.Errorf("a heartbeat, %v after the token's end: %v", time.Since(expiry), err)
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if err = ask(beat()); err != nil {
			break
		}
	}
	if status.Code(err) != codes.Unauthenticated || time.Since(expiry) < time.Second {
		t.Errorf("the last heartbeat, %v after the token's end: %v", time.Since(expiry), err)
	}
}

// Limits that are each client's own are an identity's, from wherever it calls.
func TestLimitsAreByIdentity(t *testing.T) {
	s := secure(t, newWaiting(), everything, func(cfg *facade.Config) { cfg.Limits.WatchesPerClient = 1 })
	watch := func(conn *grpc.ClientConn) error {
		stream, err := dlmv1.NewLockServiceClient(conn).Watch(t.Context(), &dlmv1.WatchRequest{})
		if err != nil {
			return err
		}
		ended := make(chan error, 1)
		go func() {
			_, err := stream.Recv()
			ended <- err
		}()
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Second):
			return nil
		}
	}
	for i, c := range []struct {
		who  string
		want codes.Code
	}{{"a", codes.OK}, {"a", codes.ResourceExhausted}, {"b", codes.OK}} {
		if err := watch(s.as(c.who)); status.Code(err) != c.want {
			t.Errorf("watch %d, of %s: %v, want %v", i, c.who, err, c.want)
		}
	}
}

// selfKey is the key of an authority, with which it shows its own certificate.
func selfKey(t *testing.T, a *certstest.Authority) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(a.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
