package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// subject is one row of the table.
type subject struct {
	name  string
	check string // what is checked before a write, and by whom
	own   bool   // dlm's own files
	dlm   bool   // what it does is this project's to answer for
	start func(b *builds, dir string) (*service, error)
	open  func(ctx context.Context, service, lock string) (locker, error)
}

func subjects() []subject {
	return []subject{
		{name: "etcd Mutex", check: "nothing", start: startEtcd, open: etcdUnchecked},
		{name: "etcd Mutex, session asked", check: "session.Done() by the worker", start: startEtcd, open: etcdAsked},
		{name: "etcd Mutex, revision checked", check: "the key's create revision by the store", start: startEtcd, open: etcdRevision},
		{name: "Kubernetes, LeaseLock", check: "its context by the worker", start: startKubernetes, open: leaseUnchecked},
		{name: "Kubernetes, LeaseLock, transitions checked", check: "its context by the worker, and leaseTransitions by the store", start: startKubernetes, open: leaseTransitions},
		{name: "Redis, redsync", check: "nothing", start: startRedis, open: openRedsync},
		{name: "Redis, rueidislock", check: "its context by the worker", start: startRedis, open: openRueidislock},
		{name: "ZooKeeper, zk.Lock", check: "nothing", start: startZooKeeper, open: openZooKeeper},
		{name: "PostgreSQL, advisory lock", check: "nothing", start: startPostgres, open: openPostgres},
		{name: "dlm, token checked", check: "dlm's token by the store", dlm: true, start: startDLM, open: dlmBefore},
		{name: "dlm, its own files", check: "dlm's token by dlm", own: true, dlm: true, start: startDLM, open: dlmOwn},
	}
}

// service is a lock's service that runs.
type service struct {
	addr     string
	settings string // with its version
	process  *process
	stop     syscall.Signal
	below    *service // that this one needs; nil: none
}

// skipped is why a subject cannot be tried here.
type skipped string

func (s skipped) Error() string { return "skipped: " + string(s) }

// builds builds what is built from source, once.
type builds struct {
	dir  string
	root string // of dlm's module
}

func newBuilds(ctx context.Context, dir string) (*builds, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/distributed-lock-manager/dlm").Output()
	if err != nil {
		return nil, fmt.Errorf("go list, which is to be run in the directory of this program: %w", err)
	}
	return &builds{dir, strings.TrimSpace(string(root))}, nil
}

// build builds a package that dlm's module knows.
func (b *builds) build(name, pkg string) (string, error) {
	file := filepath.Join(b.dir, name)
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if out, err := exec.Command("go", "build", "-C", b.root, "-o", file, pkg).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return file, nil
}

// serve starts a service, and waits until it listens.
func serve(dir, addr string, stop syscall.Signal, as *syscall.Credential, args ...string) (*service, error) {
	p, err := launch(filepath.Join(dir, "service.log"), as, args...)
	if err != nil {
		return nil, err
	}
	if err := awaitPort(addr, p); err != nil {
		p.end(syscall.SIGKILL)
		return nil, err
	}
	return &service{addr: addr, process: p, stop: stop}, nil
}

// version is the first line that a program prints.
func version(args ...string) string {
	out, err := exec.Command(args[0], args[1:]...).Output()
	if err != nil {
		return "of unknown version"
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

// library is a module that this program was built with.
func library(path string) string {
	info, _ := debug.ReadBuildInfo()
	if info != nil {
		if i := slices.IndexFunc(info.Deps, func(m *debug.Module) bool { return m.Path == path }); i >= 0 {
			return path + " " + info.Deps[i].Version
		}
	}
	return path
}

func startEtcd(b *builds, dir string) (*service, error) {
	binary, err := b.build("etcd", "go.etcd.io/etcd/server/v3")
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	peer, err := freeAddr()
	if err != nil {
		return nil, err
	}
	s, err := serve(dir, addr, syscall.SIGTERM, nil, binary, "--name", "etcd", "--data-dir", filepath.Join(dir, "data"),
		"--listen-peer-urls", "http://"+peer, "--initial-advertise-peer-urls", "http://"+peer, "--initial-cluster", "etcd=http://"+peer,
		"--listen-client-urls", "http://"+addr, "--advertise-client-urls", "http://"+addr, "--log-level", "warn")
	if err == nil {
		s.settings = fmt.Sprintf("%s; one member, its defaults; %s; TTL of the session %v", version(binary, "--version"), library("go.etcd.io/etcd/client/v3"), ttl)
	}
	return s, err
}

func startRedis(_ *builds, dir string) (*service, error) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, skipped("no redis-server")
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	s, err := serve(dir, addr, syscall.SIGTERM, nil, binary, "--port", port(addr), "--bind", "127.0.0.1", "--dir", dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "always")
	if err == nil {
		s.settings = fmt.Sprintf("%s; appendonly yes, appendfsync always; %s over %s, expiry %v, extended every %v; %s, validity %v, extended every %v, given up after %v",
			version(binary, "--version"), library("github.com/go-redsync/redsync/v4"), library("github.com/redis/go-redis/v9"), ttl, ttl/3,
			"rueidislock of "+library("github.com/redis/rueidis"), ttl, ttl/2, ttl/2)
	}
	return s, err
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// jar is where Debian's package has it.
const jar = "/usr/share/java/zookeeper.jar"

func startZooKeeper(_ *builds, dir string) (*service, error) {
	java, err := exec.LookPath("java")
	if err != nil {
		return nil, skipped("no java")
	}
	if _, err := os.Stat(jar); err != nil {
		return nil, skipped("no " + jar)
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	cfg := filepath.Join(dir, "zoo.cfg")
	lines := []string{
		"dataDir=" + filepath.Join(dir, "data"), "clientPort=" + port(addr), "clientPortAddress=127.0.0.1", "tickTime=500",
		"minSessionTimeout=" + fmt.Sprint(ttl.Milliseconds()), "maxClientCnxns=0", "admin.enableServer=false", "",
	}
	if err := os.WriteFile(cfg, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		return nil, err
	}
	s, err := serve(dir, addr, syscall.SIGTERM, nil, java, "-cp", jar, "org.apache.zookeeper.server.quorum.QuorumPeerMain", cfg)
	if err == nil {
		s.settings = fmt.Sprintf("ZooKeeper %s; one server, tickTime 500 ms, forceSync; %s, session timeout %v",
			version(java, "-cp", jar, "org.apache.zookeeper.Version", "--short"), library("github.com/go-zookeeper/zk"), ttl)
	}
	return s, err
}

// startPostgres runs it as somebody else if this is root, as it refuses to run as root.
func startPostgres(_ *builds, dir string) (*service, error) {
	initdb, server := postgresProgram("initdb"), postgresProgram("postgres")
	if initdb == "" || server == "" {
		return nil, skipped("no initdb or postgres")
	}
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, err
	}
	var as *syscall.Credential
	if os.Geteuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			return nil, skipped("this is root, which PostgreSQL refuses, and there is no user postgres")
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(data, int(uid), int(gid)); err != nil {
			return nil, err
		}
	}
	p, err := launch(filepath.Join(dir, "initdb.log"), as, initdb, "-D", data, "-U", "postgres", "-A", "trust")
	if err != nil {
		return nil, err
	}
	if <-p.ended; p.err != nil {
		return nil, fmt.Errorf("initdb: %w", p.err)
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	// A cut ends the service's side after the TTL, as these keepalives would if it were a machine
	// that is gone: here the proxy's machine is still there to answer them.
	s, err := serve(dir, addr, syscall.SIGINT, as, server, "-D", data, "-h", "127.0.0.1", "-p", port(addr), "-k", data,
		"-c", "tcp_keepalives_idle=1", "-c", "tcp_keepalives_interval=1", "-c", "tcp_keepalives_count=1",
		"-c", "client_connection_check_interval=1s")
	if err == nil {
		s.settings = fmt.Sprintf("%s; its defaults, keepalives that end a connection after %v; %s; no TTL, the lock is the connection's",
			version(server, "--version"), ttl, library("github.com/jackc/pgx/v5"))
	}
	return s, err
}

// postgresProgram finds a program in $PATH, or the newest where Debian's packages have them.
func postgresProgram(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name) // the pattern is well-formed
	if len(found) == 0 {
		return ""
	}
	return slices.MaxFunc(found, func(a, b string) int { return len(a) - len(b) + strings.Compare(a, b) })
}

func startDLM(b *builds, dir string) (*service, error) {
	binary, err := b.build("dlm", "./cmd/dlm")
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	s, err := serve(dir, addr, syscall.SIGTERM, nil, binary, "server", "--listen", addr, "--data-dir", filepath.Join(dir, "data"))
	if err == nil {
		s.settings = fmt.Sprintf("%s; one server with its etcd inside, its defaults; package client, TTL %v", version(binary, "version"), ttl)
	}
	return s, err
}

// end stops a service, and then the one below.
func (s *service) end() (err error) {
	if s.process.await(0) {
		err = errors.Join(errors.New("the service has ended by itself"), s.process.err)
	} else {
		s.process.end(s.stop)
	}
	if s.below != nil {
		err = errors.Join(err, s.below.end())
	}
	return err
}
