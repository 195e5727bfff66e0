package devcerts_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/devcerts"
	"github.com/distributed-lock-manager/dlm/internal/certs"
)

const lasts = 48 * time.Hour

// made is a directory with everything in it.
func made(t *testing.T) (string, *devcerts.Authority) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "certs")
	a, err := devcerts.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	must(t, a.IssueServer([]string{"dlm.example.org", "10.0.0.1"}, lasts))
	must(t, a.IssueClient("alice", lasts))
	must(t, a.Revoke())
	return dir, a
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// load is what whoever is given these files makes of them.
func load(t *testing.T, a *devcerts.Authority, of string) *certs.Set {
	t.Helper()
	set, err := certs.Load(certs.Files{CA: a.Cert("ca"), Cert: a.Cert(of), Key: a.Key(of), CRL: a.CRL()})
	must(t, err)
	return set
}

func TestWhatIsIssuedIsGood(t *testing.T) {
	t.Parallel()
	_, a := made(t)
	server, client := load(t, a, devcerts.Server), load(t, a, "alice")
	for _, host := range []string{"localhost", "127.0.0.1", "::1", "dlm.example.org", "10.0.0.1"} {
		if err := client.Verify([]*x509.Certificate{server.Certificate.Leaf}, x509.ExtKeyUsageServerAuth, host, time.Now()); err != nil {
			t.Errorf("the server as %s: %v", host, err)
		}
	}
	leaf := client.Certificate.Leaf
	if err := server.Verify([]*x509.Certificate{leaf}, x509.ExtKeyUsageClientAuth, "alice.dlm.test", time.Now()); err != nil {
		t.Errorf("the client: %v", err)
	}
	if leaf.Subject.CommonName != "alice" || len(leaf.URIs) != 1 || leaf.URIs[0].String() != "spiffe://dlm.test/alice" || len(leaf.DNSNames) != 1 {
		t.Errorf("the client is %q, %v and %q; want one name of each kind", leaf.Subject.CommonName, leaf.URIs, leaf.DNSNames)
	}
	if end := time.Until(leaf.NotAfter); end > lasts || end < lasts-time.Hour {
		t.Errorf("it lasts %v, want %v", end, lasts)
	}
}

func TestKeysAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes do not count")
	}
	dir, _ := made(t)
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if (entry.IsDir() || filepath.Ext(path) == ".key") && err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	}))
}

func TestAgainTheAuthorityIsKeptAndTheRestIsNew(t *testing.T) {
	t.Parallel()
	dir, a := made(t)
	before := map[string][]byte{}
	files := []string{a.Cert("ca"), a.Key("ca"), a.Cert(devcerts.Server), a.Key(devcerts.Server), a.Cert("alice"), a.Key("alice")}
	for _, path := range files {
		before[path] = read(t, path)
	}
	again, err := devcerts.Open(dir)
	must(t, err)
	must(t, again.IssueServer(nil, lasts))
	must(t, again.IssueClient("alice", lasts))
	must(t, again.IssueClient("bob", lasts))
	for i, path := range files {
		if same := bytes.Equal(before[path], read(t, path)); same != (i < 2) {
			t.Errorf("%s is the same: %v, want %v", path, same, i < 2)
		}
	}
	load(t, again, "alice")
	load(t, again, "bob")
	if left, _ := filepath.Glob(filepath.Join(dir, "*.new")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	dir, a := made(t)
	must(t, a.IssueClient("bob", lasts))
	first := load(t, a, "alice").Certificate.Leaf
	must(t, a.Revoke("alice"))
	must(t, a.IssueClient("alice", lasts))
	again, err := devcerts.Open(dir)
	must(t, err)
	must(t, again.Revoke("bob"))
	must(t, again.Revoke())

	server := load(t, again, devcerts.Server)
	for name, c := range map[string]struct {
		leaf *x509.Certificate
		want error
	}{
		"the first of alice": {first, certs.ErrRevoked},
		"the next of alice":  {load(t, again, "alice").Certificate.Leaf, nil},
		"that of bob":        {load(t, again, "bob").Certificate.Leaf, certs.ErrRevoked},
	} {
		if err := server.Verify([]*x509.Certificate{c.leaf}, x509.ExtKeyUsageClientAuth, "", time.Now()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	block, _ := pem.Decode(read(t, again.CRL()))
	list, err := x509.ParseRevocationList(block.Bytes)
	must(t, err)
	if list.Number.Cmp(big.NewInt(4)) != 0 || len(list.RevokedCertificateEntries) != 2 {
		t.Errorf("number %v with %d entries, want number 4 with 2", list.Number, len(list.RevokedCertificateEntries))
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	_, a := made(t)
	foreign := t.TempDir()
	must(t, os.WriteFile(filepath.Join(foreign, "server.key"), nil, 0o600))
	open := func(dir string) error {
		_, err := devcerts.Open(dir)
		return err
	}
	for name, err := range map[string]error{
		"a directory with other files": open(foreign),
		"the server as a client":       a.IssueClient(devcerts.Server, lasts),
		"the authority as a client":    a.IssueClient("ca", lasts),
		"no name":                      a.IssueClient("", lasts),
		"a path":                       a.IssueClient("../x", lasts),
		"a letter that is no label":    a.IssueClient("Alice", lasts),
		"a name that is too long":      a.IssueClient(strings.Repeat("a", 64), lasts),
		"an address with a port":       a.IssueServer([]string{"localhost:1"}, lasts),
		"a host without a name":        a.IssueServer([]string{""}, lasts),
		"a client that is not there":   a.Revoke("nobody"),
		"a path of a client":           a.Revoke("../x"),
	} {
		if !errors.Is(err, devcerts.ErrUsage) {
			t.Errorf("%s: %v, want ErrUsage", name, err)
		}
	}
	load(t, a, "alice") // what was there is there
}

func TestTheAuthorityOfOthersIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir, _ := made(t)
	// A client's certificate stands for what somebody else has signed.
	for _, ext := range []string{".crt", ".key"} {
		must(t, os.Rename(filepath.Join(dir, "alice"+ext), filepath.Join(dir, "ca"+ext)))
	}
	if _, err := devcerts.Open(dir); !errors.Is(err, devcerts.ErrUsage) || !strings.Contains(err.Error(), "has not made") {
		t.Errorf("%v, want it refused", err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return text
}
