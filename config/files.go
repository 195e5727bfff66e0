package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
)

// maxFile bounds in bytes what is read of a file. None that is meant has more.
const maxFile = 1 << 20

// ReadPassword reads a file with a password. Newlines at its end do not count.
func ReadPassword(file string) (string, error) {
	text, err := ReadTrusted(file)
	password := strings.TrimRight(string(text), "\r\n")
	if err == nil && password == "" {
		err = errors.New("there is no password in it")
	}
	return password, err
}

// ReadTrusted reads a file of which it matters whose it is: with what somebody else puts there a
// server would go where that one wants.
func ReadTrusted(file string) ([]byte, error) {
	return readChecked(file, func(info fs.FileInfo) error {
		if info.Mode().IsRegular() && info.Mode().Perm()&mayWrite != 0 && modesCount {
			return fmt.Errorf("everybody may write to it (mode %04o): chmod o-w", info.Mode().Perm())
		}
		return nil
	})
}

// What others than a file's owner and group may do.
const (
	mayRead  fs.FileMode = 0o004
	mayWrite fs.FileMode = 0o002
)

// modesCount is whether a file's mode says who may do what.
const modesCount = runtime.GOOS != "windows"

// Exposed returns a warning for each file with a secret of this server that everybody on the
// machine may read. That is no fault: in a container there may be nobody else.
func (c Config) Exposed() (warnings []string) {
	look := func(key, file string) {
		info, err := os.Stat(file)
		if file != "" && err == nil && modesCount && info.Mode().IsRegular() && info.Mode().Perm()&mayRead != 0 {
			warnings = append(warnings, fmt.Sprintf("%s: %q: everybody on this machine may read it (mode %04o): chmod o-r", key, file, info.Mode().Perm()))
		}
	}
	look("etcd.password", c.file)
	look("etcd.password-file", c.Etcd.PasswordFile)
	look("etcd.tls.key", c.Etcd.TLS.Key)
	look("tls.key", c.TLS.Key)
	look("cluster.tls.key", c.Cluster.TLS.Key)
	return warnings
}

// readBounded reads a file that may be read only once, such as a pipe.
func readBounded(file string) ([]byte, error) {
	return readChecked(file, func(fs.FileInfo) error { return nil })
}

// readChecked reads a file unless there is something wrong with what it is.
func readChecked(file string, check func(fs.FileInfo) error) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		err = check(info)
	}
	if err != nil {
		return nil, withoutPath(err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("it has more than %d bytes", maxFile)
	}
	return text, withoutPath(err)
}

// CheckRegular returns an error if a file cannot be read again and again: it would block, or end
// never, or be empty then.
func CheckRegular(file string) error {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return withoutPath(err)
	case info.IsDir():
		return errors.New("it is a directory")
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file, and is to be read more than once")
	}
	return nil
}

// withoutPath is an error without the path, which is told besides.
func withoutPath(err error) error {
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		return of.Err
	}
	return err
}

// unusable is the fault of a key that names a file which cannot be used.
func unusable(key, file string, err error) fault {
	return fault{key: key, text: fmt.Sprintf("%q: %v", file, err)}
}

// read looks into a file that a key names; nil: none is named, or it is not good.
func (f *faults) read(key, file string, good func([]byte) error) []byte {
	if file == "" {
		return nil
	}
	err := CheckRegular(file)
	var text []byte
	if err == nil {
		text, err = ReadTrusted(file)
	}
	if err == nil {
		err = good(text)
	}
	if err != nil {
		*f = append(*f, unusable(key, file, err))
		return nil
	}
	return text
}

// check looks into the files that are named.
func (t TLS) check(section string, f *faults) {
	f.read(section+".ca", t.CA, authorities)
	f.read(section+".crl", t.CRL, lists)
	f.pair(section, t.Cert, t.Key)
}

func (t ServerTLS) check(section string, f *faults) {
	f.read(section+".client-ca", t.ClientCA, authorities)
	f.read(section+".crl", t.CRL, lists)
	f.pair(section, t.Cert, t.Key)
}

func authorities(text []byte) error { return allOf(text, "CERTIFICATE", x509.ParseCertificate, false) }

func lists(text []byte) error { return allOf(text, "X509 CRL", x509.ParseRevocationList, false) }

// pair looks into a certificate's file and its key's.
func (f *faults) pair(section, certFile, keyFile string) {
	cert := f.read(section+".cert", certFile, func(text []byte) error {
		return allOf(text, "CERTIFICATE", x509.ParseCertificate, true)
	})
	f.read(section+".key", keyFile, func(key []byte) error {
		if block, _ := pem.Decode(key); block == nil {
			return errors.New("there is no PEM private key in it")
		}
		if cert == nil {
			return nil // it cannot be told whether they belong together
		}
		_, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return fmt.Errorf("with %s: %w", certFile, err)
		}
		return nil
	})
}

// allOf returns an error unless there is something of a kind, and all of that kind can be read.
// Other things beside them are put up with, if so wanted.
func allOf[T any](text []byte, kind string, parse func([]byte) (T, error), others bool) error {
	found := false
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == kind:
			if _, err := parse(block.Bytes); err != nil {
				return err
			}
			found = true
		case !others:
			return fmt.Errorf("there is a %s in it, and only %s is wanted", block.Type, kind)
		}
	}
	if !found {
		return fmt.Errorf("there is no PEM %s in it", kind)
	}
	return nil
}
