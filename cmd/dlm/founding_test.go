package main_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// founders are three servers of one cluster that are started and stopped one by one.
type founders struct {
	peers, listen, dirs []string
	// settings are how each is configured besides where it serves and keeps its data; nil: by
	// flags, as a member of the three.
	settings func(i int) (args, env []string)
}

func newFounders(t *testing.T) *founders {
	t.Helper()
	f := &founders{}
	for range 3 {
		f.peers = append(f.peers, storetest.FreeAddr(t))
		f.listen = append(f.listen, storetest.FreeAddr(t))
		f.dirs = append(f.dirs, filepath.Join(t.TempDir(), "data"))
	}
	return f
}

// start starts a server, which may not become ready.
func (f *founders) start(t *testing.T, i int) *background {
	t.Helper()
	var env []string
	args := f.member(i)
	if f.settings != nil {
		args, env = f.settings(i)
	}
	cmd := lasting(t, "", dlmPath, append([]string{"server", "--listen", f.listen[i], "--data-dir", f.dirs[i]}, args...)...)
	cmd.Env = append(cmd.Env, env...)
	return start(t, cmd)
}

// member is how a server is configured as a member of the cluster, by flags.
func (f *founders) member(i int) (args []string) {
	var members []string
	for j, peer := range f.peers {
		members = append(members, fmt.Sprintf("dlm-%d=%s", j, peer))
	}
	return []string{
		"--cluster-name", fmt.Sprintf("dlm-%d", i), "--cluster-members", strings.Join(members, ","), "--cluster-peer-listen", f.peers[i],
	}
}

// shipped configures the servers as the files in deploy do, but for their addresses.
func (f *founders) shipped(t *testing.T, file string) {
	t.Helper()
	open, err := os.Open(filepath.Join("..", "..", "deploy", file))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	var first struct {
		Data    map[string]string // of the ConfigMap, which comes first
		Cluster map[string]string `yaml:"x-cluster"` // of the compose file: the environment
	}
	if err := yaml.NewDecoder(open).Decode(&first); err != nil {
		t.Fatal(err)
	}
	if text, ok := first.Data["dlm.yaml"]; ok {
		for i, peer := range f.peers {
			text = strings.Replace(text, fmt.Sprintf("dlm-%d.dlm-peers:2380", i), peer, 1)
		}
		path := filepath.Join(t.TempDir(), "dlm.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f.settings = func(i int) (args, env []string) {
			return []string{"--config", path, "--cluster-client-listen", "", "--cluster-peer-listen", f.peers[i], "--admin-listen", ""}, []string{fmt.Sprint("DLM_CLUSTER_NAME=dlm-", i)}
		}
		return
	}
	env := []string{"DLM_CLUSTER_STATE=" + os.Expand(first.Cluster["DLM_CLUSTER_STATE"], func(name string) string {
		_, unset, _ := strings.Cut(name, ":-")
		return unset
	})}
	members := first.Cluster["DLM_CLUSTER_MEMBERS"]
	for i, peer := range f.peers {
		members = strings.Replace(members, fmt.Sprintf("dlm-%d=dlm-%d:2380", i+1, i+1), fmt.Sprintf("dlm-%d=%s", i, peer), 1)
	}
	env = append(env, "DLM_CLUSTER_MEMBERS="+members)
	f.settings = func(i int) ([]string, []string) {
		return []string{"--cluster-peer-listen", f.peers[i]}, append(env, fmt.Sprint("DLM_CLUSTER_NAME=dlm-", i))
	}
}

func (f *founders) all() string { return strings.Join(f.listen, ",") }

// serve waits until a server is ready, and uses it.
func (f *founders) serve(t *testing.T, b *background, i int, text string) {
	t.Helper()
	b.says(t, "dlm is ready on")
	must(t, command(t, f.listen[i], dlmPath, "append", "--connect-timeout", "20s", "l", "file", text))
}

// killNow ends a server without a word.
func killNow(t *testing.T, b *background) {
	t.Helper()
	b.signal(t, syscall.SIGKILL)
	b.wait(t)
}

// Two of three disks are lost while the third server is down, and the configuration is still that
// of the first start, as the shipped files leave it.
func TestEmptiedMajorityFoundsNothing(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"kubernetes/cluster.yaml", "compose/cluster.yaml"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			f := newFounders(t)
			f.shipped(t, file)
			emptiedMajority(t, f)
		})
	}
}

func emptiedMajority(t *testing.T, f *founders) {
	t.Helper()
	servers := []*background{f.start(t, 0), f.start(t, 1), f.start(t, 2)}
	for i, b := range servers {
		f.serve(t, b, i, fmt.Sprint(i))
	}
	for _, b := range servers {
		killNow(t, b)
	}
	kept := slices.Clone(f.dirs)
	f.dirs[0], f.dirs[1] = filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "data")

	a, b := f.start(t, 0), f.start(t, 1)
	for _, s := range []*background{a, b} {
		s.says(t, "waiting to found the cluster")
		s.says(t, "dlm-2 at "+f.peers[2]+" does not answer")
		s.says(t, "dlm member remove")
	}
	c := f.start(t, 2)
	for _, s := range []*background{a, b} {
		s.says(t, "dlm-2 at "+f.peers[2]+" has data")
		s.says(t, "cluster.state existing")
		if strings.Contains(s.out.String(), "ready") {
			t.Errorf("a server with an empty disk is ready:\n%s", s.out)
		}
	}
	if strings.Contains(c.out.String(), "ready") {
		t.Errorf("a server without a majority is ready:\n%s", c.out)
	}
	for _, s := range []*background{a, b, c} {
		s.signal(t, syscall.SIGTERM)
		if code := s.wait(t); code != 143 {
			t.Errorf("exit code %d of a server that waits, want 143", code)
		}
	}

	// Nothing happened to the data.
	f.dirs = kept
	for i := range servers {
		servers[i] = f.start(t, i)
	}
	f.serve(t, servers[0], 0, "again")
	if got := must(t, command(t, f.all(), dlmPath, "cat", "l", "file")); got != "0\n1\n2\nagain\n" {
		t.Errorf("read %q", got)
	}
}

// Servers are killed at any moment of their first start, and started again: they found one cluster,
// whoever has come how far.
func TestFoundingSurvivesKills(t *testing.T) {
	t.Parallel()
	const clusters, kills = 2, 6
	for range clusters {
		f := newFounders(t)
		servers := make([]*background, len(f.dirs))
		for range kills {
			for i, b := range servers {
				if b == nil {
					servers[i] = f.start(t, i)
				}
			}
			// Any moment will do: the founding takes some 100 ms from when all are up.
			<-time.After(time.Duration(50+rand.IntN(400)) * time.Millisecond)
			i := rand.IntN(len(servers))
			killNow(t, servers[i])
			servers[i] = nil
		}
		for i, b := range servers {
			if b == nil {
				servers[i] = f.start(t, i)
			}
		}
		want := ""
		for i, b := range servers {
			f.serve(t, b, i, fmt.Sprint(i))
			want += fmt.Sprintln(i)
		}
		for i := range servers {
			if got := must(t, command(t, f.listen[i], dlmPath, "cat", "l", "file")); got != want {
				t.Errorf("server %d reads %q, want %q", i, got, want)
			}
			if _, err := os.Stat(filepath.Join(f.dirs[i], "founding")); err == nil {
				t.Errorf("server %d still has a note of the founding", i)
			}
		}
	}
}

// A copy of a member's directory is put back after the member has acknowledged more. That is found
// out as long as the leader is the one that it acknowledged to.
func TestOldCopyIsRefusedInWords(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	for range 5 {
		i := (c.leader(t) + 1) % len(c.servers)
		_ = c.servers[i].stop(syscall.SIGKILL)
		dir := c.servers[i].dir
		copied := filepath.Join(t.TempDir(), "copy")
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		c.restart(t, i)
		// It has what it reads here, and the leader knows.
		must(t, command(t, c.listen[i], dlmPath, "append", "--connect-timeout", "20s", "l", "file", "more"))
		_ = c.servers[i].stop(syscall.SIGKILL)
		if err := os.Rename(dir, dir+".newer"); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(dir, os.DirFS(copied)); err != nil {
			t.Fatal(err)
		}
		args := c.servers[i].cmd.Args
		b := start(t, command(t, "", dlmPath, args[1:]...))
		code := make(chan int, 1)
		go func() { code <- b.wait(t) }()
		eventually(t, "an end or a start", func() bool { return len(code) > 0 || strings.Contains(b.out.String(), "ready") })
		if len(code) == 0 {
			b.signal(t, syscall.SIGKILL)
			t.Log("another leader took it for one that was down")
			<-code
			c.restart(t, i)
			continue
		}
		if got := <-code; got != 78 {
			t.Errorf("exit code %d, want 78", got)
		}
		name := fmt.Sprintf("dlm-%d", i+1)
		for _, want := range []string{"dlm: embedded etcd: data directory is an old copy", "dlm member remove " + name, "dlm member add " + name} {
			if !strings.Contains(b.err.String(), want) {
				t.Errorf("it does not say %q:\n%s", want, b.err)
			}
		}
		if strings.Contains(b.err.String(), "goroutine ") {
			t.Errorf("it dumps its goroutines:\n%s", b.err)
		}
		return
	}
	t.Error("an old copy was refused in none of 5 times")
}

// A server whose disk is lost is given another list than the one that its cluster was founded with,
// which does not name the others. They go on connecting to it, and so it founds nothing.
func TestEmptiedMemberWithAnotherListFoundsNothing(t *testing.T) {
	t.Parallel()
	f := newFounders(t)
	servers := []*background{f.start(t, 0), f.start(t, 1), f.start(t, 2)}
	for i, b := range servers {
		f.serve(t, b, i, fmt.Sprint(i))
	}
	killNow(t, servers[2])
	alone := func(members string, more ...string) *background {
		return start(t, command(t, "", dlmPath, append([]string{"server", "--listen", f.listen[2], "--data-dir",
			filepath.Join(t.TempDir(), "data"), "--cluster-name", "dlm-2", "--cluster-members", members, "--cluster-peer-listen", f.peers[2]},
			more...)...))
	}
	other := storetest.FreeAddr(t)
	start(t, command(t, "", dlmPath, "server", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(t.TempDir(), "data"), "--cluster-name",
		"other", "--cluster-members", "other="+other+",dlm-2="+f.peers[2], "--cluster-peer-listen", other))
	self := "dlm-2=" + f.peers[2]
	for words, b := range map[string]func() *background{
		"a member of its cluster": func() *background { return alone(self) },
		"connects to":             func() *background { return alone(self + ",other=" + other) },
		"must name the others":    func() *background { return alone(self, "--cluster-state", "existing") },
	} {
		b := b()
		if code := b.wait(t); code != 78 || !strings.Contains(b.err.String(), words) {
			t.Errorf("exit code %d, want 78 and %q:\n%s", code, words, b.err)
		}
		if strings.Contains(b.out.String(), "ready") {
			t.Errorf("it was ready:\n%s", b.out)
		}
	}
}
