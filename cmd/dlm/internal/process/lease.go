package process

import (
	"context"
	"syscall"
	"time"
)

// Command is what to run.
type Command struct {
	Path string   // the file; see Find
	Args []string // with the name first
	Env  []string
}

// Lease bounds a tree's life.
type Lease struct {
	Context context.Context      // its end means: the lease is lost, or no longer certain
	Expiry  func() time.Time     // no process of the tree may run past it
	Margin  func() time.Duration // how long before the expiry the context ends, at least
}

// over reports whether the lease is lost. A process that was stopped may find that out before the
// context does.
func (l Lease) over() bool {
	return l.Context.Err() != nil || time.Until(l.Expiry()) < l.Margin()/2
}

// killAt is when a tree that was asked to end is killed: a quarter of the margin is left for the
// kernel to do it. A lease that is lost long before its expiry was ended by decision, and protects
// nothing any more, however long its margin is: then it is after the given time.
func (l Lease) killAt(asked time.Time, decided time.Duration) time.Time {
	expiry, margin := l.Expiry(), l.Margin()
	grace := margin * 3 / 4
	if expiry.Sub(asked) > margin {
		grace = decided
	}
	latest := expiry.Add(-margin / 4)
	if at := asked.Add(grace); at.Before(latest) {
		return at
	}
	return latest
}

// Result is what became of a command.
type Result struct {
	Code int  // its exit code, 128+N if it died of signal N
	Lost bool // the lease ended before the tree did
	// Left are the processes that could not be ended, each with its number and name: they may run
	// on. Not those that were to be left alone.
	Left []string
	// Interrupted: the command died of a ctrl-C or ctrl-\ that only its own group got. Who called
	// the wrapper should see it die of that signal too; see Propagate.
	Interrupted syscall.Signal
}
