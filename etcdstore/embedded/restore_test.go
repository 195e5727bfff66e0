package embedded_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
	"github.com/distributed-lock-manager/dlm/etcdstore/snapshot"
)

// saved saves a snapshot of a running etcd.
func saved(t *testing.T, s *embedded.Server) (args embedded.RestoreArgs) {
	t.Helper()
	r, err := s.Client().Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	args.Path = filepath.Join(t.TempDir(), "snapshot")
	content, err := io.ReadAll(r)
	if err == nil {
		err = os.WriteFile(args.Path, content, 0o600)
	}
	if err == nil {
		args.Info, err = snapshot.Read(t.Context(), args.Path, false, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return args
}

func TestRestore(t *testing.T) {
	cfg := embedded.Config{DataDir: t.TempDir(), UnsafeNoFsync: true}
	s := start(t, cfg)
	put(t, s, "k", "before")
	args := saved(t, s)
	last := put(t, s, "k", "after")
	if _, err := embedded.Restore(t.Context(), cfg, args); !errors.Is(err, embedded.ErrInUse) {
		t.Errorf("under a server: %v, want ErrInUse", err)
	}
	stop(t, s)
	if _, err := embedded.Restore(t.Context(), cfg, args); !errors.Is(err, embedded.ErrNotEmpty) {
		t.Errorf("over data: %v, want ErrNotEmpty", err)
	}
	etcd := filepath.Join(cfg.DataDir, "etcd")
	if err := os.Rename(etcd, etcd+".old"); err != nil {
		t.Fatal(err)
	}
	// The member remembers how far it has come.
	low := args
	low.Raise = 1
	if _, err := embedded.Restore(t.Context(), cfg, low); !errors.Is(err, embedded.ErrRevisionBack) || !strings.Contains(err.Error(), "--raise") {
		t.Errorf("raised too little: %v, want ErrRevisionBack and the remedy", err)
	}
	// A killed one has left something.
	if err := os.MkdirAll(filepath.Join(etcd+".restoring", "member", "snap", "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a repeat, once what was made has been moved away, makes the same
		done, err := embedded.Restore(t.Context(), cfg, args)
		if err != nil {
			t.Fatal(err)
		}
		if want := args.Info.Revision + embedded.DefaultRaise; done.Before != args.Info.Revision || done.After != want {
			t.Errorf("restored %+v, want to be raised to %d", done, want)
		}
		if _, err := os.Stat(etcd + ".restoring"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("what is left of the restore: %v", err)
		}
		s = start(t, cfg)
		got, err := s.Client().Get(t.Context(), "k")
		if err != nil || len(got.Kvs) != 1 || string(got.Kvs[0].Value) != "before" {
			t.Errorf("read %v, %v", got, err)
		}
		if rev := put(t, s, "k", "again"); rev <= done.After || rev <= last {
			t.Errorf("revision %d, want it above %d", rev, done.After)
		}
		stop(t, s)
		if err := errors.Join(os.RemoveAll(etcd), os.Remove(filepath.Join(cfg.DataDir, "highwater"))); err != nil {
			t.Fatal(err)
		}
	}
}

// A snapshot of what was restored has a raised revision and, once it is compacted, no key as new as
// that. To restore it raises from there.
func TestRestoreOfARestored(t *testing.T) {
	cfg := embedded.Config{DataDir: t.TempDir(), UnsafeNoFsync: true}
	s := start(t, cfg)
	put(t, s, "k", "kept")
	args := saved(t, s)
	stop(t, s)
	var last int64
	for range 3 {
		cfg.DataDir = t.TempDir()
		done, err := embedded.Restore(t.Context(), cfg, args)
		if err != nil {
			t.Fatal(err)
		}
		if done.After != args.Info.Revision+embedded.DefaultRaise || done.After <= last {
			t.Errorf("raised to %d, after %d and %d", done.After, args.Info.Revision, last)
		}
		last = done.After
		s = start(t, cfg)
		put(t, s, "gone", "v")
		resp, err := s.Client().Delete(t.Context(), "gone")
		if err == nil {
			_, err = s.Client().Compact(t.Context(), resp.Header.Revision, clientv3.WithCompactPhysical())
		}
		if err != nil {
			t.Fatal(err)
		}
		args = saved(t, s)
		stop(t, s)
	}
}

// Members that were restored from different snapshots, or raised differently, are of different
// clusters.
func TestRestoredDifferently(t *testing.T) {
	cfg := embedded.Config{DataDir: t.TempDir(), UnsafeNoFsync: true}
	s := start(t, cfg)
	put(t, s, "k", "1")
	first := saved(t, s)
	put(t, s, "k", "2")
	second := saved(t, s)
	stop(t, s)
	clusters := map[uint64]int{}
	for i, args := range []embedded.RestoreArgs{first, first, second, {Path: first.Path, Info: first.Info, Raise: 12345}} {
		cfg.DataDir = t.TempDir()
		if _, err := embedded.Restore(t.Context(), cfg, args); err != nil {
			t.Fatal(err)
		}
		s := start(t, cfg)
		clusters[s.Membership(cfg).Cluster] = i
		stop(t, s)
	}
	if len(clusters) != 3 {
		t.Errorf("%d clusters, want 3: %v", len(clusters), clusters)
	}
}

// What is wrong with a restore leaves nothing.
func TestRestoreRefuses(t *testing.T) {
	cfg := embedded.Config{DataDir: t.TempDir(), UnsafeNoFsync: true}
	s := start(t, cfg)
	put(t, s, "k", "v")
	args := saved(t, s)
	if err := s.Remember("/dlm/ this"); err != nil {
		t.Fatal(err)
	}
	stop(t, s)
	etcd := filepath.Join(cfg.DataDir, "etcd")
	if err := os.RemoveAll(etcd); err != nil {
		t.Fatal(err)
	}
	other := args
	other.Remember = "/dlm/ other"
	if _, err := embedded.Restore(t.Context(), cfg, other); !errors.Is(err, embedded.ErrOtherCluster) {
		t.Errorf("another cluster's: %v, want ErrOtherCluster", err)
	}
	for name, raise := range map[string]int64{"less than nothing": -1, "beyond what numbers have": 1 << 60} {
		bad := args
		bad.Raise = raise
		if _, err := embedded.Restore(t.Context(), cfg, bad); err == nil {
			t.Errorf("raised by %s", name)
		}
	}
	// Somebody changes the file between it was looked at and is restored.
	content, err := os.ReadFile(args.Path)
	if err == nil {
		content[len(content)/2] ^= 1
		err = os.WriteFile(args.Path, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Restore(t.Context(), cfg, args); err == nil {
		t.Error("what was changed meanwhile is restored")
	}
	for _, dir := range []string{etcd, etcd + ".restoring"} {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", dir, err)
		}
	}
}
