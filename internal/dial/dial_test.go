package dial_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
	"github.com/distributed-lock-manager/dlm/internal/dial"
)

// server is a server that remembers what tokens it was shown.
type server struct {
	port   string
	tokens chan []string
}

// serve starts one on all addresses of this machine; cfg nil: in plain text.
func serve(t *testing.T, cfg *tls.Config) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	creds := insecure.NewCredentials()
	if cfg != nil {
		creds = credentials.NewTLS(cfg)
	}
	s := &server{tokens: make(chan []string, 16)}
	_, s.port, _ = net.SplitHostPort(listener.Addr().String())
	g := grpc.NewServer(grpc.Creds(creds), grpc.UnaryInterceptor(
		func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			s.tokens <- metadata.ValueFromIncomingContext(ctx, "authorization")
			return handle(ctx, req)
		}))
	healthpb.RegisterHealthServer(g, health.NewServer())
	served := make(chan error, 1)
	go func() { served <- g.Serve(listener) }()
	t.Cleanup(func() {
		g.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return s
}

// call makes one call, and returns the connection it was made on.
func call(t *testing.T, cfg dial.Config, endpoint string) (*dial.Conn, error) {
	t.Helper()
	conn, err := cfg.Server(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	return conn, err
}

func trusting(t *testing.T, a *certstest.Authority, pair certstest.Pair) (client, server *tls.Config) {
	t.Helper()
	return &tls.Config{RootCAs: a.Pool()},
		&tls.Config{Certificates: []tls.Certificate{pair.TLS(t)}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
}

// The server has to be the one that the endpoint names, be it by an address or by no host at all.
func TestServerIsVerifiedByTheEndpoint(t *testing.T) {
	authority := certstest.New(t)
	for name, test := range map[string]struct {
		spec certstest.Spec
		host string
		ok   bool
	}{
		"name":             {certstest.Spec{DNS: []string{"localhost"}}, "localhost", true},
		"no host":          {certstest.Spec{DNS: []string{"localhost"}}, "", true},
		"no host, address": {certstest.Spec{IPs: []string{"127.0.0.1"}}, "", false},
		"address":          {certstest.Spec{IPs: []string{"127.0.0.1"}}, "127.0.0.1", true},
		"another address":  {certstest.Spec{IPs: []string{"127.0.0.2"}}, "127.0.0.1", false},
		"address as name":  {certstest.Spec{DNS: []string{"127.0.0.1"}}, "127.0.0.1", false},
		"another name":     {certstest.Spec{DNS: []string{"example.org"}}, "localhost", false},
	} {
		t.Run(name, func(t *testing.T) {
			client, with := trusting(t, authority, authority.Issue(t, test.spec))
			told := make(chan string, 1)
			client.VerifyConnection = func(state tls.ConnectionState) error {
				told <- state.ServerName
				return nil
			}
			s := serve(t, with)
			_, err := call(t, dial.Config{TLS: client}, net.JoinHostPort(test.host, s.port))
			if test.ok != (err == nil) {
				t.Fatalf("got error %v", err)
			}
			if !test.ok {
				return
			}
			want := test.host
			if want == "" {
				want = "localhost"
			}
			if got := <-told; got != want {
				t.Errorf("the configuration's own verification is told of a server %q, want %q", got, want)
			}
		})
	}
}

func TestServerNameOfTheConfigurationCounts(t *testing.T) {
	authority := certstest.New(t)
	client, with := trusting(t, authority, authority.Issue(t, certstest.Spec{DNS: []string{"dlm.example.org"}}))
	client.ServerName = "dlm.example.org"
	s := serve(t, with)
	if _, err := call(t, dial.Config{TLS: client}, "127.0.0.1:"+s.port); err != nil {
		t.Error(err)
	}
}

func TestOldTLSIsSpokenOnlyIfAskedFor(t *testing.T) {
	authority := certstest.New(t)
	client, with := trusting(t, authority, authority.Issue(t, certstest.Spec{IPs: []string{"127.0.0.1"}}))
	with.MaxVersion = tls.VersionTLS12
	s := serve(t, with)
	if _, err := call(t, dial.Config{TLS: client}, "127.0.0.1:"+s.port); err == nil {
		t.Error("TLS 1.2 was spoken")
	}
	if client.MinVersion != 0 {
		t.Error("the caller's configuration was changed")
	}
	client.MinVersion = tls.VersionTLS12
	if _, err := call(t, dial.Config{TLS: client}, "127.0.0.1:"+s.port); err != nil {
		t.Error(err)
	}
}

// Who has forgotten TLS on one side is told so.
func TestPlainTextAndTLSAreToldApart(t *testing.T) {
	authority := certstest.New(t)
	client, with := trusting(t, authority, authority.Issue(t, certstest.Spec{IPs: []string{"127.0.0.1"}}))
	for want, test := range map[string]struct{ client, server *tls.Config }{
		"this client speaks plain text":                     {nil, with},
		"the server speaks plain text, and this client TLS": {client, nil},
		"certificate signed by unknown authority":           {&tls.Config{}, with},
		"wanted to match example.test":                      {&tls.Config{RootCAs: authority.Pool(), ServerName: "example.test"}, with},
	} {
		t.Run(want, func(t *testing.T) {
			s := serve(t, test.server)
			_, err := call(t, dial.Config{TLS: test.client}, "127.0.0.1:"+s.port)
			if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), want) {
				t.Errorf("got error %v, want %q", err, want)
			}
			t.Log(err)
		})
	}
}

func jwt(payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(`{"alg":"ES256"}`)) + "." + encode([]byte(payload)) + ".c2lnbmF0dXJl"
}

// The token is what the file has at that moment.
func TestBearerFileIsReread(t *testing.T) {
	s := serve(t, nil)
	file := filepath.Join(t.TempDir(), "token")
	cfg := dial.Config{BearerFile: file}
	conn, err := call(t, cfg, "127.0.0.1:"+s.port)
	if status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), file) {
		t.Errorf("without a file: got error %v", err)
	}
	for content, want := range map[string]string{"one": "Bearer one", " two\n": "Bearer two"} {
		certstest.Write(t, file, []byte(content))
		if _, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
			t.Fatal(err)
		}
		if got := <-s.tokens; len(got) != 1 || got[0] != want {
			t.Errorf("of %q the server was shown %q", content, got)
		}
	}
	for _, content := range []string{"", "\n", "two tokens", "t\x00", "tök"} {
		certstest.Write(t, file, []byte(content))
		_, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
		if status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), file) || len(content) > 1 && strings.Contains(err.Error(), content) {
			t.Errorf("of %q: got error %v", content, err)
		}
	}
	if !conn.Ends().IsZero() {
		t.Errorf("what ends at no known time is said to end at %v", conn.Ends())
	}
}

// What was shown ends when the first of it does.
func TestEndOfWhatWasShown(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	authority := certstest.New(t)
	_, with := trusting(t, authority, authority.Issue(t, certstest.Spec{IPs: []string{"127.0.0.1"}}))
	own := authority.Issue(t, certstest.Spec{NotAfter: now.Add(time.Minute)}).TLS(t)
	chosen := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
	of := func(cfg *tls.Config) *tls.Config { cfg.RootCAs = authority.Pool(); return cfg }
	bare := own
	bare.Leaf = nil
	silent := with.Clone()
	silent.ClientAuth = tls.NoClientCert
	for name, test := range map[string]struct {
		cfg, server *tls.Config
		token       string
		want        time.Time
	}{
		"nothing":                   {of(&tls.Config{}), with, "", time.Time{}},
		"a certificate":             {of(&tls.Config{Certificates: []tls.Certificate{own}}), with, "", now.Add(time.Minute)},
		"one that is chosen":        {of(&tls.Config{GetClientCertificate: chosen}), with, "", now.Add(time.Minute)},
		"one that was not parsed":   {of(&tls.Config{Certificates: []tls.Certificate{bare}}), with, "", now.Add(time.Minute)},
		"one that is not asked for": {of(&tls.Config{Certificates: []tls.Certificate{own}}), silent, "", time.Time{}},
		"a token":                   {of(&tls.Config{}), with, jwt(fmt.Sprintf(`{"exp":%d}`, now.Add(time.Second).Unix())), now.Add(time.Second)},
		"both, the token first": {
			of(&tls.Config{Certificates: []tls.Certificate{own}}), with, jwt(fmt.Sprintf(`{"exp":%d}`, now.Unix())), now,
		},
		"both, the certificate first": {
			of(&tls.Config{Certificates: []tls.Certificate{own}}), with, jwt(fmt.Sprintf(`{"exp":%d}`, now.Add(time.Hour).Unix())), now.Add(time.Minute),
		},
		"a fraction":      {of(&tls.Config{}), with, jwt(`{"exp":1.5}`), time.UnixMilli(1500)},
		"no end":          {of(&tls.Config{}), with, jwt(`{"sub":"me"}`), time.Time{}},
		"an absurd end":   {of(&tls.Config{}), with, jwt(`{"exp":1e300}`), time.Time{}},
		"an end of words": {of(&tls.Config{}), with, jwt(`{"exp":"soon"}`), time.Time{}},
		"no JSON":         {of(&tls.Config{}), with, jwt(`exp`), time.Time{}},
		"no JWT":          {of(&tls.Config{}), with, "a.b", time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, test.server)
			cfg := dial.Config{TLS: test.cfg}
			if test.token != "" {
				cfg.BearerFile = certstest.Write(t, filepath.Join(t.TempDir(), "token"), []byte(test.token))
			}
			conn, err := call(t, cfg, "127.0.0.1:"+s.port)
			if err != nil {
				t.Fatal(err)
			}
			if got := conn.Ends(); !got.Equal(test.want) {
				t.Errorf("ends at %v, want %v", got, test.want)
			}
		})
	}
}

// A server is known by its key alone, whatever else its certificate says.
func TestPinnedServer(t *testing.T) {
	dir := t.TempDir()
	pair := certstest.New(t).Issue(t, certstest.Spec{DNS: []string{"elsewhere"}, NotAfter: time.Now().Add(-time.Minute)})
	for name, test := range map[string]struct {
		file []byte
		ok   bool
	}{
		"its own":   {pair.Cert, true},
		"another's": {certstest.New(t).Issue(t, certstest.Spec{}).Cert, false},
	} {
		s := serve(t, &tls.Config{Certificates: []tls.Certificate{pair.TLS(t)}, MinVersion: tls.VersionTLS13})
		cfg, err := dial.Pinned(certstest.Write(t, filepath.Join(dir, "cert"), test.file))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := call(t, dial.Config{TLS: cfg}, "127.0.0.1:"+s.port); test.ok != (err == nil) {
			t.Errorf("with %s certificate: got error %v", name, err)
		}
	}
	for _, content := range [][]byte{nil, pair.Key, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")} {
		if _, err := dial.Pinned(certstest.Write(t, filepath.Join(dir, "cert"), content)); err == nil {
			t.Errorf("%q was accepted", content)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "[::ffff:127.0.0.1]:1": true, "localhost:1": true, ":1": true,
		"10.0.0.1:1": false, "0.0.0.0:1": false, "localhost.example.org:1": false, "127.0.0.1": false,
	} {
		if got := dial.IsLoopback(endpoint); got != want {
			t.Errorf("%s: got %v", endpoint, got)
		}
	}
}
