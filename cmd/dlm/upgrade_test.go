package main_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// legacy is what clients of an earlier version had when a snapshot of its data was taken: see
// testdata/released/README.md.
type legacy struct {
	Revision int64          `json:"revision"` // of what was granted last
	Holder   legacyClient   `json:"holder"`   // has staged "staged;" in the file "file"
	Waiter   legacyClient   `json:"waiter"`
	Evicted  legacyClient   `json:"evicted"` // whose section was undone
	Files    map[string]int `json:"files"`   // of locks: how much "file" has, see legacyText
}

// legacyClient is a session, and its acquisition of a lock under request 1.
type legacyClient struct {
	Session string `json:"session"`
	Lock    string `json:"lock"`
	Token   int64  `json:"token"` // 0: it waits
}

// legacyText is what was published in a file of so many bytes.
func legacyText(bytes int) string { return strings.Repeat("x", bytes-1) + ";" }

// legacyTTL is longer than any test.
const legacyTTL = 10 * time.Minute

func dialServer(t *testing.T, addr string) dlmv1.LockServiceClient {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return dlmv1.NewLockServiceClient(conn)
}

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// makeLegacy is the clients of a server, and what they do.
func makeLegacy(t *testing.T, addr string) (l legacy) {
	t.Helper()
	api := dialServer(t, addr)
	ctx := bounded(t)
	session := func() string {
		t.Helper()
		resp, err := api.Init(ctx, &dlmv1.InitRequest{Ttl: durationpb.New(legacyTTL), Label: "legacy"})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetSession()
	}
	holding := func(lock, data string) legacyClient {
		t.Helper()
		c := legacyClient{Session: session(), Lock: lock}
		resp, err := api.Acquire(ctx, &dlmv1.AcquireRequest{Session: c.Session, Lock: lock, Request: "1"})
		if err != nil {
			t.Fatal(err)
		}
		c.Token = resp.GetToken()
		if _, err := api.Append(ctx, &dlmv1.AppendRequest{
			Session: c.Session, Lock: lock, Token: c.Token, Request: "2", File: "file", Data: []byte(data),
		}); err != nil {
			t.Fatal(err)
		}
		return c
	}
	l.Files = map[string]int{}
	for i := range 5 {
		bytes := 30_000*i + 1
		c := holding(fmt.Sprint("published/", i), legacyText(bytes))
		if _, err := api.Release(ctx, &dlmv1.ReleaseRequest{Session: c.Session, Lock: c.Lock, Token: c.Token, Appended: true}); err != nil {
			t.Fatal(err)
		}
		l.Files[c.Lock] = bytes
	}
	l.Evicted = holding("evicted", "never to be seen")
	if _, err := api.Evict(ctx, &dlmv1.EvictRequest{Lock: "evicted", Token: l.Evicted.Token, Reason: "to try it"}); err != nil {
		t.Fatal(err)
	}
	l.Holder = holding("held", "staged;")
	l.Waiter = legacyClient{Session: session(), Lock: "held"}
	queued, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = api.Acquire(queued, &dlmv1.AcquireRequest{Session: l.Waiter.Session, Lock: "held", Request: "1"})
	}()
	eventually(t, "the waiter", func() bool {
		resp, err := api.Inspect(ctx, &dlmv1.InspectRequest{Lock: "held"})
		return err == nil && resp.GetLock().GetQueueLength() == 1
	})
	stop() // the place is kept
	<-ended
	l.Revision = l.Holder.Token
	return l
}

// goOn has the clients of an earlier version go on where they were.
func (l legacy) goOn(t *testing.T, addr string) {
	t.Helper()
	api := dialServer(t, addr)
	ctx := bounded(t)
	for lock, bytes := range l.Files {
		if got := must(t, command(t, addr, dlmPath, "cat", lock, "file")); got != legacyText(bytes) {
			t.Errorf("%s has %d bytes, want %d", lock, len(got), bytes)
		}
	}
	for _, c := range []legacyClient{l.Holder, l.Waiter} {
		resp, err := api.Heartbeat(ctx, &dlmv1.HeartbeatRequest{
			Session: c.Session, HighestRequest: 1, Unfinished: []*dlmv1.Acquisition{{Lock: c.Lock, Request: "1"}},
		})
		if err != nil || len(resp.GetStates()) != 1 || resp.GetStates()[0].GetToken() != c.Token {
			t.Errorf("heartbeat: %v, %v; want token %d", resp, err, c.Token)
		}
	}
	if resp, err := api.Inspect(ctx, &dlmv1.InspectRequest{Lock: "held"}); err != nil || resp.GetLock().GetQueueLength() != 1 ||
		resp.GetLock().GetHolder().GetToken() != l.Holder.Token || resp.GetLock().GetHolder().GetLabel() != "legacy" {
		t.Errorf("inspect: %v, %v", resp, err)
	}
	if _, err := api.Append(ctx, &dlmv1.AppendRequest{
		Session: l.Evicted.Session, Lock: "evicted", Token: l.Evicted.Token, Request: "3", File: "file", Data: []byte("late"),
	}); err == nil {
		t.Error("who was evicted may append")
	}
	if _, err := api.Append(ctx, &dlmv1.AppendRequest{
		Session: l.Holder.Session, Lock: "held", Token: l.Holder.Token, Request: "3", File: "file", Data: []byte("later;"),
	}); err != nil {
		t.Errorf("append: %v", err)
	}
	if _, err := api.Release(ctx, &dlmv1.ReleaseRequest{
		Session: l.Holder.Session, Lock: "held", Token: l.Holder.Token, Appended: true, Last: []string{"3"},
	}); err != nil {
		t.Errorf("release: %v", err)
	}
	if got := must(t, command(t, addr, dlmPath, "cat", "held", "file")); got != "staged;later;" {
		t.Errorf("read %q", got)
	}
	granted, err := api.Acquire(ctx, &dlmv1.AcquireRequest{Session: l.Waiter.Session, Lock: "held", Request: "1"})
	if err != nil || granted.GetToken() <= l.Revision {
		t.Errorf("who waited: %v, %v; want a token above %d", granted, err, l.Revision)
	}
	if _, err := api.Release(ctx, &dlmv1.ReleaseRequest{Session: l.Waiter.Session, Lock: "held", Token: granted.GetToken()}); err != nil {
		t.Errorf("release: %v", err)
	}
	if out := must(t, command(t, addr, dlmPath, "status", "--problems")); out != "nothing is malformed\n" {
		t.Errorf("problems: %s", out)
	}
}

// What an earlier version has written, this one serves: what is published is there, the holder and
// who waits for it go on with the credentials that they have, and who was evicted stays so.
func TestReleasedDataIsServed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "released", "*.db.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there is no data of earlier versions: %v", err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(strings.TrimSuffix(path, ".db.gz") + ".json")
			if err != nil {
				t.Fatal(err)
			}
			var l legacy
			if err := json.Unmarshal(text, &l); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "data")
			must(t, command(t, "", dlmPath, "snapshot", "restore", unpacked(t, path), "--data-dir", dir))
			s, err := startServer("127.0.0.1:0", dir)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				s.cmd.Process.Kill()
				s.cmd.Wait()
			})
			l.goOn(t, s.addr)
			if err := s.stop(syscall.SIGTERM); err != nil || strings.Contains(s.log.String(), `"level":"ERROR"`) {
				t.Errorf("server: %v\n%s", err, s.log)
			}
		})
	}
}

func unpacked(t *testing.T, path string) (file string) {
	t.Helper()
	from, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	packed, err := gzip.NewReader(from)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "snapshot")
	content, err := io.ReadAll(packed)
	if err == nil {
		err = os.WriteFile(file, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// A snapshot of a later version is not restored, and a server does not start on its data.
func TestLaterDataIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][2]string{
		"format":  {"/dlm/cluster/meta", `{"format":2,"id":"00112233445566778899aabbccddeeff"}`},
		"feature": {"/dlm/cluster/features", `{"on":["bare","later"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, etcd := etcdOf(t)
			putKey(t, etcd, change[0], change[1])
			r, err := etcd.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			content, err := io.ReadAll(r)
			file := filepath.Join(t.TempDir(), "later.db")
			if err == nil {
				err = os.WriteFile(file, content, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{
				{"snapshot", "status", file},
				{"snapshot", "restore", file, "--data-dir", filepath.Join(t.TempDir(), "data")},
			} {
				if r := run(t, command(t, "", dlmPath, args...)); r.code != 78 || !strings.Contains(r.err, "run a later version") {
					t.Errorf("%q: exit code %d, want 78 and the remedy\n%s", args, r.code, r.err)
				}
			}
			_ = s.stop(syscall.SIGKILL)
			if r := run(t, command(t, "", dlmPath, "server", "--listen", s.addr, "--data-dir", s.dir)); r.code != 78 || !strings.Contains(r.err, "run a later version") {
				t.Errorf("a server: exit code %d, want 78 and the remedy\n%s", r.code, r.err)
			}
		})
	}
}
