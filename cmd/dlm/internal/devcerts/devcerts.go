package devcerts

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

const (
	subject  = "dlm dev-certs"  // of the authority, by which its directory is known again
	domain   = "dlm.test"       // of clients; .test is nobody's
	lifetime = 5 * 365 * day    // of the authority
	early    = 10 * time.Minute // what another machine's clock may be behind
	day      = 24 * time.Hour
)

// Server is the name of the server's files.
const Server = "server"

// ErrUsage is returned for what cannot be meant.
var ErrUsage = errors.New("refused")

// Authority signs what is in its directory.
type Authority struct {
	dir string
	tls tls.Certificate
}

// Open returns the authority of a directory, which is made with one in it if there is none. It
// leaves a directory alone that has another's files in it.
func Open(dir string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	a := &Authority{dir: dir}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		if err := a.found(); err != nil {
			return nil, err
		}
	}
	if a.tls, err = tls.LoadX509KeyPair(a.Cert("ca"), a.Key("ca")); err != nil {
		return nil, fmt.Errorf("%w: %s has files in it, and no authority: %w", ErrUsage, dir, err)
	}
	if a.tls.Leaf.Subject.CommonName != subject {
		return nil, fmt.Errorf("%w: the authority in %s is %q, which this command has not made", ErrUsage, dir, a.tls.Leaf.Subject)
	}
	if time.Now().After(a.tls.Leaf.NotAfter) {
		return nil, fmt.Errorf("%w: the authority in %s has expired: begin with another directory", ErrUsage, dir)
	}
	return a, nil
}

// found makes the authority.
func (a *Authority) found() error {
	cert := template(subject, lifetime)
	cert.IsCA, cert.BasicConstraintsValid, cert.MaxPathLenZero = true, true, true
	cert.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	return a.issue("ca", cert, nil)
}

// Cert is the path of a certificate.
func (a *Authority) Cert(of string) string { return filepath.Join(a.dir, of+".crt") }

// Key is the path of a key.
func (a *Authority) Key(of string) string { return filepath.Join(a.dir, of+".key") }

// CRL is the path of the list of certificates that are revoked.
func (a *Authority) CRL() string { return filepath.Join(a.dir, "crl.pem") }

// IssueServer makes a pair for a server on this machine, and for these names and addresses.
func (a *Authority) IssueServer(hosts []string, lasts time.Duration) error {
	cert := template(Server, lasts)
	cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	cert.DNSNames = []string{"localhost"}
	cert.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	for _, host := range hosts {
		switch ip := net.ParseIP(host); {
		case ip != nil:
			cert.IPAddresses = append(cert.IPAddresses, ip)
		case isHost(host):
			cert.DNSNames = append(cert.DNSNames, host)
		default:
			return fmt.Errorf("%w: %q is no name and no address of a server", ErrUsage, host)
		}
	}
	return a.issue(Server, cert, &a.tls)
}

// IssueClient makes a pair for a client, with a name of each kind.
func (a *Authority) IssueClient(client string, lasts time.Duration) error {
	if err := checkClient(client); err != nil {
		return err
	}
	cert := template(client, lasts)
	cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	cert.DNSNames = []string{client + "." + domain}
	cert.URIs = []*url.URL{{Scheme: "spiffe", Host: domain, Path: "/" + client}}
	return a.issue(client, cert, &a.tls)
}

// Revoke makes the list of revoked certificates anew, with those that are in it and the current
// ones of these clients. The list is good for as long as the authority.
func (a *Authority) Revoke(clients ...string) error {
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: a.tls.Leaf.NotAfter}
	if before, err := read(a.CRL(), x509.ParseRevocationList); err == nil {
		list.Number.Add(before.Number, list.Number)
		for _, entry := range before.RevokedCertificateEntries {
			list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
				x509.RevocationListEntry{SerialNumber: entry.SerialNumber, RevocationTime: entry.RevocationTime})
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, client := range clients {
		if err := checkClient(client); err != nil {
			return err
		}
		cert, err := read(a.Cert(client), x509.ParseCertificate)
		if err != nil {
			return fmt.Errorf("%w: revoke %q: %w", ErrUsage, client, err)
		}
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: cert.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.tls.Leaf, a.tls.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		return err
	}
	return replace(file{a.CRL(), "X509 CRL", der, 0o644})
}

// issue makes a pair. The authority signs it, or itself if there is none.
func (a *Authority) issue(of string, what *x509.Certificate, by *tls.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	issuer, issuerKey := what, any(key)
	if by != nil {
		issuer, issuerKey = by.Leaf, by.PrivateKey
	}
	cert, err := x509.CreateCertificate(rand.Reader, what, issuer, &key.PublicKey, issuerKey)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return replace(file{a.Key(of), "PRIVATE KEY", der, 0o600}, file{a.Cert(of), "CERTIFICATE", cert, 0o644})
}

func template(name string, lasts time.Duration) *x509.Certificate {
	return &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-early),
		NotAfter:  time.Now().Add(lasts),
		KeyUsage:  x509.KeyUsageDigitalSignature,
	}
}

// isHost reports whether a name is one of a host. Its form is compiled here, as few processes
// have a use for it.
func isHost(name string) bool {
	return regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`).MatchString(name)
}

// isClient reports whether a name is one of a client.
func isClient(name string) bool {
	return regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`).MatchString(name)
}

// checkClient returns an error unless a name is one in all of its forms, and of files that are not
// others'.
func checkClient(client string) error {
	if !isClient(client) || client == "ca" || client == Server {
		return fmt.Errorf("%w: a client called %q: want 1 to 63 of a-z, 0-9 and -, and neither %q nor %q", ErrUsage, client, "ca", Server)
	}
	return nil
}

// read parses what is in a PEM file first.
func read[T any](path string, parse func([]byte) (T, error)) (v T, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return v, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return v, fmt.Errorf("%s: there is no PEM in it", path)
	}
	if v, err = parse(block.Bytes); err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return v, err
}

type file struct {
	path, kind string
	der        []byte
	mode       fs.FileMode
}

// replace replaces files, one as soon after the other as can be: whoever reads them meanwhile finds
// that they do not match, and has to look again.
func replace(files ...file) error {
	for _, f := range files {
		text := pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der})
		if err := os.Remove(f.path + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.WriteFile(f.path+".new", text, f.mode); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := os.Rename(f.path+".new", f.path); err != nil {
			return err
		}
	}
	return nil
}
