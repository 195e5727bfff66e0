package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/distributed-lock-manager/dlm/client"
)

func TestAppendsAreReadableAfterUnlock(t *testing.T) {
	c, name := open(t, client.Config{}), fresh(t)
	l := lock(t, c, name)
	data := []byte("one ")
	must(t, l.Append(t.Context(), "f", data))
	copy(data, "XXXX") // the caller's again
	must(t, l.Append(t.Context(), "f", []byte("two")))
	must(t, l.Append(t.Context(), "empty", nil))
	_, err := c.Read(t.Context(), name, "f")
	is(t, err, client.ErrFileNotFound)
	must(t, l.Unlock(t.Context()))
	reads(t, c, name, "f", "one two")
	reads(t, c, name, "empty", "")

	must(t, l.Unlock(t.Context())) // as the first
	is(t, l.Discard(t.Context()), client.ErrEnded)
	is(t, l.Append(t.Context(), "f", nil), client.ErrEnded)
	is(t, l.Commit(t.Context()), client.ErrEnded)
}

func TestDiscardedAppendsAreGone(t *testing.T) {
	c, name := open(t, client.Config{}), fresh(t)
	l := lock(t, c, name)
	must(t, l.Append(t.Context(), "f", []byte("no")))
	must(t, l.Discard(t.Context()))
	must(t, l.Discard(t.Context()))
	is(t, l.Unlock(t.Context()), client.ErrEnded)
	is(t, ended(t, l.Context()), client.ErrEnded)
	l = lock(t, c, name)
	must(t, l.Append(t.Context(), "f", []byte("yes")))
	must(t, l.Unlock(t.Context()))
	reads(t, c, name, "f", "yes")
}

func TestCommitMovesToken(t *testing.T) {
	c, name := open(t, client.Config{}), fresh(t)
	l := lock(t, c, name)
	first := l.Token()
	must(t, l.Append(t.Context(), "f", []byte("a")))
	must(t, l.Commit(t.Context()))
	if l.Token() <= first {
		t.Errorf("token %d after %d", l.Token(), first)
	}
	reads(t, c, name, "f", "a")
	must(t, l.Commit(t.Context())) // nothing in it
	must(t, l.Append(t.Context(), "f", []byte("b")))
	must(t, l.Context().Err())
	must(t, l.Discard(t.Context()))
	reads(t, c, name, "f", "a")
}

// Commits, appends and heartbeats at once: no append is lost, doubled or torn, and the hold is
// never taken for lost.
func TestConcurrentAppendsAndCommits(t *testing.T) {
	c, name := open(t, client.Config{TTL: 2e9}), fresh(t)
	l := lock(t, c, name)
	const writers, each = 8, 40
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				if err := l.Append(t.Context(), "f", fmt.Appendf(nil, "%d.%d\n", w, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range each {
			if err := l.Commit(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	must(t, l.Unlock(t.Context()))
	got, err := c.Read(t.Context(), name, "f")
	must(t, err)
	next := make(map[string]int)
	for line := range strings.Lines(string(got)) {
		w, i, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ".")
		if i != fmt.Sprint(next[w]) {
			t.Errorf("writer %s: %s where %d was due", w, i, next[w])
		}
		next[w]++
	}
	for w, n := range next {
		if n != each {
			t.Errorf("writer %s: %d lines, want %d", w, n, each)
		}
	}
	if len(next) != writers {
		t.Errorf("%d writers, want %d", len(next), writers)
	}
}

func TestRefusedAppendLeavesSectionUsable(t *testing.T) {
	c, name := open(t, client.Config{}), fresh(t)
	l := lock(t, c, name)
	must(t, l.Append(t.Context(), "f", []byte("a")))
	is(t, l.Append(t.Context(), "f", make([]byte, 1<<20+1)), client.ErrTooLarge)
	is(t, l.Append(t.Context(), "f", make([]byte, 32<<20)), client.ErrTooLarge) // never sent
	is(t, l.Append(t.Context(), "a/b", nil), client.ErrInvalidName)
	is(t, l.Append(t.Context(), "\xff", nil), client.ErrInvalidName)
	must(t, l.Append(t.Context(), "f", []byte("b")))
	must(t, l.Unlock(t.Context()))
	reads(t, c, name, "f", "ab")
}

// The holder has appended nothing itself, and publishes what another process has, to which it gave
// the credential.
func TestCredentialIsAnAppend(t *testing.T) {
	t.Parallel()
	c, other, name := open(t, client.Config{}), open(t, client.Config{}), fresh(t)
	l := lock(t, c, name)
	must(t, other.Section(name, l.Credential(), l.Token()).Append(t.Context(), "f", []byte("child")))
	must(t, l.Unlock(t.Context()))
	reads(t, c, name, "f", "child")
}

func TestSharedSection(t *testing.T) {
	c, other, name := open(t, client.Config{}), open(t, client.Config{}), fresh(t)
	l := lock(t, c, name)
	s := other.Section(name, l.Credential(), l.Token())
	must(t, s.Append(t.Context(), "f", []byte("a")))
	must(t, s.Append(t.Context(), "f", []byte("b")))
	must(t, other.Section(name, l.Credential(), l.Token()).Append(t.Context(), "f", []byte("c")))
	is(t, other.Section(name, l.Credential(), l.Token()-1).Append(t.Context(), "f", nil), client.ErrLockExpired)
	must(t, l.Append(t.Context(), "f", []byte("d")))
	must(t, l.Unlock(t.Context()))
	reads(t, c, name, "f", "abcd")
	is(t, s.Append(t.Context(), "f", []byte("late")), client.ErrLockExpired)
	if err := other.Section(name, "nonsense", l.Token()).Append(t.Context(), "f", nil); err == nil {
		t.Error("a made-up credential was accepted")
	}
}

func TestDo(t *testing.T) {
	c, name := open(t, client.Config{}), fresh(t)
	appends := func(s string, then func() error) func(context.Context, *client.Lock) error {
		return func(ctx context.Context, l *client.Lock) error {
			if err := l.Append(ctx, "f", []byte(s)); err != nil {
				return err
			}
			return then()
		}
	}
	must(t, c.Do(t.Context(), name, appends("a", func() error { return nil })))

	failure := errors.New("failure")
	if err := c.Do(t.Context(), name, appends("b", func() error { return failure })); err != failure { //nolint:errorlint // not wrapped
		t.Errorf("got %v, want fn's own error", err)
	}

	func() {
		defer func() {
			if p := recover(); p != "panic" {
				t.Errorf("recovered %v", p)
			}
		}()
		_ = c.Do(t.Context(), name, appends("c", func() error { panic("panic") }))
	}()

	// A caller who gives up in the middle does not leave the lock behind, and what fn says decides.
	ctx, cancel := context.WithCancel(t.Context())
	err := c.Do(ctx, name, appends("d", func() error { cancel(); return ctx.Err() }))
	is(t, err, context.Canceled)
	ctx, cancel = context.WithCancel(t.Context())
	must(t, c.Do(ctx, name, appends("e", func() error { cancel(); return nil })))

	must(t, c.Do(t.Context(), name, func(ctx context.Context, l *client.Lock) error { return l.Discard(ctx) }))
	is(t, c.Do(ctx, name, nil), context.Canceled)

	must(t, c.Do(t.Context(), name, appends("f", func() error { return nil }), client.WithWait(patience)))
	reads(t, c, name, "f", "aef")
}

func TestDoLearnsOfLoss(t *testing.T) {
	c, name := open(t, client.Config{TTL: 2e9}), fresh(t)
	err := c.Do(t.Context(), name, func(ctx context.Context, l *client.Lock) error {
		// Not with ctx: the loss may be told before this is answered.
		if _, err := c.Evict(t.Context(), name, l.Token(), "test"); err != nil {
			return err
		}
		is(t, ended(t, ctx), client.ErrLockExpired)
		is(t, l.Append(ctx, "f", nil), client.ErrLockExpired)
		is(t, l.Commit(l.Context()), client.ErrLockExpired)
		return nil
	})
	is(t, err, client.ErrLockExpired)
}
