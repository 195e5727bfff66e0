package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// The proportions are about those of Kubernetes' own 15 s, 10 s and 2 s.
const (
	renewDeadline = 1300 * time.Millisecond
	retryPeriod   = 400 * time.Millisecond
)

const (
	kubeModule = "deploy/kubernetes/apiserver" // knows which kube-apiserver, and all that it needs
	kubeUser   = "only-for-this-run"           // is everybody's token of access
	kubeSystem = "kube-system"                 // the namespace that is always there
)

// startKubernetes starts a kube-apiserver on an etcd of its own.
func startKubernetes(b *builds, dir string) (*service, error) {
	binary, release, err := b.kubernetes()
	if err != nil {
		return nil, err
	}
	below, err := startEtcd(b, dir)
	if err != nil {
		return nil, err
	}
	s, err := startAPIServer(binary, dir, below.addr)
	if err != nil {
		return nil, errors.Join(err, below.end())
	}
	s.below = below
	etcd, _, _ := strings.Cut(below.settings, "; ")
	s.settings = fmt.Sprintf("kube-apiserver %s on one member of etcd, %s, their defaults; %s, LeaseDuration %v, RenewDeadline %v, RetryPeriod %v, ReleaseOnCancel",
		release, etcd, library("k8s.io/client-go"), ttl, renewDeadline, retryPeriod)
	return s, nil
}

// kubernetes builds kube-apiserver, unless the go command's cache has it, and returns its version
// as well.
func (b *builds) kubernetes() (binary, release string, err error) {
	module := filepath.Join(b.root, kubeModule)
	goSays := func(args ...string) (string, error) {
		cmd := exec.Command("go", args...)
		cmd.Dir = module
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.Output()
		if err != nil {
			lines := strings.Split(strings.TrimSpace(said.String()), "\n")
			return "", skipped(fmt.Sprintf("no kube-apiserver: go %s: %v: %s", args[0], err, lines[len(lines)-1]))
		}
		return strings.TrimSpace(string(out)), nil
	}
	if release, err = goSays("list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes"); err != nil {
		return "", "", err
	}
	binary, err = goSays("tool", "-n", "kube-apiserver")
	return binary, release, err
}

func startAPIServer(binary, dir, etcd string) (*service, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	accounts, users := filepath.Join(dir, "accounts.key"), filepath.Join(dir, "users.csv")
	if err := errors.Join(
		os.WriteFile(accounts, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600),
		os.WriteFile(users, []byte(kubeUser+",worker,1,system:masters\n"), 0o600),
	); err != nil {
		return nil, err
	}
	s, err := serve(dir, addr, syscall.SIGTERM, nil, binary, "--etcd-servers=http://"+etcd,
		"--bind-address=127.0.0.1", "--secure-port="+port(addr), "--cert-dir="+filepath.Join(dir, "certs"), "--endpoint-reconciler-type=none",
		"--token-auth-file="+users, "--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+accounts, "--service-account-signing-key-file="+accounts)
	if err != nil {
		return nil, err
	}
	if err := awaitReady(s); err != nil {
		return nil, errors.Join(err, s.end())
	}
	return s, nil
}

// awaitReady waits until an API server says that it is ready: it listens before.
func awaitReady(s *service) error {
	c, err := rest.HTTPClientFor(kubeConfig(s.addr))
	if err != nil {
		return err
	}
	c.Timeout = 5 * time.Second
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); ; {
		answer, err := c.Get("https://" + s.addr + "/readyz")
		if err == nil {
			if answer.Body.Close(); answer.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(answer.Status)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("kube-apiserver is not ready: %w", err)
		}
		select {
		case <-s.process.ended:
			return errors.Join(errors.New("kube-apiserver has ended"), s.process.err)
		case <-tick.C:
		}
	}
}

func kubeConfig(addr string) *rest.Config {
	return &rest.Config{
		Host: "https://" + addr, BearerToken: kubeUser,
		TLSClientConfig: rest.TLSClientConfig{Insecure: true}, // it makes its certificate itself
	}
}

// leaseLocker is the leader election of client-go. Each hold is an election of its own, under an
// identity of its own, as if a process had been started for it.
type leaseLocker struct {
	config *rest.Config
	lock   string
	token  bool
}

func leaseUnchecked(_ context.Context, addr, lock string) (locker, error) {
	return &leaseLocker{kubeConfig(addr), lock, false}, nil
}

func leaseTransitions(_ context.Context, addr, lock string) (locker, error) {
	return &leaseLocker{kubeConfig(addr), lock, true}, nil
}

func (l *leaseLocker) close() {}

// lease is access to the Lease, with the time limit that client-go takes from the deadline.
func (l *leaseLocker) lease(identity string) (resourcelock.Interface, error) {
	return resourcelock.NewFromKubeconfig(resourcelock.LeasesResourceLock, kubeSystem, l.lock,
		resourcelock.ResourceLockConfig{Identity: identity}, l.config, renewDeadline)
}

func (l *leaseLocker) acquire(ctx context.Context) (hold, error) {
	identity := rand.Text()
	lease, err := l.lease(identity)
	if err != nil {
		return nil, err
	}
	leading := make(chan context.Context, 1)
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: lease, LeaseDuration: ttl, RenewDeadline: renewDeadline, RetryPeriod: retryPeriod, ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(ctx context.Context) { leading <- ctx },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return nil, err
	}
	// What ends the wait must not end the hold.
	whole, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		elector.Run(whole)
		close(ended)
	}()
	h := &leaseHold{end: func() { cancel(); <-ended }}
	select {
	case h.leading = <-leading:
	case <-ctx.Done():
		h.end()
		return nil, ctx.Err()
	}
	if l.token {
		if h.transitions, err = l.transitions(ctx, identity); err != nil {
			h.end()
			return nil, err
		}
	}
	return h, nil
}

// transitions reads the counter of a hold. It does so beside the elector, whose own access
// remembers what it has read, to compare it with its next write.
func (l *leaseLocker) transitions(ctx context.Context, identity string) (int64, error) {
	lease, err := l.lease(identity)
	if err != nil {
		return 0, err
	}
	record, _, err := lease.Get(ctx)
	if err != nil {
		return 0, err
	}
	if record.HolderIdentity != identity {
		return 0, errNotHeld
	}
	return 1 + int64(record.LeaderTransitions), nil // it counts from 0
}

type leaseHold struct {
	leading     context.Context // ends when client-go says that it is lost
	end         func()
	transitions int64 // 0: they are not checked
}

func (h *leaseHold) token() int64 { return h.transitions }
func (h *leaseHold) lost() error  { return h.leading.Err() }

// release asks before, since the election's own release answers nothing.
func (h *leaseHold) release(context.Context) error {
	lost := h.leading.Err()
	h.end()
	return lost
}
