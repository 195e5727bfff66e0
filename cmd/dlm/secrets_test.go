package main_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/damp"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	pb "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// payload is in what tests append that look for it in logs.
const payload = "a payload for nobody else"

// credential is what every session's looks like.
var credential = regexp.MustCompile(`[0-9a-f]{16}\.[0-9a-f]{32}`)

// logs are those of all servers that tests have started.
var logs struct {
	sync.Mutex
	all []*await.Text
}

// newLog is a server's log, which is looked through at the end.
func newLog() *await.Text {
	logs.Lock()
	defer logs.Unlock()
	log := &await.Text{}
	logs.all = append(logs.all, log)
	return log
}

// checkLogs returns an error if any log has a secret in it.
func checkLogs() error {
	logs.Lock()
	defer logs.Unlock()
	for _, log := range logs.all {
		if err := reveals(log.String(), etcdPassword); err != nil {
			return err
		}
	}
	return nil
}

// reveals returns an error if a log has a credential, the payload or another secret in it.
func reveals(log string, secrets ...string) error {
	for _, secret := range append(secrets, payload) {
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))[:len(secret)/3*4], fmt.Sprintf("%x", secret)} {
			if before, after, found := strings.Cut(log, form); found {
				return fmt.Errorf("a log has %q: …%.300s%s%.100s…", secret, before[max(0, len(before)-300):], form, after)
			}
		}
	}
	if at := credential.FindStringIndex(log); at != nil {
		return fmt.Errorf("a log has a credential: %.400s", log[max(0, at[0]-200):])
	}
	return nil
}

// A server that logs all it can says nothing of what it is told in confidence.
func TestLogsHaveNoSecrets(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]func(*testing.T) []string{
		"embedded etcd": func(*testing.T) []string { return []string{"--log-level", "debug"} },
		"external etcd": func(t *testing.T) []string {
			t.Helper()
			return startEtcd(t, 1, false).options(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := ownServer(t, options(t)...)
			secrets := []string{etcdPassword}
			_, secret, _ := strings.Cut(useLocks(t, s), ".")
			secrets = append(secrets, secret)
			useCoursework(t, s)
			must(t, command(t, s.addr, "sh", "-c", dlmPath+" lock shell sh -c 'echo "+payload+" | "+dlmPath+" append shell f'"))
			if err := s.stop(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
			log := s.log.String()
			if err := reveals(log, secrets...); err != nil {
				t.Error(err)
			}
			if !strings.Contains(log, `"DEBUG"`) && !strings.Contains(log, `"debug"`) {
				t.Errorf("that was no log at level debug:\n%.1000s", log)
			}
		})
	}
}

// useLocks has a server do all that has to do with secrets, and returns a credential that was used.
func useLocks(t *testing.T, s *server) string {
	t.Helper()
	c, err := client.New(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx := t.Context()
	for _, end := range []func(*client.Lock) error{
		func(l *client.Lock) error { return l.Unlock(ctx) },
		func(l *client.Lock) error { return l.Discard(ctx) },
		func(l *client.Lock) error { return l.Commit(ctx) },
		func(l *client.Lock) error { _, err := c.Evict(ctx, l.Name(), l.Token(), "to see it"); return err },
	} {
		l, err := c.Lock(ctx, "secrets")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Append(ctx, "f", []byte(payload)); err != nil {
			t.Fatal(err)
		}
		if err := end(l); err != nil {
			t.Fatal(err)
		}
		_ = l.Discard(ctx)
	}
	if text, err := c.Read(ctx, "secrets", "f"); err != nil || !strings.Contains(string(text), payload) {
		t.Fatalf("read: %q, %v", text, err)
	}
	l, err := c.Lock(ctx, "secrets")
	if err != nil {
		t.Fatal(err)
	}
	forged := l.Credential()[:17] + strings.Repeat("0", 32)
	api := dlmv1.NewLockServiceClient(dialed(t, s))
	for _, session := range []string{forged, l.Credential() + "0", l.Credential()} {
		_, _ = api.Append(ctx, &dlmv1.AppendRequest{Session: session, Lock: "secrets", Token: 1, Request: "a1", File: "f", Data: []byte(payload)})
		_, _ = api.Release(ctx, &dlmv1.ReleaseRequest{Session: session, Lock: "secrets", Token: 1})
	}
	_, _ = api.Close(ctx, &dlmv1.CloseRequest{Session: forged})
	if err := c.EndSession(ctx, l.Credential()); err != nil {
		t.Fatal(err)
	}
	return l.Credential()
}

func useCoursework(t *testing.T, s *server) {
	t.Helper()
	api := pb.NewLockServiceClient(dialed(t, s))
	id, err := api.ClientInit(t.Context(), &pb.Int{})
	if err != nil {
		t.Fatal(err)
	}
	_, acquired := api.LockAcquire(t.Context(), &pb.LockArgs{ClientId: id.GetRc(), RequestId: "1"})
	_, appended := api.FileAppend(t.Context(), &pb.FileArgs{
		ClientId: id.GetRc(), RequestId: "2", Filename: "file_1", Content: []byte(payload),
	})
	_, released := api.LockRelease(t.Context(), &pb.LockArgs{ClientId: id.GetRc(), RequestId: "3"})
	_, closed := api.ClientClose(t.Context(), &pb.Int{Rc: id.GetRc()})
	for _, err := range []error{acquired, appended, released, closed} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func dialed(t *testing.T, s *server) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(s.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Somebody who does the same wrong thing again and again does not fill the disk with it: the log
// says how often it was.
func TestRepeatedWarningsAreCounted(t *testing.T) {
	t.Parallel()
	s := ownServer(t, "--log-format", "json")
	api := dlmv1.NewLockServiceClient(dialed(t, s))
	const calls = 5000
	var calling sync.WaitGroup
	for range 10 {
		calling.Go(func() {
			for range calls / 10 {
				_, _ = api.Heartbeat(t.Context(), &dlmv1.HeartbeatRequest{Session: "0123456789abcdef." + strings.Repeat("0", 32)})
			}
		})
	}
	calling.Wait()
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	lines, left := 0, 0
	for line := range strings.Lines(s.log.String()) {
		var n int
		switch {
		case strings.Contains(line, damp.Left):
			if _, err := fmt.Sscanf(line[strings.Index(line, `"lines":`):], `"lines":%d`, &n); err != nil {
				t.Errorf("%v: %s", err, line)
			}
			left += n
		case strings.Contains(line, `"code":"SESSION_EXPIRED"`):
			lines++
		}
	}
	t.Logf("%d lines, %d left out", lines, left)
	if lines < damp.Burst || lines+left != calls || left < calls/4 {
		t.Errorf("%d lines and %d left out; want %d in all, and few lines", lines, left, calls)
	}
}

// What a server keeps is nobody else's: not its directories, nor the files in them.
func TestDataIsNobodyElses(t *testing.T) {
	t.Parallel()
	s, err := startServer("127.0.0.1:0", filepath.Join(t.TempDir(), "made", "by", "it"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill() })
	must(t, command(t, s.addr, dlmPath, "append", "a", "f", "text"))
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	err = filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A password that everybody may read is told, one that everybody may write is refused.
func TestSecretsThatLieOpen(t *testing.T) {
	t.Parallel()
	file := passwordFile(t, "secret enough")
	options := []string{"--etcd-endpoints", "127.0.0.1:1", "--etcd-timeout", "100ms", "--etcd-username", "u", "--etcd-password-file", file}
	check := func(mode os.FileMode, code int, want string) {
		t.Helper()
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		r := run(t, dlm(t, append([]string{"config", "check"}, options...)...))
		if r.code != code || (want == "") != (r.err == "") || !strings.Contains(r.err, want) {
			t.Errorf("config check with mode %v: exit code %d: %s", mode, r.code, r.err)
		}
		if r := run(t, dlm(t, append([]string{"server", "--listen", "127.0.0.1:0"}, options...)...)); !strings.Contains(r.err, want) || r.code == 0 {
			t.Errorf("server with mode %v: exit code %d: %s", mode, r.code, r.err)
		}
	}
	check(0o600, 0, "")
	check(0o644, 0, "everybody on this machine may read it")
	check(0o666, 78, "everybody may write to it")

	r := run(t, dlm(t, "config", "print", "--etcd-endpoints", "root:secret-enough@127.0.0.1:1"))
	if r.code != 78 || strings.Contains(r.out+r.err, "secret-enough") {
		t.Errorf("config print: exit code %d: %s%s", r.code, r.out, r.err)
	}
}
