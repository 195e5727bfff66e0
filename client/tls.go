package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"

	"github.com/distributed-lock-manager/dlm/internal/certs"
)

// TLSFromFiles returns a configuration for [Config.TLS] from PEM files: the authorities of servers,
// or none for those of the system, and the certificate to show servers with its key, or neither.
//
// The files are looked at with each connection, so that they can be replaced while the client runs;
// one that is wrong by then does not count, and the last good ones do. It fails if they are wrong
// from the beginning.
func TLSFromFiles(ca, cert, key string) (*tls.Config, error) {
	// Whoever replaces files one by one has them wrong for a moment. What stays wrong shows when a
	// server refuses what is shown.
	files, err := certs.Open(certs.Files{CA: ca, Cert: cert, Key: key}, func(error) {})
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// The server is verified all the same, by what follows: crypto/tls knows the authorities of
		// the first moment only.
		InsecureSkipVerify: true, //nolint:gosec // as it says
		VerifyConnection: func(state tls.ConnectionState) error {
			if state.ServerName == "" {
				return errors.New("whose certificate it should be is not known")
			}
			files.Look()
			return files.Get().Verify(state.PeerCertificates, x509.ExtKeyUsageServerAuth, state.ServerName, time.Now())
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			files.Look()
			if own := files.Get().Certificate; own != nil {
				return own, nil
			}
			return new(tls.Certificate), nil // none
		},
	}, nil
}
