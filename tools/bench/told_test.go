package bench_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

var evictions = flag.Int("evictions", 3, "how many evictions TestTold measures, of each kind")

const (
	toldTTL = 10 * time.Minute
	// soon is far below the 200 s until a heartbeat of such a session, and far above what a busy
	// machine takes.
	soon = 30 * time.Second
	// signalled makes the test's own binary the command of a `dlm lock`.
	signalled = "DLM_TOLD_COMMAND"
)

func TestMain(m *testing.M) {
	if os.Getenv(signalled) != "" {
		os.Exit(untilSignalled(os.Stdout))
	}
	os.Exit(m.Run())
}

// untilSignalled is the command: it says that it runs, and when it was signalled.
func untilSignalled(out io.Writer) int {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	fmt.Fprintln(out, "held")
	<-terminated
	fmt.Fprintln(out, time.Now().UnixNano())
	return 0
}

// TestTold measures how long a holder does not know that it was evicted, with a TTL of 10 min, one
// server, its data on disk, and no other load: from the call of Evict to the end of the hold's
// Context, and to the signal that the command of a `dlm lock` gets. `make told` has it do so 200
// times each, and print the percentiles.
func TestTold(t *testing.T) {
	bin, endpoint := serve(t)
	operator, err := client.New(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = operator.Close() })
	t.Run("context", func(t *testing.T) {
		holder, err := client.Open(client.Config{Endpoints: []string{endpoint}, TTL: toldTTL})
		if err != nil {
			t.Fatal(err)
		}
		defer holder.Close()
		measure(t, func() time.Duration {
			l, err := holder.Lock(t.Context(), "told/context")
			if err != nil {
				t.Fatal(err)
			}
			began := evictTold(t, operator, l.Name())
			await.Receive(t, soon, "the end of the hold's context", l.Context().Done())
			took := time.Since(began)
			if cause := context.Cause(l.Context()); !errors.Is(cause, client.ErrLockExpired) || !strings.Contains(cause.Error(), "evicted: measured") {
				t.Fatalf("the hold ended with %v", cause)
			}
			return took
		})
	})
	t.Run("command", func(t *testing.T) {
		measure(t, func() time.Duration {
			cmd := exec.CommandContext(t.Context(), bin, "lock", "--ttl", toldTTL.String(), "told/command", os.Args[0])
			cmd.Env = append(os.Environ(), signalled+"=1", "DLM_ENDPOINTS="+endpoint)
			cmd.WaitDelay = soon
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := make(chan string, 2)
			go func() {
				for text := bufio.NewScanner(out); text.Scan(); {
					lines <- text.Text()
				}
				close(lines)
			}()
			if line := await.Receive(t, soon, "the command", lines); line != "held" {
				t.Fatalf("the command said %q", line)
			}
			began := evictTold(t, operator, "told/command")
			line := await.Receive(t, soon, "the command's signal", lines)
			at, err := strconv.ParseInt(line, 10, 64)
			if err != nil {
				t.Fatalf("the command said %q", line)
			}
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 70 {
				t.Fatalf("dlm lock ended with %v, want exit code 70", err)
			}
			return time.Unix(0, at).Sub(began)
		})
	})
}

// evictTold evicts whoever holds a lock, and returns when it began to.
func evictTold(t *testing.T, operator *client.Client, lock string) time.Time {
	t.Helper()
	began := time.Now()
	if _, err := operator.Evict(t.Context(), lock, 0, "measured"); err != nil {
		t.Fatal(err)
	}
	return began
}

func measure(t *testing.T, once func() time.Duration) {
	t.Helper()
	took := make([]time.Duration, *evictions)
	for i := range took {
		took[i] = once()
	}
	slices.Sort(took)
	at := func(part float64) time.Duration {
		return took[int(part*float64(len(took)-1))].Round(10 * time.Microsecond)
	}
	t.Logf("%d evictions: p50 %v, p99 %v, max %v", len(took), at(0.5), at(0.99), at(1))
}

// serve builds dlm, and runs a server whose data is below BENCH_DIR, or else below /var/tmp.
func serve(t *testing.T, args ...string) (bin, endpoint string) {
	t.Helper()
	base := os.Getenv("BENCH_DIR")
	if base == "" {
		base = "/var/tmp"
	}
	dir, err := os.MkdirTemp(base, "dlm-bench.") //nolint:usetesting // the test's own directory may be in memory
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	bin = filepath.Join(dir, "dlm")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../../cmd/dlm").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	args = append([]string{"server", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(dir, "data")}, args...)
	server := exec.CommandContext(t.Context(), bin, args...)
	server.Cancel = func() error { return server.Process.Signal(syscall.SIGTERM) }
	server.WaitDelay = soon
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Wait() })
	ready := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		ready <- line
	}()
	line := await.Receive(t, patience, "the server", ready)
	after, ok := strings.CutPrefix(line, "dlm is ready on ")
	if !ok {
		t.Fatalf("the server said %q", line)
	}
	endpoint, _, _ = strings.Cut(after, ",")
	return bin, endpoint
}
