package embedded

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// No revision above the bound is handed out before a higher bound is on the disk, and nothing waits
// below it.
func TestCover(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		h, err := readHighwater(dir, filepath.Join(dir, "etcd"))
		if err != nil {
			t.Fatal(err)
		}
		if err := h.raise(10); err != nil {
			t.Fatal(err)
		}
		bound := h.bound.Load()
		pending := func() bool {
			select {
			case <-h.need:
				return true
			default:
				return false
			}
		}
		for _, tc := range []struct {
			revision int64
			asks     bool
		}{{10, false}, {bound - highwaterStep, false}, {bound - highwaterStep + 1, true}, {bound, true}} {
			if err := h.cover(t.Context(), tc.revision); err != nil {
				t.Errorf("cover(%d) = %v", tc.revision, err)
			}
			if got := pending(); got != tc.asks {
				t.Errorf("cover(%d) asks for more: %v, want %v", tc.revision, got, tc.asks)
			}
		}

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.cover(ctx, bound+1); !errors.Is(err, context.Canceled) {
			t.Errorf("cover(%d) = %v, want the end of its context", bound+1, err)
		}
		covered := make(chan error, 1)
		go func() { covered <- h.cover(t.Context(), bound+1) }()
		synctest.Wait()
		select {
		case err := <-covered:
			t.Fatalf("cover(%d) = %v before the bound was raised", bound+1, err)
		default:
		}
		if !pending() {
			t.Error("nobody was asked to raise the bound")
		}
		if err := h.raise(bound + 1); err != nil {
			t.Fatal(err)
		}
		if err := <-covered; err != nil {
			t.Error(err)
		}
		again, err := readHighwater(dir, filepath.Join(dir, "etcd"))
		if err != nil || again.now != h.now || again.now.Bound != bound+1+2*highwaterStep {
			t.Errorf("read again: %+v, %v; want %+v", again.now, err, h.now)
		}
	})
}

// What cannot be written is not taken for written.
func TestRaiseFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	h, err := readHighwater(dir, filepath.Join(dir, "etcd"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := h.raise(10); err == nil || h.bound.Load() != 0 || h.now.Seen != 0 {
		t.Errorf("raise = %v, bound %d, seen %d; want an error and nothing changed", err, h.bound.Load(), h.now.Seen)
	}
}

// Whatever revision a running member hands out, by an answer or by an event, the file has a higher
// bound by then.
func TestNothingIsHandedOutAboveTheBound(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := Start(ctx, Config{DataDir: t.TempDir(), UnsafeNoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	written := func(what string, revision int64) {
		t.Helper()
		text, err := os.ReadFile(s.high.path)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := parseMarks(text); err != nil || m.Bound < revision {
			t.Errorf("%s has revision %d, and the file says %+v, %v", what, revision, m, err)
		}
	}
	// lower is as if the member had come close to its bound.
	lower := func(to int64) {
		s.high.mu.Lock()
		defer s.high.mu.Unlock()
		m := s.high.now
		m.Seen, m.Bound = min(m.Seen, to), to
		if err := s.high.write(m); err != nil {
			t.Fatal(err)
		}
	}
	events := make(chan int64, 1)
	followed := make(chan error, 1)
	follow, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		followed <- s.Local().Follow(follow, "k", "l", 1, nil, func(_ []*clientv3.Event, upTo int64) { events <- upTo })
	}()
	revision := s.etcd.Server.KV().Rev()
	for _, step := range []struct {
		name string
		call func() (int64, error)
	}{
		{"Put", func() (int64, error) {
			out, err := s.Client().Put(ctx, "k", "")
			if err != nil {
				return 0, err
			}
			return out.Header.Revision, nil
		}},
		{"Txn", func() (int64, error) {
			out, err := s.Local().KV().Txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestPut{
				RequestPut: &pb.PutRequest{Key: []byte("k")},
			}}}})
			if err != nil {
				return 0, err
			}
			return out.Header.Revision, nil
		}},
		{"Delete", func() (int64, error) {
			out, err := s.Client().Delete(ctx, "k")
			if err != nil {
				return 0, err
			}
			return out.Header.Revision, nil
		}},
	} {
		lower(revision)
		got, err := step.call()
		if err != nil || got <= revision {
			t.Fatalf("%s: revision %d after %d, %v", step.name, got, revision, err)
		}
		written(step.name, got)
		select {
		case event := <-events:
			written("an event of "+step.name, event)
		case <-ctx.Done():
			t.Fatalf("no event of %s", step.name)
		}
		revision = got
	}
	stop()
	if err := <-followed; !errors.Is(err, context.Canceled) {
		t.Errorf("Follow = %v", err)
	}
}
