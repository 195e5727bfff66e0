//go:build containers

package deploy_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// patience is how long anything may take before the test counts as stuck.
const patience = 4 * time.Minute

// TestContainers runs the compose files on the container engine of this machine, on ports of its
// choice, and removes whatever it made.
func TestContainers(t *testing.T) {
	engine := findEngine(t)
	dlm := filepath.Join(t.TempDir(), "dlm")
	run(t, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", dlm, "../cmd/dlm")
	image := engine.name + ":dlm"
	t.Cleanup(func() { engine.quiet("docker", "rmi", image) })
	run(t, nil, "image/image.sh", dlm, image)
	engine.env = append(engine.env, "DLM_IMAGE="+image)

	t.Run("single", func(t *testing.T) { single(t, engine, dlm) })
	t.Run("cluster", func(t *testing.T) { cluster(t, engine, dlm) })
	t.Run("external", func(t *testing.T) { external(t, engine, dlm) })
	t.Run("secure", func(t *testing.T) { secure(t, engine, dlm) })
}

func single(t *testing.T, e *engine, dlm string) {
	p := e.up(t, "single.yaml")
	c := p.client(t, dlm, "dlm")
	c.healthy()
	c.run("append", "orders", "audit.log", "before")
	p.compose("kill", "dlm")
	p.compose("start", "dlm")
	c.healthy()
	c.run("append", "orders", "audit.log", "after")
	if got, want := c.run("cat", "orders", "audit.log"), "before\nafter\n"; got != want {
		t.Errorf("orders/audit.log = %q, want %q", got, want)
	}
}

func cluster(t *testing.T, e *engine, dlm string) {
	services := []string{"dlm-1", "dlm-2", "dlm-3"}
	p := e.up(t, "cluster.yaml")
	c := p.client(t, dlm, services...)
	c.healthy()
	tour(t, p, dlm, services)

	// Whoever leads is killed sooner or later, because everyone is, one after the other, while a
	// holder works on.
	const beats = 60
	script := fmt.Sprintf(`i=1; while [ $i -le %d ]; do "$0" append long beats.log $i || exit 1; i=$((i+1)); sleep 0.3; done`, beats)
	var log bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	// By the containers' own addresses: a published port is a proxy, behind which a hold is given
	// up when a leader's end takes longer than 1.5 s.
	holder := p.direct(t, dlm, services...).command(ctx, "lock", "--label", "holder", "long", "--", "sh", "-c", script, dlm)
	holder.Stdout, holder.Stderr = &log, &log
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	held := make(chan error, 1)
	go func() { held <- holder.Wait() }()
	c.until("the lock to be held", func() bool { return strings.Contains(c.run("status", "long"), "holder") })
	for _, service := range services {
		p.compose("kill", service)
		others := p.client(t, dlm, without(services, service)...)
		others.run("append", "orders", "audit.log", "without "+service)
		p.compose("start", service)
		p.client(t, dlm, service).healthy()
	}
	select {
	case err := <-held:
		if err != nil {
			t.Fatalf("the holder: %v\n%s", err, log.String())
		}
	case <-ctx.Done():
		t.Fatal("the holder does not end")
	}
	var want strings.Builder
	for i := range beats {
		fmt.Fprintln(&want, i+1)
	}
	if got := c.run("cat", "long", "beats.log"); got != want.String() {
		t.Errorf("long/beats.log = %q, want %q", got, want.String())
	}
	if got := c.run("cat", "orders", "audit.log"); !strings.HasSuffix(got, "without dlm-1\nwithout dlm-2\nwithout dlm-3\n") {
		t.Errorf("orders/audit.log = %q", got)
	}
	replace(t, p, c, dlm)
	p.stops(services)
}

// replace loses a member with its disk and follows docs/operations.md.
func replace(t *testing.T, p *project, c *client, dlm string) {
	t.Helper()
	p.compose("rm", "--stop", "--force", "dlm-3")
	run(t, nil, "docker", "volume", "rm", p.name+"_data-3")
	member := func(args ...string) string {
		var out string
		c.until("dlm member "+args[0], func() bool {
			text, err := p.command(append([]string{"exec", "-T", "dlm-1", "/dlm", "member"}, args...)...).CombinedOutput()
			out = string(text)
			return err == nil
		})
		return out
	}
	if got := member("list"); strings.Count(got, "http://dlm-") != 3 {
		t.Errorf("dlm member list = %q", got)
	}
	member("remove", "dlm-3")
	if got := member("add", "dlm-3", "dlm-3:2380"); !strings.Contains(got, "state: existing") {
		t.Errorf("dlm member add = %q", got)
	}
	p.env = append(p.env, "DLM_CLUSTER_STATE=existing")
	p.compose("up", "--detach", "--no-deps", "dlm-3")
	p.client(t, dlm, "dlm-3").healthy()
	p.compose("kill", "dlm-2")
	again := p.client(t, dlm, "dlm-3")
	again.run("append", "orders", "audit.log", "by the replacement")
	if got := again.run("cat", "orders", "audit.log"); !strings.HasPrefix(got, "shipped 1\n") || !strings.HasSuffix(got, "by the replacement\n") {
		t.Errorf("orders/audit.log = %q through the replacement", got)
	}
	p.compose("start", "dlm-2")
	p.client(t, dlm, "dlm-2").healthy()
}

func external(t *testing.T, e *engine, dlm string) {
	dir := t.TempDir()
	run(t, []string{"CGO_ENABLED=0"}, "go", "build", "-o", filepath.Join(dir, "etcd"), "go.etcd.io/etcd/server/v3")
	const dockerfile = "FROM scratch\nCOPY etcd /usr/local/bin/etcd\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
		t.Fatal(err)
	}
	image := e.name + ":etcd"
	t.Cleanup(func() { e.quiet("docker", "rmi", image) })
	run(t, nil, "docker", "build", "--tag", image, dir)

	beside := *e
	beside.env = append(beside.env, "ETCD_IMAGE="+image)
	services := []string{"dlm-1", "dlm-2"}
	p := beside.up(t, "external.yaml")
	p.client(t, dlm, services...).healthy()
	tour(t, p, dlm, services)
	p.compose("kill", "dlm-1")
	c := p.client(t, dlm, "dlm-2")
	c.run("append", "orders", "audit.log", "without dlm-1")
	if got := c.run("cat", "orders", "audit.log"); !strings.HasSuffix(got, "without dlm-1\n") {
		t.Errorf("orders/audit.log = %q", got)
	}
	p.stops([]string{"dlm-2"})
}

// secure is done by the compose file's own client, but for one that shows nothing.
func secure(t *testing.T, e *engine, dlm string) {
	p := e.up(t, "secure.yaml")
	client := func(args ...string) *exec.Cmd {
		return p.command(append([]string{"run", "--rm", "-T", "client"}, args...)...)
	}
	says := func(want string, args ...string) {
		t.Helper()
		if got, err := client(args...).Output(); err != nil || string(got) != want {
			t.Errorf("dlm %s = %q, %v, want %q", strings.Join(args, " "), got, err, want)
		}
	}
	says("", "append", "--connect-timeout", "30s", "jobs/nightly", "runs.log", "before")
	const refused = 77
	if cmd := client("append", "payroll", "runs.log", "never"); cmd.Run() == nil || cmd.ProcessState.ExitCode() != refused {
		t.Errorf("append to what the policy does not allow: %v, want exit code %d", cmd.ProcessState, refused)
	}
	if err := p.client(t, dlm, "dlm").command(t.Context(), "status").Run(); err == nil {
		t.Error("plain text is answered")
	}
	p.compose("exec", "-T", "dlm", "/dlm", "health", "--config", "/etc/dlm/dlm.yaml") // as its health check
	p.compose("run", "--rm", "-T", "certs")
	says("", "append", "jobs/nightly", "runs.log", "with new certificates")
	says("before\nwith new certificates\n", "cat", "jobs/nightly", "runs.log")
	if log := p.compose("logs", "dlm"); !strings.Contains(log, `"identity":"spiffe:spiffe://dlm.test/jobs"`) {
		t.Errorf("nobody has written down who did it:\n%s", log)
	}
	p.stops([]string{"dlm"})
}

// tour does what a newcomer would, each step through another server.
func tour(t *testing.T, p *project, dlm string, services []string) {
	t.Helper()
	first, last := p.client(t, dlm, services[0]), p.client(t, dlm, services[len(services)-1])
	first.run("append", "orders", "audit.log", "shipped 1")
	if got := last.run("cat", "orders", "audit.log"); got != "shipped 1\n" {
		t.Errorf("orders/audit.log = %q through another server", got)
	}
	last.run("lock", "orders", "--", dlm, "append", "orders", "audit.log", "shipped 2")
	discarded := first.command(t.Context(), "lock", "orders", "--", "sh", "-c", `"$0" append orders audit.log 'never' && exit 3`, dlm)
	if err := discarded.Run(); discarded.ProcessState.ExitCode() != 3 {
		t.Errorf("dlm lock of a command that exits 3: %v", err)
	}
	if got, want := first.run("cat", "orders", "audit.log"), "shipped 1\nshipped 2\n"; got != want {
		t.Errorf("orders/audit.log = %q, want %q", got, want)
	}
	if got := last.run("ls", "orders"); !strings.Contains(got, "audit.log") {
		t.Errorf("dlm ls = %q", got)
	}
}

// engine is the container engine and what is set for it.
type engine struct {
	name    string // of everything that the test makes
	compose []string
	env     []string
}

func findEngine(t *testing.T) *engine {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := exec.CommandContext(ctx, "docker", "version").Run(); err != nil {
		t.Skipf("SKIPPED: no container engine answers here, so the image and the compose files were not tried: %v", err)
	}
	e := &engine{name: fmt.Sprintf("dlmtest%d", os.Getpid())}
	for _, compose := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if exec.CommandContext(ctx, compose[0], append(compose[1:], "version")...).Run() == nil {
			e.compose = compose
			return e
		}
	}
	t.Skip("SKIPPED: there is no docker compose here, so the image and the compose files were not tried")
	return nil
}

// quiet cleans up; it outlives the test's context.
func (e *engine) quiet(name string, args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), e.env...)
	out, _ := cmd.CombinedOutput()
	return string(out)
}

// project is one compose file that is up.
type project struct {
	t    *testing.T
	name string
	args []string
	env  []string
}

func (e *engine) up(t *testing.T, file string) *project {
	t.Helper()
	p := &project{t: t, name: e.name + strings.TrimSuffix(file, ".yaml"), env: slices.Clone(e.env)}
	// Not the engine's choice, which is another one after each start.
	for _, name := range []string{"DLM_PORT", "DLM_PORT_1", "DLM_PORT_2", "DLM_PORT_3"} {
		_, port, err := net.SplitHostPort(storetest.FreeAddr(t))
		if err != nil {
			t.Fatal(err)
		}
		p.env = append(p.env, name+"="+port)
	}
	p.args = append(append(p.args, e.compose...), "-p", p.name, "-f", filepath.Join("compose", file))
	t.Cleanup(func() {
		clean := *e
		clean.env = p.env
		if t.Failed() {
			t.Log(clean.quiet(p.args[0], append(p.args[1:], "logs", "--tail=40")...))
		}
		clean.quiet(p.args[0], append(p.args[1:], "down", "--volumes", "--remove-orphans", "--timeout", "20")...)
	})
	p.compose("up", "-d")
	return p
}

func (p *project) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(p.t.Context(), p.args[0], append(p.args[1:len(p.args):len(p.args)], args...)...)
	cmd.Env = append(os.Environ(), p.env...)
	return cmd
}

func (p *project) compose(args ...string) string {
	p.t.Helper()
	return run(p.t, p.env, p.args[0], append(p.args[1:len(p.args):len(p.args)], args...)...)
}

// endpoint is where a service is reached from here.
func (p *project) endpoint(service string) string {
	p.t.Helper()
	return strings.TrimSpace(p.compose("port", service, "50051"))
}

// stops checks that servers end by themselves when they are told to, and say so.
func (p *project) stops(services []string) {
	p.t.Helper()
	p.compose(append([]string{"stop", "--timeout", "25"}, services...)...)
	for _, service := range services {
		id := strings.TrimSpace(p.compose("ps", "-a", "-q", service))
		if code := strings.TrimSpace(run(p.t, nil, "docker", "inspect", "--format", "{{.State.ExitCode}}", id)); code != "0" {
			p.t.Errorf("%s ended with code %s when it was stopped", service, code)
		}
	}
}

func (p *project) client(t *testing.T, dlm string, services ...string) *client {
	t.Helper()
	c := &client{t: t, dlm: dlm}
	for _, service := range services {
		c.endpoints = append(c.endpoints, p.endpoint(service))
	}
	return c
}

// direct is a client that no proxy is in between of.
func (p *project) direct(t *testing.T, dlm string, services ...string) *client {
	t.Helper()
	c := &client{t: t, dlm: dlm}
	for _, service := range services {
		id := strings.TrimSpace(p.compose("ps", "-q", service))
		ip := run(t, nil, "docker", "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", id)
		c.endpoints = append(c.endpoints, net.JoinHostPort(strings.TrimSpace(ip), "50051"))
	}
	return c
}

// client is the command line, for some servers.
type client struct {
	t         *testing.T
	dlm       string
	endpoints []string
}

func (c *client) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.dlm, args...)
	cmd.Env = append(os.Environ(), "DLM_ENDPOINTS="+strings.Join(c.endpoints, ","))
	return cmd
}

func (c *client) run(args ...string) string {
	c.t.Helper()
	return run(c.t, []string{"DLM_ENDPOINTS=" + strings.Join(c.endpoints, ",")}, c.dlm, args...)
}

// healthy waits until every server can commit.
func (c *client) healthy() {
	c.t.Helper()
	c.until("the servers to be healthy", func() bool { return c.command(c.t.Context(), "health").Run() == nil })
}

func (c *client) until(what string, is func() bool) {
	c.t.Helper()
	await.Eventually(c.t, patience, what, is)
}

// run runs a command and returns its standard output.
func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

func without(all []string, one string) []string {
	var rest []string
	for _, s := range all {
		if s != one {
			rest = append(rest, s)
		}
	}
	return rest
}
