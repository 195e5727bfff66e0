package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// Of what is wrong, gRPC would say less.
var (
	errPlain = errors.New("the server speaks plain text, and this client TLS")
	errTLS   = errors.New("this client speaks plain text, and the server ended the connection before it said a word, as one does that expects TLS")
)

func (c Config) transport(conn *Conn) credentials.TransportCredentials {
	if c.TLS == nil {
		return plain{insecure.NewCredentials()}
	}
	cfg := c.TLS.Clone()
	if cfg.MinVersion == 0 {
		cfg.MinVersion = tls.VersionTLS13
	}
	if cfg.GetClientCertificate != nil || len(cfg.Certificates) > 0 {
		cfg.GetClientCertificate = noting(c.TLS, conn)
	}
	return secure{credentials.NewTLS(cfg), cfg}
}

// noting is how a configuration chooses the certificate of a client, and tells the connection of
// the end of what was chosen.
func noting(cfg *tls.Config, conn *Conn) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	choose := cfg.GetClientCertificate
	if choose == nil {
		choose = func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) { // as crypto/tls does it
			for i := range cfg.Certificates {
				if info.SupportsCertificate(&cfg.Certificates[i]) == nil {
					return &cfg.Certificates[i], nil
				}
			}
			return new(tls.Certificate), nil
		}
	}
	return func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		chosen, err := choose(info)
		if err != nil || chosen == nil || len(chosen.Certificate) == 0 {
			return chosen, err
		}
		leaf := chosen.Leaf
		if leaf == nil {
			if leaf, err = x509.ParseCertificate(chosen.Certificate[0]); err != nil {
				return nil, fmt.Errorf("the client's certificate: %w", err)
			}
		}
		conn.shown(leaf.NotAfter)
		return chosen, nil
	}
}

// secure is TLS.
type secure struct {
	credentials.TransportCredentials
	cfg *tls.Config
}

// ClientHandshake is called for each connection. A verification of the configuration's own is told
// the server's name as it was asked for: crypto/tls leaves it out if it is an address.
func (s secure) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	cfg := s.cfg
	if verify := cfg.VerifyConnection; verify != nil {
		name := cfg.ServerName
		if name == "" {
			if host, _, err := net.SplitHostPort(authority); err == nil {
				name = host
			}
		}
		cfg = cfg.Clone()
		cfg.VerifyConnection = func(state tls.ConnectionState) error {
			state.ServerName = name
			return verify(state)
		}
	}
	conn, info, err := credentials.NewTLS(cfg).ClientHandshake(ctx, authority, raw)
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		err = errPlain
	}
	return conn, info, err
}

// Clone returns the same: there is nothing that changes.
func (s secure) Clone() credentials.TransportCredentials { return s }

// plain is plain text.
type plain struct {
	credentials.TransportCredentials
}

// ClientHandshake is called for each connection.
func (p plain) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := p.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err == nil {
		conn = &listening{Conn: conn}
	}
	return conn, info, err
}

// Clone returns the same: there is nothing that changes.
func (p plain) Clone() credentials.TransportCredentials { return p }

// listening is a connection in plain text that says so if the server seems to expect another one.
// A server that is as expected speaks first.
type listening struct {
	net.Conn
	heard bool
}

func (l *listening) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	const alert = 0x15 // the type of a record of TLS that ends the connection
	switch {
	case l.heard:
	case n > 0 && b[0] == alert:
		return 0, errTLS
	case n == 0 && err != nil:
		return 0, fmt.Errorf("%w: %w", errTLS, err)
	}
	l.heard = l.heard || n > 0
	return n, err
}
