package client_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// patience bounds every wait of these tests for something that should happen soon.
const patience = time.Minute

// endpoint is a server for whoever does not stop it.
var endpoint string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	await.AtATime(8) // most tests wait until a lease ends
	code := facadetest.Main(m, func(n *facadetest.Node) { endpoint = n.Addr() })
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

var names atomic.Int64

// fresh returns a lock that no other test uses.
func fresh(t testing.TB) string {
	t.Helper()
	name := strings.Map(func(r rune) rune {
		if r == '/' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '-'
	}, t.Name())
	return fmt.Sprintf("%s/%d", name, names.Add(1))
}

// open makes a client that is closed with the test.
func open(t testing.TB, cfg client.Config) *client.Client {
	t.Helper()
	if len(cfg.Endpoints) == 0 {
		cfg.Endpoints = []string{endpoint}
	}
	c, err := client.Open(cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func lock(t testing.TB, c *client.Client, name string, opts ...client.LockOption) *client.Lock {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel() // the lock outlives it
	l, err := c.Lock(ctx, name, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

// reads checks a file's bytes.
func reads(t testing.TB, c *client.Client, name, file, want string) {
	t.Helper()
	got, err := c.Read(t.Context(), name, file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Fatalf("%s of %s: got %q, want %q", file, name, got, want)
	}
}

// waiting polls until so many wait for a lock.
func waiting(t testing.TB, c *client.Client, name string, n int32) {
	t.Helper()
	storetest.Eventually(t, fmt.Sprintf("%d waiting for %s", n, name), func() bool {
		return state(t, c, name).GetQueueLength() == n
	})
}

// state inspects a lock; the zero state if it is free.
func state(t testing.TB, c *client.Client, name string) *dlmv1.Lock {
	t.Helper()
	st, err := c.Inspect(t.Context(), name)
	if errors.Is(err, client.ErrLockNotFound) {
		return nil
	}
	must(t, err)
	return st
}

// ended waits for a context's end and returns its cause.
func ended(t testing.TB, ctx context.Context) error {
	t.Helper()
	storetest.Await(t, "the end of a context", ctx.Done())
	return context.Cause(ctx)
}
