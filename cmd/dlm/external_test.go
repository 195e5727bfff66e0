package main_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A holder and a waiter notice nothing but pauses while the login at etcd expires, its leader is
// killed, and all of it is restarted.
func TestExternalClusterWithTLSAndUser(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t, 3, true)
	options := etcd.options(t)
	s, err := startServer("127.0.0.1:0", filepath.Join(t.TempDir(), "unused"), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		if t.Failed() {
			t.Log(s.log)
		}
	})

	cmd := command(t, s.addr, dlmPath, "lock", "--ttl", "20s", "--connect-timeout", "20s", "long", "sh", "-c",
		`echo "held with $DLM_SESSION"; while read step; do dlm append --connect-timeout 20s long file "$step" && echo "did $step"; done`)
	steps, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	holder := start(t, cmd)
	holder.says(t, "\n")
	_, secret, _ := strings.Cut(strings.TrimSpace(holder.out.String()), ".") // The credential's first half is no secret.
	waiter := start(t, command(t, s.addr, dlmPath, "append", "--connect-timeout", "20s", "long", "file", "waiter"))
	waiter.says(t, "waiting for")
	step := func(name string) {
		t.Helper()
		before := time.Now()
		if _, err := steps.Write([]byte(name + "\n")); err != nil {
			t.Fatal(err)
		}
		holder.says(t, "did "+name)
		t.Logf("%s took %v", name, time.Since(before).Round(time.Millisecond))
	}
	step("fresh")

	// Nothing is waited for: a login that is not used ends by the clock.
	<-time.After(2 * etcdTokenTTL * time.Second)
	step("expired-login")

	leader := etcd.leader(t)
	etcd.stop(t, leader, syscall.SIGKILL)
	step("leader-killed")
	etcd.start(t, leader)
	for i := range etcd.members {
		etcd.stop(t, i, syscall.SIGTERM)
		etcd.start(t, i)
		step("restarted-" + string(rune('0'+i)))
	}
	for i := range etcd.members {
		etcd.stop(t, i, syscall.SIGKILL)
	}
	for i := range etcd.members {
		etcd.start(t, i)
	}
	step("all-restarted")

	steps.Close()
	if a, b := holder.wait(t), waiter.wait(t); a != 0 || b != 0 {
		t.Errorf("exit codes %d and %d\n%s\n%s", a, b, holder.err, waiter.err)
	}
	got := must(t, command(t, s.addr, dlmPath, "cat", "long", "file"))
	const want = "fresh\nexpired-login\nleader-killed\nrestarted-0\nrestarted-1\nrestarted-2\nall-restarted\nwaiter\n"
	if got != want {
		t.Errorf("read %q, want %q", got, want)
	}
	for _, wrong := range []struct{ flag, value, says string }{
		{"--etcd-password-file", etcd.certificates.ca, "authentication failed"},
		{"--etcd-tls-ca", newCertificates(t).ca, "certificate"},
		{"--etcd-prefix", "/others/", "permission denied"},
	} {
		args := append([]string{"server", "--listen", "127.0.0.1:0"}, options...)
		r := run(t, command(t, "", dlmPath, append(args, wrong.flag, wrong.value)...))
		if r.code != 69 || !strings.Contains(r.err, "dlm: etcd at ") || !strings.Contains(r.err, wrong.says) {
			t.Errorf("with a wrong %s: exit code %d, want 69 and %q\n%s", wrong.flag, r.code, wrong.says, r.err)
		}
	}
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("server: %v\n%s", err, s.log)
	}
	if strings.Contains(s.log.String(), `"code":"INTERNAL"`) {
		t.Error("a call failed for good")
	}
	// The user may not read whether there is a prefix around its own.
	if n := strings.Count(s.log.String(), "may not be read"); n != 1 {
		t.Errorf("%d lines say that the surroundings may not be read, want 1", n)
	}
	for _, secret := range []string{etcdPassword, secret} {
		if secret == "" || strings.Contains(s.log.String(), secret) {
			t.Errorf("the log tells the secret %q", secret)
		}
	}
}

// The password of a server's user is changed at etcd, and then in its file: the server logs in with
// the new one by itself. While its file is wrong it says why it cannot serve.
func TestRotatedPassword(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t, 1, false)
	options := etcd.options(t)
	file := options[slices.Index(options, "--etcd-password-file")+1]
	s := ownServer(t, options...)
	root := etcd.client(t, "root", "root")
	rotate := func(password string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if _, err := root.UserChangePassword(ctx, etcdUser, password); err != nil {
			t.Fatal(err)
		}
	}
	serves := func(after string) {
		t.Helper()
		eventually(t, "the server after "+after, func() bool {
			return run(t, command(t, s.addr, dlmPath, "append", "rotated", "file", after)).code == 0
		})
	}
	rotate("etcd knows it first")
	eventually(t, "the cause in the log", func() bool { return strings.Contains(s.log.String(), "authentication failed") })
	if err := os.WriteFile(file, []byte("etcd knows it first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	serves("etcd")
	// The file first, which is what makes no outage.
	if err := os.WriteFile(file, []byte("the file knows it first"), 0o600); err != nil {
		t.Fatal(err)
	}
	<-time.After(2 * etcdTokenTTL * time.Second) // the login has ended by the clock
	serves("file")
	rotate("the file knows it first")
	serves("both")
	if err := os.Remove(file); err != nil { // as for a moment while it is replaced
		t.Fatal(err)
	}
	<-time.After(2 * etcdTokenTTL * time.Second)
	serves("none")
	if log := s.log.String(); strings.Contains(log, "knows it first") {
		t.Error("the log tells the password")
	}
}

// All certificates are replaced, the authority's too: the server connects with the new ones.
func TestRotatedCertificates(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t, 1, true)
	s := ownServer(t, etcd.options(t)...)
	etcd.stop(t, 0, syscall.SIGTERM)
	old, fresh := etcd.certificates, newCertificates(t)
	for from, to := range map[string]string{fresh.ca: old.ca, fresh.cert: old.cert, fresh.key: old.key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	etcd.start(t, 0)
	eventually(t, "the server with new certificates", func() bool {
		return run(t, command(t, s.addr, dlmPath, "append", "rotated", "file", "text")).code == 0
	})
}
