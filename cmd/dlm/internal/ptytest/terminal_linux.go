package ptytest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Keys that the terminal turns into signals.
const (
	CtrlC = "\x03"
	CtrlZ = "\x1a"
	CtrlD = "\x04"
)

// Terminal is the outer side of a pseudo terminal: its keyboard and its screen.
type Terminal struct {
	t       testing.TB
	file    *os.File
	timeout time.Duration

	mu      sync.Mutex
	screen  strings.Builder // all that was ever written
	read    int             // how much of it Expect has consumed
	changed chan struct{}   // closed and replaced when the screen changes
}

// Start runs cmd in a session of its own, with a new terminal as its controlling one. Both end with
// the test. Expect waits for timeout at most.
func Start(t testing.TB, cmd *exec.Cmd, timeout time.Duration) *Terminal {
	t.Helper()
	outer, inner, err := open()
	if err != nil {
		t.Fatalf("open a terminal: %v", err)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = inner, inner, inner
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	inner.Close()
	term := &Terminal{t: t, file: outer, timeout: timeout, changed: make(chan struct{})}
	var reading sync.WaitGroup
	reading.Go(term.follow)
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		outer.Close()
		reading.Wait()
	})
	return term
}

// open makes a pseudo terminal.
func open() (outer, inner *os.File, err error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	outer = os.NewFile(uintptr(fd), "/dev/ptmx")
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		outer.Close()
		return nil, nil, err
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		outer.Close()
		return nil, nil, err
	}
	inner, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		outer.Close()
		return nil, nil, err
	}
	return outer, inner, nil
}

// follow reads the screen until the terminal is closed on either side.
func (term *Terminal) follow() {
	buffer := make([]byte, 4096)
	for {
		n, err := term.file.Read(buffer)
		term.mu.Lock()
		term.screen.Write(buffer[:n])
		close(term.changed)
		term.changed = make(chan struct{})
		term.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// HangUp takes the terminal away, as when its window is closed.
func (term *Terminal) HangUp() { _ = term.file.Close() }

// Type presses keys.
func (term *Terminal) Type(keys string) {
	term.t.Helper()
	if _, err := term.file.WriteString(keys); err != nil {
		term.t.Fatalf("type %q: %v", keys, err)
	}
}

// Expect waits until text appears on the screen, after what earlier calls found. It returns what
// came before it.
func (term *Terminal) Expect(text string) string {
	term.t.Helper()
	deadline := time.After(term.timeout)
	for {
		term.mu.Lock()
		screen, changed := term.screen.String()[term.read:], term.changed
		before, _, found := strings.Cut(screen, text)
		if found {
			term.read += len(before) + len(text)
		}
		term.mu.Unlock()
		if found {
			return before
		}
		select {
		case <-changed:
		case <-deadline:
			term.t.Fatalf("%q did not appear on the screen, which shows:\n%s", text, screen)
		}
	}
}

// Resize gives the terminal a size, as when its window is drawn larger.
func (term *Terminal) Resize(rows, columns uint16) {
	term.t.Helper()
	raw, err := term.file.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			size := unix.Winsize{Row: rows, Col: columns}
			if err := unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &size); err != nil {
				term.t.Errorf("resize the terminal: %v", err)
			}
		})
	}
	if err != nil {
		term.t.Fatalf("resize the terminal: %v", err)
	}
}
