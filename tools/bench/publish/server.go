package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stopTimeout is how long a server may take to end, before it is killed.
const stopTimeout = 20 * time.Second

// bench is what slices are measured with.
type bench struct {
	lasts, long time.Duration // of a slice
	runs        int           // of each command, in a round

	dir, bin string // dir has all that is removed at the end
	etcdctl  string // the program
	dlm      string // the address of the round's server
	etcd     string // and its etcd's
}

// build builds the server, and etcdctl if the table needs it, in a directory for all that is
// removed at the end.
func (b *bench) build(ctx context.Context, etcdctl bool) (remove func() error, err error) {
	below := os.Getenv("BENCH_DIR")
	if below == "" {
		below = "/var/tmp"
	}
	if b.dir, err = os.MkdirTemp(below, "dlm-bench."); err != nil {
		return nil, err
	}
	remove = func() error { return os.RemoveAll(b.dir) }
	b.bin, b.etcdctl = filepath.Join(b.dir, "dlm"), filepath.Join(b.dir, "etcdctl")
	builds := [][]string{{"build", "-o", b.bin, "./cmd/dlm"}}
	if etcdctl {
		builds = append(builds, []string{"build", "-modfile=tools/etcdutl/go.mod", "-o", b.etcdctl, "go.etcd.io/etcd/etcdctl/v3"})
	}
	for _, args := range builds {
		if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w\n%s", args, err, out), remove())
		}
	}
	return remove, nil
}

// serve starts a server without any data. It ends when it is stopped, or ctx ends.
func (b *bench) serve(ctx context.Context, args []string, errs io.Writer) (stop func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b.etcd = l.Addr().String()
	l.Close()
	data := filepath.Join(b.dir, "data")
	args = append([]string{
		"server", "--listen", "127.0.0.1:0", "--data-dir", data, "--cluster-client-listen", b.etcd,
		"--cluster-quota", "16GiB", "--log-level", "error",
	}, args...)
	serving, end := context.WithCancel(ctx)
	server := exec.CommandContext(serving, b.bin, args...)
	server.Cancel = func() error { return server.Process.Signal(syscall.SIGTERM) }
	server.WaitDelay = stopTimeout
	server.Stderr = errs
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		end()
		return nil, err
	}
	stop = func() error {
		end()
		_ = server.Wait() // it was told to end, and says so
		return os.RemoveAll(data)
	}
	line, _ := bufio.NewReader(out).ReadString('\n') // ends with the server
	after, ok := strings.CutPrefix(line, "dlm is ready on ")
	if !ok {
		return nil, errors.Join(fmt.Errorf("the server said %q", line), stop())
	}
	b.dlm, _, _ = strings.Cut(after, ",")
	return stop, nil
}
