package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// notes are what hooks were told.
type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

func (n *notes) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.lines)
}

func (n *notes) has(line string) bool { return slices.Contains(n.all(), line) }

type callerKey struct{}

// hooks note all that they are told.
func (n *notes) hooks() client.Hooks {
	return client.Hooks{
		Call: func(_ context.Context, c client.Call) client.CallHooks {
			n.add("%s %s%s begins", c.Op, c.Lock, about(c.File, c.Bytes))
			return client.CallHooks{
				Queued: func() { n.add("%s %s waits", c.Op, c.Lock) },
				End: func(r client.Result) {
					n.add("%s %s ends, holds %t, %v", c.Op, c.Lock, r.Token != 0, r.Err)
				},
			}
		},
		Lost: func(ctx context.Context, l client.Loss) {
			n.add("%s of %v is lost: %t", l.Lock, ctx.Value(callerKey{}), errors.Is(l.Err, client.ErrLockExpired) && l.Token != 0 && l.Session != "")
		},
		Heartbeat: func(session string, took time.Duration, err error) {
			n.add("heartbeat %t %v", session != "" && took > 0, err)
		},
		Connected:    func(endpoint string) { n.add("to %s", endpoint) },
		Disconnected: func(endpoint string, err error) { n.add("from %s, %t", endpoint, err != nil) },
	}
}

func about(file string, bytes int) string {
	if file == "" {
		return ""
	}
	return fmt.Sprintf(" %s %d", file, bytes)
}

// Hooks are told each call once, its wait and its end; what is lost; heartbeats; and which server
// is used. A discard after the section's end is none.
func TestHooks(t *testing.T) {
	t.Parallel()
	ctx := storetest.Bounded(t)
	var told notes
	c := open(t, client.Config{Endpoints: []string{endpoint}, TTL: 2 * time.Second, Hooks: told.hooks()})
	other := open(t, client.Config{Endpoints: []string{endpoint}})
	held := lock(t, other, "hooks/a")
	go func() {
		storetest.Eventually(t, "news of the wait", func() bool { return told.has("acquire hooks/a waits") })
		if err := held.Unlock(ctx); err != nil {
			t.Error(err)
		}
	}()
	if err := c.Do(ctx, "hooks/a", func(ctx context.Context, l *client.Lock) error {
		if err := l.Append(ctx, "f", []byte("abc")); err != nil {
			return err
		}
		return l.Commit(ctx)
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Inspect(ctx, "hooks/nobody"); !errors.Is(err, client.ErrLockNotFound) {
		t.Fatal(err)
	}
	calls := slices.DeleteFunc(told.all(), func(line string) bool { return !strings.Contains(line, "hooks/") })
	if want := []string{
		"acquire hooks/a begins", "acquire hooks/a waits", "acquire hooks/a ends, holds true, <nil>",
		"append hooks/a f 3 begins", "append hooks/a ends, holds true, <nil>",
		"commit hooks/a begins", "commit hooks/a ends, holds true, <nil>",
		"release hooks/a begins", "release hooks/a ends, holds false, <nil>",
		"inspect hooks/nobody begins",
	}; !slices.Equal(calls[:min(len(calls), len(want))], want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(calls, "\n"), strings.Join(want, "\n"))
	} else if len(calls) != len(want)+1 || !strings.HasPrefix(calls[len(want)], "inspect hooks/nobody ends, holds false, ") || strings.HasSuffix(calls[len(want)], "<nil>") {
		t.Errorf("told at last %q", calls[len(want):])
	}

	taken, err := c.Lock(context.WithValue(ctx, callerKey{}, "me"), "hooks/b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Evict(ctx, "hooks/b", taken.Token(), "a test"); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"hooks/b of me is lost: true", "heartbeat true <nil>", "to " + endpoint} {
		storetest.Eventually(t, line, func() bool { return told.has(line) })
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for _, line := range told.all() {
		if strings.HasPrefix(line, "from ") {
			t.Errorf("told of a server that was left: %q", line)
		}
	}
}

// A hook that nobody waits for may stand still, or call the client, and nothing else does.
func TestHookThatStandsStill(t *testing.T) {
	t.Parallel()
	ctx := storetest.Bounded(t)
	stuck := make(chan struct{})
	t.Cleanup(func() { close(stuck) })
	var beats atomic.Int32
	c := open(t, client.Config{Endpoints: []string{endpoint}, TTL: 2 * time.Second, Hooks: client.Hooks{
		Connected: func(string) { <-stuck },
		Heartbeat: func(string, time.Duration, error) { beats.Add(1) },
	}})
	l := lock(t, c, "hooks/stuck")
	first := l.Expiry()
	storetest.Eventually(t, "heartbeats beside a hook that stands still", func() bool { return l.Expiry().After(first.Add(time.Second)) })
	if err := l.Unlock(ctx); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	closed := make(chan error, 1)
	go func() { closed <- c.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Errorf("Close waits for a hook that stands still, after %v", time.Since(began))
	}
	if n := beats.Load(); n != 0 {
		t.Errorf("%d hooks were called beside another one", n)
	}
}

// What no header could have is not sent: it would break the stream of all calls.
func TestTraceparentThatIsNone(t *testing.T) {
	t.Parallel()
	ctx := storetest.Bounded(t)
	for _, text := range []string{"\xff", strings.Repeat("\xff", 55), strings.Repeat("a", 5<<20), strings.Repeat("\n", 55)} {
		c := open(t, client.Config{Endpoints: []string{endpoint}, Hooks: client.Hooks{
			Call:         func(context.Context, client.Call) client.CallHooks { return client.CallHooks{Traceparent: text} },
			Disconnected: func(string, error) { t.Error("the server was left") },
		}})
		if _, err := c.List(ctx, "hooks/none/"); err != nil {
			t.Errorf("%.10q: %v", text, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
