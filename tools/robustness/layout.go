package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
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

	net          *network // nil: all are in the run's own
	memberSpaces []*space
	serverSpaces []*space
	traced       bool       // syncs to disk can be delayed
	volumes      []string   // each member's, if they have file systems of their own
	replacing    sync.Mutex // of a member
}

// programs are the binaries that a run needs.
type programs struct {
	dlm, etcd, etcdutl, worker string
	earlier                    string // dlm of another version; empty: there is none
}

const module = "github.com/distributed-lock-manager/dlm"

// moduleDir is where the project's source is.
func moduleDir() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// programsIn are the programs of a directory; the worker is this very program.
func programsIn(dir string) (p programs, err error) {
	in := func(name string) string { return filepath.Join(dir, name) }
	p.dlm, p.etcd, p.etcdutl = in("dlm"), in("etcd"), in("etcdutl")
	p.worker, err = os.Executable()
	return p, err
}

// build builds what a layout needs, which is separate from etcd or has it in its servers.
func (p programs) build(separate bool) error {
	root, err := moduleDir()
	if err != nil {
		return err
	}
	if err := goBuild(p.dlm, module+"/cmd/dlm"); err != nil {
		return err
	}
	if separate {
		if err := p.buildEtcd(); err != nil {
			return err
		}
	}
	return goBuild(p.etcdutl, "go.etcd.io/etcd/etcdutl/v3", "-modfile", filepath.Join(root, "tools/etcdutl/go.mod"))
}

func (p programs) buildEtcd() error { return goBuild(p.etcd, "go.etcd.io/etcd/server/v3") }

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
		s, err := l.space(fmt.Sprint("m", i), true)
		if err != nil {
			return err
		}
		addr, _, err := s.listen(2380)
		if err != nil {
			return err
		}
		peers[i] = fmt.Sprintf("dlm-%d=%s", i, addr)
		l.peers = append(l.peers, strings.Replace(peers[i], "=", "=http://", 1))
		l.memberSpaces = append(l.memberSpaces, s)
	}
	for i, s := range l.memberSpaces {
		_, listen, err := s.listen(50051)
		if err != nil {
			return err
		}
		_, admin, err := s.listen(etcdPort)
		if err != nil {
			return err
		}
		loopback := admin
		if s.name != "" {
			loopback = fmt.Sprint("127.0.0.1:", etcdPort)
		}
		log := filepath.Join(l.dir, fmt.Sprint("node", i, ".log"))
		dir, err := l.volume(fmt.Sprint("node", i))
		if err != nil {
			return err
		}
		_, peer, _ := strings.Cut(peers[i], "=")
		p := &process{name: fmt.Sprint("server ", i), log: log, env: l.env, args: append(s.command(
			l.bin.first(), "server", "--listen", listen, "--data-dir", dir, "--cluster-name", fmt.Sprint("dlm-", i),
			"--cluster-members", strings.Join(peers, ","), "--cluster-peer-listen", peer, "--cluster-client-listen", loopback,
			"--etcd-history", kept.String(),
			"--coursework-ttl", courseworkTTL.String(), s.plain(),
		), flags...)}
		l.servers = append(l.servers, p)
		l.admin = append(l.admin, admin)
		l.data = append(l.data, filepath.Join(dir, "etcd"))
		if err := l.before(listen); err != nil {
			return err
		}
	}
	l.members, l.serverSpaces, l.token = l.servers, l.memberSpaces, "dlm"
	return nil
}

// external is so many members of etcd, and two servers.
func external(l *layout, members int) error {
	l.token = "etcd-cluster"
	for i := range members {
		s, err := l.space(fmt.Sprint("m", i), false)
		if err != nil {
			return err
		}
		addr, _, err := s.listen(2380)
		if err != nil {
			return err
		}
		l.peers = append(l.peers, fmt.Sprintf("etcd-%d=http://%s", i, addr))
		l.memberSpaces = append(l.memberSpaces, s)
	}
	var endpoints []string // as the servers reach them
	for i, s := range l.memberSpaces {
		endpoint, admin, err := s.listen(etcdPort)
		if err != nil {
			return err
		}
		clients := "http://" + endpoint
		if admin != endpoint {
			clients += ",http://" + admin
		}
		_, peer, _ := strings.Cut(l.peers[i], "=")
		log := filepath.Join(l.dir, fmt.Sprint("etcd", i, ".log"))
		dir, err := l.volume(fmt.Sprint("etcd", i))
		if err != nil {
			return err
		}
		l.members = append(l.members, &process{name: fmt.Sprint("etcd ", i), log: log, args: s.command(
			l.bin.etcd, "--name", fmt.Sprint("etcd-", i), "--data-dir", dir,
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", strings.Join(l.peers, ","),
			"--listen-client-urls", clients, "--advertise-client-urls", "http://"+endpoint, "--log-level", "warn",
		)})
		l.admin = append(l.admin, admin)
		l.data = append(l.data, dir)
		endpoints = append(endpoints, endpoint)
	}
	for i := range 2 {
		s, err := l.space(fmt.Sprint("s", i), false)
		if err != nil {
			return err
		}
		_, listen, err := s.listen(50051)
		if err != nil {
			return err
		}
		l.serverSpaces = append(l.serverSpaces, s)
		l.servers = append(l.servers, &process{name: fmt.Sprint("server ", i), log: filepath.Join(l.dir, fmt.Sprint("server", i, ".log")), env: l.env, args: s.command(
			l.bin.first(), "server", "--listen", listen, "--etcd-endpoints", strings.Join(endpoints, ","), "--etcd-history", kept.String(),
			"--coursework-ttl", courseworkTTL.String(), s.plain(),
		)})
		if err := l.before(listen); err != nil {
			return err
		}
	}
	return nil
}

// space is where one process of the layout runs.
func (l *layout) space(name string, loopback bool) (*space, error) {
	if l.net == nil {
		return &space{}, nil
	}
	return l.net.join(name, loopback)
}

// volume is the directory for a member's data, on a file system of its own if the run is apart.
func (l *layout) volume(name string) (string, error) {
	dir := filepath.Join(l.dir, name)
	if l.net == nil {
		return dir, nil
	}
	l.volumes = append(l.volumes, dir)
	return filepath.Join(dir, "data"), mountVolume(dir)
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

// up starts what does not run, and waits until every server serves. What ends meanwhile, as when
// etcd cannot be reached or the disk is full, is started again.
func (l *layout) up() error {
	l.starting.Lock()
	defer l.starting.Unlock()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		for _, p := range l.processes() {
			if !p.running() {
				if err := p.start(); err != nil {
					return err
				}
			}
		}
		if err := l.serving(); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// serving reports which server accepts no connections, besides those that nobody is to start.
func (l *layout) serving() error {
	for i, listen := range l.listens {
		c, err := net.DialTimeout("tcp", listen, time.Second)
		if err == nil {
			err = c.Close()
		}
		if err != nil && !l.servers[i].isAside() {
			return fmt.Errorf("%s: %w", l.servers[i].name, err)
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
