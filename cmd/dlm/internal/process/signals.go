package process

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Signals are the signals that ask this process to end, caught. Those that were ignored when it
// started (nohup, a script's background job) stay ignored: here, and in the commands that inherit
// that.
type Signals struct {
	c chan os.Signal
}

// Catch begins to catch them, or only those that are named.
func Catch(only ...os.Signal) *Signals {
	s := &Signals{c: make(chan os.Signal, 16)}
	if len(only) == 0 {
		only = endingSignals()
	}
	s.also(only...)
	s.also(caughtEarly()...)
	return s
}

// also catches more.
func (s *Signals) also(signals ...os.Signal) {
	for _, sig := range signals {
		if !signal.Ignored(sig) {
			signal.Notify(s.c, sig)
		}
	}
}

// Release stops catching the signals, which have their usual effect again. A repeat does nothing.
func (s *Signals) Release() { signal.Stop(s.c) }

// Context returns a context that the next signal ends, with a Caught as its cause. Until stop is
// called it takes the signals for itself; later ones are kept for the next reader.
func (s *Signals) Context(parent context.Context) (ctx context.Context, stop func()) {
	return s.Hurry(parent, 0)
}

// Hurry returns a context that is over the grace after the next signal that asks this process to
// end, and at once with one more. Until stop is called it takes the signals for itself.
func (s *Signals) Hurry(parent context.Context, grace time.Duration) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	var done sync.WaitGroup
	done.Go(func() {
		var late <-chan time.Time
		var first os.Signal
		for {
			select {
			case sig := <-s.c:
				switch {
				case !slices.Contains(endingSignals(), sig):
				case first == nil && grace > 0:
					first, late = sig, time.After(grace)
				default:
					cancel(Caught{sig})
					return
				}
			case <-late:
				cancel(Caught{first})
				return
			case <-ctx.Done():
				return
			}
		}
	})
	return ctx, func() {
		cancel(context.Canceled)
		done.Wait()
	}
}

// Caught is the cause of a context that a signal ended.
type Caught struct{ Signal os.Signal }

func (c Caught) Error() string { return "signal: " + c.Signal.String() }

// Code is the exit code by which a shell shows that a process died of the signal.
func (c Caught) Code() int {
	if sig, ok := c.Signal.(syscall.Signal); ok {
		return 128 + int(sig)
	}
	return 128
}
