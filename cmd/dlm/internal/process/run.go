//go:build unix

package process

import (
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How long things may take that normally take no time.
const (
	leftoverGrace = 2 * time.Second        // for what the command has left running, from SIGTERM to SIGKILL
	killGrace     = 2 * time.Second        // for the kernel, from SIGKILL to the process's end
	stopGrace     = 200 * time.Millisecond // for the kernel to stop this process, if it will
	pollInterval  = 5 * time.Millisecond   // between looks at a tree that is ending

	// A program that ends another one and its group, as timeout(1) does, sends the signal twice at
	// once.
	sameSignal = 50 * time.Millisecond

	// Between looks at a tree that runs, which tell the guard what has left the group.
	firstLook, lastLook = 20 * time.Millisecond, time.Second
	lookShare           = 50 // of the time, one part at most is for that

	noticeAfter = time.Second // of waiting for leftovers, before the user is told
)

// Run runs a command, passes signals and the terminal on to it, those signals too that were caught
// but not read before, and returns when no process of its tree is left, but for those that the
// Result names. A tree runs one command only. Errors, all before the command ran: ErrNotFound,
// ErrNotRunnable, or a guard that did not start.
//
// SIGTERM is passed on to the whole tree, and a second one ends it. Other signals go to the
// command's group while the command runs; after that any that ends programs is treated as SIGTERM.
func (t *Tree) Run(lease Lease, cmd Command, signals *Signals, opts Options) (Result, error) {
	if err := t.guard.await(); err != nil {
		return Result{}, err
	}
	if lease.over() {
		return Result{Lost: true}, nil
	}
	w := &wrapper{lease: lease, signals: signals, terminal: openTerminal(), tree: t, opts: opts}
	defer w.terminal.close()
	signals.also(forwarded()...)

	w.asked = w.terminal.interactive(t.stdio[0], t.stdio[1])
	if err := t.begin(cmd); err != nil {
		return Result{}, err
	}
	if w.asked {
		// It may have asked for the terminal already, and was stopped for that: then it is resumed.
		w.terminal.give(t.leader)
	}
	result := w.run()
	t.guard.dismiss() // There is nothing left to guard, or it is to be left alone.
	return result, nil
}

// wrapper is the state of one Run.
type wrapper struct {
	lease    Lease
	signals  *Signals
	terminal *terminal
	tree     *Tree
	opts     Options

	asked   bool        // the command is one that uses the terminal
	passed  bool        // a signal that ends programs was passed on: the command's death is not the keyboard's doing
	restore func()      // set while this process has asked to be stopped: undoes what that took
	awake   *time.Timer // fires if the kernel did not stop it

	ended    bool            // the command has; what it has started may run on
	status   unix.WaitStatus // then
	keyboard bool            // its group had the terminal then
	term     time.Time       // when a signal that ends the tree was passed on; zero: none was
	lost     bool            // the lease is over

	killAt  time.Time        // what runs then is killed; zero: nothing is to be
	kill    <-chan time.Time // fires then
	patient <-chan time.Time // fires when leftovers have been waited for
	notice  <-chan time.Time // fires when the user is to be told of them
	next    *time.Timer      // fires for the next look
	pause   time.Duration    // before that
}

func (w *wrapper) run() Result {
	leaseEnd := w.lease.Context.Done()
	w.awake = time.NewTimer(stopGrace)
	w.awake.Stop()
	w.pause = firstLook
	w.next = time.NewTimer(w.pause)
	defer w.next.Stop()
	for {
		if w.ended && (w.opts.Leftovers.Leave && w.killAt.IsZero() || len(w.tree.left()) == 0) {
			return w.result(nil)
		}
		if !w.killAt.IsZero() && !time.Now().Before(w.killAt) {
			left := w.tree.kill()
			w.last(left)
			return w.result(left)
		}
		select {
		case status, running := <-w.tree.changes:
			switch {
			case !running, status.Exited(), status.Signaled():
				w.end(status)
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
		case <-w.kill:
		case <-w.patient:
			w.endAll(leftoverGrace)
		case <-w.notice:
			w.tell()
		case <-w.tree.reaped:
		case <-w.next.C:
			if w.pause == firstLook {
				w.signals.also(forwardedLater()...)
			}
			began := time.Now()
			if w.killAt.IsZero() {
				w.tree.report()
				w.pause = min(2*w.pause, lastLook)
			}
			w.next.Reset(max(w.pause, lookShare*time.Since(began))) // of thousands of processes a look takes long
		}
	}
}

// end takes note of the command's end.
func (w *wrapper) end(status unix.WaitStatus) {
	w.ended, w.status = true, status
	w.keyboard = w.terminal.has(w.tree.leader)
	w.terminal.take(w.tree.leader)
	w.restoreStop()
	if !w.killAt.IsZero() || w.opts.Leftovers.Leave {
		return
	}
	w.notice = time.After(noticeAfter)
	if w.opts.Leftovers.Wait >= 0 {
		w.patient = time.After(w.opts.Leftovers.Wait)
	}
}

// last waits for the status of a command that was killed, unless it is among those that could not
// be: it hangs in the kernel, or is another user's.
func (w *wrapper) last(left []member) {
	stuck := slices.ContainsFunc(left, func(m member) bool { return m.pid == w.tree.leader })
	timeout := time.After(killGrace)
	for !w.ended {
		if stuck {
			w.end(unix.WaitStatus(unix.SIGKILL))
			return
		}
		select {
		case status := <-w.tree.changes:
			if status.Exited() || status.Signaled() {
				w.end(status)
			}
		case <-timeout:
			stuck = true
		}
	}
}

// forward passes a signal on, which what the wrapper has started does not get from a terminal, or
// from a caller that sends it to the wrapper's own group.
func (w *wrapper) forward(sig syscall.Signal) {
	switch {
	case sig == unix.SIGPIPE:
	case sig == unix.SIGCONT:
		w.resume()
	case sig == unix.SIGTSTP && w.ended:
		w.tree.signalAll(sig)
		w.stopSelf()
	case !slices.Contains(endingSignals(), os.Signal(sig)):
		w.refused(sig, w.toGroup(sig))
	case sig == unix.SIGTERM, w.ended:
		w.terminate(sig)
	default:
		w.passed = true
		w.refused(sig, w.toGroup(sig))
	}
}

// terminate passes the first signal that is to end the whole tree on to it, and ends it with the
// second.
func (w *wrapper) terminate(sig syscall.Signal) {
	switch now := time.Now(); {
	case w.term.IsZero():
		w.passed = true
		w.term = now
		w.refused(sig, w.tree.signalAll(sig))
	case now.Sub(w.term) >= sameSignal:
		w.endAll(w.opts.KillAfter)
	}
}

// toGroup sends to the command's group. After the command's end, its number may be another group's.
func (w *wrapper) toGroup(sig syscall.Signal) []refusal {
	if w.ended {
		return w.tree.signalAll(sig)
	}
	err := w.tree.signalGroup(sig)
	if err == nil {
		return nil
	}
	return []refusal{{member{identity: identity{pid: w.tree.leader}, name: "the command"}, err}}
}

// refused tells the user that a signal did not get to some processes: it is somebody's wish that
// they end, or do something.
func (w *wrapper) refused(sig syscall.Signal, by []refusal) {
	for _, r := range by {
		w.say(fmt.Sprintf("%s could not be passed on to process %v: %v", unix.SignalName(sig), r.member, r.err))
	}
}

// say tells the user something, if somebody listens: who does not read must not hold anything up.
func (w *wrapper) say(message string) {
	if w.opts.Say != nil {
		go w.opts.Say(message)
	}
}

// tell says who is waited for.
func (w *wrapper) tell() {
	if left := w.tree.left(); len(left) > 0 && w.killAt.IsZero() {
		w.say(fmt.Sprintf("the command has ended, but what it started runs on, and is waited for with the lock held: %s "+
			"(--leftovers says what becomes of it)", strings.Join(named(left), ", ")))
	}
}

// named are members as the user is told of them, not too many.
func named(members []member) []string {
	const most = 8
	var names []string
	for i, m := range members {
		if i == most {
			return append(names, fmt.Sprintf("and %d more", len(members)-most))
		}
		names = append(names, fmt.Sprintf("%d (%q)", m.pid, m.name))
	}
	return names
}

// stopped follows a command that was stopped from the terminal, so that the shell sees its job
// stopped.
func (w *wrapper) stopped(by syscall.Signal) {
	if w.lost || w.terminal == nil {
		return
	}
	switch by {
	case unix.SIGTTIN, unix.SIGTTOU:
		if w.terminal.has(w.tree.leader) {
			// It asked before it was given the terminal, a moment ago. If the user has stopped it
			// in that moment, to continue it would be to forget that.
			if !stopPending(w.tree.leader) {
				_ = w.tree.signalGroup(unix.SIGCONT)
				return
			}
			break
		}
		w.asked = true
		if w.terminal.foreground() {
			w.resume()
			return
		}
	case unix.SIGTSTP:
	default:
		return // Somebody's SIGSTOP was meant for the command alone.
	}
	w.terminal.take(w.tree.leader)
	w.stopSelf()
}

// stopSelf stops this process as the terminal's key does.
func (w *wrapper) stopSelf() {
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
	if w.ended {
		w.tree.signalAll(unix.SIGCONT)
		return
	}
	if w.asked && w.terminal.foreground() {
		w.terminal.give(w.tree.leader)
	}
	_ = w.tree.signalGroup(unix.SIGCONT)
}

// lose ends the tree because the lease is over.
func (w *wrapper) lose() {
	if w.lost {
		return
	}
	w.lost = true
	now := time.Now()
	w.asks(w.lease.killAt(now, w.opts.KillAfter), now)
}

// endAll asks the tree to end, and has it killed after the grace, or before.
func (w *wrapper) endAll(grace time.Duration) {
	now := time.Now()
	w.asks(now.Add(grace), now)
}

func (w *wrapper) asks(killAt, now time.Time) {
	if !w.killAt.IsZero() && w.killAt.Before(killAt) {
		return
	}
	w.killAt = killAt
	w.kill = time.After(killAt.Sub(now))
	if killAt.After(now) {
		// Those that are stopped hear it too.
		w.tree.signalAll(unix.SIGTERM, unix.SIGCONT)
	}
	w.pause = pollInterval // What is no child of the wrapper ends without a word.
	w.next.Reset(w.pause)
}

// result is what became of the command, and of what could not be ended.
func (w *wrapper) result(left []member) Result {
	interrupted := syscall.Signal(0)
	if sig := w.status.Signal(); w.status.Signaled() && !w.passed && w.keyboard && (sig == unix.SIGINT || sig == unix.SIGQUIT) {
		interrupted = sig
	}
	code := w.status.ExitStatus()
	if w.status.Signaled() {
		code = Caught{w.status.Signal()}.Code()
	}
	return Result{Code: code, Lost: w.lost || w.lease.over(), Interrupted: interrupted, Left: named(left)}
}

// Propagate ends this process, and the others of its process group, by the signal that the keyboard
// sent to the command alone, so that a script is interrupted by ctrl-C as if its command had been
// called without the wrapper. It returns only if the signal is ignored.
func Propagate(sig syscall.Signal) {
	signal.Reset(sig)
	unix.Kill(0, sig)
	<-time.After(stopGrace) // The signal is on its way, perhaps to another thread of this process.
}
