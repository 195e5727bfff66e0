//go:build outages

package main_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// load is clients that go through their locks again and again, and how long each call took at most.
type load struct {
	clients []*client.Client
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	began   time.Time
	longest map[string]time.Duration // by what was called, and through which server first
	when    map[string]time.Duration // since the outage began
	served  map[string]time.Duration // when whoever began at a server had the first success, since then
	rounds  int
	failed  []error
}

// startLoad has clients of both TTLs work, begun at each of the endpoints. Each pair shares a lock.
func startLoad(t *testing.T, endpoints []string) *load {
	t.Helper()
	l := &load{longest: map[string]time.Duration{}, when: map[string]time.Duration{}, served: map[string]time.Duration{}}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	for i := range endpoints {
		for _, ttl := range []time.Duration{5 * time.Second, 10 * time.Second} {
			for k := range 2 {
				c, err := client.Open(client.Config{
					Endpoints: append(append([]string{}, endpoints[i:]...), endpoints[:i]...), TTL: ttl, ConnectTimeout: time.Minute,
					Label: fmt.Sprintf("%d/%v/%d", i, ttl, k),
				})
				if err != nil {
					t.Fatal(err)
				}
				l.clients = append(l.clients, c)
				where := fmt.Sprintf("%v via %d: ", ttl, i)
				l.running.Go(func() { l.work(ctx, c, fmt.Sprintf("outage/%d-%v", i, ttl), where) })
			}
		}
	}
	t.Cleanup(l.stop)
	return l
}

func (l *load) stop() {
	l.cancel()
	l.running.Wait()
	for _, c := range l.clients {
		_ = c.Close()
	}
	l.clients = nil
}

func (l *load) work(ctx context.Context, c *client.Client, lock, where string) {
	for ctx.Err() == nil {
		if err := l.round(ctx, c, lock, where); err != nil && ctx.Err() == nil {
			l.mu.Lock()
			l.failed = append(l.failed, fmt.Errorf("%s%w", where, err))
			l.mu.Unlock()
		}
	}
}

func (l *load) round(ctx context.Context, c *client.Client, lock, where string) error {
	var held *client.Lock
	for _, step := range []struct {
		what string
		call func() error
	}{
		{"acquire", func() (err error) {
			held, err = c.Lock(ctx, lock)
			return err
		}},
		{"append", func() error { return held.Append(ctx, "file", []byte("x")) }},
		{"release", func() error { return held.Unlock(ctx) }},
	} {
		began := time.Now()
		err := step.call()
		l.took(where+step.what, began)
		if err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		l.success(where)
	}
	l.mu.Lock()
	l.rounds++
	l.mu.Unlock()
	<-time.After(10 * time.Millisecond) // it is not the load that is looked at
	return nil
}

func (l *load) took(what string, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if took := time.Since(began); took > l.longest[what] {
		l.longest[what], l.when[what] = took, began.Sub(l.began)
	}
}

// lastGasp is how long after a leader is out its last answers may arrive.
const lastGasp = 100 * time.Millisecond

func (l *load) success(where string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, before := l.served[where]; !before && time.Since(l.began) > lastGasp {
		l.served[where] = time.Since(l.began)
	}
}

// all is when everybody had been served again, in the last outage.
func (l *load) all() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Max(slices.Collect(maps.Values(l.served)))
}

// during measures the calls that end while something happens.
func (l *load) during(t *testing.T, what string, f func()) {
	t.Helper()
	l.mu.Lock()
	clear(l.longest)
	clear(l.served)
	l.rounds, l.failed, l.began = 0, nil, time.Now()
	l.mu.Unlock()
	f()
	l.mu.Lock()
	defer l.mu.Unlock()
	var worst string
	for key, d := range l.longest {
		if d > l.longest[worst] {
			worst = key
		}
	}
	t.Logf("%-40s longest call %5.2f s (%s, begun at %.2f s), %6d rounds, %d failures",
		what, l.longest[worst].Seconds(), worst, l.when[worst].Seconds(), l.rounds, len(l.failed))
	for _, err := range l.failed {
		t.Errorf("%s: %v", what, err)
	}
}

// TestOutagesOfServers stops and kills servers of a cluster.
func TestOutagesOfServers(t *testing.T) {
	c := startCluster(t)
	t.Cleanup(func() {
		if t.Failed() {
			for _, s := range c.servers {
				t.Log(s.log)
			}
		}
	})
	// Each time the clients are new ones, so that some begin at each server.
	during := func(what string, f func()) {
		t.Helper()
		l := startLoad(t, c.listen)
		defer l.stop()
		<-time.After(2 * time.Second)
		l.during(t, what, f)
	}
	send := func(i int, sig syscall.Signal) {
		t.Helper()
		if err := c.servers[i].cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	during("nothing happens", func() { <-time.After(3 * time.Second) })
	for _, role := range []string{"leader", "follower"} {
		pick := func() int {
			i := c.leader(t)
			if role == "follower" {
				i = (i + 1) % 3
			}
			return i
		}
		for _, d := range []time.Duration{5 * time.Second, 15 * time.Second} {
			i := pick()
			during(fmt.Sprintf("%s (%d) stopped for %v", role, i, d), func() {
				send(i, syscall.SIGSTOP)
				<-time.After(d)
				send(i, syscall.SIGCONT)
				<-time.After(5 * time.Second)
			})
		}
		i := pick()
		during(fmt.Sprintf("%s (%d) killed, started after 5 s", role, i), func() {
			_ = c.servers[i].stop(syscall.SIGKILL)
			<-time.After(5 * time.Second)
			c.restart(t, i)
			<-time.After(3 * time.Second)
		})
	}
}

// TestOutagesOfLeaders kills the leader again and again, and stops it, and tells how long it takes
// until clients of each server have had a success again, all of them: never over four seconds. A
// call that was under way may take longer, as the log says: the lock that it wants is held by
// somebody who waits for an answer as well.
func TestOutagesOfLeaders(t *testing.T) {
	c := startCluster(t)
	for _, round := range []struct {
		what  string
		times int
		out   func(s *server)
		back  func(i int)
	}{
		{
			"killed", 30,
			func(s *server) { _ = s.stop(syscall.SIGKILL) },
			func(i int) { c.restart(t, i) },
		},
		{
			"stopped", 10,
			func(s *server) { _ = s.cmd.Process.Signal(syscall.SIGSTOP) },
			func(i int) { _ = c.servers[i].cmd.Process.Signal(syscall.SIGCONT) },
		},
	} {
		var took []time.Duration
		for n := range round.times {
			l := startLoad(t, c.listen) // new clients, some of which begin at the leader
			<-time.After(time.Second)
			i := c.leader(t)
			l.during(t, fmt.Sprintf("leader (%d) %s, %d", i, round.what, n), func() {
				round.out(c.servers[i])
				<-time.After(5 * time.Second)
			})
			took = append(took, l.all())
			l.stop()
			round.back(i)
			c.leader(t)
		}
		slices.Sort(took)
		median, last := took[len(took)/2], took[len(took)-1]
		late := len(took) - sort.Search(len(took), func(i int) bool { return took[i] > 2500*time.Millisecond })
		t.Logf("leader %s %d times: served again, median %.2f s, worst %.2f s, %d above 2.5 s", round.what, round.times, median.Seconds(), last.Seconds(), late)
		if last > 4*time.Second {
			t.Errorf("leader %s: it took up to %v until all were served again, want 4 s at most", round.what, last)
		}
	}
}

// network is three network namespaces, one for each member of an etcd, which are joined by a switch
// in a fourth one, and each by a wire of its own with this one.
type network struct {
	names  []string
	bridge string
	hosts  []string // of each, as this namespace reaches it
	peers  []string // of each, as the others do
}

func ip(t *testing.T, line string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", line, err, out)
	}
}

func startNetwork(t *testing.T) *network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces are made by root only: what is missing here is a member of an external etcd that is cut off " +
			"by the network; TestMemberCutOff in etcdstore does the same with proxies")
	}
	id := os.Getpid() % 10000
	n := &network{bridge: fmt.Sprintf("dlm%dsw", id)}
	if out, err := exec.Command("ip", "netns", "add", n.bridge).CombinedOutput(); err != nil {
		t.Skipf("no network namespaces here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		for _, name := range append(n.names, n.bridge) {
			_ = exec.Command("ip", "netns", "del", name).Run()
		}
	})
	in := func(name, line string) { t.Helper(); ip(t, "netns exec "+name+" ip "+line) }
	in(n.bridge, "link add br0 type bridge")
	in(n.bridge, "link set br0 up")
	for i := range 3 {
		name := fmt.Sprintf("dlm%dm%d", id, i)
		ip(t, "netns add "+name)
		n.names = append(n.names, name)
		in(name, "link set lo up")
		// To the others.
		ip(t, fmt.Sprintf("link add peer netns %s type veth peer name p%d netns %s", name, i, n.bridge))
		in(name, fmt.Sprintf("addr add 10.213.77.%d/24 dev peer", i+1))
		in(name, "link set peer up")
		in(n.bridge, fmt.Sprintf("link set p%d master br0", i))
		in(n.bridge, fmt.Sprintf("link set p%d up", i))
		n.peers = append(n.peers, fmt.Sprintf("10.213.77.%d", i+1))
		// To here.
		wire := fmt.Sprintf("dlm%dw%d", id, i)
		ip(t, fmt.Sprintf("link add %s type veth peer name host netns %s", wire, name))
		ip(t, fmt.Sprintf("addr add 10.213.78.%d/30 dev %s", 4*i+1, wire))
		ip(t, "link set "+wire+" up")
		in(name, fmt.Sprintf("addr add 10.213.78.%d/30 dev host", 4*i+2))
		in(name, "link set host up")
		n.hosts = append(n.hosts, fmt.Sprintf("10.213.78.%d", 4*i+2))
	}
	return n
}

// cut unplugs a member from the switch; what is sent to it or by it is lost.
func (n *network) cut(t *testing.T, i int) {
	ip(t, fmt.Sprintf("netns exec %s ip link set p%d nomaster", n.bridge, i))
}

func (n *network) heal(t *testing.T, i int) {
	ip(t, fmt.Sprintf("netns exec %s ip link set p%d master br0", n.bridge, i))
}

// TestOutagesOfMembers cuts members of an external etcd off from the others, but not from the
// servers; as root.
func TestOutagesOfMembers(t *testing.T) {
	n := startNetwork(t)
	binary := filepath.Join(t.TempDir(), "etcd")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "go.etcd.io/etcd/server/v3").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var list, endpoints []string
	for i := range 3 {
		list = append(list, fmt.Sprintf("m%d=http://%s:2380", i, n.peers[i]))
		endpoints = append(endpoints, n.hosts[i]+":2379")
	}
	members := make([]*background, 3)
	for i := range 3 {
		peer, host := "http://"+n.peers[i]+":2380", "http://"+endpoints[i]
		members[i] = start(t, exec.Command("ip", "netns", "exec", n.names[i], binary,
			"--name", fmt.Sprint("m", i), "--data-dir", filepath.Join(t.TempDir(), "etcd"),
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", strings.Join(list, ","),
			"--listen-client-urls", host, "--advertise-client-urls", host, "--log-level", "warn"))
	}
	etcd, err := clientv3.New(clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { etcd.Close() })
	etcdLeader(t, etcd, endpoints)

	// Each server has another member as its first.
	var listen []string
	var servers []*server
	begin := func(i int, listen string) *server {
		t.Helper()
		list := strings.Join(append(append([]string{}, endpoints[i:]...), endpoints[:i]...), ",")
		s, err := startServer(listen, filepath.Join(t.TempDir(), "unused"), "--etcd-endpoints", list)
		if err != nil {
			t.Error(err)
			return nil
		}
		t.Cleanup(func() {
			s.cmd.Process.Kill()
			s.cmd.Wait()
			if t.Failed() {
				t.Log(s.log)
			}
		})
		return s
	}
	for i := range 3 {
		listen = append(listen, storetest.FreeAddr(t))
		servers = append(servers, begin(i, listen[i]))
	}
	if t.Failed() {
		t.FailNow()
	}
	l := startLoad(t, listen)
	<-time.After(3 * time.Second)
	l.during(t, "nothing happens", func() { <-time.After(3 * time.Second) })
	for _, role := range []string{"follower", "leader", "follower", "leader"} {
		leader := etcdLeader(t, etcd, endpoints)
		i := leader
		if role == "follower" {
			i = (leader + 1) % 3
		}
		l.during(t, fmt.Sprintf("%s (%d) cut off for 12 s", role, i), func() {
			n.cut(t, i)
			<-time.After(5 * time.Second)
			before := time.Now()
			if s := begin(i, "127.0.0.1:0"); s != nil {
				t.Logf("a server that begins with the one cut off is ready after %v", time.Since(before).Round(time.Millisecond))
			}
			<-time.After(7 * time.Second)
		})
		l.during(t, "healed", func() {
			n.heal(t, i)
			<-time.After(10 * time.Second)
		})
	}
	for i, s := range servers {
		for _, line := range strings.Split(s.log.String(), "\n") {
			if strings.Contains(line, "etcd member") || strings.Contains(line, "quorum") {
				t.Logf("server %d: %s", i, line)
			}
		}
	}
}
