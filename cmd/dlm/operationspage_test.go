package main_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// Every command of docs/operations.md is run as it stands there, but for addresses and directories:
// against real servers, in the state that the page speaks of. What needs a system that there is
// none of in a test is held against the files that it is about.
func TestOperationsPage(t *testing.T) {
	t.Parallel()
	// Each block with the word of the comment before it, which says where it is run:
	// <!-- WORD: run by the tests as it stands -->.
	shellBlocks := regexp.MustCompile("(?s)(?:<!-- ([a-z-]+): [^\n]*-->\n)?```sh\n(.*?)```\n")
	// Those that another test runs as they stand.
	others := map[string]string{
		"alarm":          "TestAlarmAndTheWayOut",
		"restore-member": "TestSurvivorIsRestoredEverywhere",
	}
	blocks := map[string][]string{}
	for _, block := range shellBlocks.FindAllStringSubmatch(operationsPage(t), -1) {
		word, script := block[1], block[2]
		switch {
		case word != "":
			blocks[word] = append(blocks[word], script)
		case isForContainers(script):
			blocks["containers"] = append(blocks["containers"], script)
		default:
			t.Errorf("nothing is known of how to run this; what is to come before it is in TestOperationsPage:\n%s", script)
		}
	}
	fixtures := map[string]func(*testing.T, []string){
		"dev-cluster": runDevCluster,
		"replace":     replaceAMember,
		"backup":      backUpAndRestore(blocks["restore"]),
		"restore":     nil, // after the backup
		"server":      runBesideAServer,
		"containers":  lookAtContainers,
	}
	for word, scripts := range blocks {
		try, known := fixtures[word]
		by, other := others[word]
		switch {
		case known && try != nil:
			t.Run(word, func(t *testing.T) {
				t.Parallel()
				try(t, scripts)
			})
		case other:
			if !isATest(t, by) {
				t.Errorf("there is no %s, which is to run %s", by, word)
			}
		case !known:
			t.Errorf("no test knows what %s is", word)
		}
	}
}

// machine is one as the page speaks of it.
type machine struct {
	dir, home string            // of its servers; of who types
	here      map[string]string // what stands in the page, and what it is here
	etcd      string            // where `dlm member` and its like find etcd by default
	serves    string            // and other commands a server
}

// newMachine makes a machine whose /var/lib/dlm, /etc/dlm and /backup are directories of the
// test's.
func newMachine(t *testing.T) *machine {
	t.Helper()
	dir := t.TempDir()
	p := &machine{dir: dir, home: filepath.Join(dir, "home"), here: map[string]string{}}
	for name, stands := range map[string]string{"data": "/var/lib/dlm", "config": "/etc/dlm", "backup": "/backup", "home": ""} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if stands != "" {
			p.here[stands] = filepath.Join(dir, name)
		}
	}
	return p
}

// script is a block with this machine's addresses and directories in it.
func (p *machine) script(block string) string {
	var pairs []string
	for stands, is := range p.here {
		pairs = append(pairs, stands, is)
	}
	return strings.NewReplacer(pairs...).Replace(block)
}

// command is a block to be run, which ends at its first command that fails.
func (p *machine) command(t *testing.T, block string) result {
	t.Helper()
	// The default address of etcd is this machine's own.
	own := fmt.Sprintf("dlm() { case $1 in member|features) command dlm \"$@\" --etcd-endpoints %s;; *) command dlm \"$@\";; esac; }\n", p.etcd)
	path := filepath.Dir(dlmPath) + ":" + os.Getenv("PATH")
	for _, tool := range []string{"etcdctl", "etcdutl"} {
		if strings.Contains(block, tool+" ") {
			path = filepath.Dir(etcdTool(t, tool)) + ":" + path // built before the command's time begins
		}
	}
	cmd := command(t, p.serves, "sh", "-e", "-c", own+p.script(block))
	cmd.Dir = p.home
	cmd.Env = append(cmd.Env, "PATH="+path)
	return run(t, cmd)
}

// must runs a block that has to succeed, and returns what it printed.
func (p *machine) must(t *testing.T, block string) string {
	t.Helper()
	r := p.command(t, block)
	if r.code != 0 {
		t.Fatalf("exit code %d\n%s\n%s%s", r.code, block, r.out, r.err)
	}
	return r.out
}

// serve starts a server by the configuration of this machine.
func (p *machine) serve(t *testing.T) *server {
	t.Helper()
	s, err := startServer(p.serves, filepath.Join(p.dir, "data"), "--config", filepath.Join(p.dir, "config", "dlm.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	})
	return s
}

// servingMachine is a machine with a server of its own that runs.
func servingMachine(t *testing.T) (*machine, *server) {
	t.Helper()
	p := newMachine(t)
	p.etcd, p.serves = storetest.FreeAddr(t), storetest.FreeAddr(t)
	p.here["127.0.0.1:2379"], p.here["HOST:50051"], p.here["127.0.0.1:50051"] = p.etcd, p.serves, p.serves
	text := fmt.Sprintf("listen: %s\ndata-dir: %s\ncluster:\n  client-listen: %s\n", p.serves, filepath.Join(p.dir, "data"), p.etcd)
	if err := os.WriteFile(filepath.Join(p.dir, "config", "dlm.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p, p.serve(t)
}

// runBesideAServer runs blocks on a machine whose server runs.
func runBesideAServer(t *testing.T, blocks []string) {
	p, _ := servingMachine(t)
	for _, block := range blocks {
		if out := p.must(t, block); out == "" {
			t.Errorf("nothing is printed by\n%s", block)
		}
	}
}

// runDevCluster has a cluster of three lose its leader and get another one.
func runDevCluster(t *testing.T, blocks []string) {
	p := newMachine(t)
	for _, block := range blocks {
		r := p.command(t, block)
		if text := r.out + r.err; r.code != 0 || strings.Count(text, "leads") < 2 {
			t.Errorf("exit code %d, want another leader to be told of\n%s", r.code, text)
		}
	}
}

// replaceAMember loses a member of a cluster with its disk, and puts another one in its place.
func replaceAMember(t *testing.T, blocks []string) {
	c := startCluster(t)
	must(t, command(t, c.listen[0], dlmPath, "append", "--connect-timeout", "20s", "l", "file", "before"))
	_ = c.servers[2].stop(syscall.SIGKILL)
	peer := strings.TrimPrefix(c.members(t, 0)["dlm-3"].Peers[0], "https://")

	p := newMachine(t)
	p.etcd, p.serves = c.admin[0], c.listen[0]
	p.here["10.0.0.3:2380"] = peer
	// Until the others are connected for long enough, and one of them leads, the page says, try
	// again.
	var said string
	for i, line := range strings.Split(strings.TrimSpace(blocks[0]), "\n") {
		eventually(t, line, func() bool {
			r := p.command(t, line)
			said = r.out
			return r.code == 0
		})
		if i == 0 && strings.Count(said, "dlm-") < 3 {
			t.Errorf("%s: %s", line, said)
		}
	}
	_, text, _ := strings.Cut(said, "\n\n")
	if !strings.Contains(text, "state: existing") {
		t.Fatalf("no configuration for the next step is printed:\n%s", said)
	}
	// Where this one serves and keeps its data, and what it shows its peers, is its own affair.
	text = fmt.Sprintf("listen: %s\ndata-dir: %s\n%s", c.listen[2], filepath.Join(p.dir, "data"), text)
	c.write(t, filepath.Join(p.dir, "config", "dlm.yaml"), text, 2)
	start(t, command(t, "", "sh", "-e", "-c", "exec "+p.script(blocks[1]))).says(t, "dlm is ready on")
	must(t, command(t, c.listen[2], dlmPath, "append", "--connect-timeout", "20s", "l", "file", "after"))
	if got := must(t, command(t, c.listen[2], dlmPath, "cat", "l", "file")); got != "before\nafter\n" {
		t.Errorf("read %q through the new member", got)
	}
	if len(blocks) != 2 {
		t.Errorf("%d blocks, of which 2 are run", len(blocks))
	}
}

// backUpAndRestore backs up a server that runs, and restores what it was then when it is stopped.
func backUpAndRestore(restores []string) func(*testing.T, []string) {
	return func(t *testing.T, backups []string) {
		p, s := servingMachine(t)
		use := func(args ...string) string {
			t.Helper()
			return must(t, command(t, p.serves, dlmPath, args...))
		}
		token := func() string {
			t.Helper()
			return strings.TrimSpace(use("lock", "--connect-timeout", "20s", "other", "sh", "-c", "echo $DLM_TOKEN"))
		}
		use("append", "--connect-timeout", "20s", "l", "file", "before")
		use("cat", "l", "file")
		for _, block := range backups {
			p.must(t, block)
		}
		use("append", "l", "file", "after")
		old := token()
		if err := s.stop(syscall.SIGTERM); err != nil {
			t.Fatalf("server: %v\n%s", err, s.log)
		}
		for _, block := range restores {
			p.must(t, block)
		}
		p.serve(t)
		if got := use("cat", "--connect-timeout", "20s", "l", "file"); got != "before\n" {
			t.Errorf("read %q, want what was there at the time of the backup", got)
		}
		if now := token(); len(now) < len(old) || len(now) == len(old) && now <= old {
			t.Errorf("token %s after the restore, and %s before it", now, old)
		}
		if len(restores) == 0 {
			t.Error("nothing restores it")
		}
	}
}

// isForContainers reports whether commands are for a system that runs containers, by the first word
// of each.
func isForContainers(script string) bool {
	for _, words := range commandsOf(script) {
		if !slices.Contains([]string{"docker", "kubectl"}, words[0]) {
			return false
		}
	}
	return true
}

// commandsOf are the words of each command, without comments and variables before it.
func commandsOf(script string) (commands [][]string) {
	for line := range strings.Lines(script) {
		line, _, _ = strings.Cut(line, " #")
		words := strings.Fields(line)
		for len(words) > 0 && strings.Contains(words[0], "=") {
			words = words[1:]
		}
		if len(words) > 0 {
			commands = append(commands, words)
		}
	}
	return commands
}

// lookAtContainers holds commands against the files in deploy: what they name is there, and what
// they run in a container is a command of dlm. That they do what they should is seen by `make
// containers`.
func lookAtContainers(t *testing.T, blocks []string) {
	deploy := filepath.Join("..", "..", "deploy")
	read := func(parts ...string) string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(append([]string{deploy}, parts...)...))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	cluster := read("kubernetes", "cluster.yaml")
	for _, block := range blocks {
		for _, words := range commandsOf(block) {
			line := strings.Join(words, " ")
			if i := slices.Index(words, "/dlm"); i >= 0 {
				args := words[i+1:]
				for strings.HasPrefix(args[len(args)-1], "dlm-") { // a member, or its address
					args = args[:len(args)-1]
				}
				if r := run(t, command(t, "", dlmPath, append(slices.Clone(args), "--help")...)); r.code != 0 || !strings.Contains(r.out, "dlm "+strings.Join(args, " ")) {
					t.Errorf("%s: dlm %q is no command\n%s", line, args, r.err)
				}
			}
			names := regexp.MustCompile(`(?:dlm|data)(?:-[a-z0-9]+)*`).FindAllString(line, -1)
			if len(names) == 0 {
				t.Errorf("%s: nothing of dlm's", line)
			}
			if words[0] == "docker" {
				text := read("compose", "cluster.yaml")
				for _, name := range names {
					if name != "dlm" && !strings.Contains(text, name+":") {
						t.Errorf("%s: deploy/compose/cluster.yaml has no %s", line, name)
					}
				}
				continue
			}
			for _, name := range names {
				base := strings.TrimRight(name, "-0123456789") // a pod's, or its volume's, is made of its set's
				for _, part := range strings.SplitAfter(base, "data-") {
					if part = strings.TrimSuffix(part, "-"); part != "" && !strings.Contains(cluster, "name: "+part+"\n") {
						t.Errorf("%s: deploy/kubernetes/cluster.yaml has no %s", line, part)
					}
				}
			}
		}
	}
}

// isATest reports whether there is a test of that name in this package.
func isATest(t *testing.T, name string) bool {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	for _, file := range files {
		text, readErr := os.ReadFile(file)
		err = errors.Join(err, readErr)
		if strings.Contains(string(text), "\nfunc "+name+"(t *testing.T) {\n") {
			return true
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return false
}
