package facade_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/auth"
	"github.com/distributed-lock-manager/dlm/internal/certs"
	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
	"github.com/distributed-lock-manager/dlm/internal/reread"
)

// secured is a server that wants to know who calls.
type secured struct {
	t         *testing.T
	addr      string
	authority *certstest.Authority
	dir       string
	policy    string // the file
	crl       string
	access    facade.Access
	calls     *asked
}

// asked collects the methods of the store that were called.
type asked struct {
	mu  sync.Mutex
	all []string
}

func (a *asked) note(_ context.Context, method string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, method)
	return nil
}

func (a *asked) take() (all []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all, a.all = a.all, nil
	return slices.DeleteFunc(all, func(m string) bool { return m == "EndSessions" || m == "EndWaits" })
}

const everything = `
rules:
  - identity: "*"
    locks: ["*"]
    allow: [acquire, append, read, inspect, evict, admin]
`

// unserved is one that serves nothing yet.
func unserved(t *testing.T, policy string) *secured {
	t.Helper()
	s := &secured{t: t, authority: certstest.New(t), dir: t.TempDir(), calls: &asked{}}
	cert, key := s.authority.Issue(t, certstest.Spec{IPs: []string{"127.0.0.1"}}).WriteTo(t, s.dir)
	s.policy = certstest.Write(t, filepath.Join(s.dir, "policy.yaml"), []byte(policy))
	s.crl = certstest.Write(t, filepath.Join(s.dir, "crl.pem"), s.authority.CRL(t))
	complain := func(err error) {
		if err != nil {
			t.Log(err)
		}
	}
	var err error
	s.access = facade.Access{ClientAuth: facade.RequireCertificates, Kind: auth.SPIFFE}
	s.access.Certificates, err = certs.Open(certs.Files{CA: s.authority.WriteTo(t, s.dir), Cert: cert, Key: key, CRL: s.crl}, complain)
	if err != nil {
		t.Fatal(err)
	}
	s.access.Policy, err = reread.Open(func() (*auth.Policy, error) {
		text, err := os.ReadFile(s.policy)
		if err != nil {
			return nil, err
		}
		return auth.ParsePolicy(text)
	}, complain, s.policy)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// secure serves a store, nil: a scripted one, over TLS with client certificates.
func secure(t *testing.T, store facade.Store, policy string, change ...func(*facade.Config)) *secured {
	t.Helper()
	s := unserved(t, policy)
	if store == nil {
		store = scripted{do: s.calls.note}
	}
	cfg := facade.Config{Store: store, Logger: slog.New(slog.DiscardHandler), Access: s.access, Limits: facade.DefaultLimits()}
	for _, f := range change {
		f(&cfg)
	}
	_, conn := serveConfig(t, cfg)
	s.addr = strings.TrimPrefix(conn.CanonicalTarget(), "passthrough:///")
	return s
}

// named is a certificate of that name.
func (s *secured) named(name string) certstest.Pair {
	return s.authority.Issue(s.t, certstest.Spec{URIs: []string{"spiffe://example.org/" + name}})
}

// tls is how a client speaks it, with a certificate if there is one.
func (s *secured) tls(pair *certstest.Pair) *tls.Config {
	cfg := &tls.Config{RootCAs: s.authority.Pool(), MinVersion: tls.VersionTLS13}
	if pair != nil {
		cfg.Certificates = []tls.Certificate{pair.TLS(s.t)}
	}
	return cfg
}

// dial connects with a certificate, if there is one.
func (s *secured) dial(pair *certstest.Pair, opts ...grpc.DialOption) *grpc.ClientConn {
	s.t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+s.addr, append(opts, grpc.WithTransportCredentials(credentials.NewTLS(s.tls(pair))))...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// as connects as somebody.
func (s *secured) as(name string) *grpc.ClientConn {
	pair := s.named(name)
	return s.dial(&pair)
}

func (s *secured) write(path, text string) { certstest.Write(s.t, path, []byte(text)) }

// refusalOf is the code and the reason of an error.
func refusalOf(err error) (codes.Code, string) {
	st := status.Convert(err)
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == facade.Domain {
			return st.Code(), info.GetReason()
		}
	}
	return st.Code(), ""
}

// decided makes a call, and again if it met the end of its connection: that of somebody who was
// revoked is closed by the next review, which may come between a call and its answer.
func decided(try func() error) (err error) {
	for range 20 {
		if err = try(); status.Code(err) != codes.Unavailable {
			break
		}
	}
	return err
}

// overStream makes one call over a multiplexed stream.
func overStream(ctx context.Context, conn *grpc.ClientConn, req *dlmv1.StreamRequest) error {
	stream, err := dlmv1.NewLockServiceClient(conn).Stream(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(req); err != nil && !errors.Is(err, context.Canceled) {
		_, err = stream.Recv()
		return err
	}
	answer, err := stream.Recv()
	if err != nil {
		return err
	}
	if e := answer.GetError(); e != nil {
		return status.ErrorProto(&statuspb.Status{Code: e.GetCode(), Message: e.GetMessage(), Details: e.GetDetails()})
	}
	return nil
}
