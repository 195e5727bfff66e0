package web_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

const patience = 60 * time.Second // of a busy machine

// binary builds the program, once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(directory, "dlm")
	build := exec.Command("go", "build", "-o", path, "./cmd/dlm")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build dlm: %w\n%s", err, out)
	}
	return path, nil
})

// directory is where the program is built, and the browser keeps what it writes.
var directory string

// server is a real server.
type server struct {
	t           testing.TB
	program     string
	cmd         *exec.Cmd
	addr, admin string
	api         dlmv1.LockServiceClient
	token       string // of who calls; empty: nobody is asked
	log         *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) write(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.WriteString(line + "\n")
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startServer starts a server with more flags than it needs.
func startServer(t testing.TB, flags ...string) *server {
	t.Helper()
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, program: program, log: &lockedBuffer{}}
	s.cmd = exec.Command(program, append([]string{
		"server", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-format", "json", "--data-dir", t.TempDir(),
	}, flags...)...)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			s.log.write(lines.Text())
			var line struct{ Msg, Listen, Admin string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" {
				s.addr, s.admin = line.Listen, line.Admin
				close(ready)
			}
		}
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Signal(syscall.SIGCONT)
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		killed := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
		defer killed.Stop()
		<-ended
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v:\n%s", err, s.log)
		}
	})
	select {
	case <-ready:
	case <-ended:
		t.Fatalf("the server ended:\n%s", s.log)
	case <-time.After(patience):
		t.Fatalf("the server is not ready:\n%s", s.log)
	}
	conn, err := grpc.NewClient("passthrough:///"+s.addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(bearer{s}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	s.api = dlmv1.NewLockServiceClient(conn)
	return s
}

// bearer shows the server's token, if it wants one.
type bearer struct{ *server }

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	if b.token == "" {
		return nil, nil
	}
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }

// page is the address of the web page.
func (s *server) page() string { return "http://" + s.admin + "/" }

// session is one client's, which sends no heartbeats: it lives longer than a test.
type session struct {
	s          *server
	credential string
	requests   int
}

func (s *server) session(label string) *session {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	resp, err := s.api.Init(ctx, &dlmv1.InitRequest{Label: label, Ttl: seconds(600)})
	if err != nil {
		s.t.Fatalf("Init: %v", err)
	}
	return &session{s: s, credential: resp.GetSession()}
}

// hold takes a free lock.
func (c *session) hold(lock string) (token int64) {
	c.s.t.Helper()
	c.requests++
	token, err := c.acquire(lock, fmt.Sprint(c.requests))
	if err != nil {
		c.s.t.Fatalf("acquire %s: %v", lock, err)
	}
	return token
}

func (c *session) acquire(lock, request string) (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	resp, err := c.s.api.Acquire(ctx, &dlmv1.AcquireRequest{Session: c.credential, Lock: lock, Request: request, Wait: seconds(0)})
	if err == nil && resp.GetOutcome() != dlmv1.AcquireResponse_OUTCOME_GRANTED {
		err = errors.New(resp.GetOutcome().String())
	}
	return resp.GetToken(), err
}

// queue waits for a lock until the test ends.
func (c *session) queue(lock string) {
	c.requests++
	request := fmt.Sprint(c.requests)
	ctx, cancel := context.WithCancel(context.Background())
	var waiting sync.WaitGroup
	waiting.Go(func() {
		_, _ = c.s.api.Acquire(ctx, &dlmv1.AcquireRequest{Session: c.credential, Lock: lock, Request: request})
	})
	c.s.t.Cleanup(func() {
		cancel()
		waiting.Wait()
	})
}

func (c *session) append(lock string, token int64, file, data string) {
	c.s.t.Helper()
	c.requests++
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := c.s.api.Append(ctx, &dlmv1.AppendRequest{
		Session: c.credential, Lock: lock, Token: token, Request: fmt.Sprint(c.requests), File: file, Data: []byte(data),
	}); err != nil {
		c.s.t.Fatalf("append: %v", err)
	}
}

func (c *session) release(lock string, token int64, appended bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := c.s.api.Release(ctx, &dlmv1.ReleaseRequest{Session: c.credential, Lock: lock, Token: token, Appended: appended})
	return err
}

// dlm runs a command against the server.
func (s *server) dlm(args ...string) string {
	s.t.Helper()
	cmd := exec.Command(s.program, append(args, "--endpoints", s.addr)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("dlm %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return string(out)
}

// issuer issues tokens, and has what a server needs to verify them.
type issuer struct {
	key  *ecdsa.PrivateKey
	keys string // file
}

const issuerName = "https://id.example.org"

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key, filepath.Join(t.TempDir(), "keys.json")}
	set := map[string]any{"keys": []any{map[string]string{
		"kty": "EC", "crv": "P-256", "kid": "k", "alg": "ES256", "use": "sig", "x": encode64(public[1:33]), "y": encode64(public[33:]),
	}}}
	write(t, i.keys, string(must(json.Marshal(set))))
	return i
}

func encode64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func write(t testing.TB, path, content string) {
	t.Helper()
	next := path + ".next"
	if err := errors.Join(os.WriteFile(next, []byte(content), 0o600), os.Rename(next, path)); err != nil {
		t.Fatal(err)
	}
}

// token says that its bearer is somebody.
func (i *issuer) token(t testing.TB, subject string) string {
	t.Helper()
	now := time.Now()
	claims := map[string]any{
		"iss": issuerName, "sub": subject, "aud": "dlm", "iat": now.Add(-time.Minute).Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	text := encode64([]byte(`{"alg":"ES256","kid":"k","typ":"JWT"}`)) + "." + encode64(must(json.Marshal(claims)))
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + encode64(signature)
}

// flags have a server know the issuer's subjects, and do what a policy says.
func (i *issuer) flags(policy string) []string {
	jwt := fmt.Sprintf("[{issuer: %q, audience: dlm, jwks: %s, algorithms: [ES256]}]", issuerName, i.keys)
	return []string{"--auth-jwt", jwt, "--auth-policy", policy}
}
