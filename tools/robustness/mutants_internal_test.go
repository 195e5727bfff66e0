package main

import (
	"strings"
	"testing"
)

// Each mutant has its place in the source as it is now.
func TestMutantsAreInTheSource(t *testing.T) {
	t.Parallel()
	root, err := moduleDir()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := brokenSources(root); err != nil {
		t.Error(err)
	}
	var all strings.Builder
	for _, s := range sites() {
		all.WriteString(s.broken)
	}
	for _, more := range added() {
		all.WriteString(more.code)
	}
	names := map[string]bool{}
	for _, m := range mutants() {
		if !strings.Contains(all.String(), `mutated("`+m.name+`")`) {
			t.Errorf("no site has %s", m.name)
		}
		if names[m.name] {
			t.Errorf("%s is listed twice", m.name)
		}
		names[m.name] = true
	}
	if got := strings.Count(all.String(), "mutated("); got < len(mutants()) {
		t.Errorf("%d sites for %d mutants", got, len(mutants()))
	}
}

func TestChosenMutants(t *testing.T) {
	t.Parallel()
	for only, want := range map[string]int{"": len(mutants()), "append-twice": 1, "append-twice,pass-by-name": 2, "append-twice,nobody": 0, "nobody": 0} {
		chosen, err := options{only: only}.chosen()
		if len(chosen) != want || (err == nil) != (want > 0) {
			t.Errorf("%q chooses %d, %v; want %d", only, len(chosen), err, want)
		}
	}
	if quick, err := (options{only: "quick"}).chosen(); err != nil || len(quick) == 0 || len(quick) == len(mutants()) {
		t.Errorf("quick chooses %d, %v; want some of %d", len(quick), err, len(mutants()))
	}
}
