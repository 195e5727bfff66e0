package main_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"google.golang.org/grpc"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// saved is what `dlm snapshot save --json` prints.
type saved struct {
	File, Cluster, SHA256 string
	Revision, Size        int64
}

// told is what `dlm snapshot status --json` prints.
type told struct {
	Verified bool
	Revision int64
	Contents struct {
		Cluster               string
		Format, Held, Waiting int
		Sessions, Files       int
		Bytes                 int64
		Staged, Unfolded      int
		Others                []string
	}
}

func fromJSON[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return v
}

// saveSnapshot saves one with the words of the documentation.
func saveSnapshot(t *testing.T, endpoints string, flags ...string) saved {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backup.db")
	return fromJSON[saved](t, must(t, command(t, endpoints, dlmPath, append([]string{"snapshot", "save", "--json", path}, flags...)...)))
}

// wantNoFile wants that nothing of a snapshot is there.
func wantNoFile(t *testing.T, path string) {
	t.Helper()
	found, err := filepath.Glob(path + "*")
	if err != nil || len(found) > 0 {
		t.Errorf("there is %q: %v", found, err)
	}
}

func TestSnapshotSave(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	must(t, command(t, s.addr, dlmPath, "append", "a", "file", "1"))
	dir := t.TempDir()
	path := filepath.Join(dir, "backup.db")
	save := func(args ...string) result {
		t.Helper()
		return run(t, command(t, s.addr, dlmPath, append([]string{"snapshot", "save"}, args...)...))
	}
	if r := save(path); r.code != 0 || !strings.Contains(r.out, "saved "+path) {
		t.Fatalf("exit code %d: %s%s", r.code, r.out, r.err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want a file for its owner alone", info.Mode(), err)
	}
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	must(t, command(t, s.addr, dlmPath, "append", "a", "file", "2"))
	if r := save(path); r.code != 1 || !strings.Contains(r.err, "--force") {
		t.Errorf("over a file: exit code %d, want 1 and the remedy\n%s", r.code, r.err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(first, now) {
		t.Errorf("the file was changed: %v", err)
	}
	if r := save(filepath.Join(dir, "none", "backup.db")); r.code != 1 || !strings.Contains(r.err, "dlm: open "+dir) {
		t.Errorf("into a directory that is not there: exit code %d, want 1 and which\n%s", r.code, r.err)
	}
	got := fromJSON[saved](t, must(t, command(t, s.addr, dlmPath, "snapshot", "save", "--force", "--json", path)))
	now, err := os.ReadFile(path)
	if err != nil || bytes.Equal(first, now) || int64(len(now)) != got.Size || got.File != path || got.Revision <= 1 || got.Cluster == "" {
		t.Errorf("--force: %d bytes, %v; it says %+v", len(now), err, got)
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(now[:len(now)-sha256.Size])); sum != got.SHA256 {
		t.Errorf("the hash is %s, and it says %s", sum, got.SHA256)
	}
	r := save("-")
	if r.code != 0 || !strings.Contains(r.err, "saved a snapshot") {
		t.Errorf("to standard output: exit code %d\n%s", r.code, r.err)
	}
	piped := filepath.Join(dir, "piped")
	if err := os.WriteFile(piped, []byte(r.out), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, command(t, "", dlmPath, "snapshot", "status", piped))

	full := run(t, command(t, s.addr, "sh", "-c", dlmPath+" snapshot save - >/dev/full"))
	if full.code != 74 || !strings.Contains(full.err, "no space") {
		t.Errorf("onto a full disk: exit code %d, want 74\n%s", full.code, full.err)
	}
	for name, args := range map[string][]string{
		"a device":        {"--force", "/dev/full"},
		"a directory":     {"--force", dir},
		"no directory":    {filepath.Join(dir, "none", "backup.db")},
		"no server":       {"--endpoints", "127.0.0.1:1", "--connect-timeout", "200ms", filepath.Join(dir, "unsaved")},
		"no name":         {},
		"too many of one": {"a", "b"},
	} {
		if r := save(args...); r.code == 0 {
			t.Errorf("%s: exit code 0: %s", name, r.out)
		}
	}
	wantNoFile(t, filepath.Join(dir, "unsaved"))
	if is, err := os.Stat("/dev/full"); err != nil || is.Mode().IsRegular() {
		t.Errorf("/dev/full is %v, %v", is, err)
	}
}

// breaking gives half a snapshot.
type breaking struct {
	dlmv1.UnimplementedLockServiceServer
	content []byte
	sent    chan struct{}
	calls   atomic.Int32
	then    func(ctx context.Context) error
}

func (b *breaking) Snapshot(_ *dlmv1.SnapshotRequest, stream grpc.ServerStreamingServer[dlmv1.SnapshotResponse]) error {
	b.calls.Add(1)
	err := stream.Send(&dlmv1.SnapshotResponse{Cluster: "c", Revision: 7})
	if err == nil {
		err = stream.Send(&dlmv1.SnapshotResponse{Data: b.content})
	}
	if err != nil {
		return err
	}
	select {
	case b.sent <- struct{}{}:
	default:
	}
	return b.then(stream.Context())
}

// Stream is open for as long as the client wants, which asks for nothing.
func (*breaking) Stream(stream grpc.BidiStreamingServer[dlmv1.StreamRequest, dlmv1.StreamResponse]) error {
	<-stream.Context().Done()
	return nil
}

// A snapshot that breaks off, or is not what was sent, leaves nothing that looks like one.
func TestSnapshotBreaksOff(t *testing.T) {
	t.Parallel()
	content := make([]byte, 8192)
	wrong := append(bytes.Clone(content), make([]byte, sha256.Size)...)
	sum := sha256.Sum256(content)
	right := append(bytes.Clone(content), sum[:]...)
	for name, b := range map[string]*breaking{
		"the server fails":   {content: content, then: func(context.Context) error { return errors.New("failed") }},
		"the stream ends":    {content: content, then: func(context.Context) error { return nil }},
		"a wrong hash":       {content: wrong, then: func(context.Context) error { return nil }},
		"nothing comes":      {then: func(context.Context) error { return nil }},
		"it is no etcd's":    {content: right, then: func(context.Context) error { return nil }},
		"the hash only":      {content: right[len(content):], then: func(context.Context) error { return nil }},
		"the end is missing": {content: right[:len(right)-1], then: func(context.Context) error { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "backup.db")
			addr := startFake(t, b)
			if r := run(t, command(t, addr, dlmPath, "snapshot", "save", path)); r.code == 0 {
				t.Errorf("exit code 0: %s", r.out)
			}
			if n := b.calls.Load(); n != 1 {
				t.Errorf("asked %d times, want once", n)
			}
			wantNoFile(t, path)
			if r := run(t, command(t, addr, dlmPath, "snapshot", "save", "-")); name != "it is no etcd's" && r.code == 0 {
				t.Errorf("to standard output: exit code 0: %s", r.err)
			}
		})
	}
}

// Whoever is killed in the middle leaves a file that is taken for nothing, and is in nobody's way.
func TestSnapshotKilled(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			stuck := &breaking{content: make([]byte, 8192), sent: make(chan struct{}, 1), then: func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			}}
			path := filepath.Join(t.TempDir(), "backup.db")
			save := start(t, command(t, startFake(t, stuck), dlmPath, "snapshot", "save", path))
			eventually(t, "the first half", func() bool {
				info, err := os.Stat(path + ".partial")
				return err == nil && info.Size() > 0
			})
			s := ownServer(t)
			if r := run(t, command(t, s.addr, dlmPath, "snapshot", "save", path)); r.code == 0 || !strings.Contains(r.err, "another process") {
				t.Errorf("beside one that is under way: exit code %d\n%s", r.code, r.err)
			}
			save.signal(t, sig)
			if code := save.wait(t); code != 128+int(sig) {
				t.Errorf("exit code %d, want %d", code, 128+int(sig))
			}
			if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("it left %s: %v", path, err)
			}
			if sig == syscall.SIGTERM {
				wantNoFile(t, path)
			} else if r := run(t, command(t, "", dlmPath, "snapshot", "status", path+".partial")); r.code != 1 {
				t.Errorf("what it left is a snapshot: exit code %d\n%s", r.code, r.out)
			}
			must(t, command(t, s.addr, dlmPath, "snapshot", "save", path))
			must(t, command(t, "", dlmPath, "snapshot", "status", path))
		})
	}
}

// What is in a snapshot is counted, what is damaged is refused, and so is what is something else's.
func TestSnapshotStatusAndRefusedRestores(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	holder := start(t, command(t, s.addr, dlmPath, "lock", "held", "sh", "-c", "dlm append held file 12345678; echo held; exec sleep 60"))
	holder.says(t, "held")
	waiter := start(t, command(t, s.addr, dlmPath, "lock", "held", "true"))
	waiter.says(t, "waiting for")
	for range 3 {
		must(t, command(t, s.addr, dlmPath, "append", "published", "file", "1234567"))
	}
	got := saveSnapshot(t, s.addr)
	is := fromJSON[told](t, must(t, command(t, "", dlmPath, "snapshot", "status", "--json", got.File)))
	if c := is.Contents; !is.Verified || is.Revision != got.Revision || c.Cluster != got.Cluster || c.Format != 1 || c.Held != 1 ||
		c.Waiting != 1 || c.Sessions != 2 || c.Files != 1 || c.Bytes != 24 || c.Staged != 1 {
		t.Errorf("%+v of %+v", is, got)
	}
	if out := must(t, command(t, "", dlmPath, "snapshot", "status", got.File)); !strings.Contains(out, "locks held         1\n") {
		t.Errorf("status printed %q", out)
	}

	content, err := os.ReadFile(got.File)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what, path string, code int, says string, flags ...string) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "data")
		r := run(t, command(t, "", dlmPath, append([]string{"snapshot", "restore", path, "--data-dir", dir}, flags...)...))
		if r.code != code || !strings.Contains(r.err, says) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s%s", what, r.code, code, says, r.out, r.err)
		}
		if _, err := os.Stat(filepath.Join(dir, "etcd")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s left an etcd: %v", what, err)
		}
	}
	for range 3 {
		bad := bytes.Clone(content)
		bad[rand.IntN(len(bad))] ^= 1 << rand.IntN(8)
		path := filepath.Join(t.TempDir(), "bad.db")
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if r := run(t, command(t, "", dlmPath, "snapshot", "status", path)); r.code != 1 || !strings.Contains(r.err, "damaged") {
			t.Errorf("a bit was flipped: exit code %d\n%s", r.code, r.err)
		}
		refused("a bit was flipped", path, 1, "damaged")
		if err := os.WriteFile(path, content[:rand.IntN(len(content))], 0o600); err != nil {
			t.Fatal(err)
		}
		refused("it was cut off", path, 1, path)
	}
	refused("no file", filepath.Join(t.TempDir(), "none"), 1, "no such file")
	refused("another prefix", got.File, 1, "but that of /dlm/", "--etcd-prefix", "/other/")
	refused("no members", got.File, 78, "cluster", "--cluster-name", "a", "--cluster-members", "b=127.0.0.1:1")
	refused("an external etcd", got.File, 78, "own tools", "--etcd-endpoints", "127.0.0.1:1")
	refused("raised by nothing", got.File, 64, "--raise", "--raise", "0")

	// A server runs on it; it is stopped; it remembers more than the snapshot has.
	over := func(code int, says string, flags ...string) {
		t.Helper()
		r := run(t, command(t, "", dlmPath, append([]string{"snapshot", "restore", got.File, "--data-dir", s.dir}, flags...)...))
		if r.code != code || !strings.Contains(r.err, says) {
			t.Errorf("over a live directory: exit code %d, want %d and %q\n%s%s", r.code, code, says, r.out, r.err)
		}
	}
	over(73, "in use")
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	over(78, "Move it away")
	if err := os.Rename(filepath.Join(s.dir, "etcd"), filepath.Join(s.dir, "etcd.old")); err != nil {
		t.Fatal(err)
	}
	over(78, "--raise", "--raise", "1")
	if r := run(t, command(t, "", dlmPath, "snapshot", "restore", "--data-dir", s.dir, "--skip-hash-check",
		filepath.Join(s.dir, "etcd.old", "member", "snap", "db"))); r.code != 0 {
		t.Errorf("of a member's database: exit code %d\n%s", r.code, r.err)
	}
}

// Of two at once one waits for the other.
func TestSnapshotsTakeTurns(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	must(t, command(t, s.addr, dlmPath, "append", "a", "file", strings.Repeat("x", 100_000)))
	var all []*background
	dir := t.TempDir()
	for i := range 4 {
		all = append(all, start(t, command(t, s.addr, dlmPath, "snapshot", "save", filepath.Join(dir, strconv.Itoa(i)))))
	}
	for i, b := range all {
		if code := b.wait(t); code != 0 {
			t.Errorf("exit code %d\n%s", code, b.err)
		}
		must(t, command(t, "", dlmPath, "snapshot", "status", filepath.Join(dir, strconv.Itoa(i))))
	}
}

// A server beside an external etcd gives a snapshot of that, if etcd allows it.
func TestSnapshotOfAnExternalEtcd(t *testing.T) {
	t.Parallel()
	_, addr, etcd := etcdOf(t)
	putKey(t, etcd, "/others/key", "value")
	s, err := startServer("127.0.0.1:0", filepath.Join(t.TempDir(), "unused"), "--etcd-endpoints", addr, "--etcd-prefix", "/beside/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	})
	must(t, command(t, s.addr, dlmPath, "append", "a", "file", "1234567"))
	got := saveSnapshot(t, s.addr)
	r := run(t, command(t, "", dlmPath, "snapshot", "status", "--json", "--etcd-prefix", "/beside/", got.File))
	if is := fromJSON[told](t, r.out); r.code != 0 || is.Contents.Bytes != 8 || is.Contents.Cluster != got.Cluster || len(is.Contents.Others) != 1 {
		t.Errorf("exit code %d, %+v\n%s", r.code, is, r.err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	must(t, command(t, "", dlmPath, "snapshot", "restore", got.File, "--data-dir", dir, "--etcd-prefix", "/beside/"))
	moved, err := startServer("127.0.0.1:0", dir, "--etcd-prefix", "/beside/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		moved.cmd.Process.Kill()
		moved.cmd.Wait()
	})
	if text := must(t, command(t, moved.addr, dlmPath, "cat", "a", "file")); text != "1234567\n" {
		t.Errorf("read %q", text)
	}
}

// A user of etcd's without the role root is told what is missing, and nothing is left.
func TestSnapshotWithoutTheRight(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t, 1, true)
	s, err := startServer("127.0.0.1:0", filepath.Join(t.TempDir(), "unused"), etcd.options(t)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	})
	path := filepath.Join(t.TempDir(), "backup.db")
	if r := run(t, command(t, s.addr, dlmPath, "snapshot", "save", path)); r.code != 77 || !strings.Contains(r.err, "root") {
		t.Errorf("exit code %d, want 77 and which role\n%s", r.code, r.err)
	}
	wantNoFile(t, path)
}
