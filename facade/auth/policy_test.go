package auth_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/facade/auth"
)

func parse(t testing.TB, text string) *auth.Policy {
	t.Helper()
	p, err := auth.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	alice = auth.Identity("spiffe:spiffe://example.org/ns/prod/sa/alice")
	bob   = auth.Identity("spiffe:spiffe://example.org/ns/prod/sa/bob")
	carol = auth.Identity("dns:carol.example.org")
)

func TestDecide(t *testing.T) {
	p := parse(t, `
rules:
  - identity: "spiffe:spiffe://example.org/ns/prod/*"
    locks: [jobs, a/b/c]
    allow: [acquire, append, read, inspect]
  - identity: "spiffe:spiffe://example.org/ns/prod/*"
    locks: [jobs/secret]
    deny: [acquire, read]
  - identity: spiffe:spiffe://example.org/ns/prod/sa/alice
    locks: [jobs/secret]
    allow: [acquire]
  - identity: spiffe:spiffe://example.org/ns/prod/sa/alice
    locks: [jobs/secret/never]
    allow: [acquire]
    deny: [acquire]
  - identity: "*"
    locks: ["*"]
    allow: [inspect]
  - identity: "dns:*.example.org"
    locks: ["*"]
    allow: [admin, evict]
`)
	for _, c := range []struct {
		who  auth.Identity
		verb auth.Verb
		lock string
		want bool
	}{
		{alice, auth.Acquire, "jobs", true},
		{alice, auth.Acquire, "jobs/nightly", true},
		{alice, auth.Acquire, "jobs2", false},
		{alice, auth.Acquire, "job", false},
		{alice, auth.Acquire, "", false},
		{alice, auth.Acquire, "jobs/", true},
		{alice, auth.Acquire, "/jobs", false},
		{alice, auth.Acquire, "Jobs", false},
		{alice, auth.Acquire, "jobs/secret", true}, // named itself, against a pattern that denies
		{alice, auth.Acquire, "jobs/secret/x", true},
		{alice, auth.Acquire, "jobs/secret/never", false}, // deny beats allow
		{alice, auth.Acquire, "jobs/secret/never/again", false},
		{alice, auth.Read, "jobs/secret", false}, // the rule that names her says nothing of the verb
		{alice, auth.Append, "jobs/secret", true},
		{bob, auth.Acquire, "jobs/secret", false},
		{bob, auth.Acquire, "jobs/secrets", true},
		{bob, auth.Acquire, "a/b", false},
		{bob, auth.Acquire, "a/b/c", true},
		{bob, auth.Acquire, "a/b/c/d", true},
		{bob, auth.Inspect, "anything", true},
		{bob, auth.Evict, "jobs", false},
		{carol, auth.Evict, "jobs", true},
		{carol, auth.Acquire, "jobs", false},
		{carol, auth.Inspect, "jobs", true},
		{"dns:example.org", auth.Evict, "jobs", false},
		{"dns:.example.org", auth.Evict, "jobs", false},
		{"dns:carol.example.org.evil.net", auth.Evict, "jobs", false},
		{"spiffe:spiffe://example.org/ns/production/sa/x", auth.Acquire, "jobs", false},
		{"spiffe:spiffe://example.org/ns/prod/", auth.Acquire, "jobs", false},
		{"cn:spiffe:spiffe://example.org/ns/prod/sa/alice", auth.Acquire, "jobs", false},
		{"", auth.Inspect, "anything", false}, // nobody is nobody
	} {
		allowed, why := p.For(c.who).Explain(c.verb, c.lock)
		if allowed != c.want || p.For(c.who).Allows(c.verb, c.lock) != c.want {
			t.Errorf("%q may %v %q: %v (%s), want %v", c.who, c.verb, c.lock, allowed, why, c.want)
		}
	}
	if v := p.For(bob); !v.Somewhere(auth.Acquire) || v.Somewhere(auth.Evict) || !v.Anything() || !v.Everywhere(auth.Inspect) || v.Everywhere(auth.Acquire) {
		t.Errorf("what bob may do somewhere and everywhere is wrong")
	}
	if v := p.For(""); v.Anything() {
		t.Error("nobody may do something")
	}
	if v := (*auth.Policy)(nil).For(""); !v.Allows(auth.Admin, "") || !v.Everywhere(auth.Inspect) {
		t.Error("without a policy not everything is allowed")
	}
}

func TestRevoked(t *testing.T) {
	p := parse(t, `
revoked:
  - identity: spiffe:spiffe://example.org/ns/prod/sa/alice
    issued-before: 2026-11-26T12:00:00Z
    sessions: end
  - identity: "dns:*.example.org"
`)
	noon := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		who           auth.Identity
		issued        time.Time
		revoked, ends bool
	}{
		{alice, noon.Add(-time.Second), true, true},
		{alice, noon, false, false},
		{bob, noon.Add(-time.Hour), false, false},
		{carol, noon.Add(time.Hour), true, false},
	} {
		if got, ends := p.Revoked(c.who, c.issued), p.EndsSessions(c.who, c.issued); got != c.revoked || ends != c.ends {
			t.Errorf("%s, issued %v: revoked %v, sessions end %v; want %v, %v", c.who, c.issued, got, ends, c.revoked, c.ends)
		}
	}
}

func TestEveryFaultOfAPolicyIsNamed(t *testing.T) {
	_, err := auth.ParsePolicy([]byte(`
rules:
  - identity: alice
    locks: [jobs/]
    allow: [steal]
  - identity: "spiffe:spiffe://example.org/ns/prod*"
    locks: [jobs]
    allow: [admin]
  - identity: "*"
  - identity: "dns:a*b"
    locks: ["jobs/*"]
    deny: [read]
revoked:
  - sessions: drop
`))
	if err == nil {
		t.Fatal("it was taken")
	}
	for _, want := range []string{
		`line 3: identity "alice"`, `line 3: invalid name: lock "jobs/"`, `line 3: verb "steal"`,
		`line 6: identity "spiffe:spiffe://example.org/ns/prod*"`, "line 6: admin is not about single locks",
		"line 9: locks are missing", "line 9: it neither allows nor denies",
		`line 10: identity "dns:a*b"`, `line 10: invalid name: lock "jobs/*"`,
		"line 14: identity is missing", `line 14: sessions "drop"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q:\n%v", want, err)
		}
	}
	for _, text := range []string{
		"rules:\n  - identity: '*'\n    lock: [a]\n    allow: [read]\n", "rule: []\n", "rules: 1\n", "rules: []\n---\nrules: []\n", "\x00", "rules:\n - 1\n",
		"rules:\n  - identity: '*'\n    locks: [a]\n    allow: read\n", "revoked:\n  - identity: '*'\n    issued-before: soon\n",
	} {
		if _, err := auth.ParsePolicy([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	for _, text := range []string{"", "rules:\nrevoked:\n", "# nothing\n"} {
		if p, err := auth.ParsePolicy([]byte(text)); err != nil || p.For(alice).Anything() {
			t.Errorf("%q: %v; want a policy that allows nothing", text, err)
		}
	}
}

// BenchmarkDecide is of 1,000 rules, all of which match the identity.
func BenchmarkDecide(b *testing.B) {
	var text strings.Builder
	text.WriteString("rules:\n")
	for i := range 1000 {
		fmt.Fprintf(&text, "  - {identity: 'spiffe:spiffe://example.org/ns/prod/*', locks: [team-%d/jobs/nightly/%d], allow: [acquire, append, read]}\n", i%50, i)
	}
	v := parse(b, text.String()).For(alice)
	b.ReportAllocs()
	for b.Loop() {
		if !v.Allows(auth.Acquire, "team-17/jobs/nightly/917/part/1") || v.Allows(auth.Acquire, "team-17/jobs/nightly/x") {
			b.Fatal("the decision is wrong")
		}
	}
}
