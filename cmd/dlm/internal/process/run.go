//go:build unix

package process

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How long things may take that normally take no time.
const (
	leftoverGrace = 2 * time.Second        // for what the command left in its group, from SIGTERM to SIGKILL
	killGrace     = 2 * time.Second        // for the kernel, from SIGKILL to the process's end
	stopGrace     = 200 * time.Millisecond // for the kernel to stop this process, if it will
	pollInterval  = 5 * time.Millisecond   // between looks at a group that is ending
)

// Run runs a command in the group, passes signals and the terminal on to it, those signals too that
// were caught but not read before, and returns when no process of the group is left. A group runs
// one command only. Errors, all before the command ran: ErrNotFound, ErrNotRunnable, or a helper
// that did not start.
func (g *Group) Run(lease Lease, cmd Command, signals *Signals) (Result, error) {
	if err := g.ready(); err != nil {
		return Result{}, err
	}
	if lease.over() {
		return Result{Lost: true}, nil
	}
	w := &wrapper{lease: lease, signals: signals, terminal: openTerminal(), group: g}
	defer w.terminal.close()
	signals.also(forwarded()...)

	if w.terminal.interactive(g.stdio[0], g.stdio[1]) {
		w.asked = true
		w.terminal.give(g.id())
	}
	if err := g.leader.exec(cmd); err != nil {
		w.terminal.take(g.id())
		return Result{}, err
	}
	result := w.run()
	g.gone = true
	return result, nil
}

// wrapper is the state of one Run.
type wrapper struct {
	lease    Lease
	signals  *Signals
	terminal *terminal
	group    *Group

	asked     bool             // the command is one that uses the terminal
	passed    bool             // a signal that ends programs was passed on: the command's death is not the keyboard's doing
	restore   func()           // set while this process has asked to be stopped: undoes what that took
	awake     *time.Timer      // fires if the kernel did not stop it
	lost      bool             // the lease is over
	killAt    time.Time        // once lost
	killTimer <-chan time.Time // once lost
}

func (w *wrapper) run() Result {
	leaseEnd := w.lease.Context.Done()
	w.awake = time.NewTimer(stopGrace)
	w.awake.Stop()
	for {
		select {
		case status, running := <-w.group.changes:
			switch {
			case !running, status.Exited(), status.Signaled():
				return w.finish(status)
			default:
				w.stopped(status.StopSignal())
			}
		case sig := <-w.signals.c:
			w.forward(sig.(syscall.Signal))
		case <-w.awake.C:
			// Nobody stopped this process: it has no shell that could continue it, so the command
			// must go on too.
			w.resume()
		case <-leaseEnd:
			leaseEnd = nil
			w.lose()
		case <-w.killTimer:
			w.kill()
			return w.finish(w.lastStatus())
		}
	}
}

// lastStatus waits for the end of a command that was killed, though not for ever: a process that
// hangs in the kernel does nothing more in user space, but does not end either.
func (w *wrapper) lastStatus() unix.WaitStatus {
	timeout := time.After(killGrace)
	for {
		select {
		case status, running := <-w.group.changes:
			if !running || status.Exited() || status.Signaled() {
				return status
			}
		case <-timeout:
			return unix.WaitStatus(unix.SIGKILL)
		}
	}
}

// forward passes a signal on to the group, which does not get what a terminal or a caller sends to
// the wrapper's.
func (w *wrapper) forward(sig syscall.Signal) {
	switch sig {
	case unix.SIGPIPE:
	case unix.SIGCONT:
		w.resume()
	default:
		w.passed = w.passed || slices.Contains(endingSignals(), os.Signal(sig))
		w.group.signal(sig)
	}
}

// stopped follows a command that was stopped from the terminal, so that the shell sees its job
// stopped.
func (w *wrapper) stopped(by syscall.Signal) {
	if w.lost || w.terminal == nil {
		return
	}
	switch by {
	case unix.SIGTTIN, unix.SIGTTOU:
		w.asked = true
		if w.terminal.foreground() {
			w.resume()
			return
		}
	case unix.SIGTSTP:
	default:
		return // Somebody's SIGSTOP was meant for the command alone.
	}
	w.terminal.take(w.group.id())
	w.restoreStop()
	// The whole group: the neighbours of a pipeline did not get the command's ctrl-Z.
	w.restore = stopGroup()
	w.awake.Reset(stopGrace)
}

// restoreStop catches the keyboard's stop signal again, if this process had itself stopped.
func (w *wrapper) restoreStop() {
	w.awake.Stop()
	if w.restore != nil {
		w.restore()
		w.restore = nil
	}
}

// resume continues a stopped command, unless the lease was lost meanwhile.
func (w *wrapper) resume() {
	w.restoreStop()
	if w.lost {
		return
	}
	if w.lease.over() {
		w.lose()
		return
	}
	if w.asked && w.terminal.foreground() {
		w.terminal.give(w.group.id())
	}
	w.group.signal(unix.SIGCONT)
}

// lose ends the group because the lease is over.
func (w *wrapper) lose() {
	if w.lost {
		return
	}
	w.lost = true
	w.killAt = w.lease.killAt(time.Now())
	left := time.Until(w.killAt)
	if left > 0 {
		w.group.end()
	}
	w.killTimer = time.After(left)
}

func (w *wrapper) kill() { w.group.signal(unix.SIGKILL) }

// finish ends what the command left in its group, and takes the terminal back.
func (w *wrapper) finish(status unix.WaitStatus) Result {
	interrupted := syscall.Signal(0)
	if sig := status.Signal(); status.Signaled() && !w.passed && (sig == unix.SIGINT || sig == unix.SIGQUIT) &&
		w.terminal.has(w.group.id()) {
		interrupted = sig
	}
	w.clear()
	w.terminal.take(w.group.id())
	code := status.ExitStatus()
	if status.Signaled() {
		code = Caught{status.Signal()}.Code()
	}
	return Result{Code: code, Lost: w.lost || w.lease.over(), Interrupted: interrupted}
}

// clear returns when the group is empty. What the command left running is asked to end, then
// killed: it must not work on under a lock that is being released.
func (w *wrapper) clear() {
	if w.group.empty() {
		return
	}
	killAt := w.killAt
	if !w.lost {
		w.group.end()
		killAt = time.Now().Add(leftoverGrace)
	}
	giveUp := killAt.Add(killGrace)
	leaseEnd := w.lease.Context.Done()
	look := time.NewTicker(pollInterval)
	defer look.Stop()
	for !w.group.empty() {
		select {
		case <-leaseEnd:
			leaseEnd = nil
			if at := w.lease.killAt(time.Now()); at.Before(killAt) {
				killAt = at
			}
		case now := <-look.C:
			if now.After(giveUp) {
				return
			}
			if now.After(killAt) {
				w.kill()
			}
		case <-w.signals.c:
		}
	}
}

// Propagate ends this process, and the others of its process group, by the signal that the keyboard
// sent to the command alone, so that a script is interrupted by ctrl-C as if its command had been
// called without the wrapper. It returns only if the signal is ignored.
func Propagate(sig syscall.Signal) {
	signal.Reset(sig)
	unix.Kill(0, sig)
	<-time.After(stopGrace) // The signal is on its way, perhaps to another thread of this process.
}
