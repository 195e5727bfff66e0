package embedded_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
)

func TestPeerTLS(t *testing.T) {
	t.Parallel()
	cfgs := threeMembers(t)
	dir := t.TempDir()
	good := authority(t, dir, "good")
	other := authority(t, dir, "other")
	for i := range cfgs {
		cfgs[i].PeerTLS = good
	}
	servers := startAll(t, cfgs)
	put(t, servers[0], "k", "v")

	stop(t, servers[2])
	stranger := cfgs[2]
	stranger.PeerTLS = other
	if _, err := tryStart(t, stranger, 3*time.Second); err == nil {
		t.Error("a member with another authority's certificate was let in")
	}
	back := start(t, cfgs[2])
	if got := get(t, back, "k"); got != "v" {
		t.Errorf("k = %q, want v", got)
	}
}

// authority makes a certificate that vouches for itself and for 127.0.0.1.
func authority(t *testing.T, dir, name string) embedded.TLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	tls := embedded.TLS{Cert: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key")}
	tls.CA = tls.Cert
	for path, block := range map[string]*pem.Block{
		tls.Cert: {Type: "CERTIFICATE", Bytes: cert},
		tls.Key:  {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return tls
}
