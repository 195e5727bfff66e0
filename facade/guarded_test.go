package facade_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/audit"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// guarded is the whole service, with several facades that want to know who calls, and write down
// what is done.
type guarded struct {
	*secured
	*facadetest.Node
	logs map[int]*audit.Log
}

// guard starts the service. Facades from the number open on let anybody do everything.
func guard(t *testing.T, facades, open int, policy string, opts ...facadetest.Option) *guarded {
	t.Helper()
	return guardBy(t, facades, open, policy, func(*facade.Access) {}, opts...)
}

// guardBy is guard with something else about who may call.
func guardBy(t *testing.T, facades, open int, policy string, change func(*facade.Access), opts ...facadetest.Option) *guarded {
	t.Helper()
	g := &guarded{secured: unserved(t, policy), logs: map[int]*audit.Log{}}
	change(&g.access)
	opts = append(opts, facadetest.WithFacades(facades), facadetest.WithAccess(func(i int) facade.Access {
		if i >= open {
			return facade.Access{}
		}
		access := g.access
		if g.logs[i] == nil {
			log, err := audit.Open(g.auditFile(i), os.Stderr, false, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			g.logs[i] = log
			t.Cleanup(func() { _ = log.Close() })
		}
		access.Audit = g.logs[i]
		return access
	}))
	g.Node = facadetest.Start(t, opts...)
	return g
}

func (g *guarded) auditFile(i int) string {
	return filepath.Join(g.dir, "audit"+string(rune('0'+i)))
}

// to connects to a facade as somebody; as nobody, in plain text, without a name.
func (g *guarded) to(i int, name string) *grpc.ClientConn {
	g.t.Helper()
	if name == "" {
		return g.Dial(i)
	}
	pair := g.named(name)
	return g.DialBy(i, credentials.NewTLS(g.secured.tls(&pair)))
}

func (g *guarded) api(i int, name string) dlmv1.LockServiceClient {
	g.t.Helper()
	return dlmv1.NewLockServiceClient(g.to(i, name))
}

// bothWays are a connection's two ways to make a call.
func bothWays(t *testing.T, conn *grpc.ClientConn) map[string]dlmv1.LockServiceClient {
	t.Helper()
	return map[string]dlmv1.LockServiceClient{
		"unary": dlmv1.NewLockServiceClient(conn), "multiplexed": dlmv1.NewLockServiceClient(openMux(t, conn)),
	}
}

// entry is a line of an audit log.
type entry struct {
	Server, Identity, Verb, Method, Lock, Session, Request, Outcome, Reason string
	Token, Revision, Dropped                                                int64
}

// written are the lines of all audit logs so far, in the order of their revisions.
func (g *guarded) written() (lines []entry) {
	g.t.Helper()
	for i := range g.logs {
		text, err := os.ReadFile(g.auditFile(i))
		if err != nil {
			g.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var e entry
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				g.t.Fatalf("line %q: %v", line, err)
			}
			lines = append(lines, e)
		}
	}
	slices.SortStableFunc(lines, func(a, b entry) int { return int(a.Revision - b.Revision) })
	return lines
}

// of are the lines of an identity's, once there are as many as are wanted.
func (g *guarded) of(name string, want int) (lines []entry) {
	g.t.Helper()
	await.Eventually(g.t, patience, "the lines of "+name, func() bool {
		lines = slices.DeleteFunc(g.written(), func(e entry) bool { return e.Identity != identityOf(name) })
		return len(lines) >= want
	})
	return lines
}

// identityOf is whom a certificate of that name is of.
func identityOf(name string) string {
	if name == "" {
		return ""
	}
	return "spiffe:spiffe://example.org/" + name
}

// still runs what is to change nothing in etcd.
func (g *guarded) still(what string, f func()) {
	g.t.Helper()
	g.settled()
	before := g.revision()
	f()
	after := g.revision()
	if before == after {
		return
	}
	changes := g.Etcd().Watch(storetest.Bounded(g.t), etcdstore.DefaultPrefix, clientv3.WithPrefix(), clientv3.WithRev(before+1))
	for _, e := range (<-changes).Events {
		g.t.Logf("revision %d: %s %s", e.Kv.ModRevision, e.Type, e.Kv.Key)
	}
	g.t.Errorf("%s: etcd went from revision %d to %d", what, before, after)
}

func (g *guarded) revision() int64 {
	g.t.Helper()
	resp, err := g.Etcd().Get(storetest.Bounded(g.t), etcdstore.DefaultPrefix+"horizon")
	if err != nil {
		g.t.Fatal(err)
	}
	return resp.Header.Revision
}

// settled waits until what was published is folded, and what was undone is swept.
func (g *guarded) settled() {
	g.t.Helper()
	held, err := g.Etcd().Get(storetest.Bounded(g.t), etcdstore.DefaultPrefix+"locks/", clientv3.WithPrefix())
	if err != nil {
		g.t.Fatal(err)
	}
	open := map[int64]bool{}
	for _, kv := range held.Kvs {
		open[kv.ModRevision] = true
	}
	storetest.Eventually(g.t, "etcd to be at rest", func() bool {
		marks, err := g.Etcd().Get(storetest.Bounded(g.t), etcdstore.DefaultPrefix+"commits/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil || marks.Count > 0 {
			return false
		}
		staged, err := g.Etcd().Get(storetest.Bounded(g.t), etcdstore.DefaultPrefix+"staged/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
		if err != nil {
			return false
		}
		for _, kv := range staged.Kvs {
			parts := strings.Split(string(kv.Key), "/")
			var token int64
			if _, err := fmt.Sscanf(parts[len(parts)-2], "%x", &token); err != nil || !open[token] {
				return false
			}
		}
		return true
	})
}
