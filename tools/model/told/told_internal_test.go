package told

import "testing"

// The rules hold in every state of the small configurations, and a client always learns what became of its hold.
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
			shut := h.model
			shut.open = closed
			if r := shut.look(1_000_000); r.Harm != "" || !r.Complete {
				t.Errorf("closed: %s\n%s", r.Verdict(), r.Told())
			}
		})
	}
}

// What is known to be wrong still is, so that whoever mends it moves it to the holes.
func TestGaps(t *testing.T) {
	for _, g := range gaps() {
		t.Run(g.id, func(t *testing.T) {
			t.Parallel()
			r := g.model.look(1_000_000)
			t.Logf("%s: %d states, depth %d\n%s", g.what, r.States, r.Depth, r.Told())
			if r.Harm != g.want {
				t.Errorf("got: %v; want: %v", r.Harm, g.want)
			}
		})
	}
}
