package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/ptytest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// patience bounds everything that is waited for.
const patience = time.Minute

// dlmPath is the built binary, endpoint the server that most tests share; each test has locks of
// its own.
var (
	dlmPath  string
	endpoint string
)

func TestMain(m *testing.M) {
	ptytest.DefaultSignals()
	await.AtATime(3) // most tests wait for processes, or until a lease ends
	os.Exit(withServer(m.Run))
}

// withServer builds the binary and starts a server around the tests.
func withServer(tests func() int) int {
	dir, err := os.MkdirTemp("", "dlm-test-")
	if err != nil {
		return setupFailed(err)
	}
	defer os.RemoveAll(dir)
	dlmPath = filepath.Join(dir, "dlm")
	if out, err := exec.Command("go", "build", "-o", dlmPath, ".").CombinedOutput(); err != nil {
		return setupFailed(fmt.Errorf("go build: %w\n%s", err, out))
	}
	// Whatever the tests are run under must not look like an enclosing dlm.
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "DLM_") || strings.HasPrefix(name, "OTEL_") || name == "TRACEPARENT" {
			os.Unsetenv(name)
		}
	}
	s, err := startServer("127.0.0.1:0", filepath.Join(dir, "data"), "--log-level", "debug")
	if err != nil {
		return setupFailed(err)
	}
	endpoint = s.addr
	code := tests()
	if err := s.stop(syscall.SIGTERM); err != nil {
		return setupFailed(fmt.Errorf("server: %w\n%s", err, s.log.String()))
	}
	if err := checkLogs(); err != nil {
		return setupFailed(err)
	}
	return code
}

func setupFailed(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// server is a running `dlm server`.
type server struct {
	cmd  *exec.Cmd
	addr string // host:port
	dir  string
	log  *await.Text
}

// startServer returns when the server says that it is ready.
func startServer(addr, dir string, args ...string) (*server, error) {
	return startServerIn(nil, addr, dir, args...)
}

// startServerIn is startServer with some environment more.
func startServerIn(environ []string, addr, dir string, args ...string) (*server, error) {
	s := &server{
		cmd: exec.Command(dlmPath, append([]string{"server", "--listen", addr, "--data-dir", dir}, args...)...),
		dir: dir,
		log: newLog(),
	}
	s.cmd.Stderr = s.log
	s.cmd.Env = append(os.Environ(), environ...)
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	line := make(chan string, 1)
	go func() {
		text := make([]byte, 1024)
		n, _ := io.ReadAtLeast(out, text, 1)
		line <- string(text[:n])
	}()
	select {
	case text := <-line:
		after, ready := strings.CutPrefix(text, "dlm is ready on ")
		if !ready {
			s.cmd.Process.Kill()
			return nil, fmt.Errorf("server said %q: %w\n%s", text, s.cmd.Wait(), s.log.String())
		}
		s.addr, _, _ = strings.Cut(after, ",")
		return s, nil
	case <-time.After(patience):
		s.cmd.Process.Kill()
		return nil, errors.Join(errors.New("server not ready in time"), s.cmd.Wait(), errors.New(s.log.String()))
	}
}

// stop sends a signal and waits for the server's end.
func (s *server) stop(sig os.Signal) error {
	if err := s.cmd.Process.Signal(sig); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(patience):
		s.cmd.Process.Kill()
		return errors.Join(errors.New("server did not stop in time"), <-ended)
	}
}

// ownServer is a server for one test.
func ownServer(t *testing.T, args ...string) *server {
	t.Helper()
	s, err := startServer("127.0.0.1:0", t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	})
	return s
}

// result is what became of a command.
type result struct {
	code     int
	out, err string
}

// dlm is a dlm command against the shared server, killed when the test ends.
func dlm(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	return command(t, endpoint, dlmPath, args...)
}

// shell is a shell command in which dlm is the binary.
func shell(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	return command(t, endpoint, "sh", "-c", script)
}

func command(t *testing.T, endpoint, name string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	return commandIn(ctx, endpoint, name, args...)
}

// lasting is a command that is killed when the test ends, and not before.
func lasting(t *testing.T, endpoint, name string, args ...string) *exec.Cmd {
	t.Helper()
	return commandIn(t.Context(), endpoint, name, args...)
}

func commandIn(ctx context.Context, endpoint, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = patience
	cmd.Env = append(os.Environ(), "DLM_ENDPOINTS="+endpoint, "PATH="+filepath.Dir(dlmPath)+":"+os.Getenv("PATH"))
	return cmd
}

// run runs a command to its end.
func run(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	return result{code: exitCode(t, err), out: out.String(), err: errOut.String()}
}

// must runs a command that has to succeed, and returns what it printed.
func must(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	r := run(t, cmd)
	if r.code != 0 {
		t.Fatalf("%q: exit code %d\n%s", cmd.Args, r.code, r.err)
	}
	return r.out
}

// exitCode is an exit code as a shell shows it.
func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case !errors.As(err, &exit):
		t.Fatal(err)
	}
	if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
		return 128 + int(status.Signal())
	}
	return exit.ExitCode()
}

// background is a command that runs beside the test.
type background struct {
	cmd      *exec.Cmd
	out, err *await.Text
}

func start(t *testing.T, cmd *exec.Cmd) *background {
	t.Helper()
	b := &background{cmd: cmd, out: &await.Text{}, err: &await.Text{}}
	cmd.Stdout, cmd.Stderr = b.out, b.err
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%q printed\n%s%s", cmd.Args, b.out, b.err)
		}
	})
	return b
}

// says waits until the command has printed a text.
func (b *background) says(t *testing.T, text string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%q of %q", text, b.cmd.Args), func() bool {
		return strings.Contains(b.out.String()+b.err.String(), text)
	})
}

func (b *background) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := b.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// wait waits for the end, and returns the exit code.
func (b *background) wait(t *testing.T) int {
	t.Helper()
	return exitCode(t, b.cmd.Wait())
}

// eventually polls until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	await.Eventually(t, patience, what, is)
}
