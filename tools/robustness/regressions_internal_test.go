package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The file of seeds can be read.
func TestSeedsFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("testdata", "seeds"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := parseRegressions(string(text))
	if err != nil || !slices.ContainsFunc(all, func(r regression) bool { return r.layout == "embedded" && r.seed == 41 }) {
		t.Errorf("got %v, %v; want what is there, with embedded and seed 41", all, err)
	}
}

func TestParseRegressions(t *testing.T) {
	t.Parallel()
	all, err := parseRegressions("# for people\n\nexternal  7 90s\twhat it  was\nsecured 1 1m x\n")
	want := []regression{{"external", 7, 90 * time.Second, "what it was"}, {"secured", 1, time.Minute, "x"}}
	if err != nil || !slices.Equal(all, want) {
		t.Errorf("got %v, %v; want %v", all, err, want)
	}
	for name, text := range map[string]string{
		"nothing":              "# for people\n",
		"no layout":            "elsewhere 1 1m x",
		"no seed":              "embedded -1 1m x",
		"no time":              "embedded 1 60 x",
		"a time that is over":  "embedded 1 -1m x",
		"what was found lacks": "embedded 1 1m",
	} {
		if got, err := parseRegressions("secured 1 1m x\n" + text); err == nil && name != "nothing" {
			t.Errorf("%s: got %v", name, got)
		}
		if got, err := parseRegressions(text); err == nil {
			t.Errorf("%s alone: got %v", name, got)
		}
	}
}

// A run that fails says by which line it is made again, and one that does not says nothing.
func TestRunSaysHowToRepeatIt(t *testing.T) {
	t.Parallel()
	var said strings.Builder
	o := options{layout: "nowhere", last: 90 * time.Second, seed: 7, restores: 5, upgradeFrom: "abc", keep: t.TempDir(), out: &said}
	if code := o.ended(0); code != 0 || said.Len() > 0 {
		t.Errorf("got %d, %q; want nothing", code, said.String())
	}
	if code := o.ended(2); code != 2 {
		t.Errorf("got %d; want 2", code)
	}
	if want := "go run ./tools/robustness -layout nowhere -for 1m30s -seed 7 -restores 5 -netns=false -upgrade-from abc\n"; !strings.HasSuffix(said.String(), want) {
		t.Errorf("got %q; want %q", said.String(), want)
	}
}

func TestFlagsGoTogether(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*options)
		good   bool
	}{
		"one run":                    {func(*options) {}, true},
		"no time":                    {func(o *options) { o.last = 0 }, false},
		"two versions":               {func(o *options) { o.upgradeFrom = "abc" }, true},
		"mutants":                    {func(o *options) { o.mutants, o.only = true, "quick" }, true},
		"some mutants, and not":      {func(o *options) { o.only = "quick" }, false},
		"mutants of two versions":    {func(o *options) { o.mutants, o.upgradeFrom = true, "abc" }, false},
		"seeds":                      {func(o *options) { o.seeds, o.results = "1-3", "file" }, true},
		"seeds that are not kept":    {func(o *options) { o.seeds = "1-3" }, false},
		"regressions":                {func(o *options) { o.regressions = "file" }, true},
		"regressions and mutants":    {func(o *options) { o.regressions, o.mutants = "file", true }, false},
		"regressions, and seeds too": {func(o *options) { o.regressions, o.seeds, o.results = "file", "1-3", "file" }, false},
	} {
		o := options{last: time.Minute}
		if test.change(&o); o.goTogether() != test.good {
			t.Errorf("%s: %t; want %t", name, !test.good, test.good)
		}
	}
}
