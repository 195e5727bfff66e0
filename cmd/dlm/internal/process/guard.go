//go:build unix

package process

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	done       = "done"  // the last order of a wrapper that ended its group by itself
	afterwards = "then " // what a line begins with that says what is to be done after the group's end
)

// startGuard starts the process that kills a group when the wrapper can no longer do it.
func startGuard(arg string) (*helper, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	// None of the wrapper's standard streams: who reads one to its end must not wait for the guard.
	// And no terminal, and no directory that it would keep from being unmounted.
	return startHelper(arg, guardRole, [3]*os.File{null, null, null}, "/", &syscall.SysProcAttr{Setsid: true})
}

// guard says that it is ready, reads which group to watch, and waits for the wrapper to be done or
// dead.
func guard(orders io.Reader, answers io.WriteCloser, then func([]byte)) int {
	// It ends with its pipe and by nothing else: a SIGTERM for all processes of a service must not
	// come between.
	signal.Ignore()
	if _, err := fmt.Fprintln(answers); err != nil {
		return 1
	}
	answers.Close()
	group, order, finished := readOrders(orders)
	if finished || group <= 1 {
		return 0
	}
	// Stopped processes die of SIGKILL too. If there is no such group it was quicker.
	if err := unix.Kill(-group, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return 1
	}
	if order != nil {
		// Whoever is let in by it must not meet the group. A process that hangs in the kernel does
		// nothing more in user space, but does not end either.
		for giveUp := time.Now().Add(killGrace); !vanished(group) && time.Now().Before(giveUp); {
			<-time.After(pollInterval)
		}
		then(order)
	}
	return 0
}

// vanished reports whether no process of a group runs any more.
func vanished(group int) bool {
	return errors.Is(unix.Kill(-group, 0), unix.ESRCH) || onlyDead(group)
}

// readOrders reads until the wrapper is done, or until the pipe breaks, and returns the group that
// it named, and what is to be done afterwards; nil: nothing.
func readOrders(r io.Reader) (group int, order []byte, finished bool) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == done {
			return group, nil, true
		}
		if coded, ok := strings.CutPrefix(line, afterwards); ok {
			if b, err := base64.StdEncoding.DecodeString(coded); err == nil {
				order = b
			}
			continue
		}
		if n, err := strconv.Atoi(line); err == nil {
			group = n
		}
	}
	return group, order, false
}
