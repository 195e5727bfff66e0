package process

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// onlyDead reports whether all that is left of a group are processes that have ended and that their
// new parent has not reaped yet, which in a container may never happen.
func onlyDead(group int) bool {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		return false
	}
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // It has ended since.
		}
		// The name, in brackets, may contain anything; what follows it is state, parent, group,
		// ..., the number of threads.
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) < 18 || fields[2] != strconv.Itoa(group) {
			continue
		}
		dead := fields[0] == "Z" || fields[0] == "X"
		// A process whose first thread has ended looks dead, though the others work on.
		if threads := fields[17]; !dead || threads != "0" && threads != "1" {
			return false
		}
	}
	return true
}
