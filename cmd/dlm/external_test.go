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
	clusterStatus(t, s.addr).wantMembers(t, 3, "2147483648") // as much as the user may know

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

// All certificates are replaced, the authority's too: the server connects with the new ones, and
// goes on with those when its files are gone.
func TestRotatedCertificates(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t, 1, true)
	theirs := etcd.certificates
	replace := func(old, fresh certificates) {
		t.Helper()
		for from, to := range map[string]string{fresh.ca: old.ca, fresh.cert: old.cert, fresh.key: old.key} {
			text, err := os.ReadFile(from)
			if err == nil {
				err = os.WriteFile(to, text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	ours := newCertificates(t)
	replace(ours, theirs)
	etcd.certificates = ours
	s := ownServer(t, etcd.options(t)...)
	restarted := func(what string) {
		t.Helper()
		etcd.stop(t, 0, syscall.SIGKILL)
		etcd.start(t, 0)
		eventually(t, "the server "+what, func() bool {
			return run(t, command(t, s.addr, dlmPath, "append", "rotated", "file", "text")).code == 0
		})
	}
	fresh := newCertificates(t)
	replace(theirs, fresh)
	replace(ours, fresh)
	restarted("with new certificates")
	for _, file := range []string{ours.ca, ours.cert, ours.key} {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	restarted("without its files")
	if !strings.Contains(s.log.String(), "a file for etcd cannot be used") {
		t.Error("the log does not say that files are gone")
	}
}

// An etcd that cannot be used is refused with the cause in words, and the log has it at once.
func TestExternalEtcdThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	protected, plain := startEtcd(t, 1, true), startEtcd(t, 1, false)
	c, other := protected.certificates, newCertificates(t)
	withTLS := []string{"--etcd-endpoints", protected.endpoints[0], "--etcd-tls-cert", c.cert, "--etcd-tls-key", c.key}
	login := []string{"--etcd-username", etcdUser, "--etcd-password-file", passwordFile(t, etcdPassword), "--etcd-prefix", etcdPrefix}
	address := func(endpoint string) string { return endpoint[strings.LastIndex(endpoint, "/")+1:] }
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"authority":      {append(withTLS, "--etcd-tls-ca", other.ca), "its certificate is not trusted"},
		"no certificate": {[]string{"--etcd-endpoints", protected.endpoints[0], "--etcd-tls-ca", c.ca}, "certificate of this server"},
		"other's":        {[]string{"--etcd-endpoints", protected.endpoints[0], "--etcd-tls-ca", c.ca, "--etcd-tls-cert", other.cert, "--etcd-tls-key", other.key}, "certificate of this server"},
		"plain to TLS":   {[]string{"--etcd-endpoints", address(protected.endpoints[0])}, "does it want TLS"},
		"TLS to plain":   {[]string{"--etcd-endpoints", "https://" + address(plain.endpoints[0])}, "it does not speak TLS"},
		"refused":        {[]string{"--etcd-endpoints", "127.0.0.1:1"}, "nothing listens there"},
		"name":           {[]string{"--etcd-endpoints", "no-such-host.invalid:2379"}, "its name cannot be resolved"},
		"peer port":      {[]string{"--etcd-endpoints", address(plain.args[0][slices.Index(plain.args[0], "--listen-peer-urls")+1])}, "is this etcd's client port"},
		"no user":        {[]string{"--etcd-endpoints", plain.endpoints[0], "--etcd-prefix", etcdPrefix}, "it wants a user"},
		"password":       {[]string{"--etcd-endpoints", plain.endpoints[0], "--etcd-username", etcdUser, "--etcd-password-file", passwordFile(t, "no")}, "it refuses the user or the password"},
		"permission":     {append(login, "--etcd-endpoints", plain.endpoints[0], "--etcd-prefix", "/others/"), "the user needs the right to read and write /others/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"server", "--listen", "127.0.0.1:0", "--etcd-timeout", "3s"}, test.args...)
			r := run(t, command(t, "", dlmPath, args...))
			last := r.err[strings.LastIndex(strings.TrimSpace(r.err), "\n")+1:]
			if r.code != 69 || !strings.HasPrefix(last, "dlm: etcd at ") || !strings.Contains(last, test.says) || strings.Contains(last, "no quorum") {
				t.Errorf("exit code %d, want 69 and %q\n%s", r.code, test.says, r.err)
			}
			if name == "refused" && strings.Count(r.err, "cannot be used yet") != 1 {
				t.Errorf("the log does not say once what is waited for:\n%s", r.err)
			}
		})
	}
}

// An etcd that is not there yet, or not any more, is complained of at once, with the cause.
func TestExternalEtcdComesAndGoes(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t, 1, false)
	etcd.stop(t, 0, syscall.SIGTERM)
	s := start(t, command(t, "", dlmPath, append([]string{"server", "--listen", "127.0.0.1:0", "--etcd-timeout", "1m"}, etcd.options(t)...)...))
	s.says(t, "nothing listens there")
	etcd.start(t, 0)
	s.says(t, "dlm is ready on")
	etcd.stop(t, 0, syscall.SIGKILL)
	eventually(t, "the cause in the log", func() bool {
		_, after, found := strings.Cut(s.err.String(), `"msg":"no quorum"`)
		return found && strings.Contains(after, "nothing listens there")
	})
}
