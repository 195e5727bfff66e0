package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// cluster is three servers that found a cluster, with TLS between them, each with a configuration
// file of its own.
type cluster struct {
	servers      []*server
	listen       []string // where each serves
	admin        []string // and where its etcd is managed
	certificates certificates
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	const size = 3
	c := &cluster{servers: make([]*server, size), certificates: newCertificates(t)}
	var members []string
	for i := range size {
		c.listen = append(c.listen, storetest.FreeAddr(t))
		c.admin = append(c.admin, storetest.FreeAddr(t))
		members = append(members, fmt.Sprintf("dlm-%d=%s", i+1, storetest.FreeAddr(t)))
	}
	started := make(chan error, size)
	for i := range size {
		_, peer, _ := strings.Cut(members[i], "=")
		file := filepath.Join(t.TempDir(), "dlm.yaml")
		c.write(t, file, fmt.Sprintf(`cluster:
  name: dlm-%d
  members: [%s]
  peer-listen: %s
`, i+1, strings.Join(members, ", "), peer), i)
		go func() {
			var err error
			c.servers[i], err = startServer(c.listen[i], filepath.Join(filepath.Dir(file), "data"), "--config", file)
			started <- err
		}()
	}
	for range size {
		if err := <-started; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() {
		for _, s := range c.servers {
			if s != nil {
				s.cmd.Process.Kill()
				s.cmd.Wait()
			}
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	return c
}

// write writes a configuration, whose last part is `cluster`, completed by what all servers have.
func (c *cluster) write(t *testing.T, file, text string, i int) {
	t.Helper()
	text += fmt.Sprintf("  client-listen: %s\n  tls: {ca: %s, cert: %s, key: %s}\n",
		c.admin[i], c.certificates.ca, c.certificates.cert, c.certificates.key)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// restart starts a server again that was stopped, on its data.
func (c *cluster) restart(t *testing.T, i int) {
	t.Helper()
	args := c.servers[i].cmd.Args
	s, err := startServer(c.listen[i], c.servers[i].dir, args[len(args)-2:]...)
	if err != nil {
		t.Fatal(err)
	}
	c.servers[i] = s
}

// leader is the server whose etcd leads.
func (c *cluster) leader(t *testing.T) int {
	t.Helper()
	etcd, err := clientv3.New(clientv3.Config{Endpoints: c.admin, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer etcd.Close()
	return etcdLeader(t, etcd, c.admin)
}

// all is every server, for --endpoints, beginning with one of them.
func (c *cluster) all(first int) string {
	n := len(c.listen)
	return strings.Join([]string{c.listen[first], c.listen[(first+1)%n], c.listen[(first+2)%n]}, ",")
}

// crowd is a holder that appends what it is told, and waiters behind it, each of which appends its
// number.
type crowd struct {
	lock    string
	holder  *background
	tell    func(line string)
	release func()
	waiters []*background
}

func (c *cluster) crowd(t *testing.T, lock string, first, waiters int) *crowd {
	t.Helper()
	cmd := command(t, c.all(first), dlmPath, "lock", "--ttl", "30s", "--connect-timeout", "20s", lock, "sh", "-c",
		`echo held; while read line; do dlm append --connect-timeout 20s "$DLM_LOCK" file "$line" && echo "did $line"; done`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	g := &crowd{lock: lock, holder: start(t, cmd), release: func() { in.Close() }}
	g.holder.says(t, "held")
	g.tell = func(line string) {
		t.Helper()
		before := time.Now()
		fmt.Fprintln(in, line)
		g.holder.says(t, "did "+line)
		t.Logf("%s took %v", line, time.Since(before).Round(time.Millisecond))
	}
	for i := range waiters {
		// A session may end in an outage that is longer than its TTL, and its place with it.
		w := command(t, c.all((first+i)%len(c.listen)), dlmPath, "lock", "-q", "--ttl", "30s", "--connect-timeout", "20s", lock,
			"dlm", "append", "--connect-timeout", "20s", lock, "file", fmt.Sprint(i))
		g.waiters = append(g.waiters, start(t, w))
		eventually(t, "its place in the queue", func() bool {
			found := queueLength.FindStringSubmatch(must(t, command(t, c.all(first), dlmPath, "status", lock)))
			return found != nil && found[1] == strconv.Itoa(i+1)
		})
	}
	return g
}

var queueLength = regexp.MustCompile(`(?m)^waiting +(\d+)$`)

// done lets the holder and the waiters end, and returns what they appended.
func (g *crowd) done(t *testing.T, endpoints string) string {
	t.Helper()
	g.release()
	for _, b := range append([]*background{g.holder}, g.waiters...) {
		if code := b.wait(t); code != 0 {
			t.Errorf("%q: exit code %d\n%s", b.cmd.Args, code, b.err)
		}
	}
	return must(t, command(t, endpoints, dlmPath, "cat", g.lock, "file"))
}

// Every server is restarted, one after the other, under a holder and a queue: nobody loses a place.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	clusterStatus(t, c.all(0)).wantMembers(t, 3, "4294967296")
	g := c.crowd(t, "rolling", 0, 10)
	want := ""
	for i := range c.servers {
		if err := c.servers[i].stop(syscall.SIGTERM); err != nil {
			t.Errorf("server %d: %v\n%s", i+1, err, c.servers[i].log)
		}
		g.tell(fmt.Sprintf("without-%d", i+1))
		c.restart(t, i)
		g.tell(fmt.Sprintf("with-%d", i+1))
		want += fmt.Sprintf("without-%d\nwith-%d\n", i+1, i+1)
	}
	if got := g.done(t, c.all(0)); got != want+"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n" {
		t.Errorf("read %q", got)
	}
}

// The leader is killed under a holder, its clients are slowed down and nothing else; what is left
// without a quorum says so; a member whose disk is lost is replaced as the manual says.
func TestClusterSurvives(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	for i, addr := range c.listen {
		must(t, command(t, addr, dlmPath, "append", "any", "file", fmt.Sprint(i)))
	}
	lost := c.leader(t)
	g := c.crowd(t, "killed", lost, 3)
	_ = c.servers[lost].stop(syscall.SIGKILL)
	g.tell("leader-killed")

	// A quorum is two: the last one refuses, soon.
	another, third := (lost+1)%3, (lost+2)%3
	_ = c.servers[another].stop(syscall.SIGKILL)
	before := time.Now()
	eventually(t, "the last server to say that it does not serve", func() bool {
		r := run(t, command(t, c.listen[third], dlmPath, "health"))
		return r.code == 69 && strings.Contains(r.out, "NOT_SERVING")
	})
	t.Logf("NOT_SERVING after %v", time.Since(before).Round(time.Millisecond))
	before = time.Now()
	r := run(t, command(t, c.listen[third], dlmPath, "append", "--connect-timeout", "2s", "any", "file", "minority"))
	if r.code != 69 {
		t.Errorf("an append without a quorum: exit code %d, want 69\n%s", r.code, r.err)
	}
	t.Logf("refused after %v: %s", time.Since(before).Round(time.Millisecond), strings.TrimSpace(r.err))
	c.restart(t, another)
	g.tell("quorum-again")

	c.replace(t, lost, another)
	g.tell("replaced")
	// The new member counts: with it and one other there is a quorum.
	if err := c.servers[third].stop(syscall.SIGTERM); err != nil {
		t.Errorf("server %d: %v\n%s", third+1, err, c.servers[third].log)
	}
	g.tell("with-the-new")
	if got := g.done(t, c.all(lost)); got != "leader-killed\nquorum-again\nreplaced\nwith-the-new\n0\n1\n2\n" {
		t.Errorf("read %q", got)
	}
	if got := must(t, command(t, c.listen[lost], dlmPath, "cat", "any", "file")); got != "0\n1\n2\n" {
		t.Errorf("the new member reads %q", got)
	}
}

// replace replaces the server that was lost, through another one that runs, as docs/operations.md
// says.
func (c *cluster) replace(t *testing.T, lost, through int) {
	t.Helper()
	name := fmt.Sprintf("dlm-%d", lost+1)
	manage := func(args ...string) *exec.Cmd {
		return command(t, "", dlmPath, append([]string{"member", "--etcd-endpoints", c.admin[through]}, args...)...)
	}
	row := regexp.MustCompile(name + ` +(\S+)`).FindStringSubmatch(must(t, manage("list")))
	if row == nil {
		t.Fatalf("no %s among the members", name)
	}
	_, peer, _ := strings.Cut(row[1], "://")
	// The cluster takes members on when the others have been connected for long enough.
	for _, args := range [][]string{{"remove", name}, {"add", name, peer}} {
		var r result
		eventually(t, strings.Join(args, " "), func() bool {
			r = run(t, manage(args...))
			return r.code == 0 || !strings.Contains(r.err, "unhealthy cluster")
		})
		if r.code != 0 {
			t.Fatalf("member %q: exit code %d\n%s", args, r.code, r.err)
		}
		if _, text, found := strings.Cut(r.out, "\n\n"); found {
			file := filepath.Join(t.TempDir(), "dlm.yaml")
			c.write(t, file, text, lost)
			s, err := startServer(c.listen[lost], filepath.Join(t.TempDir(), "data"), "--config", file)
			if err != nil {
				t.Fatal(err)
			}
			c.servers[lost] = s
		}
	}
}

// A member that is told to stop complains of nothing. One whose configuration is not what the
// cluster goes by says so when it starts again, with the remedy, and serves.
func TestClusterGoesByWhatItKnows(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	for i, s := range c.servers {
		if strings.Contains(s.log.String(), `"remedy"`) {
			t.Errorf("dlm-%d complains of its configuration:\n%s", i+1, s.log)
		}
	}
	stopped := c.servers[0]
	if err := stopped.stop(syscall.SIGTERM); err != nil {
		t.Fatalf("server: %v\n%s", err, stopped.log)
	}
	_, last, _ := strings.Cut(stopped.log.String(), `"msg":"stopping"`)
	if strings.Contains(last, `"warn"`) || strings.Contains(last, `"error"`) {
		t.Errorf("a clean stop logs:\n%s", last)
	}

	file := stopped.cmd.Args[len(stopped.cmd.Args)-1]
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	own := regexp.MustCompile(`peer-listen: (\S+)`).FindStringSubmatch(string(text))[1]
	other := regexp.MustCompile(`dlm-2=([^,]+)`).FindStringSubmatch(string(text))[1]
	moved, gone := storetest.FreeAddr(t), storetest.FreeAddr(t)
	changed := strings.NewReplacer("dlm-1="+own, "dlm-1="+moved, "dlm-2="+other, "dlm-4="+gone).Replace(string(text))
	if err := os.WriteFile(file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	c.restart(t, 0)
	for _, says := range []string{
		`"not_listed":["dlm-2=` + other + `"],"no_members":["dlm-4=` + gone + `"]`, "dlm member list",
		`"registered":"https://` + own + `","configured":"https://` + moved + `"`, "member update ",
	} {
		if !strings.Contains(c.servers[0].log.String(), says) {
			t.Errorf("dlm-1 does not say %s:\n%s", says, c.servers[0].log)
		}
	}
	must(t, command(t, c.listen[0], dlmPath, "append", "moved", "file", "text"))
}
