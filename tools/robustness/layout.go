package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/distributed-lock-manager/dlm/tools/faultproxy"
)

// layout is the processes of a cluster.
type layout struct {
	dir   string
	bin   programs
	env   []string // of servers and workers, besides the run's own
	lossy bool     // messages are passed on one by one, so that they can be lost

	servers []*process // of dlm
	members []*process // of etcd; the same as servers if it is embedded
	data    []string   // each member's etcd directory
	peers   []string   // name=http://host:port of each member
	admin   []string   // where etcd's own protocol is spoken
	token   string     // of the cluster's founding
	listens []string   // where each server listens
	proxies []*proxy   // one before each server

	messages []*faultproxy.Proxy // between each of those and its server; nil: nothing is
	secured  *secured            // nil: anybody may do anything
	files    sync.Mutex          // of secured
	starting sync.Mutex
}

// programs are the binaries that a run needs.
type programs struct{ dlm, etcd, etcdutl, worker string }

const module = "github.com/distributed-lock-manager/dlm"

// moduleDir is where the project's source is.
func moduleDir() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// build builds what a layout needs; the worker is this very program.
func build(dir string, separate bool) (p programs, err error) {
	root, err := moduleDir()
	if err != nil {
		return p, err
	}
	if p.worker, err = os.Executable(); err != nil {
		return p, err
	}
	p.dlm, p.etcdutl = filepath.Join(dir, "dlm"), filepath.Join(dir, "etcdutl")
	if err := goBuild(p.dlm, module+"/cmd/dlm"); err != nil {
		return p, err
	}
	if separate {
		if p.etcd, err = buildEtcd(dir); err != nil {
			return p, err
		}
	}
	return p, goBuild(p.etcdutl, "go.etcd.io/etcd/etcdutl/v3", "-modfile", filepath.Join(root, "tools/etcdutl/go.mod"))
}

func buildEtcd(dir string) (out string, err error) {
	out = filepath.Join(dir, "etcd")
	return out, goBuild(out, "go.etcd.io/etcd/server/v3")
}

func goBuild(out, pkg string, flags ...string) error {
	args := append(append([]string{"build", "-o", out}, flags...), pkg)
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return nil
}

const members = 3

// embedded is three servers with an etcd member each; flags are more of the servers'.
func embedded(l *layout, flags ...string) error {
	peers := make([]string, members)
	for i := range members {
		addr, err := freeAddr()
		if err != nil {
			return err
		}
		peers[i] = fmt.Sprintf("dlm-%d=%s", i, addr)
		l.peers = append(l.peers, strings.Replace(peers[i], "=", "=http://", 1))
	}
	for i := range members {
		listen, err := freeAddr()
		if err != nil {
			return err
		}
		admin, err := freeAddr()
		if err != nil {
			return err
		}
		dir := filepath.Join(l.dir, fmt.Sprint("node", i))
		_, peer, _ := strings.Cut(peers[i], "=")
		p := &process{name: fmt.Sprint("server ", i), log: dir + ".log", env: l.env, args: append([]string{
			l.bin.dlm, "server", "--listen", listen, "--data-dir", dir, "--cluster-name", fmt.Sprint("dlm-", i),
			"--cluster-members", strings.Join(peers, ","), "--cluster-peer-listen", peer, "--cluster-client-listen", admin,
			"--etcd-history", kept.String(), "--coursework-ttl", courseworkTTL.String(),
		}, flags...)}
		l.servers = append(l.servers, p)
		l.admin = append(l.admin, admin)
		l.data = append(l.data, filepath.Join(dir, "etcd"))
		if err := l.before(listen); err != nil {
			return err
		}
	}
	l.members, l.token = l.servers, "dlm"
	return nil
}

// external is so many members of etcd, and two servers.
func external(l *layout, members int) error {
	l.token = "etcd-cluster"
	for i := range members {
		addr, err := freeAddr()
		if err != nil {
			return err
		}
		l.peers = append(l.peers, fmt.Sprintf("etcd-%d=http://%s", i, addr))
	}
	for i := range members {
		admin, err := freeAddr()
		if err != nil {
			return err
		}
		_, peer, _ := strings.Cut(l.peers[i], "=")
		dir := filepath.Join(l.dir, fmt.Sprint("etcd", i))
		l.members = append(l.members, &process{name: fmt.Sprint("etcd ", i), log: dir + ".log", args: []string{
			l.bin.etcd, "--name", fmt.Sprint("etcd-", i), "--data-dir", dir,
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", strings.Join(l.peers, ","),
			"--listen-client-urls", "http://" + admin, "--advertise-client-urls", "http://" + admin, "--log-level", "warn",
		}})
		l.admin = append(l.admin, admin)
		l.data = append(l.data, dir)
	}
	for i := range 2 {
		listen, err := freeAddr()
		if err != nil {
			return err
		}
		l.servers = append(l.servers, &process{name: fmt.Sprint("server ", i), log: filepath.Join(l.dir, fmt.Sprint("server", i, ".log")), env: l.env, args: []string{
			l.bin.dlm, "server", "--listen", listen, "--etcd-endpoints", strings.Join(l.admin, ","), "--etcd-history", kept.String(),
			"--coursework-ttl", courseworkTTL.String(),
		}})
		if err := l.before(listen); err != nil {
			return err
		}
	}
	return nil
}

// kept is how long etcd keeps what was: short, so that late repeats meet what is gone.
const kept = time.Minute

// before puts what breaks connections before a server, and, where nothing is encrypted, what breaks
// single messages.
func (l *layout) before(listen string) error {
	to := listen
	if l.lossy {
		m, err := faultproxy.Start(listen)
		if err != nil {
			return err
		}
		l.messages = append(l.messages, m)
		to = m.Addr()
	}
	p, err := newProxy(to)
	if err != nil {
		return err
	}
	l.proxies, l.listens = append(l.proxies, p), append(l.listens, listen)
	return nil
}

func (l *layout) separate() bool { return len(l.servers) != len(l.members) }

// processes are all of a layout's, members first.
func (l *layout) processes() []*process {
	if l.separate() {
		return append(append([]*process(nil), l.members...), l.servers...)
	}
	return l.servers
}

// up starts what does not run, and waits until every server serves.
func (l *layout) up() error {
	l.starting.Lock()
	defer l.starting.Unlock()
	for _, p := range l.processes() {
		if !p.running() {
			if err := p.start(); err != nil {
				return err
			}
		}
	}
	for _, listen := range l.listens {
		if err := awaitPort(listen, time.Minute); err != nil {
			return err
		}
	}
	return nil
}

func (l *layout) down() {
	for _, p := range append(append([]*process(nil), l.servers...), l.members...) {
		p.end(syscall.SIGTERM)
	}
}

func (l *layout) close() {
	l.down()
	for _, p := range l.proxies {
		p.close()
	}
	for _, m := range l.messages {
		_ = m.Close()
	}
}

func (l *layout) endpoints() (list []string) {
	for _, p := range l.proxies {
		list = append(list, p.listener.Addr().String())
	}
	return list
}

func (l *layout) client() (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: l.admin, DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
}

// restore takes a snapshot, lets things go on, and then puts the whole cluster back to it, as
// docs/operations.md says. It returns the snapshot's revision, and the one that etcd goes on from.
func (l *layout) restore(ctx context.Context, goOn func() error) (snapshot, after int64, err error) {
	etcd, err := l.client()
	if err != nil {
		return 0, 0, err
	}
	defer etcd.Close()
	file := filepath.Join(l.dir, "snapshot.db")
	if err := save(ctx, etcd, file); err != nil {
		return 0, 0, fmt.Errorf("snapshot: %w", err)
	}
	out, err := exec.CommandContext(ctx, l.bin.etcdutl, "snapshot", "status", file, "--write-out", "json").Output()
	if err != nil {
		return 0, 0, fmt.Errorf("etcdutl snapshot status: %w", err)
	}
	var status struct {
		Revision int64 `json:"revision"`
	}
	if err := json.Unmarshal(out, &status); err != nil || status.Revision <= 0 {
		return 0, 0, fmt.Errorf("etcdutl snapshot status: %s: %w", out, err)
	}
	if err := goOn(); err != nil {
		return 0, 0, err
	}
	l.down()
	const bump = 1_000_000
	for i := range l.members {
		name, peer, _ := strings.Cut(l.peers[i], "=")
		if err := os.RemoveAll(l.data[i]); err != nil {
			return 0, 0, err
		}
		out, err := exec.CommandContext(ctx, l.bin.etcdutl, "snapshot", "restore", file, "--data-dir", l.data[i], "--name", name,
			"--initial-cluster", strings.Join(l.peers, ","), "--initial-advertise-peer-urls", peer,
			"--initial-cluster-token", l.token, "--bump-revision", fmt.Sprint(bump), "--mark-compacted").CombinedOutput()
		if err != nil {
			return 0, 0, fmt.Errorf("etcdutl: %w\n%s", err, out)
		}
	}
	return status.Revision, status.Revision + bump, nil
}

// save writes a snapshot of the cluster into a file.
func save(ctx context.Context, etcd *clientv3.Client, file string) error {
	from, err := etcd.Snapshot(ctx)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}
