package embedded_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
)

// peer is what a member's certificate says.
func peer() certstest.Spec { return certstest.Spec{IPs: []string{"127.0.0.1"}} }

// peerTLS are the files of a member with a certificate of an authority.
func peerTLS(t *testing.T, ca *certstest.Authority) embedded.TLS {
	t.Helper()
	dir := t.TempDir()
	files := embedded.TLS{CA: ca.WriteTo(t, dir)}
	files.Cert, files.Key = ca.Issue(t, peer()).WriteTo(t, dir)
	return files
}

func TestPeerTLS(t *testing.T) {
	t.Parallel()
	cfgs := threeMembers(t)
	ca := certstest.New(t)
	for i := range cfgs {
		cfgs[i].PeerTLS = peerTLS(t, ca)
	}
	servers := startAll(t, cfgs)
	put(t, servers[0], "k", "v")

	stop(t, servers[2])
	stranger := cfgs[2]
	stranger.PeerTLS = peerTLS(t, certstest.New(t))
	if _, err := tryStart(t, stranger, 3*time.Second); err == nil {
		t.Error("a member with another authority's certificate was let in")
	}
	back := start(t, cfgs[2])
	if got := get(t, back, "k"); got != "v" {
		t.Errorf("k = %q, want v", got)
	}
}

// alone is a member of a cluster of one, which listens for peers.
func alone(t *testing.T, files embedded.TLS) embedded.Config {
	t.Helper()
	addr := storetest.FreeAddr(t)
	return embedded.Config{DataDir: t.TempDir(), Name: "m", PeerListen: addr, Members: map[string]string{"m": addr}, PeerTLS: files}
}

// ask connects to a member as a peer does that has a certificate, and returns what the member
// shows.
func ask(t *testing.T, cfg embedded.Config, ca *certstest.Authority, pair certstest.Pair) (tls.ConnectionState, error) {
	t.Helper()
	client := http.Client{Timeout: bounded, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		RootCAs: ca.Pool(), Certificates: []tls.Certificate{pair.TLS(t)}}}}
	resp, err := client.Get("https://" + cfg.PeerListen + "/members")
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return *resp.TLS, err
}

func TestPeersWithRevokedCertificatesAreRefused(t *testing.T) {
	t.Parallel()
	ca, other := certstest.New(t), certstest.New(t)
	files := peerTLS(t, ca)
	certstest.Write(t, files.CA, append(ca.PEM(), other.PEM()...))
	good, bad, later := ca.Issue(t, peer()), ca.Issue(t, peer()), other.Issue(t, peer())
	files.CRL = certstest.Write(t, filepath.Join(filepath.Dir(files.CA), "crl.pem"), ca.CRL(t, bad))
	cfg := alone(t, files)
	core, logs := observer.New(zap.WarnLevel)
	cfg.Logger = zap.New(core)
	s := start(t, cfg)

	letIn := func(pair certstest.Pair) bool {
		_, err := ask(t, cfg, ca, pair)
		return err == nil
	}
	if !letIn(good) || letIn(bad) || !letIn(later) {
		t.Errorf("let in %v, %v, %v; want all but the second, which is revoked", letIn(good), letIn(bad), letIn(later))
	}
	certstest.Write(t, files.CRL, append(ca.CRL(t, bad), other.CRL(t, later)...))
	await.Eventually(t, bounded, "a certificate that is revoked while the member runs", func() bool { return !letIn(later) })
	if !letIn(good) || letIn(bad) {
		t.Errorf("let in %v, %v; want the first only", letIn(good), letIn(bad))
	}

	// A list that cannot be read ends nothing, nor lets anybody in.
	certstest.Write(t, files.CRL, []byte("no list"))
	await.Eventually(t, bounded, "a complaint of a broken list", func() bool {
		return logs.FilterMessageSnippet("what was in it before is").Len() > 0
	})
	if !letIn(good) || letIn(bad) {
		t.Errorf("with a broken list: let in %v, %v; want the first only", letIn(good), letIn(bad))
	}
	stop(t, s)
	if _, err := tryStart(t, cfg, bounded); err == nil {
		t.Error("started with a list that cannot be read")
	}
	certstest.Write(t, files.CRL, ca.CRL(t))
	start(t, cfg)
	if !letIn(bad) {
		t.Error("what is revoked no longer is refused")
	}
}

func TestPeersCertificatesAreReread(t *testing.T) {
	t.Parallel()
	ca := certstest.New(t)
	files := peerTLS(t, ca)
	cfg := alone(t, files)
	start(t, cfg)
	next := ca.Issue(t, peer())
	next.WriteTo(t, filepath.Dir(files.Cert))
	state, err := ask(t, cfg, ca, ca.Issue(t, peer()))
	if err != nil || !state.PeerCertificates[0].Equal(next.Leaf) {
		t.Errorf("%v, want the member to show the certificate that is in its file", err)
	}
}
