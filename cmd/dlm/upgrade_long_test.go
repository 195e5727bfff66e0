//go:build upgrade

package main_test

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

var (
	from   = flag.String("from", "", "commit whose version is upgraded from")
	binary = flag.String("from-binary", "", "that version, if it is built already")
)

// earlier builds the version of a commit.
func earlier(t *testing.T) (path string) {
	t.Helper()
	if *binary != "" {
		return *binary
	}
	if *from == "" {
		t.Fatal("say which version is upgraded from: -from REV")
	}
	root, err := exec.CommandContext(t.Context(), "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, script := range []string{
		`git -C "$ROOT" archive "$REV" | tar x -C "$DIR"`,
		`cd "$DIR" && go build -buildvcs=false -ldflags "-X main.version=$REV" -o "$DIR/bin-dlm" ./cmd/dlm`,
	} {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		cmd.Env = append(os.Environ(), "ROOT="+strings.TrimSpace(string(root)), "REV="+*from, "DIR="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
	}
	return filepath.Join(dir, "bin-dlm")
}

// startOf starts a server of a version, and waits until it is ready.
func startOf(t *testing.T, path string, args ...string) *background {
	t.Helper()
	b := start(t, lasting(t, "", path, append([]string{"server"}, args...)...))
	b.says(t, "dlm is ready on")
	return b
}

// TestMakeReleased makes the data that TestReleasedDataIsServed serves.
func TestMakeReleased(t *testing.T) {
	if *from == "" {
		t.Skip("without -from")
	}
	addr, admin := storetest.FreeAddr(t), storetest.FreeAddr(t)
	b := startOf(t, earlier(t), "--listen", addr, "--data-dir", filepath.Join(t.TempDir(), "data"), "--cluster-client-listen", admin)
	l := makeLegacy(t, addr)
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{admin}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer etcd.Close()
	r, err := etcd.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil || len(content)%512 != sha256.Size {
		t.Fatalf("%d bytes, %v", len(content), err)
	}
	b.signal(t, syscall.SIGKILL)
	name := filepath.Join("testdata", "released", *from)
	file, err := os.Create(name + ".db.gz")
	if err != nil {
		t.Fatal(err)
	}
	packed, err := gzip.NewWriterLevel(file, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := packed.Write(content); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(l, "", "\t")
	if err == nil {
		err = os.WriteFile(name+".json", append(text, '\n'), 0o644)
	}
	if err == nil {
		err = packed.Close()
	}
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestUpgradeInPlace starts this version on the data directory of an earlier one, whose clients go
// on, and then that one again on what this version has written.
func TestUpgradeInPlace(t *testing.T) {
	old := earlier(t)
	addr, dir := storetest.FreeAddr(t), filepath.Join(t.TempDir(), "data")
	for _, versions := range [][2]string{{old, dlmPath}, {dlmPath, old}} {
		b := startOf(t, versions[0], "--listen", addr, "--data-dir", dir)
		l := makeLegacy(t, addr)
		b.signal(t, syscall.SIGTERM)
		if code := b.wait(t); code != 0 {
			t.Fatalf("exit code %d", code)
		}
		b = startOf(t, versions[1], "--listen", addr, "--data-dir", dir)
		l.goOn(t, addr)
		b.signal(t, syscall.SIGTERM)
		if code := b.wait(t); code != 0 {
			t.Fatalf("exit code %d", code)
		}
		if dir = filepath.Join(t.TempDir(), "data"); strings.Contains(b.err.String(), `"level":"ERROR"`) {
			t.Errorf("the server complains:\n%s", b.err)
		}
	}
}

// traffic is commands and clients that work while servers are replaced.
type traffic struct {
	commands, sections atomic.Int64
	mu                 sync.Mutex
	failed             []string
}

func (l *traffic) fail(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, fmt.Sprintf(format, args...))
}

// TestRollingUpgrade replaces the servers of an earlier version one after the other, and then goes
// back in the same way, while commands of both versions and the SDK take locks and append. No
// command fails, no section is lost, and every token is above the one before.
func TestRollingUpgrade(t *testing.T) {
	old := earlier(t)
	f := newFounders(t)
	servers := make([]*background, 3)
	serve := func(i int, path string) {
		servers[i] = start(t, lasting(t, "", path, append([]string{"server", "--listen", f.listen[i], "--data-dir", f.dirs[i]}, f.member(i)...)...))
	}
	for i := range servers {
		serve(i, old)
	}
	for _, b := range servers {
		b.says(t, "dlm is ready on")
	}

	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	l := &traffic{}
	stop := func() {
		cancel()
		working.Wait()
	}
	defer stop()
	for i, path := range []string{old, old, dlmPath, dlmPath} { // commands, two on one lock
		working.Go(func() {
			last := int64(0)
			for n := 0; ctx.Err() == nil; n++ {
				cmd := exec.CommandContext(t.Context(), path, "lock", fmt.Sprint("commands/", i/2), "sh", "-c",
					fmt.Sprintf(`echo $DLM_TOKEN; %s append commands/%d file-%d %d`, path, i/2, i, n))
				cmd.Env = append(os.Environ(), "DLM_ENDPOINTS="+f.all())
				var errOut strings.Builder
				cmd.Stderr = &errOut
				out, err := cmd.Output()
				var token int64
				if _, scanErr := fmt.Sscan(string(out), &token); err != nil || scanErr != nil || token <= last {
					l.fail("command %d of %s: %v, token %d after %d: %s", n, path, err, token, last, errOut.String())
					return
				}
				last = token
				l.commands.Add(1)
			}
		})
	}
	c, err := client.Open(client.Config{Endpoints: f.listen, TTL: 20 * time.Second, ConnectTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sections := make([]atomic.Int64, 4)
	for i := range sections {
		working.Go(func() {
			last := int64(0)
			for ctx.Err() == nil {
				// Not bound to ctx, so that the last one is whole.
				err := c.Do(t.Context(), fmt.Sprint("sdk/", i), func(ctx context.Context, lock *client.Lock) error {
					if lock.Token() <= last {
						l.fail("token %d after %d", lock.Token(), last)
					}
					last = lock.Token()
					return lock.Append(ctx, "file", []byte("x"))
				})
				if err != nil {
					l.fail("section of client %d: %v", i, err)
					return
				}
				sections[i].Add(1)
				l.sections.Add(1)
			}
		})
	}
	// A holder and who waits for it live through all of it.
	cmd := lasting(t, f.all(), old, "lock", "--ttl", "30s", "--connect-timeout", "60s", "long", "sh", "-c",
		"echo held; read x; "+dlmPath+" append --connect-timeout 60s long file holder")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	holder := start(t, cmd)
	holder.says(t, "held")
	waiter := start(t, lasting(t, f.all(), dlmPath, "lock", "--ttl", "30s", "--connect-timeout", "60s", "long",
		dlmPath, "append", "--connect-timeout", "60s", "long", "file", "waiter"))
	waiter.says(t, "waiting for")

	worked := func() {
		t.Helper()
		commands, sections := l.commands.Load(), l.sections.Load()
		eventually(t, "commands and sections", func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			return len(l.failed) > 0 || l.commands.Load() >= commands+8 && l.sections.Load() >= sections+40
		})
	}
	worked()
	began := time.Now()
	for _, to := range []string{dlmPath, old} {
		for i := range servers {
			servers[i].signal(t, syscall.SIGTERM)
			if code := servers[i].wait(t); code != 0 {
				t.Errorf("server %d: exit code %d\n%s", i, code, servers[i].err)
			}
			serve(i, to)
			servers[i].says(t, "dlm is ready on")
			worked()
		}
	}
	took := time.Since(began)
	stop()
	in.Close()
	if a, b := holder.wait(t), waiter.wait(t); a != 0 || b != 0 {
		t.Errorf("holder and waiter: exit codes %d and %d\n%s\n%s", a, b, holder.err, waiter.err)
	}
	for i := range sections {
		if got := must(t, command(t, f.all(), dlmPath, "cat", fmt.Sprint("sdk/", i), "file")); int64(len(got)) != sections[i].Load() {
			t.Errorf("client %d has published %d sections, and there are %d", i, sections[i].Load(), len(got))
		}
	}
	for _, failed := range l.failed {
		t.Error(failed)
	}
	t.Logf("six servers replaced in %v: %d commands and %d sections, %d failed", took.Round(time.Millisecond), l.commands.Load(), l.sections.Load(), len(l.failed))
}
