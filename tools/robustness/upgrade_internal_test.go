package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Servers become the other version's when they start again, wherever they run, and nothing else of
// them changes.
func TestSwap(t *testing.T) {
	t.Parallel()
	p := &process{args: (&space{name: "m0"}).command("/old", "server", "--listen", "x")}
	if p.swap("/new", "/old") {
		t.Error("it was not the new one, and is said to have been")
	}
	if !p.swap("/old", "/new") {
		t.Error("it was the old one, and is said not to have been")
	}
	if want := []string{"ip", "netns", "exec", "m0", "/new", "server", "--listen", "x"}; !slices.Equal(p.args, want) {
		t.Errorf("got %v; want %v", p.args, want)
	}
}

// A run with two versions goes from one to the other in the middle of it, and back.
func TestUpgradeDue(t *testing.T) {
	t.Parallel()
	two := &layout{bin: programs{dlm: "/new", earlier: "/old"}}
	for _, test := range []struct {
		l        *layout
		made     int
		elapsed  time.Duration
		due, few bool
	}{
		{two, 0, 19 * time.Second, false, true},
		{two, 0, 21 * time.Second, true, true},
		{two, 1, 39 * time.Second, false, true},
		{two, 1, 41 * time.Second, true, true},
		{two, 2, time.Hour, false, false},
		{&layout{bin: programs{dlm: "/new"}}, 0, time.Hour, false, false},
	} {
		counts := map[string]int{upgraded: test.made}
		due, few := len(upgradeDue(test.l, counts, test.elapsed, time.Minute)) > 0, tooFewUpgrades(test.l, counts)
		if due != test.due || few != test.few {
			t.Errorf("of %q after %v and %d: due %t, too few %t; want %t, %t", test.l.bin.earlier, test.elapsed, test.made, due, few, test.due, test.few)
		}
	}
	if got := (programs{dlm: "/new"}).first() + two.bin.first(); got != "/new/old" {
		t.Errorf("servers begin with %s; want the earlier one if there is one", got)
	}
}

// The fault goes to the new version, and back; and it notices servers that are neither.
func TestUpgrades(t *testing.T) {
	t.Parallel()
	args := func() []string { return []string{filepath.Join(t.TempDir(), "old"), "server"} }
	p := &process{name: "server 0", args: args(), aside: true} // nobody starts it
	r := &run{l: &layout{bin: programs{dlm: "/new", earlier: p.args[0]}, servers: []*process{p}, members: []*process{p}}}
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, want := range []string{"/new", r.l.bin.earlier, "/new"} {
		if err := upgrades(r.l)[0].do(t.Context(), r, rnd); err != nil || p.args[0] != want {
			t.Errorf("got %s, %v; want %s", p.args[0], err, want)
		}
	}
	p.args = args()
	if err := upgrades(r.l)[0].do(t.Context(), r, rnd); err == nil {
		t.Error("a server of no known version was replaced")
	}
	if upgrades(&layout{bin: programs{dlm: "/new"}}) != nil {
		t.Error("versions are changed where there is one")
	}
}

// What is no commit is not built, and leaves nothing behind.
func TestBuildEarlierOfNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	err := programs{earlier: filepath.Join(dir, "dlm")}.buildEarlier("0000000000000000000000000000000000000000")
	if err == nil || !strings.Contains(err.Error(), "git") {
		t.Errorf("got %v; want what git says", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("got %v, %v; want nothing left", left, err)
	}
}
