package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/distributed-lock-manager/dlm/internal/reread"
)

// ServerConfig is how a server speaks TLS: with the certificate of the moment, which must be there.
//
// If it asks clients for a certificate, it takes whatever they show: the handshake makes sure only
// that a client has the key. Whoever serves has to call [Set.Verify] with what was shown, which can
// tell the client what is wrong; of a failed handshake it would learn next to nothing. There are no
// session tickets: who resumes a session shows no certificate, and may have been revoked.
func ServerConfig(src *reread.Files[*Set], ask bool) *tls.Config {
	cfg := &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"h2"},
		SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if pair := src.Get().Certificate; pair != nil {
				return pair, nil
			}
			return nil, errors.New("the server has no certificate")
		},
	}
	if ask {
		cfg.ClientAuth = tls.RequestClientCert
	}
	return cfg
}

// ClientConfig is how a client speaks TLS. The server's certificate is verified by crypto/tls, and
// looked up in the lists of revoked ones then.
func (s *Set) ClientConfig() *tls.Config {
	cfg := &tls.Config{
		MinVersion:       tls.VersionTLS13,
		RootCAs:          s.Roots,
		VerifyConnection: func(cs tls.ConnectionState) error { return s.revoked(cs.VerifiedChains, time.Now()) },
	}
	if s.Certificate != nil {
		// Not Certificates: of those, one is shown only if the server names its authority.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return s.Certificate, nil }
	}
	return cfg
}

// Handshake returns the configuration of a client's next connection. It is TLS for a client of gRPC
// whose certificates change while it runs: of a single configuration, neither what is trusted can
// change, nor is the name of the server known to what would verify in its stead.
type Handshake func() *tls.Config

// ClientHandshake is called for each connection.
func (h Handshake) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return credentials.NewTLS(h()).ClientHandshake(ctx, authority, conn)
}

// ServerHandshake fails: servers do not use it.
func (Handshake) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("not a server")
}

// Info says that it is TLS.
func (Handshake) Info() credentials.ProtocolInfo { return credentials.NewTLS(nil).Info() }

// Clone returns the same: there is nothing that changes.
func (h Handshake) Clone() credentials.TransportCredentials { return h }

// OverrideServerName fails: it is obsolete.
func (Handshake) OverrideServerName(string) error { return errors.New("not supported") }
