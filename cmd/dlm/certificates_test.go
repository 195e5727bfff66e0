package main_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"

	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
)

// certificates are the PEM files of an authority and of one certificate of its, for 127.0.0.1 as
// server and as client.
type certificates struct {
	ca, cert, key string
}

func newCertificates(t *testing.T) (files certificates) {
	t.Helper()
	dir, ca := t.TempDir(), certstest.New(t)
	files.ca = ca.WriteTo(t, dir)
	// No common name: etcd would take it for a user.
	files.cert, files.key = ca.Issue(t, certstest.Spec{IPs: []string{"127.0.0.1"}}).WriteTo(t, dir)
	return files
}

// client is how a client of whoever shows these certificates connects.
func (c certificates) client(t *testing.T) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(c.ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}
}
