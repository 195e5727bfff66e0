//go:build unix

package process

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Tree is a command and everything that it starts, guarded.
type Tree struct {
	stdio     [3]*os.File
	inherited inherited
	mark      string
	guard     *guard
	follower  *follower

	mu     sync.Mutex // held while the command is started, so that its end is not taken for another's
	leader int        // the command's own process, and its group; 0: not started
	ended  bool       // it has: the number may be another child's

	changes   chan unix.WaitStatus // of the leader: each time that it stops, and its end
	reaped    chan struct{}        // another child has ended
	guardGone chan struct{}
	closed    chan struct{} // nobody reads changes any more
}

// Prepare makes ready for a command that will have the given standard streams. It starts the guard,
// which may become this binary, called with arg and a second word that main must both hand to
// Helper, and does not wait for it: there may be something else to wait for meanwhile. From now on
// this process takes note of the end of all its children, and ignores what it was started to
// ignore, which the command inherits. Close ends the guard.
func Prepare(arg string, stdin, stdout, stderr *os.File) (*Tree, error) {
	return prepare(arg, shellPath, [3]*os.File{stdin, stdout, stderr})
}

func prepare(arg, shell string, stdio [3]*os.File) (*Tree, error) {
	ignoreAsBefore()
	t := &Tree{
		stdio:     stdio,
		inherited: keepInherited(),
		mark:      rand.Text(),
		changes:   make(chan unix.WaitStatus, 1),
		reaped:    make(chan struct{}, 1),
		guardGone: make(chan struct{}),
		closed:    make(chan struct{}),
	}
	var err error
	if t.follower, err = adopt(t.mark); err != nil {
		return nil, err
	}
	if t.guard, err = startGuard(arg, shell); err != nil {
		return nil, err
	}
	t.follower.guard = t.guard.pid
	go t.reap(t.guard.pid) // Ends with the last child; Close waits for the guard's end, which is one of them.
	return t, nil
}

// Mark is a random text that is to be in the environment of the command: it is how the guard finds
// what the command has started, wherever that has gone.
func (t *Tree) Mark() string { return t.mark }

// Afterwards tells the guard what to do when the wrapper has died and it has ended the tree: see
// Helper. Only the guard gets it, so that it may be a secret. The last order counts.
func (t *Tree) Afterwards(order []byte) error {
	if err := t.guard.orders.setThen(order); err != nil {
		return fmt.Errorf("tell the guard: %w", err)
	}
	return nil
}

// begin starts the command, and tells the guard of it before anything else. Of the thread that
// does, nothing else is asked any more: it is there until this process ends.
func (t *Tree) begin(cmd Command) error {
	if err := t.guard.orders.setMark(t.mark); err != nil {
		return fmt.Errorf("tell the guard: %w", err)
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		t.mu.Lock()
		pid, err := start(cmd, t.inherited.files(t.stdio))
		if err == nil {
			t.leader = pid
			if err = t.guard.orders.setGroup(pid, ownSession()); err != nil {
				unix.Kill(-pid, unix.SIGKILL)
				err = fmt.Errorf("tell the guard: %w", err)
			}
		}
		t.mu.Unlock()
		started <- err
		if err == nil {
			select {}
		}
	}()
	return <-started
}

func ownSession() int {
	session, err := unix.Getsid(0)
	if err != nil {
		return 0
	}
	return session
}

// reap takes note of each child's end: of the command, of the guard, and of those that the wrapper
// was given because their parents have ended.
func (t *Tree) reap(guard int) {
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WUNTRACED, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return // There is no child any more.
		}
		ended := status.Exited() || status.Signaled()
		t.mu.Lock()
		leader := pid == t.leader && !t.ended
		t.ended = t.ended || leader && ended
		t.mu.Unlock()
		switch {
		case leader:
			select {
			case t.changes <- status:
			case <-t.closed:
			}
		case !ended:
		case pid == guard:
			close(t.guardGone)
		default:
			select {
			case t.reaped <- struct{}{}:
			default:
			}
		}
	}
}

// look returns the members that run now; false: they cannot be seen, and the group stands for them.
func (t *Tree) look() ([]member, bool) { return t.follower.look(t.leader) }

// report tells the guard where the members are.
func (t *Tree) report() {
	all, seen := t.look()
	if !seen {
		return
	}
	outside := map[identity]bool{}
	inside := false
	for _, m := range all {
		if m.group == t.leader {
			inside = true
		} else {
			outside[m.identity] = true
		}
	}
	if !inside && t.guard.orders.group != 0 {
		// Its number may be another group's soon.
		_ = t.guard.orders.setGroup(0, 0)
	}
	// Whatever keeps the guard from being told does not keep the command from being ended.
	_ = t.guard.orders.setOutside(outside)
}

// signalGroup sends to the command's process group, whose leader must not have been reaped, or of
// which a member must have been seen.
func (t *Tree) signalGroup(sig syscall.Signal) error { return gone(unix.Kill(-t.leader, sig)) }

// signalAll sends to every member, and returns those that it could not be sent to, as far as they
// can be seen. The group gets it at once, so that none who is born just then is left out.
func (t *Tree) signalAll(signals ...syscall.Signal) (refused []refusal) {
	all, seen := t.look()
	group := t.hasLeader() || !seen
	if group {
		for _, sig := range signals {
			_ = t.signalGroup(sig)
		}
	}
	for _, m := range all {
		for _, sig := range signals {
			if group && m.group == t.leader {
				sig = 0 // It has it, if it may.
			}
			if err := m.signal(sig); err != nil {
				refused = append(refused, refusal{m, err})
				break
			}
		}
	}
	return refused
}

// hasLeader reports whether the group's number cannot be another group's.
func (t *Tree) hasLeader() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.ended
}

// refusal is a member that a signal could not be sent to.
type refusal struct {
	member
	err error
}

// gone returns err, but for the news that a process has ended.
func gone(err error) error {
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// left returns the members that run now; none: two looks in a row have found none.
func (t *Tree) left() []member {
	for range 2 {
		all, seen := t.look()
		if !seen {
			if vanished(t.leader) {
				return nil
			}
			return t.unseen()
		}
		if len(all) > 0 {
			return all
		}
	}
	return nil
}

// kill ends every member, and returns those that it could not end.
func (t *Tree) kill() []member {
	giveUp := time.Now().Add(killGrace)
	if _, seen := t.look(); !seen {
		if endGroup(t.leader, giveUp) {
			return nil
		}
		return t.unseen()
	}
	return endMembers(func() []member {
		all, _ := t.look()
		return all
	}, giveUp)
}

// unseen stands for the members where they cannot be seen.
func (t *Tree) unseen() []member {
	return []member{{identity: identity{pid: t.leader}, name: "process group"}}
}

// Close ends the guard. A tree that was not run has nothing to end. A repeat does nothing.
func (t *Tree) Close() error {
	if t.guard == nil {
		return nil
	}
	close(t.closed)
	t.guard.dismiss()
	select {
	case <-t.guardGone:
	case <-time.After(killGrace): // somebody has stopped it
		_ = unix.Kill(t.guard.pid, unix.SIGKILL)
	}
	err := t.guard.close()
	t.guard = nil
	return err
}
