package main_test

import (
	"context"
	"errors"
	"flag"
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

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
)

// person is somebody whom a server knows by a certificate.
type person struct {
	of        *secured
	cn, dir   string
	cert, key string
}

// person has a certificate made out to somebody.
func (s *secured) person(t *testing.T, spec certstest.Spec) person {
	t.Helper()
	p := person{of: s, cn: spec.CN, dir: t.TempDir()}
	p.cert, p.key = s.authority.Issue(t, spec).WriteTo(t, p.dir)
	return p
}

// command is a command of that person's.
func (p person) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := p.of.bare(t, args...)
	cmd.Env = append(cmd.Env, "DLM_CLIENT_CERT="+p.cert, "DLM_CLIENT_KEY="+p.key)
	return cmd
}

// client is a client of that person's, with what the configuration says besides.
func (p person) client(t *testing.T, cfg client.Config) *client.Client {
	t.Helper()
	var err error
	if cfg.TLS, err = client.TLSFromFiles(p.of.ca, p.cert, p.key); err != nil {
		t.Fatal(err)
	}
	cfg.Endpoints = []string{p.of.addr}
	c, err := client.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// published is a file that is replaced as a whole, in one of two ways.
type published struct {
	path    string
	replace func(t *testing.T, text string)
}

// renamed is a file that is replaced by another one's rename.
func renamed(t *testing.T, text string) published {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	p := published{path, func(t *testing.T, text string) { certstest.Write(t, path, []byte(text)) }}
	p.replace(t, text)
	return p
}

// mounted is a file as Kubernetes has those of a volume: a link into a directory, which itself is a
// link, and replaced by another one.
func mounted(t *testing.T, text string) published {
	t.Helper()
	dir, versions := t.TempDir(), 0
	p := published{filepath.Join(dir, "policy.yaml"), func(t *testing.T, text string) {
		t.Helper()
		old, _ := os.Readlink(filepath.Join(dir, "..data"))
		versions++
		version := fmt.Sprintf("..version_%d", versions)
		err := os.Mkdir(filepath.Join(dir, version), 0o700)
		certstest.Write(t, filepath.Join(dir, version, "policy.yaml"), []byte(text))
		err = errors.Join(err, os.Symlink(version, filepath.Join(dir, "..data_tmp")),
			os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		if old != "" {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, old)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}}
	p.replace(t, text)
	if err := os.Symlink(filepath.Join("..data", "policy.yaml"), p.path); err != nil {
		t.Fatal(err)
	}
	return p
}

var punctual = flag.Bool("punctual", false, "hold times to what is promised, for which the machine must have nothing else to do: otherwise they may be five times as long")

// within ends the test unless something that has been so since then was so soon enough. It returns
// how long it took.
func within(t *testing.T, limit time.Duration, since time.Time, what string) time.Duration {
	t.Helper()
	if !*punctual {
		limit *= 5
	}
	took := time.Since(since)
	if took > limit {
		t.Errorf("%s after %v, want it within %v", what, took.Round(time.Millisecond), limit)
	}
	return took.Round(time.Millisecond)
}

const rulesOfTwo = `rules:
  - {identity: cn:worker, locks: [jobs], allow: [acquire, append, read, inspect]}
  - {identity: cn:other, locks: ["*"], allow: [acquire, append, read, inspect]}
`

// Whoever is revoked is cut off from a moment to the next. What it holds passes on at once, and its
// holders are told, if the policy says so; else when their leases end.
func TestRevocation(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		sessions string
		publish  func(*testing.T, string) published
		ttl      time.Duration
	}{
		{"keep", renamed, 4 * time.Second},
		{"end", mounted, time.Minute},
	} {
		t.Run(test.sessions, func(t *testing.T) {
			t.Parallel()
			ttl := test.ttl
			policy := test.publish(t, rulesOfTwo)
			s := startSecured(t, "--auth-policy", policy.path)
			worker, other := s.person(t, certstest.Spec{CN: "worker"}), s.person(t, certstest.Spec{CN: "other"})
			held := start(t, worker.command(t, "lock", "--ttl", ttl.String(), "jobs/command", "sh", "-c",
				`echo $$; "$0" append jobs/command file never; echo held; exec sleep 60`, dlmPath))
			held.says(t, "held")
			pid, err := strconv.Atoi(strings.Fields(held.out.String())[0])
			if err != nil {
				t.Fatal(err)
			}
			sdk := worker.client(t, client.Config{TTL: ttl})
			mine, err := sdk.Lock(t.Context(), "jobs/sdk")
			if err != nil {
				t.Fatal(err)
			}
			if err := mine.Append(t.Context(), "file", []byte("never")); err != nil {
				t.Fatal(err)
			}
			next := start(t, other.command(t, "lock", "jobs/command", "echo", "granted"))
			next.says(t, "waiting for lock")
			granted := make(chan error, 1)
			also := other.client(t, client.Config{})
			go func() {
				l, err := also.Lock(t.Context(), "jobs/sdk")
				if err == nil {
					err = l.Discard(t.Context())
				}
				granted <- err
			}()
			eventually(t, "the second waiter", func() bool {
				state, err := also.Inspect(t.Context(), "jobs/sdk")
				return err == nil && state.GetQueueLength() == 1
			})

			policy.replace(t, rulesOfTwo+"revoked:\n  - {identity: cn:worker, sessions: "+test.sessions+"}\n")
			revoked := time.Now()
			eventually(t, "the refusal", func() bool { return run(t, worker.command(t, "ls")).code == 77 })
			t.Logf("refused after %v", within(t, 2*time.Second, revoked, "refused"))
			soon := 2 * time.Second
			if test.sessions == "keep" {
				soon = ttl + 2*time.Second
			}
			<-mine.Context().Done()
			t.Logf("the holder knows after %v: %v", within(t, soon, revoked, "the holder knows"), context.Cause(mine.Context()))
			if cause := context.Cause(mine.Context()); !errors.Is(cause, client.ErrLockExpired) || !strings.Contains(cause.Error(), "revoked") {
				t.Errorf("the holder is told %v, want that it was revoked", cause)
			}
			if err := <-granted; err != nil {
				t.Error(err)
			}
			t.Logf("granted after %v", within(t, soon, revoked, "granted"))
			if code := held.wait(t); code != 70 || !strings.Contains(held.err.String(), "revoked") {
				t.Errorf("exit code %d, want 70 and why\n%s", code, held.err)
			}
			t.Logf("the command is ended after %v: %s", within(t, soon, revoked, "the command was ended"), held.err)
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("the command still runs: %v", err)
			}
			if code := next.wait(t); code != 0 {
				t.Errorf("the next one: exit code %d\n%s", code, next.err)
			}
			within(t, soon, revoked, "the command behind it was granted the lock")
			if err := mine.Unlock(t.Context()); !errors.Is(err, client.ErrLockExpired) {
				t.Errorf("the holder's unlock: %v, want that the lock is lost", err)
			}
			if r := run(t, other.command(t, "ls")); r.code != 0 || strings.Contains(r.out, "jobs/") {
				t.Errorf("exit code %d, published: %s", r.code, r.out)
			}
			if _, err := sdk.Lock(t.Context(), "jobs/again"); !errors.Is(err, client.ErrUnauthenticated) {
				t.Errorf("another lock: %v, want that it is refused", err)
			}
		})
	}
}

// Whoever has a new certificate goes on where only what was issued before was revoked. What the old
// one has begun is ended, and what the new one begins is not, however often that is looked at, nor
// by a server that starts anew.
func TestRevocationOfWhatWasIssuedBefore(t *testing.T) {
	t.Parallel()
	const review = 6 * time.Second // sessions are looked through every five seconds
	policy := renamed(t, rulesOfTwo)
	s := startSecured(t, "--auth-policy", policy.path)
	worker := s.person(t, certstest.Spec{CN: "worker"})
	again := s.person(t, certstest.Spec{CN: "worker", NotBefore: time.Now().Add(-time.Second)})
	c := worker.client(t, client.Config{TTL: time.Minute})
	old, err := c.Lock(t.Context(), "jobs/old")
	if err != nil {
		t.Fatal(err)
	}
	s.authority.Issue(t, certstest.Spec{CN: "worker", NotBefore: time.Now().Add(-time.Second)}).WriteTo(t, worker.dir)
	policy.replace(t, rulesOfTwo+fmt.Sprintf("revoked:\n  - {identity: cn:worker, issued-before: %s, sessions: end}\n",
		time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)))
	revoked := time.Now()
	<-old.Context().Done()
	within(t, 2*time.Second, revoked, "the old session's end")
	if cause := context.Cause(old.Context()); !errors.Is(cause, client.ErrSessionExpired) {
		t.Errorf("the old hold: %v, want that its session has ended", cause)
	}

	l, err := c.Lock(t.Context(), "jobs/old")
	if err != nil {
		t.Fatal(err)
	}
	ofOther := holdAs(t, again, "jobs/other")
	for _, server := range []string{"the same server", "a new one"} {
		select {
		case <-l.Context().Done():
			t.Fatalf("with %s: %v", server, context.Cause(l.Context()))
		case <-time.After(review):
		}
		if server == "the same server" {
			s.restart(t)
		}
	}
	if err := l.Append(t.Context(), "file", []byte("new")); err != nil {
		t.Error(err)
	}
	if err := l.Unlock(t.Context()); err != nil {
		t.Error(err)
	}
	ofOther.in.Close()
	if code := ofOther.wait(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, ofOther.err)
	}
	if n := strings.Count(s.log.String(), "ended sessions whose owner was revoked"); n > 0 {
		t.Errorf("after its restart the server has ended sessions:\n%s", s.log)
	}
}

// holdAs has somebody hold a lock by a command, until its standard input ends.
func holdAs(t *testing.T, p person, lock string, args ...string) holding {
	t.Helper()
	cmd := p.command(t, append(append([]string{"lock"}, args...), lock, "sh", "-c", "echo held; read x; exit 0")...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, cmd)
	b.says(t, "held")
	return holding{background: b, in: in}
}

// restart has the server stop and start again as it was.
func (s *secured) restart(t *testing.T) {
	t.Helper()
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Fatalf("server: %v\n%s", err, s.log)
	}
	const fixed = 6 // dlm server --listen … --data-dir …
	again, err := startServer(s.addr, s.dir, s.cmd.Args[fixed:]...)
	if err != nil {
		t.Fatal(err)
	}
	s.server = again
	t.Cleanup(func() {
		again.cmd.Process.Kill()
		again.cmd.Wait()
	})
}

// A new policy counts for what goes on: see how soon. One that is broken does not.
func TestPolicyIsReread(t *testing.T) {
	t.Parallel()
	const soon = time.Second
	policy := mounted(t, rulesOfTwo)
	s := startSecured(t, "--auth-policy", policy.path)
	worker, other := s.person(t, certstest.Spec{CN: "worker"}), s.person(t, certstest.Spec{CN: "other"})
	c := worker.client(t, client.Config{TTL: time.Minute})
	take := func(name string) *client.Lock {
		t.Helper()
		l, err := c.Lock(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	idle, staged, discarded := take("jobs/idle"), take("jobs/staged"), take("jobs/discarded")
	for _, l := range []*client.Lock{staged, discarded} {
		if err := l.Append(t.Context(), "file", []byte("never")); err != nil {
			t.Fatal(err)
		}
	}
	must(t, worker.command(t, "append", "jobs", "file", "text"))
	watch := start(t, worker.command(t, "watch"))
	watch.says(t, "jobs/idle")
	tail := start(t, worker.command(t, "tail", "-f", "jobs", "file"))
	tail.says(t, "text")
	holder := holdAs(t, other, "jobs/held")
	waiter := start(t, worker.command(t, "lock", "jobs/held", "true"))
	waiter.says(t, "waiting for lock")

	const narrow = "rules:\n  - {identity: cn:worker, locks: [public], allow: [acquire, append, inspect]}\n" +
		"  - {identity: cn:other, locks: [\"*\"], allow: [acquire, append, read, inspect]}\n"
	policy.replace(t, narrow)
	began := time.Now()
	for _, b := range []*background{tail, waiter} {
		if code := b.wait(t); code != 77 || !strings.Contains(b.err.String(), "permission denied") {
			t.Errorf("%q: exit code %d, want 77 and why\n%s", b.cmd.Args, code, b.err)
		}
		t.Logf("%s ended after %v", b.cmd.Args[1], within(t, soon, began, "ended"))
	}
	seen := len(watch.out.String())
	must(t, other.command(t, "lock", "jobs/hidden", "true"))
	must(t, other.command(t, "lock", "public/shown", "true"))
	watch.says(t, "public/shown")
	if text := watch.out.String()[seen:]; strings.Contains(text, "jobs/") {
		t.Errorf("it still sees %s", text)
	}
	if err := staged.Unlock(t.Context()); !errors.Is(err, client.ErrPermissionDenied) {
		t.Errorf("publish: %v, want that it is denied", err)
	}
	for what, err := range map[string]error{
		"discard after a denied release": staged.Discard(t.Context()),
		"discard":                        discarded.Discard(t.Context()),
		"release of nothing":             idle.Unlock(t.Context()),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := c.TryLock(t.Context(), "jobs/idle"); !errors.Is(err, client.ErrPermissionDenied) {
		t.Errorf("another lock: %v, want that it is denied", err)
	}
	holder.in.Close()
	if code := holder.wait(t); code != 0 {
		t.Errorf("the holder: exit code %d\n%s", code, holder.err)
	}

	policy.replace(t, strings.Replace(rulesOfTwo, "acquire", "take", 1))
	line := regexp.MustCompile(`"level":"error",.*"msg":"files cannot be used: what was in them before still counts","of":"policy".*verb \\"take`)
	eventually(t, "the complaint", func() bool { return line.MatchString(s.log.String()) })
	if r := run(t, worker.command(t, "lock", "-n", "jobs/idle", "true")); r.code != 77 {
		t.Errorf("with a broken policy: exit code %d, want 77\n%s", r.code, r.err)
	}
	must(t, worker.command(t, "lock", "-n", "public/still", "true"))
	policy.replace(t, rulesOfTwo)
	eventually(t, "the new policy to count", func() bool { return run(t, worker.command(t, "lock", "-n", "jobs/idle", "true")).code == 0 })
	mended := regexp.MustCompile(`"level":"info",.*"msg":"files can be used again","of":"policy"`)
	eventually(t, "the end of the complaint", func() bool { return mended.MatchString(s.log.String()) })
	if n := len(line.FindAllString(s.log.String(), -1)); n != 1 {
		t.Errorf("%d complaints, want one:\n%s", n, s.log)
	}
}
