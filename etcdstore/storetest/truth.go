package storetest

import (
	"errors"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// testTruth repeats releases late, in every situation: the answer is success only if that section
// was ended by its own release, and lock expired only if it was not published.
func testTruth(t *testing.T, s Subject) {
	released := func(c *Client, h *Held) { c.Release(h) }
	closed := func(c *Client, _ *Held) {
		c.Helper()
		if err := c.s.CloseSession(Bounded(c.T), c.Credential); err != nil {
			c.Fatalf("CloseSession: %v", err)
		}
	}
	evicted := func(c *Client, h *Held) {
		c.Helper()
		if out, err := c.s.Evict(Bounded(c.T), h.Lock, h.Token, "enough"); err != nil || out == nil {
			c.Fatalf("Evict = %v, %v", out, err)
		}
	}
	discarded := func(c *Client, h *Held) {
		c.Helper()
		if published, err := c.s.Discard(Bounded(c.T), h.Section); err != nil || published {
			c.Fatalf("Discard = %v, %v", published, err)
		}
	}
	folded := func(c *Client, h *Held) { Contents(c.T, c.s, h.Lock, "f") }
	another := func(c *Client, h *Held) {
		c.Helper()
		Begin(c.T, c.s, "another").Publish(h.Lock, "f", "another;")
	}
	holds := func(c *Client, h *Held) { Begin(c.T, c.s, "another").Acquire(h.Lock) }

	type steps []func(*Client, *Held)
	for _, c := range []struct {
		name     string
		appended bool
		steps    steps
		want     error
	}{
		{"released", true, steps{released}, nil},
		{"released, read", true, steps{released, folded}, nil},
		{"released, held by another", true, steps{released, holds}, nil},
		{"released, closed", true, steps{released, closed}, nil},
		{"released, read, closed", true, steps{released, folded, closed}, nil},
		{"released, read, closed, held by another", true, steps{released, folded, closed, holds}, nil},
		{"released, another's, closed", true, steps{released, another, closed}, nil},
		{"released, evicted too late", true, steps{released, func(c *Client, h *Held) {
			if out, err := c.s.Evict(Bounded(c.T), h.Lock, h.Token, "late"); err != nil || out != nil {
				c.Errorf("Evict of a released section = %v, %v; want nothing done", out, err)
			}
		}}, nil},
		{"closed", true, steps{closed}, etcdstore.ErrLockExpired},
		{"closed, held by another", true, steps{closed, holds}, etcdstore.ErrLockExpired},
		{"closed, another's", true, steps{closed, another, folded}, etcdstore.ErrLockExpired},
		{"evicted", true, steps{evicted}, etcdstore.ErrLockExpired},
		{"evicted, another's, closed", true, steps{evicted, another, closed}, etcdstore.ErrLockExpired},
		{"discarded", true, steps{discarded}, etcdstore.ErrLockExpired},
		{"discarded, closed, another's", true, steps{discarded, closed, another}, etcdstore.ErrLockExpired},
		{"empty, released", false, steps{released}, nil},
		{"empty, released, another's", false, steps{released, another}, nil},
		{"empty, released, closed", false, steps{released, closed}, nil},
		{"empty, closed", false, steps{closed}, etcdstore.ErrLockExpired},
		{"empty, evicted", false, steps{evicted}, etcdstore.ErrLockExpired},
		{"empty, evicted, closed", false, steps{evicted, closed}, etcdstore.ErrLockExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			owner := Begin(t, s, "owner")
			lock := lockOf(t)
			h := owner.Acquire(lock)
			if c.appended {
				owner.Append(h, "f", "its own;")
			}
			for _, step := range c.steps {
				step(owner, h)
			}
			for range 3 {
				if err := s.Release(Bounded(t), h.Section); !errors.Is(err, c.want) {
					t.Errorf("Release repeated: %v; want %v", err, c.want)
				}
			}
			if !c.appended {
				return
			}
			published, err := s.Discard(Bounded(t), h.Section)
			if err != nil || published != (c.want == nil) {
				t.Errorf("Discard = %v, %v; want %v", published, err, c.want == nil)
			}
			token, err := s.Commit(Bounded(t), h.Section)
			if token != 0 || !errors.Is(err, c.want) {
				t.Errorf("Commit = %d, %v; want 0, %v", token, err, c.want)
			}
		})
	}
	t.Run("never granted", func(t *testing.T) {
		o := Begin(t, s, "o")
		o.Publish("truth/never", "f", "x")
		c := Begin(t, s, "c")
		for _, appended := range []bool{false, true} {
			before := c.Section("truth/never", "1", 1) // before its session began
			before.Appended = appended
			Want(t, "Release under a token older than the session", s.Release(Bounded(t), before.Section), etcdstore.ErrLockExpired)
			future := c.Section("truth/never", "1", 1<<40)
			future.Appended = appended
			Want(t, "Release under a token from the future", s.Release(Bounded(t), future.Section), etcdstore.ErrWentBack)
		}
	})
}

// lockOf is a lock of the test's own, named after it.
func lockOf(t *testing.T) string {
	name := []byte(t.Name())
	for i, b := range name {
		switch {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', b == '/', b == '-', b == '_':
		default:
			name[i] = '_'
		}
	}
	return string(name)
}
