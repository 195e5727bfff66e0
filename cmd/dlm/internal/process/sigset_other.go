//go:build unix && !linux

package process

// ignoreAsBefore leaves it at what Go does by itself: SIGHUP and SIGINT stay ignored.
func ignoreAsBefore() {}

// stopPending does not know.
func stopPending(int) bool { return false }
