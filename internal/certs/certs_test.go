package certs_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/internal/certs"
	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
)

const (
	forServer = x509.ExtKeyUsageServerAuth
	forClient = x509.ExtKeyUsageClientAuth
)

// trusting is a set that trusts an authority, and has lists of revoked certificates.
func trusting(t *testing.T, ca *certstest.Authority, lists ...[]byte) *certs.Set {
	t.Helper()
	dir := t.TempDir()
	files := certs.Files{CA: ca.WriteTo(t, dir)}
	if len(lists) > 0 {
		files.CRL = certstest.Write(t, filepath.Join(dir, "crl.pem"), bytes.Join(lists, nil))
	}
	set, err := certs.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// shown is what a peer shows that has a pair.
func shown(t *testing.T, pair certstest.Pair) (chain []*x509.Certificate) {
	t.Helper()
	for _, der := range pair.TLS(t).Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, cert)
	}
	return chain
}

func TestVerify(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ca, other := certstest.New(t), certstest.New(t)
	below := ca.Intermediate(t)
	good := ca.Issue(t, certstest.Spec{CN: "alice", DNS: []string{"a.example.org"}, IPs: []string{"127.0.0.1", "::1"}})
	early := ca.Issue(t, certstest.Spec{NotBefore: now.Add(time.Minute)})
	late := ca.Issue(t, certstest.Spec{NotAfter: now.Add(-time.Minute)})
	server := ca.Issue(t, certstest.Spec{DNS: []string{"a.example.org"}, Usages: []x509.ExtKeyUsage{forServer}})
	client := ca.Issue(t, certstest.Spec{Usages: []x509.ExtKeyUsage{forClient}})
	stranger := other.Issue(t, certstest.Spec{})
	indirect := below.Issue(t, certstest.Spec{})
	mine := trusting(t, ca)
	revoking := trusting(t, ca, other.CRL(t), ca.CRL(t, good))
	until := func(at time.Time, revoked ...x509.RevocationListEntry) []byte {
		return ca.List(t, &x509.RevocationList{NextUpdate: at, RevokedCertificateEntries: revoked})
	}

	for name, c := range map[string]struct {
		set   *certs.Set
		peer  []*x509.Certificate
		usage x509.ExtKeyUsage
		name  string
		want  error
		says  string
	}{
		"good client":         {mine, shown(t, good), forClient, "", nil, ""},
		"good server":         {mine, shown(t, good), forServer, "a.example.org", nil, ""},
		"good address":        {mine, shown(t, good), forServer, "127.0.0.1", nil, ""},
		"good long address":   {mine, shown(t, good), forServer, "::1", nil, ""},
		"with what is above":  {mine, shown(t, indirect), forClient, "", nil, ""},
		"nothing":             {mine, nil, forClient, "", certs.ErrNone, "no certificate"},
		"expired":             {mine, shown(t, late), forClient, "", certs.ErrExpired, "valid until " + late.Leaf.NotAfter.Format(time.RFC3339)},
		"not yet valid":       {mine, shown(t, early), forClient, "", certs.ErrNotYetValid, "from " + early.Leaf.NotBefore.Format(time.RFC3339)},
		"unknown authority":   {mine, shown(t, stranger), forClient, "", certs.ErrUnknownAuthority, "trusted"},
		"no way up":           {mine, shown(t, indirect)[:1], forClient, "", certs.ErrUnknownAuthority, "trusted"},
		"server as client":    {mine, shown(t, server), forClient, "", certs.ErrUsage, "clientAuth"},
		"client as server":    {mine, shown(t, client), forServer, "", certs.ErrUsage, "serverAuth"},
		"another's name":      {mine, shown(t, good), forServer, "b.example.org", certs.ErrName, "a.example.org"},
		"another's address":   {mine, shown(t, good), forServer, "127.0.0.2", certs.ErrName, "127.0.0.1"},
		"common name":         {mine, shown(t, client), forServer, "alice", certs.ErrName, "alice"},
		"an authority itself": {mine, []*x509.Certificate{ca.Cert}, forClient, "", nil, ""},
		"revoked":             {revoking, shown(t, good), forClient, "", certs.ErrRevoked, "at 2"},
		"another is revoked":  {revoking, shown(t, client), forClient, "", nil, ""},
		"authority revoked": {trusting(t, ca, ca.CRL(t, certstest.Pair{Leaf: below.Cert})), shown(t, indirect), forClient, "",
			certs.ErrRevoked, ca.Cert.Subject.CommonName},
		"revoked below":         {trusting(t, ca, below.CRL(t, indirect)), shown(t, indirect), forClient, "", certs.ErrRevoked, below.Cert.Subject.CommonName},
		"list for those above":  {trusting(t, ca, ca.CRL(t, good)), shown(t, indirect), forClient, "", nil, ""},
		"number of another's":   {trusting(t, ca, below.CRL(t, good)), shown(t, good), forClient, "", nil, ""},
		"stale list":            {trusting(t, ca, until(now.Add(-time.Minute))), shown(t, good), forClient, "", certs.ErrStaleList, "expired at"},
		"stale and fresh list":  {trusting(t, ca, until(now.Add(-time.Minute)), ca.CRL(t)), shown(t, good), forClient, "", nil, ""},
		"stale list for others": {trusting(t, ca, until(now.Add(-time.Minute))), shown(t, indirect), forClient, "", certs.ErrStaleList, "expired at"},
		"in the stale list": {trusting(t, ca, until(now.Add(-time.Minute), x509.RevocationListEntry{
			SerialNumber: good.Leaf.SerialNumber, RevocationTime: now}), ca.CRL(t)), shown(t, good), forClient, "", certs.ErrRevoked, "at 2"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.set.Verify(c.peer, c.usage, c.name, now)
			if !errors.Is(err, c.want) || c.want == nil && err != nil || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want %v that says %q", err, c.want, c.says)
			}
		})
	}
}

// TestAListCountsIfItsIssuerHasSignedIt has lists of authorities of one name.
func TestAListCountsIfItsIssuerHasSignedIt(t *testing.T) {
	t.Parallel()
	ca := certstest.New(t)
	below, forger := ca.Intermediate(t), certstest.New(t)
	pair := below.Issue(t, certstest.Spec{})
	forger.Cert.RawSubject = below.Cert.RawSubject
	verify := func() error {
		return trusting(t, ca, forger.CRL(t, pair)).Verify(shown(t, pair), forClient, "", time.Now())
	}

	// It has the same name and another key: it may have had that before.
	if err := verify(); err != nil {
		t.Errorf("the list of an authority of the same name: %v, want that it does not count", err)
	}
	// It claims to have that key.
	forger.Cert.SubjectKeyId = below.Cert.SubjectKeyId
	if err := verify(); !errors.Is(err, certs.ErrStaleList) || !strings.Contains(err.Error(), "not signed by it") {
		t.Errorf("a forged list: %v, want that nothing is known", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, other := certstest.New(t), certstest.New(t)
	cert, key := ca.Issue(t, certstest.Spec{}).WriteTo(t, dir)
	_, otherKey := ca.Issue(t, certstest.Spec{}).WriteTo(t, t.TempDir())
	authority := ca.WriteTo(t, dir)
	file := func(name string, content []byte) string { return certstest.Write(t, filepath.Join(dir, name), content) }
	other.Cert.RawSubject, other.Cert.SubjectKeyId = ca.Cert.RawSubject, ca.Cert.SubjectKeyId
	critical := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0x00}}
	partial := ca.List(t, &x509.RevocationList{NextUpdate: time.Now().Add(time.Hour), ExtraExtensions: []pkix.Extension{critical}})
	ofOthers := ca.List(t, &x509.RevocationList{NextUpdate: time.Now().Add(time.Hour), RevokedCertificateEntries: []x509.RevocationListEntry{
		{SerialNumber: other.Cert.SerialNumber, RevocationTime: time.Now(), ExtraExtensions: []pkix.Extension{critical}},
	}})

	for name, c := range map[string]struct {
		files certs.Files
		says  string
	}{
		"no such file":              {certs.Files{CA: filepath.Join(dir, "no")}, "no such file"},
		"no authority":              {certs.Files{CA: file("empty", nil)}, "no PEM CERTIFICATE"},
		"key for an authority":      {certs.Files{CA: key}, "PRIVATE KEY in it"},
		"broken authority":          {certs.Files{CA: file("broken", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))}, "x509"},
		"certificate alone":         {certs.Files{Cert: cert}, "both"},
		"key alone":                 {certs.Files{Key: key}, "both"},
		"another's key":             {certs.Files{Cert: cert, Key: otherKey}, "does not match"},
		"certificate for a list":    {certs.Files{CRL: authority}, "CERTIFICATE in it"},
		"broken list":               {certs.Files{CRL: file("broken.crl", []byte("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"))}, "x509"},
		"another's list":            {certs.Files{CA: authority, CRL: file("other.crl", other.CRL(t))}, "not signed by it"},
		"a part of a list":          {certs.Files{CRL: file("partial.crl", partial)}, "not a whole one"},
		"list of others' revoked":   {certs.Files{CRL: file("others.crl", ofOthers)}, "entries of others"},
		"list that is not PEM text": {certs.Files{CRL: file("der.crl", []byte{0x30, 0x03, 0x02, 0x01, 0x01})}, "no PEM X509 CRL"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := certs.Load(c.files); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v, want an error that says %q", err, c.says)
			}
		})
	}
}
