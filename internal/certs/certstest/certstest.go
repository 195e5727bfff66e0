package certstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates, and lists of those that it has revoked.
type Authority struct {
	Cert *x509.Certificate
	Key  *ecdsa.PrivateKey

	above []byte // PEM of the authorities from this one up to the root, which is not among them
	lists int64  // how many have been made
}

// Spec says what is in a certificate. What is not given is as most tests want it.
type Spec struct {
	CN        string
	DNS       []string
	IPs       []string
	URIs      []string
	Usages    []x509.ExtKeyUsage // none: of servers and of clients
	NotBefore time.Time          // zero: an hour ago
	NotAfter  time.Time          // zero: in an hour
	Serial    int64              // 0: a random one
}

// Pair is a certificate and its key, as PEM.
type Pair struct {
	Cert []byte // followed by the authorities that lie between it and the root
	Key  []byte
	Leaf *x509.Certificate
}

// New makes an authority whose name no other has.
func New(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{Key: newKey(t)}
	template := authority("authority " + rand.Text())
	a.Cert = sign(t, template, template, a.Key, a.Key)
	return a
}

// Intermediate makes an authority that this one vouches for.
func (a *Authority) Intermediate(t testing.TB) *Authority {
	t.Helper()
	below := &Authority{Key: newKey(t)}
	below.Cert = sign(t, authority("intermediate "+rand.Text()), a.Cert, below.Key, a.Key)
	below.above = append(encode("CERTIFICATE", below.Cert.Raw), a.above...)
	return below
}

// Issue makes a certificate.
func (a *Authority) Issue(t testing.TB, spec Spec) Pair {
	t.Helper()
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: spec.CN},
		NotBefore:   or(spec.NotBefore, time.Now().Add(-time.Hour)),
		NotAfter:    or(spec.NotAfter, time.Now().Add(time.Hour)),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: spec.Usages,
		DNSNames:    spec.DNS,
	}
	if len(spec.Usages) == 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	if spec.Serial != 0 {
		template.SerialNumber = big.NewInt(spec.Serial)
	}
	for _, text := range spec.IPs {
		ip := net.ParseIP(text)
		if ip == nil {
			t.Fatalf("%q is no address", text)
		}
		template.IPAddresses = append(template.IPAddresses, ip)
	}
	for _, text := range spec.URIs {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = append(template.URIs, u)
	}
	key := newKey(t)
	leaf := sign(t, template, a.Cert, key, a.Key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return Pair{Cert: append(encode("CERTIFICATE", leaf.Raw), a.above...), Key: encode("PRIVATE KEY", der), Leaf: leaf}
}

// CRL makes a list of certificates that this authority has revoked, good for an hour, as PEM. Its
// number is one above that of the last.
func (a *Authority) CRL(t testing.TB, revoked ...Pair) []byte {
	t.Helper()
	template := &x509.RevocationList{NextUpdate: time.Now().Add(time.Hour)}
	for _, pair := range revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: pair.Leaf.SerialNumber, RevocationTime: time.Now()})
	}
	return a.List(t, template)
}

// List makes a list of revoked certificates that says what a test wants it to, as PEM.
func (a *Authority) List(t testing.TB, template *x509.RevocationList) []byte {
	t.Helper()
	a.lists++
	template.Number = big.NewInt(a.lists)
	if template.ThisUpdate.IsZero() {
		template.ThisUpdate = time.Now().Add(-2 * time.Hour)
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, a.Cert, a.Key)
	if err != nil {
		t.Fatal(err)
	}
	return encode("X509 CRL", der)
}

// PEM is the authority's certificate.
func (a *Authority) PEM() []byte { return encode("CERTIFICATE", a.Cert.Raw) }

// Pool has this authority in it, and nothing else.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.Cert)
	return pool
}

// WriteTo writes the authority's certificate to a file in a directory, and returns its path.
func (a *Authority) WriteTo(t testing.TB, dir string) (ca string) {
	t.Helper()
	return Write(t, filepath.Join(dir, "ca.pem"), a.PEM())
}

// TLS is the pair as crypto/tls takes it.
func (p Pair) TLS(t testing.TB) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// WriteTo writes a pair to two files in a directory, and returns their paths.
func (p Pair) WriteTo(t testing.TB, dir string) (cert, key string) {
	t.Helper()
	return Write(t, filepath.Join(dir, "cert.pem"), p.Cert), Write(t, filepath.Join(dir, "key.pem"), p.Key)
}

// Write replaces a file by rename, so that nobody reads half of it, and returns its path.
func Write(t testing.TB, path string, content []byte) string {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

func authority(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-24 * time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

func sign(t testing.TB, what, by *x509.Certificate, key, byKey *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, what, by, &key.PublicKey, byKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func or(t, otherwise time.Time) time.Time {
	if t.IsZero() {
		return otherwise
	}
	return t
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
