package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/distributed-lock-manager/dlm/internal/dial"
)

// How long a server may take to begin to serve, and to end.
const (
	serverStart = 30 * time.Second
	serverGrace = 10 * time.Second
)

// Server is a running server of dlm.
type Server struct {
	Endpoint string
	Way      dial.Config // by which it is reached
	PID      int         // 0: none that could be looked at
}

// Builds starts a server of this build and one of another: ours first, or theirs first. stop ends
// both. It is called anew for each run: of two servers of the same build one may be faster for as
// long as they run, and it is the builds that are to be compared.
type Builds func(ctx context.Context, theirsFirst bool) (servers [2]Server, stop func() error, err error)

// Programs are two builds of dlm, whose servers run side by side.
type Programs struct {
	Ours, Theirs string
	Secure       bool      // ours knows its clients by TLS, and has a policy
	Watched      bool      // ours is scraped, and a page is open
	Dir          string    // for their data; empty: the system's temporary directory
	Stderr       io.Writer // what they say
}

// Start is their Builds: each server has an embedded etcd and fresh data, which stop removes.
func (p Programs) Start(ctx context.Context, theirsFirst bool) (servers [2]Server, stop func() error, err error) {
	dir, err := os.MkdirTemp(p.Dir, "dlm-bench.")
	if err != nil {
		return servers, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running []*exec.Cmd
	var watching sync.WaitGroup
	stop = func() error {
		cancel()
		watching.Wait()
		for _, cmd := range running {
			_ = cmd.Wait() // it says that it was ended
		}
		return os.RemoveAll(dir)
	}
	builds := []build{{program: p.Ours}, {program: p.Theirs}}
	if p.Secure {
		if builds[0].flags, builds[0].way, err = secure(filepath.Join(dir, "secure")); err != nil {
			return servers, nil, errors.Join(err, stop())
		}
	}
	if p.Watched {
		builds[0].flags = append(builds[0].flags, "--admin-listen", "127.0.0.1:0")
	}
	if theirsFirst {
		slices.Reverse(builds)
	}
	for i, b := range builds {
		cmd, endpoint, admin, err := p.start(ctx, b, filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			return servers, nil, errors.Join(err, stop())
		}
		running = append(running, cmd)
		servers[i] = Server{endpoint, b.way, cmd.Process.Pid}
		if admin != "" {
			watching.Go(func() {
				watch(ctx, admin, func(err error) { _, _ = fmt.Fprintf(p.Stderr, "watching a server: %v\n", err) })
			})
		}
	}
	return servers, stop, nil
}

// build is one of the two.
type build struct {
	program string
	flags   []string // that the other has not
	way     dial.Config
}

// start starts a server, which ends with ctx, and returns when it says where it listens, and where
// its admin address is, if it has one. It has
// this program's environment but for settings of dlm, and beside its own only flags that every
// build has.
func (p Programs) start(ctx context.Context, b build, dir string) (cmd *exec.Cmd, endpoint, admin string, err error) {
	args := []string{"server", "--listen", "127.0.0.1:0", "--data-dir", dir, "--log-level", "warn"}
	cmd = exec.CommandContext(ctx, b.program, append(args, b.flags...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = serverGrace
	cmd.Env = slices.DeleteFunc(os.Environ(), func(setting string) bool { return strings.HasPrefix(setting, "DLM_") })
	cmd.Stderr = p.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", "", err
	}
	late := time.AfterFunc(serverStart, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	line, _ := bufio.NewReader(out).ReadString('\n')
	after, ready := strings.CutPrefix(line, "dlm is ready on ")
	endpoint, after, cut := strings.Cut(after, ",")
	if rest, has := strings.CutPrefix(after, " admin on "); has {
		admin, _, _ = strings.Cut(rest, ",")
	}
	if !ready || !cut {
		_ = cmd.Process.Kill()
		return nil, "", "", fmt.Errorf("%s server said %q, not where it listens: %w", b.program, line, errors.Join(ctx.Err(), cmd.Wait()))
	}
	return cmd, endpoint, admin, nil
}
