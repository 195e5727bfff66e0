package certs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/internal/certs"
	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
	"github.com/distributed-lock-manager/dlm/internal/reread"
)

// opened are files of a directory of their own.
func opened(t *testing.T, ca *certstest.Authority, pair *certstest.Pair, crl []byte) (certs.Files, *reread.Files[*certs.Set]) {
	t.Helper()
	dir := t.TempDir()
	files := certs.Files{CA: ca.WriteTo(t, dir)}
	if pair != nil {
		files.Cert, files.Key = pair.WriteTo(t, dir)
	}
	if crl != nil {
		files.CRL = certstest.Write(t, dir+"/crl.pem", crl)
	}
	src, err := certs.Open(files, func(err error) { t.Log(err) })
	if err != nil {
		t.Fatal(err)
	}
	return files, src
}

// meet has a server and a client meet, and returns what the server has seen and the errors of both.
func meet(t *testing.T, server *tls.Config, client func(net.Conn) error) (tls.ConnectionState, error, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	clientErr := make(chan error, 1)
	go func() {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			err = client(conn)
		}
		clientErr <- err
	}()
	raw, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Server(raw, server)
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	err = conn.Handshake()
	conn.Close()
	return conn.ConnectionState(), <-clientErr, err
}

// calling is a client as a server's name is given to it by gRPC.
func calling(t *testing.T, name string, src *reread.Files[*certs.Set]) func(net.Conn) error {
	return func(raw net.Conn) error {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		now := certs.Handshake(func() *tls.Config {
			src.Look()
			return src.Get().ClientConfig()
		})
		conn, _, err := now.ClientHandshake(ctx, name, raw)
		if err == nil {
			conn.Close()
		}
		return err
	}
}

func TestServerAndClient(t *testing.T) {
	t.Parallel()
	ca, other := certstest.New(t), certstest.New(t)
	serving := ca.Issue(t, certstest.Spec{IPs: []string{"127.0.0.1"}, DNS: []string{"localhost"}, Usages: []x509.ExtKeyUsage{forServer}})
	client := ca.Issue(t, certstest.Spec{CN: "alice", Usages: []x509.ExtKeyUsage{forClient}})
	bad := other.Issue(t, certstest.Spec{CN: "mallory", NotAfter: time.Now().Add(-time.Minute)})
	notServing := ca.Issue(t, certstest.Spec{IPs: []string{"127.0.0.1"}, Usages: []x509.ExtKeyUsage{forClient}})

	for name, c := range map[string]struct {
		server  certstest.Pair
		ask     bool
		client  *certstest.Pair
		trusted *certstest.Authority
		crl     []byte
		called  string
		want    string // the client's common name
		says    string // the client's error
	}{
		"no certificates of clients": {serving, false, &client, ca, nil, "127.0.0.1:1", "", ""},
		"asked, and shown":           {serving, true, &client, ca, nil, "localhost:1", "alice", ""},
		"asked, and none":            {serving, true, nil, ca, nil, "127.0.0.1:1", "", ""},
		"a bad one is let in":        {serving, true, &bad, ca, nil, "127.0.0.1:1", "mallory", ""},
		"another's server":           {serving, false, nil, ca, nil, "127.0.0.2:1", "", "127.0.0.2"},
		"another's name":             {serving, false, nil, ca, nil, "example.org:1", "", "example.org"},
		"server that is not trusted": {serving, false, nil, other, nil, "127.0.0.1:1", "", "unknown authority"},
		"server that is none":        {notServing, false, nil, ca, nil, "127.0.0.1:1", "", "usage"},
		"server that is revoked":     {serving, false, nil, ca, ca.CRL(t, serving), "127.0.0.1:1", "", "revoked"},
		"server without a name":      {serving, false, nil, ca, nil, "", "", "ServerName"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, server := opened(t, ca, &c.server, nil)
			_, mine := opened(t, c.trusted, c.client, c.crl)
			state, err, _ := meet(t, certs.ServerConfig(server, c.ask), calling(t, c.called, mine))
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Fatalf("the client: %v, want %q", err, c.says)
			}
			if err != nil {
				return
			}
			if state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "h2" {
				t.Errorf("version %x, protocol %q; want TLS 1.3 and h2", state.Version, state.NegotiatedProtocol)
			}
			got := ""
			if len(state.PeerCertificates) > 0 {
				got = state.PeerCertificates[0].Subject.CommonName
			}
			if got != c.want {
				t.Errorf("the server was shown the certificate of %q, want %q", got, c.want)
			}
		})
	}
}

func TestAServerSpeaksNothingOlder(t *testing.T) {
	t.Parallel()
	ca := certstest.New(t)
	pair := ca.Issue(t, certstest.Spec{IPs: []string{"127.0.0.1"}})
	_, server := opened(t, ca, &pair, nil)
	_, clientErr, err := meet(t, certs.ServerConfig(server, false), func(raw net.Conn) error {
		return tls.Client(raw, &tls.Config{RootCAs: ca.Pool(), ServerName: "127.0.0.1", MaxVersion: tls.VersionTLS12}).Handshake()
	})
	if err == nil || clientErr == nil {
		t.Errorf("TLS 1.2: server %v, client %v; want it refused", err, clientErr)
	}
}

func TestNobodyResumesASession(t *testing.T) {
	t.Parallel()
	ca := certstest.New(t)
	pair := ca.Issue(t, certstest.Spec{IPs: []string{"127.0.0.1"}})
	_, server := opened(t, ca, &pair, nil)
	cfg := &tls.Config{RootCAs: ca.Pool(), ServerName: "127.0.0.1", ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	serving := certs.ServerConfig(server, true)
	for range 2 {
		state, clientErr, err := meet(t, serving, func(raw net.Conn) error {
			conn := tls.Client(raw, cfg)
			if err := conn.Handshake(); err != nil {
				return err
			}
			_, _ = conn.Read(make([]byte, 1)) // a ticket would come with the first bytes
			return conn.Close()
		})
		if errors.Join(err, clientErr) != nil || state.DidResume {
			t.Errorf("resumed %v, %v, %v", state.DidResume, err, clientErr)
		}
	}
}

func TestWhatIsShownAndTrustedChangesWithTheFiles(t *testing.T) {
	t.Parallel()
	first, second := certstest.New(t), certstest.New(t)
	spec := func(name string) certstest.Spec {
		return certstest.Spec{CN: name, IPs: []string{"127.0.0.1"}}
	}
	pair, mine := first.Issue(t, spec("server 1")), first.Issue(t, spec("client 1"))
	serverFiles, server := opened(t, first, &pair, nil)
	clientFiles, client := opened(t, first, &mine, nil)
	serving, call := certs.ServerConfig(server, true), calling(t, "127.0.0.1", client)
	expect := func(says, name string) {
		t.Helper()
		state, err, _ := meet(t, serving, call)
		if says != "" {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%v, want an error that says %q", err, says)
			}
			return
		}
		if err != nil || state.PeerCertificates[0].Subject.CommonName != name {
			t.Errorf("%v, want the certificate of %s", err, name)
		}
	}
	expect("", "client 1")

	pair = second.Issue(t, spec("server 2"))
	certstest.Write(t, serverFiles.Cert, pair.Cert)
	certstest.Write(t, serverFiles.Key, pair.Key)
	if !server.Look() {
		t.Error("the server has not noticed its new certificate")
	}
	expect("unknown authority", "")

	certstest.Write(t, clientFiles.CA, append(first.PEM(), second.PEM()...))
	expect("", "client 1")

	mine = first.Issue(t, spec("client 2"))
	certstest.Write(t, clientFiles.Cert, mine.Cert)
	expect("", "client 1") // the key is another's yet
	certstest.Write(t, clientFiles.Key, mine.Key)
	expect("", "client 2")
}
