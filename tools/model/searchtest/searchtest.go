package searchtest

import (
	"testing"

	"github.com/distributed-lock-manager/dlm/tools/model/search"
)

// limit is how many states a run of a test may have.
const limit = 1_000_000

// Hold wants runs to be searched to the end, and no harm to be found.
func Hold(t *testing.T, runs []search.Run) {
	for _, run := range runs {
		t.Run(run.Name, func(t *testing.T) {
			t.Parallel()
			r := run.Look(limit)
			t.Logf("%d states, depth %d, %.1f s", r.States, r.Depth, r.Took.Seconds())
			if r.Harm != "" || !r.Complete {
				t.Errorf("%s\n%s", r.Verdict(), r.Told())
			}
		})
	}
}

// DoHarm wants each run to come to the harm that it is known for, in at most so many steps; 0: in
// any number. Without what was opened for it, nothing must be found.
func DoHarm(t *testing.T, runs []search.Run, steps int) {
	for _, run := range runs {
		t.Run(run.Name, func(t *testing.T) {
			t.Parallel()
			r := run.Look(limit)
			t.Logf("%s: %d states, depth %d\n%s", run.What, r.States, r.Depth, r.Told())
			if r.Harm != run.Want {
				t.Errorf("got: %v; want: %v", r.Harm, run.Want)
			}
			if steps > 0 && len(r.Story) > steps {
				t.Errorf("it takes %d steps; want a story that can be followed", len(r.Story))
			}
			if run.LookClosed == nil {
				return
			}
			if r := run.LookClosed(limit); r.Harm != "" || !r.Complete {
				t.Errorf("closed: %s\n%s", r.Verdict(), r.Told())
			}
		})
	}
}
