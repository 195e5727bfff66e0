package embedded_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

func TestMain(m *testing.M) {
	await.AtATime(6) // most tests wait for etcd
	// A member that starts asks the others who they are, and etcd leaves the connection of that
	// question open until either side has been idle for long enough.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction("net/http.(*conn).serve"),
		goleak.IgnoreAnyFunction("net/http.(*connReader).backgroundRead"),
	)
}

// bounded is the time that anything here may take before the test counts as stuck.
const bounded = time.Minute

func start(t *testing.T, cfg embedded.Config) *embedded.Server {
	t.Helper()
	s, err := tryStart(t, cfg, bounded)
	if err != nil {
		t.Fatalf("Start(%s): %v", cfg.Name, err)
	}
	return s
}

// tryStart stops the server, if there is one, at the end of the test.
func tryStart(t *testing.T, cfg embedded.Config, limit time.Duration) (*embedded.Server, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cfg.UnsafeNoFsync = true
	s, err := embedded.Start(ctx, cfg)
	if err == nil {
		t.Cleanup(func() { stop(t, s) })
	}
	return s, err
}

func stop(t *testing.T, s *embedded.Server) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// put repeats: a proposal that is under way while the leader changes is dropped.
func put(t *testing.T, s *embedded.Server, key, value string) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bounded)
	defer cancel()
	for {
		resp, err := s.Client().Put(ctx, key, value)
		if err == nil {
			return resp.Header.Revision
		}
		t.Logf("put %s: %v", key, err)
		wait(t, ctx, 100*time.Millisecond)
	}
}

func wait(t *testing.T, ctx context.Context, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
}

func get(t *testing.T, s *embedded.Server, key string, opts ...clientv3.OpOption) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bounded)
	defer cancel()
	resp, err := s.Client().Get(ctx, key, opts...)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	if len(resp.Kvs) == 0 {
		return ""
	}
	return string(resp.Kvs[0].Value)
}

func TestSingleNodeKeepsItsData(t *testing.T) {
	t.Parallel()
	cfg := embedded.Config{DataDir: filepath.Join(t.TempDir(), "made", "on", "the", "way")}
	s := start(t, cfg)
	before := put(t, s, "k", "v")
	stop(t, s)
	stop(t, s)

	s = start(t, cfg)
	if got := get(t, s, "k"); got != "v" {
		t.Errorf("after a restart k = %q, want v", got)
	}
	if after := put(t, s, "k", "w"); after <= before {
		t.Errorf("revision %d after a restart, %d before", after, before)
	}
}

func TestSingleNodeOpensNoPort(t *testing.T) {
	sockets := func() map[string]bool {
		listening := map[string]bool{}
		for _, file := range []string{"tcp", "tcp6"} {
			text, err := os.ReadFile("/proc/self/net/" + file)
			if err != nil {
				t.Skip("skipped: no /proc/self/net here")
			}
			for _, line := range strings.Split(string(text), "\n") {
				// sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
				if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" {
					listening["socket:["+f[9]+"]"] = true
				}
			}
		}
		own := map[string]bool{}
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("skipped: no /proc/self/fd here")
		}
		for _, fd := range fds {
			if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && listening[to] {
				own[to] = true
			}
		}
		return own
	}
	before := sockets()
	s := start(t, embedded.Config{DataDir: t.TempDir()})
	put(t, s, "k", "v")
	if after := sockets(); !maps.Equal(after, before) {
		t.Errorf("listening sockets %v, before the start %v", after, before)
	}
	if s.ClientAddr() != "" {
		t.Errorf("ClientAddr = %q, want none", s.ClientAddr())
	}

	// The same look must find a port that is there.
	start(t, embedded.Config{DataDir: t.TempDir(), ClientListen: "127.0.0.1:0"})
	if after := sockets(); len(after) != len(before)+1 {
		t.Errorf("with a client port %d listening sockets, want %d", len(after), len(before)+1)
	}
}

func TestSecondServerIsRefused(t *testing.T) {
	t.Parallel()
	cfg := embedded.Config{DataDir: t.TempDir()}
	s := start(t, cfg)
	began := time.Now()
	_, err := tryStart(t, cfg, bounded)
	if !errors.Is(err, embedded.ErrInUse) {
		t.Fatalf("second Start: %v, want ErrInUse", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("refused after %v, want at once", took)
	}
	if !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("%q does not name process %d", err, os.Getpid())
	}
	put(t, s, "k", "v")
	stop(t, s)
	start(t, cfg)
}

func TestFaultyConfigIsRefused(t *testing.T) {
	members := map[string]string{"a": "127.0.0.1:1", "b": "127.0.0.1:2"}
	for name, tc := range map[string]struct {
		cfg  embedded.Config
		want string
	}{
		"no directory":           {embedded.Config{}, "data directory"},
		"not among the members":  {embedded.Config{DataDir: "d", Name: "c", PeerListen: ":1", Members: members}, `"c"`},
		"members, no port":       {embedded.Config{DataDir: "d", Name: "a", Members: members}, "listen"},
		"port, no members":       {embedded.Config{DataDir: "d", PeerListen: ":1"}, "without members"},
		"advertised differently": {embedded.Config{DataDir: "d", Name: "a", PeerListen: ":1", PeerAdvertise: "x:1", Members: members}, `"x:1"`},
		"half of TLS":            {embedded.Config{DataDir: "d", Name: "a", PeerListen: ":1", Members: members, PeerTLS: embedded.TLS{Cert: "c"}}, "all three"},
		"client port to all":     {embedded.Config{DataDir: "d", ClientListen: "0.0.0.0:2379"}, "loopback"},
		"client port, no host":   {embedded.Config{DataDir: "d", ClientListen: ":2379"}, "loopback"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.cfg.DataDir != "" {
				tc.cfg.DataDir = filepath.Join(t.TempDir(), tc.cfg.DataDir)
			}
			_, err := tryStart(t, tc.cfg, bounded)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Start: %v, want it to say %q", err, tc.want)
			}
			if _, err := os.Stat(tc.cfg.DataDir); err == nil {
				t.Error("a data directory was made")
			}
		})
	}
}

// A member was killed while it defragmented its file.
func TestUnfinishedCopyIsRemoved(t *testing.T) {
	t.Parallel()
	cfg := embedded.Config{DataDir: t.TempDir()}
	s := start(t, cfg)
	put(t, s, "k", "v")
	stop(t, s)
	left := filepath.Join(cfg.DataDir, "etcd", "member", "snap", "db.tmp.123456")
	if err := os.WriteFile(left, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s = start(t, cfg)
	if got := get(t, s, "k"); got != "v" {
		t.Errorf("k = %q, want v", got)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stat %s: %v, want it to be gone", left, err)
	}
}
