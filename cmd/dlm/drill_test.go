package main_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
)

// drill is a service that is lost and restored: one server, or a cluster of three.
type drill struct {
	f       *founders
	servers []*background
	count   int
}

func (d *drill) endpoints() string { return strings.Join(d.f.listen[:d.count], ",") }

func (d *drill) start(t *testing.T) {
	t.Helper()
	for i := range d.count {
		d.servers[i] = d.f.start(t, i)
	}
	for _, b := range d.servers {
		b.says(t, "dlm is ready on")
	}
}

// yaml is how a server is configured, for the restore.
func (d *drill) yaml(i int) string {
	if d.count == 1 {
		return ""
	}
	members := make([]string, d.count)
	for j := range members {
		members[j] = fmt.Sprintf("dlm-%d=%s", j, d.f.peers[j])
	}
	return fmt.Sprintf("cluster:\n  name: dlm-%d\n  peer-listen: %s\n  members: [%s]\n", i, d.f.peers[i], strings.Join(members, ", "))
}

// worker takes one lock again and again through the SDK, appends to its file, and goes on whatever
// happens to the servers.
type worker struct {
	sections atomic.Int64
	highest  atomic.Int64 // of its tokens
	fell     atomic.Bool  // a token was not above all before
	failures atomic.Int64
}

func (w *worker) run(ctx context.Context, c *client.Client, name string) {
	for i := 0; ctx.Err() == nil; i++ {
		err := c.Do(ctx, name, func(ctx context.Context, l *client.Lock) error {
			if token := l.Token(); token > w.highest.Load() {
				w.highest.Store(token)
			} else {
				w.fell.Store(true)
			}
			return l.Append(ctx, "file", fmt.Appendf(nil, "%06d\n", i))
		})
		if err != nil {
			w.failures.Add(1)
			pause := time.NewTimer(50 * time.Millisecond)
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
			pause.Stop()
			continue
		}
		w.sections.Add(1)
	}
}

// TestRestoreDrill: a service under load is saved, goes on, is lost with all of its disks, and is
// restored on new ones. Every token afterwards is above all that anybody has seen, also above those
// that were granted after the snapshot; what was published before it is there, byte for byte; who
// was granted a lock after it publishes nothing; and the clients go on.
func TestRestoreDrill(t *testing.T) {
	t.Parallel()
	for _, count := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d servers", count), func(t *testing.T) {
			t.Parallel()
			d := &drill{f: newFounders(t), servers: make([]*background, count), count: count}
			if count == 1 {
				d.f.settings = func(int) (args, env []string) { return nil, nil }
			}
			d.run(t)
		})
	}
}

func (d *drill) run(t *testing.T) {
	t.Helper()
	d.start(t)
	all := d.endpoints()
	c, err := client.Open(client.Config{Endpoints: strings.Split(all, ","), TTL: 30 * time.Second, ConnectTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	stop := func() {
		cancel()
		working.Wait()
	}
	defer func() {
		stop()
		_ = c.Close()
	}()
	workers := make([]*worker, 4)
	for i := range workers {
		workers[i] = &worker{}
		working.Go(func() { workers[i].run(ctx, c, fmt.Sprint("busy/", i)) })
	}
	worked := func(what string, least int64) {
		t.Helper()
		from := make([]int64, len(workers))
		for i, w := range workers {
			from[i] = w.sections.Load()
		}
		for i, w := range workers {
			eventually(t, fmt.Sprintf("worker %d %s", i, what), func() bool { return w.sections.Load() >= from[i]+least })
		}
	}

	// A holder with something staged, and one who waits: both go on after the restore.
	cmd := lasting(t, all, dlmPath, "lock", "--ttl", "60s", "--connect-timeout", "60s", "kept", "sh", "-c",
		"echo held; read x; dlm append --connect-timeout 60s kept file holder")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	holder := start(t, cmd)
	holder.says(t, "held")
	waiter := start(t, lasting(t, all, dlmPath, "lock", "--ttl", "60s", "--connect-timeout", "60s", "kept",
		"dlm", "append", "--connect-timeout", "60s", "kept", "file", "waiter"))
	waiter.says(t, "waiting for")
	for i := range 5 {
		must(t, command(t, all, dlmPath, "append", "--connect-timeout", "30s", fmt.Sprint("published/", i), "file", strings.Repeat("x", 20_000*i)))
	}
	worked("has begun", 5)
	published := map[string]string{}
	for i := range 5 {
		name := fmt.Sprint("published/", i)
		published[name] = must(t, command(t, all, dlmPath, "cat", name, "file"))
	}
	before := must(t, command(t, all, dlmPath, "cat", "busy/0", "file"))
	began := time.Now()
	file := backup(t, all)
	saving := time.Since(began)
	is := fromJSON[told](t, must(t, command(t, "", dlmPath, "snapshot", "status", "--json", file)))

	// What comes after the snapshot, and is lost with the disks.
	worked("goes on", 5)
	late := start(t, lasting(t, all, dlmPath, "lock", "--ttl", "60s", "--connect-timeout", "60s", "late", "sh", "-c",
		`dlm append late file late; echo "token $DLM_TOKEN."; exec sleep 600`))
	late.says(t, ".\n")
	_, after, _ := strings.Cut(late.out.String(), "token ")
	text, _, _ := strings.Cut(after, ".")
	highest, err := strconv.ParseInt(text, 10, 64)
	if err != nil || highest <= is.Revision {
		t.Fatalf("the late holder said %q, %v; the snapshot is of %d", late.out, err, is.Revision)
	}
	for _, b := range d.servers {
		b.signal(t, syscall.SIGKILL)
	}
	for i, b := range d.servers {
		b.wait(t)
		if err := os.RemoveAll(d.f.dirs[i]); err != nil {
			t.Fatal(err)
		}
		d.f.dirs[i] = filepath.Join(t.TempDir(), "data")
	}
	for _, w := range workers {
		highest = max(highest, w.highest.Load())
	}

	lost := time.Now()
	for i := range d.count {
		restore(t, file, d.f.dirs[i], d.yaml(i))
	}
	restoring := time.Since(lost)
	d.start(t)
	ready := time.Since(lost)

	token := must(t, command(t, all, dlmPath, "lock", "--connect-timeout", "60s", "new", "sh", "-c", "echo $DLM_TOKEN"))
	if n, err := strconv.ParseInt(strings.TrimSpace(token), 10, 64); err != nil || n <= highest {
		t.Errorf("a new token is %q, %v; want it above %d", token, err, highest)
	}
	for name, want := range published {
		if got := must(t, command(t, all, dlmPath, "cat", "--connect-timeout", "60s", name, "file")); got != want {
			t.Errorf("%s has %d bytes, want the %d that were published", name, len(got), len(want))
		}
	}
	if code := late.wait(t); code != 70 {
		t.Errorf("who was granted a lock after the snapshot: exit code %d, want 70\n%s", code, late.err)
	}
	if r := run(t, command(t, all, dlmPath, "cat", "late", "file")); r.code == 0 {
		t.Errorf("it has published %q", r.out)
	}
	worked("goes on after the restore", 5)
	recovered := time.Since(lost)
	in.Close()
	if a, b := holder.wait(t), waiter.wait(t); a != 0 || b != 0 {
		t.Errorf("holder and waiter of the time of the snapshot: exit codes %d and %d\n%s\n%s", a, b, holder.err, waiter.err)
	}
	if got := must(t, command(t, all, dlmPath, "cat", "kept", "file")); got != "holder\nwaiter\n" {
		t.Errorf("read %q", got)
	}
	stop()
	for i, w := range workers {
		if w.fell.Load() || w.highest.Load() <= highest {
			t.Errorf("worker %d had token %d, after %d of all: want every one above the one before", i, w.highest.Load(), highest)
		}
		if got := must(t, command(t, all, dlmPath, "cat", fmt.Sprint("busy/", i), "file")); i == 0 && !strings.HasPrefix(got, before) {
			t.Errorf("what worker 0 had published before the snapshot is not there")
		}
	}
	size, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d servers: a snapshot of %d bytes at revision %d saved in %v under load, %d locks held and %d waiting, %d bytes published; "+
		"highest token before %d, first after %s; restored in %v, ready after %v, all clients go on after %v",
		d.count, size.Size(), is.Revision, saving.Round(time.Millisecond), is.Contents.Held, is.Contents.Waiting, is.Contents.Bytes,
		highest, strings.TrimSpace(token), restoring.Round(time.Millisecond), ready.Round(time.Millisecond), recovered.Round(time.Millisecond))
}
