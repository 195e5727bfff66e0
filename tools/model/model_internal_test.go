package main

import (
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/tools/model/search"
	"github.com/distributed-lock-manager/dlm/tools/model/searchtest"
)

// The protocol as it is holds its invariants in every state of the small configurations, and from
// each of them everybody can still be served.
func TestProtocol(t *testing.T) {
	var runs []search.Run
	for _, m := range small() {
		runs = append(runs, m.run())
	}
	searchtest.Hold(t, runs)
}

// Each hole, opened, does what it is known for: the search would find it if the protocol had it.
func TestHoles(t *testing.T) {
	var runs []search.Run
	for _, h := range holeRuns() {
		runs = append(runs, h.run())
	}
	searchtest.DoHarm(t, runs, 15)
}

// No two locks meet in a key, whatever they are called. Without the second slash they do.
func TestHoleH1(t *testing.T) {
	if got := namesCollide("//"); got != "" {
		t.Error(got)
	}
	if got := namesCollide("/"); got == "" {
		t.Error("with one slash no two keys meet: the search proves nothing")
	}
}

// What cannot be searched is walked through.
func TestWalks(t *testing.T) {
	for _, m := range huge() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			if r := m.wander(50, 120, 1); r.broken != holds || r.states == 0 {
				t.Errorf("%d steps: %s\n%s", r.states, r.verdict(), r.story())
			}
		})
	}
}

// The command says so if something is wrong, and tells of it.
func TestCommand(t *testing.T) {
	for _, test := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"-only", "H4b", "-stories"}, 0, "published: a sweep does not compare that the section is not published"},
		{[]string{"-only", "H1 "}, 2, "nothing has that in its name"},
		{[]string{"-only", "H8a", "-limit", "10"}, 1, "WRONG: holds so far; want: invariants 2 and 3, what can be read"},
		{[]string{"-only", "a second life"}, 0, "holds, every state"},
	} {
		var out, errs strings.Builder
		if got := run(test.args, &out, &errs); got != test.status || !strings.Contains(out.String(), test.want) {
			t.Errorf("model %v: status %d, %s\n%s; want %d, and %q", test.args, got, out.String(), errs.String(), test.status, test.want)
		}
	}
}
