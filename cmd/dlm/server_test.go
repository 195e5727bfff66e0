package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/config"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

func TestServerSaysWhatToTryNext(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	if r := run(t, command(t, "", dlmPath, "lock", "--endpoints", s.addr, "demo", "--", "echo", "hello")); r.out != "hello\n" {
		t.Errorf("the suggested command: exit code %d, printed %q\n%s", r.code, r.out, r.err)
	}
}

// The log begins with what this server is and what it was told, but for secrets, and says how far
// etcd is. Nothing is complained of in a start and a stop.
func TestServerSaysWhatItIs(t *testing.T) {
	t.Parallel()
	s := ownServer(t, "--coursework-ttl", "7s")
	must(t, command(t, s.addr, dlmPath, "append", "begun", "file", "text"))
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Fatalf("server: %v\n%s", err, s.log)
	}
	lines := strings.Split(strings.TrimSpace(s.log.String()), "\n")
	if len(lines) != 4 || strings.Count(s.log.String(), `"level":"info"`) != 4 {
		t.Fatalf("a quiet start and stop log:\n%s", s.log)
	}
	for i, parts := range [][]string{
		{`"msg":"starting"`, `"version":"`, `"coursework.ttl":"7s"`, `"cluster.quota":"4GiB"`, `"data-dir":` + strconv.Quote(s.dir)},
		{`"msg":"whoever is on this machine may do everything with every lock: nobody is asked who they are"`},
		{`"msg":"ready"`, `"listen":` + strconv.Quote(s.addr), `"cluster":"`, `"etcd_cluster":"`, `"member":"`, `"data_dir":` + strconv.Quote(s.dir), `"revision":`},
		{`"msg":"stopping"`},
	} {
		for _, part := range parts {
			if !strings.Contains(lines[i], part) {
				t.Errorf("line %d does not say %s:\n%s", i+1, part, lines[i])
			}
		}
	}
}

func TestSecondServerOnTheSameData(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	before := time.Now()
	r := run(t, command(t, "", dlmPath, "server", "--listen", "127.0.0.1:0", "--data-dir", s.dir))
	if r.code != 73 || !strings.Contains(r.err, "in use") {
		t.Errorf("exit code %d, want 73\n%s", r.code, r.err)
	}
	if took := time.Since(before); took > 5*time.Second {
		t.Errorf("it took %v to say so", took)
	}
}

func TestServerStops(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := ownServer(t)
			// Calls that would last for ever.
			start(t, command(t, s.addr, dlmPath, "lock", "held", "echo", "held")).says(t, "held")
			start(t, command(t, s.addr, dlmPath, "lock", "held", "sh", "-c", "echo held; exec sleep 60")).says(t, "held")
			start(t, command(t, s.addr, dlmPath, "watch")).says(t, "is granted")
			start(t, command(t, s.addr, dlmPath, "lock", "held", "true")).says(t, "waiting for")
			if err := s.stop(sig); err != nil {
				t.Errorf("server: %v\n%s", err, s.log)
			}
		})
	}
}

func TestSecondSignalStopsAtOnce(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first signal", func() bool { return strings.Contains(s.log.String(), "stopping") })
	// It may also be done before the second one.
	_ = s.stop(syscall.SIGINT)
}

// A server that stops keeps what it holds: the holder and the waiter notice nothing but a pause.
func TestRestartedServerKeepsHolderAndQueue(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	cmd := command(t, s.addr, dlmPath, "lock", "kept", "sh", "-c", "dlm append kept file one; echo held; read x; dlm append kept file two")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	holder := start(t, cmd)
	holder.says(t, "held")
	waiter := start(t, command(t, s.addr, dlmPath, "append", "kept", "file", "three"))
	waiter.says(t, "waiting for")
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Fatalf("server: %v\n%s", err, s.log)
	}
	again, err := startServer(s.addr, s.dir)
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
	if a, b := holder.wait(t), waiter.wait(t); a != 0 || b != 0 {
		t.Errorf("exit codes %d and %d\n%s\n%s", a, b, holder.err, waiter.err)
	}
	if got := must(t, command(t, s.addr, dlmPath, "cat", "kept", "file")); got != "one\ntwo\nthree\n" {
		t.Errorf("read %q", got)
	}
	if err := again.stop(syscall.SIGTERM); err != nil {
		t.Errorf("server: %v\n%s", err, again.log)
	}
}

// A holder rides an outage out, but not past its lease: its command is gone before the lock could
// pass on.
func TestHolderWithoutAServer(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	b := start(t, command(t, s.addr, dlmPath, "lock", "--ttl", "2s", "--connect-timeout", "500ms", "outage",
		"sh", "-c", `trap "" TERM; echo $$; while :; do sleep 0.01; done`))
	eventually(t, "the process id", func() bool { return strings.Contains(b.out.String(), "\n") })
	pid, err := strconv.Atoi(strings.TrimSpace(b.out.String()))
	if err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	_ = s.stop(syscall.SIGKILL)
	code := b.wait(t)
	if took := time.Since(killed); code != 70 || took < 500*time.Millisecond || took > 10*time.Second {
		t.Errorf("exit code %d after %v, want 70 within the TTL of 2 s\n%s", code, took, b.err)
	}
	if alive(pid) {
		t.Error("the command still runs")
	}
}

func TestExplicitAddressIsWarnedAbout(t *testing.T) {
	t.Parallel()
	_, port, _ := strings.Cut(storetest.FreeAddr(t), ":")
	s, err := startServer("0.0.0.0:0", t.TempDir(), "--insecure=true", "--cluster-members", "dlm=127.0.0.1:"+port, "--cluster-peer-listen", ":"+port)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if n := strings.Count(s.log.String(), "without TLS"); n != 1 {
		t.Errorf("warned %d times, want once:\n%s", n, s.log)
	}
	if n := strings.Count(s.log.String(), "without cluster.tls"); n != 1 {
		t.Errorf("warned of peers %d times, want once:\n%s", n, s.log)
	}
}

func TestExternalEtcdUnreachable(t *testing.T) {
	t.Parallel()
	r := run(t, command(t, "", dlmPath, "server", "--listen", "127.0.0.1:0",
		"--etcd-endpoints", "127.0.0.1:1", "--etcd-timeout", "500ms"))
	if r.code != 69 || !strings.Contains(r.err, "etcd at 127.0.0.1:1") || !strings.Contains(r.err, "connection refused") {
		t.Errorf("exit code %d, want 69\n%s", r.code, r.err)
	}
}

// A server with a client port stands in for the external etcd.
func TestExternalEtcd(t *testing.T) {
	t.Parallel()
	port := storetest.FreeAddr(t)
	ownServer(t, "--cluster-client-listen", port)
	s, err := startServer("127.0.0.1:0", filepath.Join(t.TempDir(), "unused"), "--etcd-endpoints", port, "--etcd-prefix", "/other/")
	if err != nil {
		t.Fatal(err)
	}
	must(t, command(t, s.addr, dlmPath, "append", "external", "file", "text"))
	if got := must(t, command(t, s.addr, dlmPath, "cat", "external", "file")); got != "text\n" {
		t.Errorf("read %q", got)
	}
	if _, err := os.Stat(s.dir); err == nil {
		t.Error("it made a data directory")
	}
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("server: %v\n%s", err, s.log)
	}
	if out := must(t, command(t, "", dlmPath, "member", "list", "--etcd-endpoints", port)); !strings.Contains(out, "PEER ADDRESS") {
		t.Errorf("member list: %s", out)
	}
	if r := run(t, command(t, "", dlmPath, "member", "remove", "nobody", "--etcd-endpoints", port)); r.code != 1 {
		t.Errorf("member remove nobody: exit code %d\n%s", r.code, r.err)
	}
	if r := run(t, command(t, "", dlmPath, "member", "list", "--etcd-endpoints", "127.0.0.1:1", "--timeout", "300ms")); r.code != 69 {
		t.Errorf("member list of nobody: exit code %d, want 69\n%s", r.code, r.err)
	}
}

func TestConfigFaultsAllAtOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "dlm.yaml")
	if err := os.WriteFile(file, []byte("listn: x\ndrain: 5\nlog: {level: loud}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"config", "check", "--config", file}, {"server", "--config", file}} {
		r := run(t, command(t, "", dlmPath, args...))
		if r.code != 78 {
			t.Errorf("%q: exit code %d, want 78", args, r.code)
		}
		for _, fault := range []string{"listn", "drain", "log.level"} {
			if !strings.Contains(r.err, fault) {
				t.Errorf("%q does not report %s:\n%s", args, fault, r.err)
			}
		}
	}
}

func TestConfigPrint(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "dlm.yaml")
	if err := os.WriteFile(file, []byte("drain: 3s\nlisten: 127.0.0.1:1111\netcd: {endpoints: [\"h:1\"], username: u, password: geheim}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "", dlmPath, "config", "print", "--config", file, "--log-level", "warn", "--listen", "127.0.0.1:2222")
	// Kubernetes sets the second one for a service called dlm.
	cmd.Env = append(cmd.Env, "DLM_DRAIN=4s", "DLM_PORT=tcp://10.0.0.1:50051", "DLM_LISTEN=127.0.0.1:3333")
	out := must(t, cmd)
	for _, want := range []string{"drain: 4s", "listen: 127.0.0.1:2222", "level: warn", "username: u"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if strings.Contains(out, "geheim") {
		t.Error("a secret is shown")
	}
}

func TestEveryKeyHasItsFlag(t *testing.T) {
	t.Parallel()
	help := must(t, command(t, "", dlmPath, "server", "--help"))
	for _, key := range config.Keys() {
		if want := "--" + config.Flag(key.Name) + " "; key.Name != "etcd.password" && !strings.Contains(help, want) {
			t.Errorf("no %s", want)
		}
	}
}

// Etcd panics over a damaged database and a full disk: an operator is told why, and shown no stack.
func TestDamagedDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "etcd", "member", "snap"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "etcd", "member", "snap", "db"), make([]byte, 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, command(t, "", dlmPath, "server", "--listen", "127.0.0.1:0", "--data-dir", dir))
	if r.code != 1 || !strings.Contains(r.err, "failed to open database") || strings.Contains(r.err, "goroutine") {
		t.Errorf("exit code %d, want 1\n%s", r.code, r.err)
	}
}

// What the caller ignores is for commands that are wrapped, which inherit it; a server ends when it
// is told to.
func TestServerEndsWhateverItsCallerIgnores(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `trap "" TERM USR1; "$0" server --listen 127.0.0.1:0 --data-dir "$1" & echo "pid $!"; wait`,
		dlmPath, t.TempDir())
	b := start(t, cmd)
	b.says(t, "dlm is ready")
	var pid int
	if _, err := fmt.Sscanf(b.out.String(), "pid %d", &pid); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server's end", func() bool { return !alive(pid) })
}
