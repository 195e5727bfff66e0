package snapshot_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
	"github.com/distributed-lock-manager/dlm/etcdstore/snapshot"
)

// taken is a snapshot of an etcd in which keys were put, put again, deleted, and compacted away,
// and what it has: keys and values, and the revision.
func taken(t *testing.T) (content []byte, want map[string]string, rev int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := embedded.Start(ctx, embedded.Config{DataDir: t.TempDir(), UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	etcd := s.Client()
	put := func(key, value string) {
		t.Helper()
		if _, err := etcd.Put(ctx, key, value); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(key string) int64 {
		t.Helper()
		resp, err := etcd.Delete(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		return resp.Header.Revision
	}
	for _, key := range []string{"a", "b", "c"} {
		put(key, "first")
	}
	put("a", "second")
	remove("b")
	if _, err := etcd.Compact(ctx, remove("c"), clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	put("large", string(bytes.Repeat([]byte("x"), 1<<20)))
	put("c", "again")
	rev = remove("large")
	r, err := etcd.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if content, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	return content, map[string]string{"a": "second", "c": "again"}, rev
}

func write(t *testing.T, content []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "snapshot")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	content, want, rev := taken(t)
	bare := content[:len(content)-sha256.Size]
	for _, test := range []struct {
		name     string
		content  []byte
		unsealed bool
	}{{"with its hash", content, false}, {"with its hash, which need not be there", content, true}, {"without", bare, true}} {
		t.Run(test.name, func(t *testing.T) {
			got := map[string]string{}
			info, err := snapshot.Read(t.Context(), write(t, test.content), test.unsealed, func(kv *mvccpb.KeyValue) {
				got[string(kv.Key)] = string(kv.Value)
			})
			if err != nil {
				t.Fatal(err)
			}
			for key, value := range want {
				if got[key] != value {
					t.Errorf("%q is %q, want %q", key, got[key], value)
				}
			}
			if len(got) != len(want) || info.Keys != len(want) {
				t.Errorf("%d keys, %d counted, want %d: %q", len(got), info.Keys, len(want), got)
			}
			if info.Revision != rev || info.Verified == (len(test.content) == len(bare)) || info.Size != int64(len(test.content)) || info.Version == "" {
				t.Errorf("%+v, want revision %d", info, rev)
			}
		})
	}
}

// Whatever is changed in a snapshot, and wherever it is cut off, is noticed before its pages are
// looked at.
func TestDamagedIsRefused(t *testing.T) {
	content, _, _ := taken(t)
	for i := range 40 {
		bad := bytes.Clone(content)
		want := snapshot.ErrDamaged
		if i%2 == 0 {
			bad[rand.IntN(len(bad))] ^= 1 << rand.IntN(8)
		} else {
			bad, want = bad[:rand.IntN(len(bad))], nil // one or the other, by the size
		}
		info, err := snapshot.Read(t.Context(), write(t, bad), false, nil)
		if !errors.Is(err, snapshot.ErrDamaged) && (want != nil || !errors.Is(err, snapshot.ErrNoSnapshot)) {
			t.Errorf("%d: Read = %+v, %v", i, info, err)
		}
	}
	if _, err := snapshot.Read(t.Context(), write(t, content[:len(content)-sha256.Size]), false, nil); !errors.Is(err, snapshot.ErrNoSnapshot) {
		t.Errorf("without the hash: %v", err)
	}
}

// Without a hash damage may go unnoticed, but it must not end the process.
func TestDamagedWithoutHash(t *testing.T) {
	content, _, _ := taken(t)
	bare := content[:len(content)-sha256.Size]
	noticed := 0
	for i := range 60 {
		bad := bytes.Clone(bare)
		if i%2 == 0 {
			bad = bad[:rand.IntN(len(bad))]
		} else {
			from := rand.IntN(len(bad) / 4096)
			for j := range bad[from*4096:][:min(4096, len(bad)-from*4096)] { // a page, all of it
				bad[from*4096+j] = byte(rand.Uint32())
			}
		}
		if _, err := snapshot.Read(t.Context(), write(t, bad), true, func(*mvccpb.KeyValue) {}); err != nil {
			noticed++
		}
	}
	if noticed == 0 {
		t.Error("nothing was noticed")
	}
}

// What is no snapshot at all.
func TestOtherFiles(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other.db")
	db, err := bbolt.Open(other, 0o600, nil)
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"another database": other,
		"text":             write(t, bytes.Repeat([]byte("no snapshot\n"), 1000)),
		"nothing":          write(t, nil),
		"zeros":            write(t, make([]byte, 1<<16)),
		"a directory":      t.TempDir(),
	} {
		for _, unsealed := range []bool{false, true} {
			if info, err := snapshot.Read(t.Context(), path, unsealed, nil); !errors.Is(err, snapshot.ErrNoSnapshot) {
				t.Errorf("%s, %t: Read = %+v, %v", name, unsealed, info, err)
			}
		}
	}
	if _, err := snapshot.Read(t.Context(), filepath.Join(t.TempDir(), "none"), false, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}
