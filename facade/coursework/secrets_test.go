package coursework_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade/coursework"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// secret is a session's credential, wherever it stands.
var secret = regexp.MustCompile(`[0-9a-f]{16}\.[0-9a-f]{32}`)

// secrets returns the keys in etcd with a credential in their values.
func secrets(t *testing.T, node *facadetest.Node) (keys []string) {
	t.Helper()
	resp, err := node.Etcd().Get(storetest.Bounded(t), etcdstore.DefaultPrefix, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range resp.Kvs {
		if secret.Match(kv.Value) {
			keys = append(keys, string(kv.Key))
		}
	}
	return keys
}

// sweeper is a service of its own on a node's etcd, to look through the clients' records with.
func sweeper(node *facadetest.Node) *coursework.Service {
	return coursework.New(coursework.Config{Store: node.Store(), Lock: "default", TTL: long})
}

func sweep(t *testing.T, s *coursework.Service, at time.Time) {
	t.Helper()
	if err := s.Sweep(storetest.Bounded(t), at); err != nil {
		t.Fatalf("sweep: %v", err)
	}
}

// exercise has a client do what leaves traces in its record, and goes on with it elsewhere.
func exercise(node *facadetest.Node, c client, prefix string) {
	c.acquires(prefix+"1", success)
	c.appends(prefix+"2", "file_0", "a", success)
	c.at(node, 1).appends(prefix+"3", "file_0", "b", success)
	c.at(node, 1).releases(prefix+"4", success)
	c.releases(prefix+"4", success)
	c.at(node, 1).acquires(prefix+"5", success)
	c.releases(prefix+"6", success)
	c.at(node, 1).beats(success)
}

// Nothing in etcd has the credential of a client's session, and any server continues it.
func TestRecordsHaveNoCredentials(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long), facadetest.WithFacades(2))
	c := join(t, node, 0)
	exercise(node, c, "x")
	c.acquires("x7", success)
	if keys := secrets(t, node); len(keys) > 0 {
		t.Errorf("credentials are in %q", keys)
	}
}

// Where an older server may run, records have what it needs. When there is none any more, the next
// look through them drops that, and their clients notice nothing.
func TestOldRecordsLoseTheirCredentials(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long), facadetest.WithFacades(2))
	const features = etcdstore.DefaultPrefix + "cluster/features"
	for i := range 2 {
		node.StopFacade(i)
	}
	if _, err := node.Etcd().Put(storetest.Bounded(t), features, `{"on":["linger","numbered"]}`); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		node.StartFacade(i)
	}
	c := join(t, node, 0)
	exercise(node, c, "x")
	version := c.acquires("x7", success)
	if keys := secrets(t, node); len(keys) != 1 || !strings.Contains(keys[0], "/clients/") {
		t.Errorf("credentials are in %q; want the client's record", keys)
	}

	s := sweeper(node)
	if err := etcdstore.EnableFeature(storetest.Bounded(t), node.Etcd(), etcdstore.DefaultPrefix, "bare"); err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "no credentials to be left", func() bool {
		sweep(t, s, time.Now())
		return len(secrets(t, node)) == 0
	})
	c.at(node, 1).sees(c.id)
	if again := c.acquires("x7", success); again != version {
		t.Errorf("version %d, was %d", again, version)
	}
	c.appends("x8", "file_0", "c", success)
	c.releases("x9", success)
	c.releases("x4", success)
	exercise(node, c, "y")
	if keys := secrets(t, node); len(keys) > 0 {
		t.Errorf("credentials are in %q", keys)
	}
}

// A client that goes away without a word is remembered for a day, counted anew each time that it
// comes back. Then it is forgotten; those that are there are not.
func TestClientsAreForgotten(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	s := sweeper(node)
	here, away := join(t, node, 0), join(t, node, 0)
	away.acquires("x1", success)
	begin := time.Now()
	die := func() {
		t.Helper()
		holder := storetest.Bounded(t)
		resp, err := node.Etcd().Get(holder, etcdstore.DefaultPrefix+"locks/", clientv3.WithPrefix())
		if err != nil || len(resp.Kvs) != 1 {
			t.Fatalf("the lock: %v, %v", resp, err)
		}
		if _, err := node.Etcd().Revoke(holder, clientv3.LeaseID(resp.Kvs[0].Lease)); err != nil {
			t.Fatal(err)
		}
	}
	die()
	storetest.Eventually(t, "the session's end to be known", func() bool {
		sweep(t, s, begin)
		return recordOf(t, node, away).ended()
	})
	sweep(t, s, begin.Add(23*time.Hour))
	away.acquires("x2", success) // it is back, under another session
	if recordOf(t, node, away).ended() {
		t.Error("a client that has come back counts as gone")
	}
	sweep(t, s, begin.Add(48*time.Hour))
	away.sees(away.id)

	die()
	storetest.Eventually(t, "the session's end to be known", func() bool {
		sweep(t, s, begin.Add(48*time.Hour))
		return recordOf(t, node, away).ended()
	})
	sweep(t, s, begin.Add(71*time.Hour))
	if recordOf(t, node, away) == "" {
		t.Error("a client was forgotten within a day")
	}
	sweep(t, s, begin.Add(73*time.Hour))
	if r := recordOf(t, node, away); r != "" {
		t.Errorf("a client was not forgotten: %s", r)
	}
	away.beats(file)
	here.beats(success)
	here.acquires("x1", success)
}

// clientRecord is a client's record in etcd; empty: there is none.
type clientRecord string

func (r clientRecord) ended() bool { return strings.Contains(string(r), `"ended":`) }

func recordOf(t *testing.T, node *facadetest.Node, c client) clientRecord {
	t.Helper()
	resp, err := node.Etcd().Get(storetest.Bounded(t), fmt.Sprintf("%sclients/%08x", etcdstore.DefaultPrefix, c.id))
	if err != nil {
		t.Fatal(err)
	}
	if len(resp.Kvs) == 0 {
		return ""
	}
	return clientRecord(resp.Kvs[0].Value)
}
