package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/distributed-lock-manager/dlm/internal/reread"
)

// Files names PEM files. Those that are empty are not used.
type Files struct {
	CA   string // the authorities that are trusted; empty: the system's
	Cert string // what is shown, and the authorities between it and a root; needs the key
	Key  string
	CRL  string // lists of certificates that are revoked
}

// Set is what files say.
type Set struct {
	Certificate *tls.Certificate // nil: none
	Roots       *x509.CertPool   // nil: the system's

	lists []list
}

// Open loads files and keeps what they say: see package reread.
func Open(files Files, complain func(error)) (*reread.Files[*Set], error) {
	return reread.Open(func() (*Set, error) { return Load(files) }, complain, files.CA, files.Cert, files.Key, files.CRL)
}

// Load reads files. All that is in them must be usable, but for dates: those of certificates are
// looked at when they are used.
func Load(files Files) (*Set, error) {
	set := &Set{}
	var roots []*x509.Certificate
	if files.CA != "" {
		set.Roots = x509.NewCertPool()
		err := blocks(files.CA, "CERTIFICATE", func(der []byte) error {
			cert, err := x509.ParseCertificate(der)
			if err == nil {
				set.Roots.AddCert(cert)
				roots = append(roots, cert)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if (files.Cert == "") != (files.Key == "") {
		return nil, errors.New("want both a certificate and its key, or none")
	}
	if files.Cert != "" {
		pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
		if err != nil {
			return nil, fmt.Errorf("%s with %s: %w", files.Cert, files.Key, err)
		}
		set.Certificate = &pair
	}
	if files.CRL != "" {
		err := blocks(files.CRL, "X509 CRL", func(der []byte) error {
			l, err := newList(der, roots)
			set.lists = append(set.lists, l)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return set, nil
}

// blocks calls use for what is in a PEM file, which must be of one kind.
func blocks(path, kind string, use func(der []byte) error) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	found := false
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != kind {
			return fmt.Errorf("%s: there is a %s in it, want %s only", path, block.Type, kind)
		}
		if err := use(block.Bytes); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		found = true
	}
	if !found {
		return fmt.Errorf("%s: there is no PEM %s in it", path, kind)
	}
	return nil
}
