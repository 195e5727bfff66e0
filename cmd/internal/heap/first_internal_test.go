package heap

import (
	"os"
	"os/exec"
	"testing"
)

// inChild says that this process is the one that a test is about: what another one has set stays in
// a process.
const inChild = "HEAP_TEST_CHILD"

func TestFirst(t *testing.T) {
	t.Parallel()
	for _, roomy := range []string{"alone", "roomy"} {
		for _, gogc := range []string{"", "50"} {
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFirstInChild$")
			child.Env = append(os.Environ(), inChild+"="+roomy, "GOGC="+gogc)
			if out, err := child.CombinedOutput(); err != nil {
				t.Errorf("%s, GOGC=%s: %v\n%s", roomy, gogc, err, out)
			}
		}
	}
}

//nolint:paralleltest // it is about the process
func TestFirstInChild(t *testing.T) {
	is := os.Getenv(inChild)
	if is == "" {
		t.Skip("it is a part of TestFirst")
	}
	First()
	exactly := func(want uint64) func(uint64) bool { return func(p uint64) bool { return p == want } }
	switch {
	case os.Getenv("GOGC") != "":
		expectPercent(t, exactly(50), "GOGC's")
	case is == "alone":
		if got := percentNow(); got != firstPercent {
			t.Errorf("GOGC is %d before anything was collected, want %d", got, firstPercent)
		}
		expectPercent(t, exactly(100), "100 after something was collected")
	default:
		Roomy(floor)
		expectPercent(t, exactly(900), "Roomy's")
		expectPercent(t, exactly(900), "Roomy's, once more")
	}
}
