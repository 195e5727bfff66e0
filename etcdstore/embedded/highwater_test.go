package embedded_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
)

// marks is what a highwater file says.
func marks(t *testing.T, dir string) (seen, bound int64) {
	t.Helper()
	var m struct{ Seen, Bound int64 }
	text, err := os.ReadFile(filepath.Join(dir, "highwater"))
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m.Seen, m.Bound
}

// copyDir copies a data directory, as somebody does who has heard that this is a backup.
func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// A backup of etcd alone is put back, which is another directory of etcd's than highwater knows:
// then every revision counts that may have been handed out, and not only those that surely were.
func TestRevisionGoneBackIsRefused(t *testing.T) {
	t.Parallel()
	cfg := embedded.Config{DataDir: t.TempDir()}
	etcd, backup := filepath.Join(cfg.DataDir, "etcd"), filepath.Join(t.TempDir(), "etcd")
	s := start(t, cfg)
	put(t, s, "k", "v")
	stop(t, s)
	copyDir(t, etcd, backup)

	// The same directory of etcd's, in which the revision is lower than one that was surely
	// reached.
	s = start(t, cfg)
	revision := put(t, s, "k", "w")
	stop(t, s)
	seen, bound := marks(t, cfg.DataDir)
	if seen != revision || bound < revision+100_000 {
		t.Errorf("highwater says %d and %d after Close, want %d and 100,000 more at least", seen, bound, revision)
	}
	copyDir(t, backup, etcd)
	refused := func(want int64) {
		t.Helper()
		for range 2 {
			_, err := tryStart(t, cfg, bounded)
			if !errors.Is(err, embedded.ErrRevisionBack) {
				t.Fatalf("Start: %v, want ErrRevisionBack", err)
			}
			if bump := fmt.Sprintf("--raise %d", want-(revision-1)+1_000_000_000); !strings.Contains(err.Error(), bump) {
				t.Errorf("%v; want it to say %q", err, bump)
			}
		}
	}
	refused(bound)

	// Nothing above it is remembered any more, but it is another directory.
	text := fmt.Sprintf(`{"seen":%d,"bound":%d,"etcd":"another"}`, revision-1, revision+5)
	path := filepath.Join(cfg.DataDir, "highwater")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(revision + 5)
	text = fmt.Sprintf(`{"seen":%d,"bound":%d,"etcd":"another"}`, revision-1, revision-1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	stop(t, start(t, cfg))

	// What servers wrote once.
	if err := os.WriteFile(path, fmt.Appendln(nil, revision), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(revision)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	start(t, cfg)
}

// A restart does not come closer to the bound, and is not refused because of it.
func TestBoundStaysOverRestarts(t *testing.T) {
	t.Parallel()
	cfg := embedded.Config{DataDir: t.TempDir()}
	stop(t, start(t, cfg))
	_, before := marks(t, cfg.DataDir)
	for range 3 {
		s := start(t, cfg)
		put(t, s, "k", "v")
		stop(t, s)
	}
	if _, after := marks(t, cfg.DataDir); after != before {
		t.Errorf("the bound is %d after restarts, %d before", after, before)
	}
}

func TestTornHighwaterIsRefusedInWords(t *testing.T) {
	t.Parallel()
	cfg := embedded.Config{DataDir: t.TempDir()}
	stop(t, start(t, cfg))
	for name, text := range map[string]string{
		"empty": "", "torn": `{"seen":7,"bou`, "zeros": "\x00\x00\x00", "negative": "-1\n", "torn number": "7",
		"nothing said": "{}", "more behind": `{"seen":1,"bound":1,"etcd":""}{}`,
	} {
		if err := os.WriteFile(filepath.Join(cfg.DataDir, "highwater"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := tryStart(t, cfg, bounded); err == nil || !strings.Contains(err.Error(), "delete the file") {
			t.Errorf("%s: Start: %v, want a refusal that says what to do", name, err)
		}
	}
	if err := os.Remove(filepath.Join(cfg.DataDir, "highwater")); err != nil {
		t.Fatal(err)
	}
	start(t, cfg)
}

// A directory that belonged to a member, and has lost etcd's log, is not taken for a new one.
func TestLostLogIsRefused(t *testing.T) {
	t.Parallel()
	cfg := embedded.Config{DataDir: t.TempDir()}
	stop(t, start(t, cfg))
	if err := os.RemoveAll(filepath.Join(cfg.DataDir, "etcd")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := tryStart(t, cfg, bounded); !errors.Is(err, embedded.ErrEmptied) {
			t.Fatalf("Start: %v, want ErrEmptied", err)
		}
	}
}

func TestServerRemembersALine(t *testing.T) {
	t.Parallel()
	cfg := embedded.Config{DataDir: t.TempDir()}
	for _, line := range []string{"", "/dlm/ 1", "/dlm/ 2"} {
		s := start(t, cfg)
		if got := s.Remembered(); got != line {
			t.Errorf("it remembers %q, want %q", got, line)
		}
		next := map[string]string{"": "/dlm/ 1", "/dlm/ 1": "/dlm/ 2"}[line]
		for range 2 {
			if err := s.Remember(next); err != nil {
				t.Error(err)
			}
		}
		stop(t, s)
	}
}
