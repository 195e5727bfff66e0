package embedded

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
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
		asked := func() bool {
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
			if got := asked(); got != tc.asks {
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
		if !asked() {
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
