package await

import (
	"testing"
	"time"
)

// pace is how long Eventually pauses at least before it looks again.
const pace = 5 * time.Millisecond

// Eventually looks again and again until something is so, and ends the test if it is not within
// patience. Between two looks it pauses for as long as the last one took, so that a look that is
// expensive, such as a command, takes half of a processor at most.
func Eventually(t testing.TB, patience time.Duration, what string, is func() bool) {
	t.Helper()
	late := time.After(patience)
	for {
		began := time.Now()
		if is() {
			return
		}
		select {
		case <-late:
			t.Fatalf("waited %v for %s", patience, what)
		case <-time.After(max(pace, time.Since(began))):
		}
	}
}

// Receive returns what comes out of a channel next: the zero value if that is its end. It ends the
// test if nothing comes within patience.
func Receive[T any](t testing.TB, patience time.Duration, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
		panic("unreachable")
	}
}
