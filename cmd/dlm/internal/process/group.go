//go:build unix

package process

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Group is a process group, made ready for one command and guarded.
type Group struct {
	stdio   [3]*os.File
	guard   *helper
	leader  *helper // the starter, later the command
	changes chan unix.WaitStatus
	gone    bool // Run saw its end: the number may be another group's now
}

// Prepare makes a group whose command will have the given standard streams. It starts two processes
// of this binary, each called with arg and a second word that main must hand to Helper, and does
// not wait for them: their start costs nothing if there is something else to wait for meanwhile.
// Close ends them.
func Prepare(arg string, stdin, stdout, stderr *os.File) (*Group, error) {
	g := &Group{stdio: [3]*os.File{stdin, stdout, stderr}, changes: make(chan unix.WaitStatus, 1)}
	var err error
	if g.guard, err = startGuard(arg); err != nil {
		return nil, err
	}
	if g.leader, err = startStarter(arg, g.stdio); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	go g.wait() // Ends with the leader; Close waits for that.
	if _, err := fmt.Fprintln(g.guard.orders, g.id()); err != nil {
		return nil, errors.Join(fmt.Errorf("tell the guard: %w", err), g.Close())
	}
	return g, nil
}

// Afterwards tells the guard what to do when the wrapper has died and it has ended the group: see
// Helper. Only the guard gets it, by its pipe, so that it may be a secret. The last order counts.
func (g *Group) Afterwards(order []byte) error {
	if _, err := fmt.Fprintln(g.guard.orders, afterwards+base64.StdEncoding.EncodeToString(order)); err != nil {
		return fmt.Errorf("tell the guard: %w", err)
	}
	return nil
}

// id is the group's number, and its leader's.
func (g *Group) id() int { return g.leader.process.Pid }

// ready returns when both helpers are.
func (g *Group) ready() error {
	for _, h := range []*helper{g.guard, g.leader} {
		if _, err := h.answers.Read(make([]byte, 1)); err != nil {
			return fmt.Errorf("process %d of this binary did not start: %w", h.process.Pid, err)
		}
	}
	return nil
}

// wait reports each time the leader stops, and its end, then closes the channel. os.Process.Wait
// would not see a stop.
func (g *Group) wait() {
	defer close(g.changes)
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(g.id(), &status, unix.WUNTRACED, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			// How it ended is not known: not well, then, or its section would be published.
			status = unix.WaitStatus(unix.SIGKILL)
		}
		g.changes <- status
		if status.Exited() || status.Signaled() {
			return
		}
	}
}

// signal sends to every process of the group. There may be none left.
func (g *Group) signal(sig syscall.Signal) { unix.Kill(-g.id(), sig) }

// end asks the group to end; processes that are stopped hear it too.
func (g *Group) end() {
	g.signal(unix.SIGTERM)
	g.signal(unix.SIGCONT)
}

// empty reports whether no process of the group runs any more.
func (g *Group) empty() bool {
	// Where the wrapper is a container's first process, orphans become its children and stay until
	// it reaps them.
	for {
		pid, err := unix.Wait4(-g.id(), nil, unix.WNOHANG, nil)
		if err != nil || pid <= 0 {
			break
		}
	}
	return vanished(g.id())
}

// Close ends the group, if Run has not, and the guard. A repeat does nothing.
func (g *Group) Close() error {
	if g.leader != nil {
		g.leader.orders.Close() // A starter without an order ends by itself.
		if !g.gone {
			g.signal(unix.SIGKILL)
		}
		g.drain()
		g.leader.answers.Close()
		_ = g.leader.process.Release() // wait has seen its end.
		g.leader = nil
	}
	if g.guard == nil {
		return nil
	}
	fmt.Fprintln(g.guard.orders, done) // A guard that is gone already needs no telling.
	g.guard.orders.Close()
	g.guard.answers.Close()
	_, err := g.guard.process.Wait()
	g.guard = nil
	return err
}

// drain waits for the leader's end, though not for ever: a process that hangs in the kernel does
// nothing more in user space, but does not end either.
func (g *Group) drain() {
	timeout := time.After(killGrace)
	for {
		select {
		case _, more := <-g.changes:
			if !more {
				return
			}
		case <-timeout:
			return
		}
	}
}
