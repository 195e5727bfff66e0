package main_test

import (
	"context"
	"encoding/json"
	"strings"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// etcdOf is the address of a server's own etcd, and a client of it.
func etcdOf(t *testing.T, args ...string) (s *server, addr string, etcd *clientv3.Client) {
	t.Helper()
	addr = storetest.FreeAddr(t)
	s = ownServer(t, append(args, "--cluster-client-listen", addr)...)
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{addr}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { etcd.Close() })
	return s, addr, etcd
}

func putKey(t *testing.T, etcd *clientv3.Client, key, value string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := etcd.Put(ctx, key, value); err != nil {
		t.Fatal(err)
	}
}

// An operator switches a feature on in a cluster that was upgraded.
func TestFeatures(t *testing.T) {
	t.Parallel()
	_, addr, etcd := etcdOf(t)
	putKey(t, etcd, "/old/horizon", "0")
	old, err := startServer("127.0.0.1:0", t.TempDir(), "--etcd-endpoints", addr, "--etcd-prefix", "/old/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := old.stop(syscall.SIGTERM); err != nil {
			t.Errorf("server: %v\n%s", err, old.log)
		}
	})
	features := func(prefix string, args ...string) result {
		return run(t, command(t, "", dlmPath, append([]string{"features", "--etcd-endpoints", addr, "--etcd-prefix", prefix}, args...)...))
	}
	list := func(prefix string) (list struct {
		Cluster  string
		Features map[string]bool
		Servers  []struct{ Name, Version string }
	}) {
		t.Helper()
		r := features(prefix, "list", "--json")
		if err := json.Unmarshal([]byte(r.out), &list); err != nil {
			t.Fatalf("exit code %d, printed %q, %v\n%s", r.code, r.out, err, r.err)
		}
		return list
	}
	if l := list("/dlm/"); !l.Features["numbered"] || len(l.Cluster) != 32 || len(l.Servers) != 1 || l.Servers[0].Name == "" {
		t.Errorf("of a new cluster: %+v; want all features on, and one server", l)
	}
	if l := list("/old/"); l.Features["numbered"] || l.Features["linger"] {
		t.Errorf("of an older one: %+v; want no feature on", l)
	}
	putKey(t, etcd, "/old/cluster/servers/00000000000000aa", `{"name":"another","version":"v0.1","features":[]}`)
	if r := features("/old/", "enable", "numbered"); r.code != 1 || !strings.Contains(r.err, "another") || !strings.Contains(r.err, "v0.1") {
		t.Errorf("enable beside a server without it: exit code %d, want 1\n%s", r.code, r.err)
	}
	if _, err := etcd.Delete(t.Context(), "/old/cluster/servers/00000000000000aa"); err != nil {
		t.Fatal(err)
	}
	if r := features("/old/", "enable", "numbered"); r.code != 0 || !strings.Contains(r.out, "cannot be seen") {
		t.Errorf("enable: exit code %d, printed %q\n%s", r.code, r.out, r.err)
	}
	if l := list("/old/"); !l.Features["numbered"] || l.Features["linger"] {
		t.Errorf("then: %+v; want one feature on", l)
	}
	if r := features("/old/", "list"); r.code != 0 || !strings.Contains(r.out, "FEATURE") || !strings.Contains(r.out, "0 of 1") {
		t.Errorf("list: exit code %d, printed %q", r.code, r.out)
	}
	if r := features("/none/", "list"); r.code != 1 || !strings.Contains(r.err, "/none/") {
		t.Errorf("of no servers: exit code %d, want 1\n%s", r.code, r.err)
	}
	if r := features("/old/", "enable", "numberd"); r.code != 1 || !strings.Contains(r.err, "linger, numbered") {
		t.Errorf("a name that is none: exit code %d, want 1\n%s", r.code, r.err)
	}
}

// A server that must not run on what is in etcd says so, and what to do.
func TestServerThatMustNotStart(t *testing.T) {
	t.Parallel()
	_, addr, etcd := etcdOf(t)
	putKey(t, etcd, "/later/cluster/meta", `{"format":2,"id":"00112233445566778899aabbccddeeff"}`)
	for prefix, says := range map[string]string{
		"/dlm/staged/":      "choose another etcd.prefix",
		"/dlm/locks/teams/": "choose another etcd.prefix",
		"/later/":           "run a later version",
	} {
		r := run(t, command(t, "", dlmPath, "server", "--listen", "127.0.0.1:0", "--etcd-endpoints", addr, "--etcd-prefix", prefix))
		if r.code != 78 || !strings.Contains(r.err, says) {
			t.Errorf("prefix %s: exit code %d, want 78 and %q\n%s", prefix, r.code, says, r.err)
		}
	}
}

// Somebody empties the etcd of a server that runs: it says why it serves nothing.
func TestHealthOfAServerWhoseEtcdWentBack(t *testing.T) {
	t.Parallel()
	s, _, etcd := etcdOf(t)
	holder := start(t, command(t, s.addr, dlmPath, "lock", "held", "sh", "-c", "echo held; exec sleep 60"))
	holder.says(t, "held")
	if _, err := etcd.Delete(t.Context(), "/dlm/", clientv3.WithPrefix()); err != nil {
		t.Fatal(err)
	}
	var r result
	eventually(t, "the server to notice", func() bool {
		r = run(t, command(t, s.addr, dlmPath, "health"))
		return r.code == 69
	})
	if !strings.Contains(r.out, "NOT_SERVING: ") || !strings.Contains(r.out, "went back") || !strings.Contains(r.out, "--bump-revision") {
		t.Errorf("health printed %q", r.out)
	}
	if n := strings.Count(s.log.String(), "nothing is served any more"); n != 1 {
		t.Errorf("the server says so %d times\n%s", n, s.log)
	}
	if code := holder.wait(t); code != 70 {
		t.Errorf("the holder's exit code is %d; want 70\n%s", code, holder.err)
	}
	if r := run(t, command(t, s.addr, dlmPath, "lock", "other", "true")); r.code != 69 || !strings.Contains(r.err, "went back") {
		t.Errorf("lock: exit code %d, want 69 and the reason\n%s", r.code, r.err)
	}
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("server: %v\n%s", err, s.log)
	}
	// Started again, it makes a new cluster of what is there, but for what it remembers.
	again := func(prefix string) (*server, error) {
		return startServer("127.0.0.1:0", s.dir, "--etcd-prefix", prefix)
	}
	if _, err := again("/dlm/"); err == nil || !strings.Contains(err.Error(), "another etcd.prefix") || !strings.Contains(err.Error(), "exit status 78") {
		t.Errorf("a server on what was emptied: %v; want exit status 78, and the remedy", err)
	}
	other, err := again("/other/")
	if err != nil {
		t.Fatal(err)
	}
	if err := other.stop(syscall.SIGTERM); err != nil {
		t.Errorf("server: %v\n%s", err, other.log)
	}
}
