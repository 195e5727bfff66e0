package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// memberTold is a member as `dlm member list --json` prints it.
type memberTold struct {
	ID, Name                            string
	Peers                               []string
	Leader, Learner, Started, Reachable bool
}

// manage runs `dlm member` through a server.
func (c *cluster) manage(t *testing.T, through int, args ...string) result {
	t.Helper()
	return run(t, command(t, "", dlmPath, append([]string{"member", "--etcd-endpoints", c.admin[through]}, args...)...))
}

func (c *cluster) members(t *testing.T, through int) map[string]memberTold {
	t.Helper()
	r := c.manage(t, through, "list", "--json")
	var list []memberTold
	if err := json.Unmarshal([]byte(r.out), &list); err != nil || r.code != 0 {
		t.Fatalf("member list: exit code %d, %v\n%s%s", r.code, err, r.out, r.err)
	}
	members := map[string]memberTold{}
	for _, m := range list {
		members[m.Name] = m
	}
	return members
}

// refused checks that a command is refused, with an exit code and words.
func (c *cluster) refused(t *testing.T, through, code int, words string, args ...string) {
	t.Helper()
	if r := c.manage(t, through, args...); r.code != code || !strings.Contains(r.err, words) {
		t.Errorf("member %q: exit code %d, want %d and %q\n%s", args, r.code, code, words, r.err)
	}
}

// A member is added without harm to those that there are, whatever becomes of its server, and what
// would do them harm is refused, and said.
func TestMembersAreChangedSafely(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	old := c.members(t, 0)
	leaders := 0
	for _, m := range old {
		if m.Leader {
			leaders++
		}
		if !m.Started || !m.Reachable || m.Learner || len(m.Peers) != 1 || !strings.HasPrefix(m.Peers[0], "https://") {
			t.Errorf("member %+v, want it to be well, and to use TLS", m)
		}
	}
	if len(old) != 3 || leaders != 1 {
		t.Fatalf("members %+v, want 3 and one leader", old)
	}
	_, taken, _ := strings.Cut(old["dlm-2"].Peers[0], "://")
	peer := storetest.FreeAddr(t)
	c.refused(t, 0, 64, `a member called "dlm-2"`, "add", "dlm-2", peer)
	c.refused(t, 0, 64, "there is a member at "+taken, "add", "dlm-4", taken)
	c.refused(t, 0, 64, "cluster.name", "add", "with space", peer)
	if now := c.members(t, 0); len(now) != 3 {
		t.Fatalf("members %+v after what was refused", now)
	}

	r := c.manage(t, 0, "add", "dlm-4", peer)
	_, text, found := strings.Cut(r.out, "\n\n")
	if r.code != 0 || !found {
		t.Fatalf("member add: exit code %d\n%s%s", r.code, r.out, r.err)
	}
	file := filepath.Join(t.TempDir(), "dlm.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, command(t, "", dlmPath, "config", "check", "--config", file))
	if m := c.members(t, 1)[""]; !m.Learner || m.Started || m.Peers[0] != "https://"+peer {
		t.Errorf("the new member is %+v, want a learner that has not started, with TLS", m)
	}
	c.refused(t, 0, 1, "has not caught up yet", "add", "dlm-5", storetest.FreeAddr(t))

	// Its server is killed as soon as it is known, and started again.
	c.admin, c.listen = append(c.admin, storetest.FreeAddr(t)), append(c.listen, storetest.FreeAddr(t))
	c.write(t, file, text, 3)
	args := []string{"server", "--listen", c.listen[3], "--data-dir", filepath.Join(t.TempDir(), "data"), "--config", file}
	b := start(t, command(t, "", dlmPath, args...))
	eventually(t, "the new member", func() bool { return c.members(t, 0)["dlm-4"].Started })
	killNow(t, b)
	b = start(t, command(t, "", dlmPath, args...))
	b.says(t, "dlm is ready on")
	eventually(t, "a member that votes", func() bool {
		m := c.members(t, 3)["dlm-4"]
		return m.Started && !m.Learner && m.Reachable
	})
	must(t, command(t, c.listen[3], dlmPath, "append", "--connect-timeout", "20s", "l", "file", "by the new one"))
	if r := c.manage(t, 0, "remove", "dlm-4"); r.code != 0 {
		t.Errorf("member remove: exit code %d\n%s", r.code, r.err)
	}
	if code := b.wait(t); code != 78 {
		t.Errorf("exit code %d of a server that was removed, want 78", code)
	}

	// One of three is down: the quorum needs both others.
	_ = c.servers[2].stop(syscall.SIGKILL)
	eventually(t, "another leader", func() bool { return c.manage(t, 0, "list").code == 0 })
	c.refused(t, 0, 1, "dlm-3 at "+old["dlm-3"].Peers[0], "remove", "dlm-2")
	c.refused(t, 0, 1, "unhealthy", "--timeout", "5s", "remove", "--force", "dlm-2")
	if m := c.members(t, 0)["dlm-3"]; m.Reachable {
		t.Errorf("a member that is down is %+v", m)
	}
	_ = c.servers[1].stop(syscall.SIGKILL)
	for _, args := range [][]string{{"list"}, {"list", "--json"}, {"add", "dlm-4", peer}, {"remove", "dlm-3"}} {
		eventually(t, "no quorum to be said", func() bool {
			r := c.manage(t, 0, args...)
			return r.code == 69 && strings.Contains(r.err, "no quorum") && strings.Contains(r.err, "dlm-2 at") &&
				(args[0] != "list" || strings.Contains(r.out, "dlm-3"))
		})
	}
}

// What is printed for a member on another machine is a configuration with which that would start,
// also if the peers speak plain text: it says then that this is meant.
func TestMemberOnAnotherMachine(t *testing.T) {
	t.Parallel()
	peer, admin := storetest.FreeAddr(t), storetest.FreeAddr(t)
	ownServer(t, "--cluster-name", "dlm-1", "--cluster-members", "dlm-1="+peer, "--cluster-peer-listen", peer, "--cluster-client-listen", admin)
	out := must(t, command(t, "", dlmPath, "member", "--etcd-endpoints", admin, "add", "dlm-2", "peer.example.org:2380"))
	_, text, _ := strings.Cut(out, "\n\n")
	file := filepath.Join(t.TempDir(), "dlm.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, command(t, "", dlmPath, "config", "check", "--config", file))
	if !strings.Contains(text, "insecure: true") {
		t.Errorf("nothing is said of plain text:\n%s", text)
	}
}
