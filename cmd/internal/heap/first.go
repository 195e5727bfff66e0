package heap

import (
	"os"
	"runtime"
	"runtime/debug"
)

// First lets the heap grow to some 16 MiB before it is collected for the first time, not to the
// 4 MiB of Go: what a short command allocates from its beginning to its end is not much more, half
// of it before main, and collecting it gains nothing. From then on all is as Go has it, or as
// [Roomy], which may be called after it. GOGC, if set, has its way. It is for a program's main,
// once.
func First() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(firstPercent)
		runtime.AddCleanup(new([16]byte), afterFirst, firstPercent)
	}
}

// firstPercent is a percentage of the 4 MiB that what is alive counts as, if it is less.
const firstPercent = 400

// afterFirst sets the percentage to Go's own, if it still is that of First.
func afterFirst(first int) {
	if is := debug.SetGCPercent(100); is != first {
		debug.SetGCPercent(is)
	}
}
