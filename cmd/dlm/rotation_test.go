package main_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
)

var rotating = flag.Duration("rotating", 18*time.Second, "for how long TestRotation replaces certificates and tokens; in 18 s they live for 9 s, from 30 s on for 15 s")

// issuance is how servers come to know clients: by what two authorities issue.
type issuance interface {
	configuration() string                       // of the servers
	client(t *testing.T) client.Config           // of the clients
	trust(t *testing.T, who ...int)              // has servers and clients trust these authorities
	issue(t *testing.T, by int, d time.Duration) // replaces what an authority has issued by what is good for so long
}

// certificates of servers and clients.
type byCertificate struct {
	dir         string
	authorities [2]*certstest.Authority
}

func (c *byCertificate) configuration() string {
	return fmt.Sprintf("tls: {cert: %[1]s/cert.pem, key: %[1]s/key.pem, client-ca: %[1]s/ca.pem}\nauth: {identity: cn, policy: %[1]s/policy.yaml}\n", c.dir)
}

func (c *byCertificate) client(t *testing.T) client.Config {
	t.Helper()
	cfg, err := client.TLSFromFiles(c.dir+"/ca.pem", c.dir+"/client/cert.pem", c.dir+"/client/key.pem")
	if err != nil {
		t.Fatal(err)
	}
	return client.Config{TLS: cfg}
}

func (c *byCertificate) trust(t *testing.T, who ...int) {
	t.Helper()
	var bundle []byte
	for _, i := range who {
		bundle = append(bundle, c.authorities[i].PEM()...)
	}
	certstest.Write(t, c.dir+"/ca.pem", bundle)
}

func (c *byCertificate) issue(t *testing.T, by int, d time.Duration) {
	t.Helper()
	spec := certstest.Spec{CN: "worker", IPs: []string{"127.0.0.1"}, NotAfter: time.Now().Add(d)}
	c.authorities[by].Issue(t, spec).WriteTo(t, c.dir)
	c.authorities[by].Issue(t, spec).WriteTo(t, c.dir+"/client")
}

// tokens of clients, by the keys of an issuer, and a certificate of servers that stays.
type byToken struct {
	dir  string
	keys [2]*ecdsa.PrivateKey
	*certstest.Authority
}

func (b *byToken) configuration() string {
	return fmt.Sprintf("tls: {cert: %[1]s/cert.pem, key: %[1]s/key.pem}\nauth: {jwt: [{issuer: issuer, audience: dlm, jwks: %[1]s/keys}], policy: %[1]s/policy.yaml}\n", b.dir)
}

func (b *byToken) client(t *testing.T) client.Config {
	t.Helper()
	cfg, err := client.TLSFromFiles(b.WriteTo(t, b.dir), "", "")
	if err != nil {
		t.Fatal(err)
	}
	return client.Config{TLS: cfg, BearerFile: b.dir + "/token"}
}

func (b *byToken) trust(t *testing.T, who ...int) {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, i := range who {
		set.Keys = append(set.Keys, jose.JSONWebKey{KeyID: fmt.Sprint(i), Key: b.keys[i].Public()})
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	certstest.Write(t, b.dir+"/keys", text)
}

func (b *byToken) issue(t *testing.T, by int, d time.Duration) {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{KeyID: fmt.Sprint(by), Key: b.keys[by]}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	text, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: "issuer", Audience: jwt.Audience{"dlm"}, Subject: "worker", IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(d)),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	certstest.Write(t, b.dir+"/token", []byte(text))
}

func newIssuance(t *testing.T, kind string) issuance {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "client"), 0o700); err != nil {
		t.Fatal(err)
	}
	certstest.Write(t, dir+"/policy.yaml", []byte("rules:\n"+
		"  - {identity: cn:worker, locks: [jobs], allow: [acquire, append, read, inspect]}\n"+
		"  - {identity: 'jwt:issuer#worker', locks: [jobs], allow: [acquire, append, read, inspect]}\n"))
	if kind == "certificates" {
		return &byCertificate{dir, [2]*certstest.Authority{certstest.New(t), certstest.New(t)}}
	}
	b := &byToken{dir: dir, Authority: certstest.New(t)}
	for i := range b.keys {
		var err error
		if b.keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	b.Issue(t, certstest.Spec{IPs: []string{"127.0.0.1"}}).WriteTo(t, dir)
	return b
}

// What clients and servers show each other ends soon and is replaced in time, in the end by what
// another authority has issued, which becomes the only one in three steps. Whoever works, holds,
// lingers, watches or follows notices nothing of it.
func TestRotation(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"certificates", "tokens"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			rotateFor(t, newIssuance(t, kind), *rotating)
		})
	}
}

func rotateFor(t *testing.T, of issuance, all time.Duration) {
	life := min(15*time.Second, all/2)
	of.trust(t, 0)
	of.issue(t, 0, life)
	config := certstest.Write(t, filepath.Join(t.TempDir(), "dlm.yaml"), []byte(of.configuration()))
	etcd := storetest.FreeAddr(t)
	first := ownServer(t, "--config", config, "--cluster-client-listen", etcd)
	other := ownServer(t, "--config", config, "--etcd-endpoints", etcd)
	log := &await.Text{}
	open := func(linger time.Duration, endpoints ...string) *client.Client {
		t.Helper()
		cfg := of.client(t)
		cfg.Endpoints, cfg.Linger, cfg.Logger = endpoints, linger, slog.New(slog.NewTextHandler(log, nil))
		c, err := client.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	w := &work{c: open(0, first.addr, other.addr), stop: make(chan struct{})}
	lingers := open(2*time.Second, other.addr, first.addr)
	holders := map[string]*client.Lock{}
	for name, c := range map[string]*client.Client{"jobs/held": w.c, "jobs/lingering": lingers} {
		l, err := c.Lock(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		holders[name] = l
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w.begin(ctx, t, lingers)

	every := time.NewTicker(life / 3)
	defer every.Stop()
	by, began := 0, time.Now()
	for step := 1; step <= 4; {
		<-every.C
		if time.Since(began) >= all/4*time.Duration(step) {
			switch step {
			case 1:
				of.trust(t, 0, 1)
			case 2:
				by = 1
			case 3:
				of.trust(t, 1)
			}
			step++
		}
		of.issue(t, by, life)
	}
	w.end(t)
	for name, l := range holders {
		if err := context.Cause(l.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := l.Unlock(t.Context()); err != nil {
			t.Error(err)
		}
	}
	cancel()
	w.running.Wait()
	if strings.Contains(log.String(), "session lost") {
		t.Errorf("a client has lost its session:\n%s", log)
	}
	for _, s := range []*server{other, first} {
		if err := s.stop(syscall.SIGTERM); err != nil {
			t.Errorf("server: %v", err)
		}
		// That a client has left before its read was done, etcd calls an error.
		left := regexp.MustCompile(`.*"level":"error".*readonly txn.*context canceled.*\n`)
		if text := left.ReplaceAllString(s.log.String(), ""); strings.Contains(text, `"level":"error"`) || strings.Contains(text, "a lock was lost") {
			t.Errorf("a server complains:\n%s", text)
		}
	}
}

// work goes on while a client is looked at.
type work struct {
	c       *client.Client
	stop    chan struct{}
	loops   sync.WaitGroup // which append
	running sync.WaitGroup // which look on
	done    [2]int         // how often each loop has appended

	tailed  await.Text
	watched atomic.Int64 // grants of the first loop's lock
}

func loopLock(i int) string { return fmt.Sprintf("jobs/loop-%d", i) }

// begin has two loops append, and two onlookers see what the first one does.
func (w *work) begin(ctx context.Context, t *testing.T, onlooker *client.Client) {
	for i := range w.done {
		w.loops.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-w.stop:
					w.done[i] = n
					return
				case <-time.After(20 * time.Millisecond): // more would only make the file long
				}
				err := w.c.Do(ctx, loopLock(i), func(ctx context.Context, l *client.Lock) error {
					return l.Append(ctx, "file", fmt.Appendf(nil, "%d\n", n))
				})
				if err != nil {
					t.Errorf("round %d of loop %d: %v", n, i, err)
					w.done[i] = n
					return
				}
			}
		})
	}
	w.running.Go(func() {
		for piece, err := range onlooker.Tail(ctx, loopLock(0), "file", 0) {
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("tail: %v", err)
				}
				return
			}
			_, _ = w.tailed.Write(piece.GetData())
		}
	})
	w.running.Go(func() {
		var last int64
		for event, err := range onlooker.Watch(ctx, loopLock(0)) {
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("watch: %v", err)
				}
				return
			}
			if token := event.GetToken(); token > last {
				last = token
				w.watched.Add(1)
			}
		}
	})
}

// end ends the loops, and looks whether everything is there, once and in order.
func (w *work) end(t *testing.T) {
	t.Helper()
	close(w.stop)
	w.loops.Wait()
	for i, n := range w.done {
		got, err := w.c.Read(t.Context(), loopLock(i), "file")
		var want []byte
		for n := range n {
			want = fmt.Appendf(want, "%d\n", n)
		}
		if err != nil || !slices.Equal(got, want) || n < 100 {
			t.Errorf("loop %d has appended %d times; read %d bytes of %d, %v", i, n, len(got), len(want), err)
		}
		if i == 0 {
			eventually(t, "all to be followed", func() bool { return w.tailed.String() == string(want) })
		}
	}
	t.Logf("%v rounds, %d seen", w.done, w.watched.Load())
	if seen := int(w.watched.Load()); seen < w.done[0]*9/10 { // some may go by while the watch changes servers
		t.Errorf("%d of %d rounds were watched", seen, w.done[0])
	}
}
