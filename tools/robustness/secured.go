package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
)

// secured is the files of a layout whose clients show certificates, and are held to a policy.
type secured struct {
	dlm    string // makes the certificates
	certs  string // a directory
	policy string // a file
}

// self is the name of the run itself; those of workers are below it.
const self = "run"

func workerName(i int) string { return fmt.Sprint("worker", i) }

// secure makes certificates for the run and its workers, and a policy.
func secure(dlm, dir string) (*secured, error) {
	s := &secured{dlm: dlm, certs: filepath.Join(dir, "certs"), policy: filepath.Join(dir, "policy.yaml")}
	for i := range workers {
		if err := s.issue("--client", workerName(i)); err != nil {
			return nil, err
		}
	}
	if err := s.issue("--client", self); err != nil {
		return nil, err
	}
	return s, s.rule("", "")
}

// issue makes certificates, or revokes one: see dlm dev-certs. The server's is made anew.
func (s *secured) issue(args ...string) error {
	out, err := exec.Command(s.dlm, append([]string{"dev-certs", s.certs}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("dlm dev-certs %v: %w\n%s", args, err, out)
	}
	return nil
}

// rule writes the policy: who of the workers may not append just now, and who is revoked; empty:
// nobody.
func (s *secured) rule(mute, revoked string) error {
	var text strings.Builder
	fmt.Fprintf(&text, "rules:\n  - identity: %q\n    locks: [\"*\"]\n    allow: [read, inspect, evict, admin]\n", identity(self))
	for i := range workers {
		allow := "acquire, append, read, inspect"
		if name := workerName(i); name == mute {
			allow = "acquire, read, inspect"
		}
		fmt.Fprintf(&text, "  - identity: %q\n    locks: [\"*\"]\n    allow: [%s]\n", identity(workerName(i)), allow)
	}
	if revoked != "" {
		fmt.Fprintf(&text, "revoked:\n  - identity: %q\n    sessions: end\n", identity(revoked))
	}
	next := s.policy + ".next" // servers see the old one or the new one
	if err := os.WriteFile(next, []byte(text.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(next, s.policy)
}

func identity(name string) string { return "spiffe:spiffe://dlm.test/" + name }

// flags are the server's.
func (s *secured) flags() []string {
	in := func(name string) string { return filepath.Join(s.certs, name) }
	return []string{
		"--tls-cert", in("server.crt"), "--tls-key", in("server.key"), "--tls-client-ca", in("ca.crt"), "--tls-crl", in("crl.pem"),
		"--auth-policy", s.policy,
	}
}

// open opens a client of the run's own.
func (l *layout) open(connect time.Duration) (*client.Client, error) {
	certs := ""
	if l.secured != nil {
		certs = l.secured.certs
	}
	to, err := newReach(l.endpoints(), certs, self)
	if err != nil {
		return nil, err
	}
	cfg := to.config(0)
	cfg.ConnectTimeout = connect
	return client.Open(cfg)
}

// securityFaults are those of certificates and policies.
func securityFaults() []fault {
	return []fault{
		{"certificates replaced", 3, func(_ context.Context, r *run, rnd *rand.Rand) error {
			return r.l.changing(func(s *secured) error { return s.issue("--client", workerName(rnd.IntN(workers))) })
		}},
		{"certificate revoked", 2, func(ctx context.Context, r *run, rnd *rand.Rand) error {
			return r.l.changing(func(s *secured) error {
				name := workerName(rnd.IntN(workers))
				if err := s.issue("--revoke", name); err != nil {
					return err
				}
				pause(ctx, time.Duration(500+rnd.IntN(5000))*time.Millisecond)
				return s.issue("--client", name)
			})
		}},
		{"identity revoked", 2, func(ctx context.Context, r *run, rnd *rand.Rand) error {
			return r.l.ruled(ctx, rnd, "", workerName(rnd.IntN(workers)))
		}},
		{"appends forbidden", 2, func(ctx context.Context, r *run, rnd *rand.Rand) error {
			return r.l.ruled(ctx, rnd, workerName(rnd.IntN(workers)), "")
		}},
	}
}

// changing changes the files of who may do what, one change at a time.
func (l *layout) changing(f func(s *secured) error) error {
	l.files.Lock()
	defer l.files.Unlock()
	return f(l.secured)
}

// ruled has another policy hold for a while.
func (l *layout) ruled(ctx context.Context, rnd *rand.Rand, mute, revoked string) error {
	return l.changing(func(s *secured) error {
		if err := s.rule(mute, revoked); err != nil {
			return err
		}
		pause(ctx, time.Duration(500+rnd.IntN(5000))*time.Millisecond)
		return s.rule("", "")
	})
}
