package linger

import "testing"

// The rules hold in every state of the small configurations, and a dead client is always noticed.
func TestProtocol(t *testing.T) {
	for _, run := range Closed(false) {
		t.Run(run.Name, func(t *testing.T) {
			t.Parallel()
			r := run.Look(1_000_000)
			t.Logf("%d states, depth %d, %.1f s", r.States, r.Depth, r.Took.Seconds())
			if r.Harm != "" || !r.Complete {
				t.Errorf("%s\n%s", r.Verdict(), r.Told())
			}
		})
	}
}

// Each rule is needed: without it the search finds the harm.
func TestHoles(t *testing.T) {
	for _, h := range holes() {
		t.Run(h.id, func(t *testing.T) {
			t.Parallel()
			r := h.model.look(1_000_000)
			t.Logf("%s: %d states, depth %d\n%s", h.what, r.States, r.Depth, r.Told())
			if r.Harm != h.want {
				t.Errorf("got: %v; want: %v", r.Harm, h.want)
			}
			closed := h.model
			closed.open = none
			if r := closed.look(1_000_000); r.Harm != "" || !r.Complete {
				t.Errorf("closed: %s\n%s", r.Verdict(), r.Told())
			}
		})
	}
}
