package main

import (
	"errors"
	"strings"
	"testing"
)

// No layout lacks faults that another one has where all of them can be had, and what a run lacks it
// says.
func TestCanBeApart(t *testing.T) {
	t.Parallel()
	able := cannotBeApart() == nil
	for _, layout := range layouts() {
		for _, netns := range []bool{true, false} {
			var said strings.Builder
			o := options{layout: layout, netns: netns, out: &said}
			if got := o.canBeApart(nil); got != (netns && able) {
				t.Errorf("%s: apart %t; want %t", layout, got, netns && able)
			}
			if lacks := strings.Contains(said.String(), fullDisk); lacks == (netns && able) {
				t.Errorf("%s: it says %q; want what is missing, if anything is", layout, said.String())
			}
		}
		var said strings.Builder
		options{layout: layout, out: &said}.canBeApart(errors.New("no tracer"))
		if !strings.Contains(said.String(), slowDisk) || !strings.Contains(said.String(), "no tracer") {
			t.Errorf("%s: it says %q; want that syncs are not delayed, and why", layout, said.String())
		}
	}
}
