package proctest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Helper returns the helper of a wrapper that plays a part.
func Helper(t *testing.T, wrapper int, role string) int {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", wrapper))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tasks {
		children, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, child := range strings.Fields(string(children)) {
			line, _ := os.ReadFile("/proc/" + child + "/cmdline")
			if pid, err := strconv.Atoi(child); err == nil && strings.HasSuffix(string(line), "\x00"+role+"\x00") {
				return pid
			}
		}
	}
	t.Fatalf("process %d has no %s", wrapper, role)
	return 0
}
