//go:build scenarios

package scenarios_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// dlm builds the binary, once.
var dlm = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "dlm-scenarios-")
	if err != nil {
		return "", err
	}
	afterwards = append(afterwards, func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "dlm")
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/dlm").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// fleet is a cast of processes, each with a data directory of its own.
type fleet struct {
	t       testing.TB
	timeout time.Duration
	ships   []*ship
}

// ship is one `dlm server`.
type ship struct {
	addr, etcd string // host:port
	args       []string
	cmd        *exec.Cmd
	log        *bytes.Buffer // to be read when it has ended
	ready      chan error
	ended      chan struct{}
}

// processes are so many servers with a TTL for clients of either API. More than one are a cluster.
func processes(count int, ttl time.Duration) func(t testing.TB) cast {
	return func(t testing.TB) cast {
		t.Helper()
		f := &fleet{t: t, timeout: ttl}
		var members []string
		peers := make([]string, count)
		for i := range peers {
			peers[i] = storetest.FreeAddr(t)
			members = append(members, fmt.Sprintf("s%d=%s", i, peers[i]))
		}
		for i := range count {
			s := &ship{addr: storetest.FreeAddr(t), etcd: storetest.FreeAddr(t)}
			s.args = []string{"server", "--listen", s.addr, "--data-dir", t.TempDir(), "--log-level", "warn",
				"--coursework-ttl", ttl.String(), "--cluster-client-listen", s.etcd}
			if count > 1 {
				s.args = append(s.args, "--cluster-name", fmt.Sprintf("s%d", i), "--cluster-peer-listen", peers[i],
					"--cluster-members", strings.Join(members, ","))
			}
			f.ships = append(f.ships, s)
		}
		t.Cleanup(func() {
			for i, s := range f.ships {
				f.kill(i)
				if t.Failed() && s.log != nil {
					t.Logf("server %d:\n%s", i, s.log)
				}
			}
		})
		for i := range f.ships {
			f.launch(i)
		}
		for i := range f.ships {
			f.awaits(i)
		}
		return f
	}
}

func (f *fleet) ttl() time.Duration { return f.timeout }

func (f *fleet) addrs() (addrs []string) {
	for _, s := range f.ships {
		addrs = append(addrs, s.addr)
	}
	return addrs
}

// launch starts a server, on the data that it left if it ran before.
func (f *fleet) launch(i int) {
	f.t.Helper()
	path, err := dlm()
	if err != nil {
		f.t.Fatal(err)
	}
	s := f.ships[i]
	s.cmd = exec.Command(path, s.args...)
	s.log, s.ready, s.ended = &bytes.Buffer{}, make(chan error, 1), make(chan struct{})
	s.cmd.Stderr = s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		text := make([]byte, 64)
		n, _ := io.ReadAtLeast(out, text, len("dlm is ready"))
		if strings.HasPrefix(string(text[:n]), "dlm is ready") {
			s.ready <- nil
		} else {
			s.ready <- fmt.Errorf("the server said %q", text[:n])
		}
		_, _ = io.Copy(io.Discard, out)
		_ = s.cmd.Wait()
	}()
}

// awaits waits until a server is ready.
func (f *fleet) awaits(i int) {
	f.t.Helper()
	if err := await.Receive(f.t, patience, fmt.Sprintf("server %d to be ready", i), f.ships[i].ready); err != nil {
		<-f.ships[i].ended
		f.t.Fatalf("%v\n%s", err, f.ships[i].log)
	}
}

// kill ends a server without a chance to tidy up. A repeat does nothing.
func (f *fleet) kill(i int) {
	if s := f.ships[i]; s.cmd != nil {
		_ = s.cmd.Process.Signal(syscall.SIGKILL)
		<-s.ended
	}
}

// leader asks the servers that live which of them leads the cluster.
func (f *fleet) leader(ctx context.Context) (leader int) {
	f.t.Helper()
	await.Eventually(f.t, patience, "a leader", func() bool {
		for i, s := range f.ships {
			select {
			case <-s.ended:
				continue
			default:
			}
			if leads(ctx, s.etcd) {
				leader = i
				return true
			}
		}
		return false
	})
	return leader
}

func leads(ctx context.Context, addr string) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{addr}})
	if err != nil {
		return false
	}
	defer c.Close()
	status, err := c.Status(ctx, addr)
	return err == nil && status.Leader == status.Header.GetMemberId()
}
