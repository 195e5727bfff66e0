package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
)

// secured is a server that speaks TLS, and the files of a client whom it lets use the lock "jobs".
type secured struct {
	*server
	authority     *certstest.Authority
	config        string // the server's
	policy        string
	ca, cert, key string
}

const rules = "rules:\n  - {identity: cn:worker, locks: [jobs], allow: [acquire, append, read, inspect]}\n  - {identity: cn:worker, locks: [dark], allow: [acquire]}\n"

func startSecured(t *testing.T, args ...string) *secured {
	t.Helper()
	dir := t.TempDir()
	s := &secured{authority: certstest.New(t), config: filepath.Join(dir, "dlm.yaml")}
	s.ca = s.authority.WriteTo(t, dir)
	s.cert, s.key = s.authority.Issue(t, certstest.Spec{CN: "worker"}).WriteTo(t, dir)
	own := s.authority.Issue(t, certstest.Spec{DNS: []string{"localhost", "dlm.invalid"}, IPs: []string{"127.0.0.1"}})
	if err := os.Mkdir(filepath.Join(dir, "server"), 0o700); err != nil {
		t.Fatal(err)
	}
	cert, key := own.WriteTo(t, filepath.Join(dir, "server"))
	s.policy = certstest.Write(t, filepath.Join(dir, "policy.yaml"), []byte(rules))
	certstest.Write(t, s.config, fmt.Appendf(nil, "tls: {cert: %q, key: %q, client-ca: %q}\nauth: {identity: cn, policy: %q}\n",
		cert, key, s.ca, s.policy))
	s.server = ownServer(t, append([]string{"--config", s.config}, args...)...)
	return s
}

// bare is a command that trusts the server and shows it nothing.
func (s *secured) bare(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := command(t, s.addr, dlmPath, args...)
	cmd.Env = append(cmd.Env, "DLM_CLIENT_CA="+s.ca)
	return cmd
}

// known is a command that the server lets in.
func (s *secured) known(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := s.bare(t, args...)
	cmd.Env = append(cmd.Env, "DLM_CLIENT_CERT="+s.cert, "DLM_CLIENT_KEY="+s.key)
	return cmd
}

// The right to acquire is enough to run a command under a lock. Who is in the way of it is not told
// then, nor that nobody is.
func TestRightToAcquireAlone(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	if r := run(t, s.known(t, "lock", "dark", "sh", "-c", "exit 3")); r.code != 3 || r.err != "" {
		t.Errorf("exit code %d, want the command's, 3\n%s", r.code, r.err)
	}
	r := run(t, s.known(t, "lock", "dark", "sh", "-c", `"$0" append dark f x; exit $?`, dlmPath))
	if r.code != 77 {
		t.Errorf("to append under it: exit code %d, want 77\n%s", r.code, r.err)
	}
	for flag, want := range map[string]string{"-n": "nobody that may be seen holds it", "-w=3s": "who holds it may not be seen"} {
		// The inner one is no part of the hold: a new session, by an environment without it.
		inner := fmt.Sprintf("env -u DLM_LOCK -u DLM_TOKEN -u DLM_SESSION -u DLM_HELD -u DLM_HOLDS %q lock %s dark true", dlmPath, flag)
		if r := run(t, s.known(t, "lock", "dark", "sh", "-c", inner)); r.code != 75 || !strings.Contains(r.err, want) {
			t.Errorf("%s: exit code %d, want 75, and that %s\n%s", flag, r.code, want, r.err)
		}
	}
}

// Whoever is not known, or not allowed to, is told so at once, and what to do.
func TestRefusedCommandSaysWhy(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	must(t, s.known(t, "lock", "jobs", "sh", "-c", `echo x | "$0" append jobs f`, dlmPath))
	for _, args := range [][]string{
		{"lock", "jobs", "true"},
		{"append", "jobs", "f", "x"},
		{"cat", "jobs", "f"},
		{"tail", "jobs", "f"},
		{"ls"},
		{"status"},
		{"status", "jobs"},
		{"status", "--problems"},
		{"status", "--cluster"},
		{"watch"},
		{"evict", "--reason", "test", "jobs"},
		{"repair"},
	} {
		began := time.Now()
		if r := run(t, s.bare(t, args...)); r.code != 77 || !strings.Contains(r.err, "unauthenticated: ") || !strings.Contains(r.err, "--cert and --key") {
			t.Errorf("%q, not known: exit code %d, want 77 and what to do\n%s", args, r.code, r.err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%q was told after %v", args, took)
		}
	}
	for _, args := range [][]string{
		{"lock", "other", "true"},
		{"append", "other", "f", "x"},
		{"status", "--cluster"},
		{"repair"},
	} {
		if r := run(t, s.known(t, args...)); r.code != 77 || !strings.Contains(r.err, "permission denied: ") {
			t.Errorf("%q, not allowed: exit code %d, want 77 and why\n%s", args, r.code, r.err)
		}
	}
	if got := must(t, s.known(t, "cat", "jobs", "f")); got != "x\n" {
		t.Errorf("read %q", got)
	}
}

// Who has forgotten TLS on one side is told so.
func TestPlainTextAndTLSAreToldApart(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	for _, args := range [][]string{{"lock", "--connect-timeout", "500ms", "jobs", "true"}, {"health", "--connect-timeout", "500ms"}} {
		for want, cmd := range map[string]*exec.Cmd{
			"this client speaks plain text": command(t, s.addr, dlmPath, args...),
			"the server speaks plain text":  command(t, endpoint, dlmPath, append(args[:1:1], append([]string{"--tls"}, args[1:]...)...)...),
			"not from an authority":         command(t, s.addr, dlmPath, append(args[:1:1], append([]string{"--ca", certstest.New(t).WriteTo(t, t.TempDir())}, args[1:]...)...)...),
		} {
			if r := run(t, cmd); r.code != 69 || !strings.Contains(r.out+r.err, want) {
				t.Errorf("%q: exit code %d, want 69 and %q\n%s%s", cmd.Args, r.code, want, r.out, r.err)
			}
		}
	}
}

// What runs under a lock reaches the servers as the lock's own command does, from any directory.
func TestIdentityIsInherited(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	cmd := command(t, s.addr, dlmPath, "lock", "--ca", "ca.pem", "--cert", "cert.pem", "--key", "key.pem", "jobs",
		"sh", "-c", `cd / && echo inside | "$0" append jobs inherited && env | grep ^DLM_CLIENT`, dlmPath)
	cmd.Dir = filepath.Dir(s.cert)
	got := must(t, cmd)
	for _, want := range []string{"TLS=true", "CA=" + s.ca, "CERT=" + s.cert, "KEY=" + s.key} {
		if !strings.Contains(got, "DLM_CLIENT_"+want+"\n") {
			t.Errorf("the environment has not %q:\n%s", want, got)
		}
	}
	if got := must(t, s.known(t, "cat", "jobs", "inherited")); got != "inside\n" {
		t.Errorf("read %q", got)
	}
}

// The flags come before the environment.
func TestIdentityOfFlagsAndEnvironment(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	with := func(cmd *exec.Cmd, env ...string) *exec.Cmd {
		cmd.Env = append(cmd.Env, env...)
		return cmd
	}
	for name, test := range map[string]struct {
		cmd  *exec.Cmd
		code int
		says string
	}{
		"another's certificate, and a flag":   {with(s.known(t, "cat", "--cert", s.cert, "--key", s.key, "jobs", "f"), "DLM_CLIENT_CERT=/none"), 1, "file not found"},
		"a certificate that is none":          {with(s.known(t, "ls"), "DLM_CLIENT_CERT=/none"), 64, "/none"},
		"no authorities":                      {s.known(t, "ls", "--ca", "/none"), 64, "/none"},
		"a certificate without a key":         {s.bare(t, "ls", "--cert", s.cert), 64, "both --cert and --key"},
		"a key without a certificate":         {with(s.bare(t, "ls"), "DLM_CLIENT_KEY="+s.key), 64, "both --cert and --key"},
		"TLS that is neither true nor false":  {with(s.known(t, "ls"), "DLM_CLIENT_TLS=perhaps"), 64, "DLM_CLIENT_TLS"},
		"no TLS by a variable":                {with(s.known(t, "ls", "--connect-timeout", "500ms"), "DLM_CLIENT_TLS=false"), 69, "plain text"},
		"no TLS by a variable, and a flag":    {with(s.known(t, "ls", "--ca", s.ca), "DLM_CLIENT_TLS=false"), 0, ""},
		"no TLS by a flag":                    {with(s.known(t, "ls", "--tls=false", "--connect-timeout", "500ms"), "DLM_CLIENT_TLS=true"), 69, "plain text"},
		"flags for and against":               {s.known(t, "ls", "--tls=false", "--ca", s.ca), 64, "--tls=false"},
		"no token":                            {s.bare(t, "ls", "--bearer-file", "/none"), 77, "/none"},
		"no token, by a variable":             {with(s.bare(t, "ls"), "DLM_BEARER_FILE=/none"), 77, "/none"},
		"a token in plain text":               {dlm(t, "ls", "--endpoints", "dlm.invalid:1", "--bearer-file", s.ca), 64, "without TLS"},
		"a proxy in plain text":               {dlm(t, "ls", "--proxy"), 64, "without TLS"},
		"a proxy, and a file that is no good": {dlm(t, "ls", "--proxy", "--ca", "/none"), 64, "/none"},
	} {
		r := run(t, test.cmd)
		if r.code != test.code || !strings.Contains(r.err, test.says) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s", name, r.code, test.code, test.says, r.err)
		}
		if name == "a proxy, and a file that is no good" && strings.Contains(r.err, "without TLS") {
			t.Errorf("%s: what is no fault is told\n%s", name, r.err)
		}
	}
}

// The health of a server that speaks TLS is asked for by its own configuration, without a
// certificate, and by nobody's name: it is known by its key.
func TestHealthOverTLS(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	ask := func(args ...string) *exec.Cmd {
		cmd := command(t, "127.0.0.1:2", dlmPath, append([]string{"health", "--config", s.config, "--connect-timeout", "2s"}, args...)...)
		cmd.Env = append(cmd.Env, "DLM_LISTEN="+s.addr)
		return cmd
	}
	want := s.addr + " SERVING\n"
	if got := must(t, ask()); got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	if got := must(t, ask("--ca", s.ca)); got != want {
		t.Errorf("with --ca: printed %q, want %q", got, want)
	}
	if got := must(t, s.bare(t, "health")); got != want {
		t.Errorf("by its address: printed %q, want %q", got, want)
	}
	if r := run(t, ask("--ca", certstest.New(t).WriteTo(t, t.TempDir()))); r.code != 69 || !strings.Contains(r.out, "authority") {
		t.Errorf("with another authority: exit code %d, want 69 and why; printed %q", r.code, r.out)
	}
	other := s.authority.Issue(t, certstest.Spec{IPs: []string{"127.0.0.1"}})
	cert, key := other.WriteTo(t, t.TempDir())
	elsewhere := ask()
	elsewhere.Env = append(elsewhere.Env, "DLM_TLS_CERT="+cert, "DLM_TLS_KEY="+key)
	if r := run(t, elsewhere); r.code != 69 || !strings.Contains(r.out, "another key") {
		t.Errorf("of a server with another key: exit code %d, want 69 and why; printed %q", r.code, r.out)
	}
}

// A command holds its lock for longer than any certificate is good, and does not notice.
func TestLockOutlastsItsCertificate(t *testing.T) {
	t.Parallel()
	const life, every, all = 4 * time.Second, time.Second, 9 * time.Second
	s := startSecured(t)
	dir := filepath.Dir(s.cert)
	rotate := func() {
		s.authority.Issue(t, certstest.Spec{CN: "worker", NotAfter: time.Now().Add(life)}).WriteTo(t, dir)
	}
	rotate()
	holder := s.known(t, "lock", "jobs", "sh", "-c", `echo held; cat; echo inside | "$0" append jobs f`, dlmPath)
	going, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	held := start(t, holder)
	held.says(t, "held")
	tick := time.NewTicker(every)
	defer tick.Stop()
	for over := time.Now().Add(all); time.Now().Before(over); rotate() {
		<-tick.C
	}
	going.Close()
	if code := held.wait(t); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if got := must(t, s.known(t, "cat", "jobs", "f")); got != "inside\n" {
		t.Errorf("read %q", got)
	}
}

// A holder whose identity is revoked is ended when its lease says so, and told why.
func TestRevokedHolderIsEnded(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	held := start(t, s.known(t, "lock", "--ttl", "4s", "jobs", "sh", "-c", `echo held; exec sleep 60`))
	held.says(t, "held")
	began := time.Now()
	certstest.Write(t, s.policy, []byte(rules+"revoked:\n  - {identity: cn:worker}\n"))
	if code := held.wait(t); code != 70 || !strings.Contains(held.err.String(), "revoked") {
		t.Errorf("exit code %d, want 70 and why\n%s", code, held.err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it was ended after %v", took)
	}
	if r := run(t, s.known(t, "ls")); r.code != 77 || !strings.Contains(r.err, "revoked") {
		t.Errorf("exit code %d, want 77 and why\n%s", r.code, r.err)
	}
}
