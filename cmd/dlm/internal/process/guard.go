//go:build unix

package process

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// done is the last order of a wrapper that ended its group by itself.
const done = "done"

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
func guard(orders io.Reader, answers io.WriteCloser) int {
	// It ends with its pipe and by nothing else: a SIGTERM for all processes of a service must not
	// come between.
	signal.Ignore()
	if _, err := fmt.Fprintln(answers); err != nil {
		return 1
	}
	answers.Close()
	group, finished := readOrders(orders)
	if finished || group <= 1 {
		return 0
	}
	// Stopped processes die of SIGKILL too. If there is no such group it was quicker.
	if err := unix.Kill(-group, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return 1
	}
	return 0
}

// readOrders reads until the wrapper is done, or until the pipe breaks, and returns the group that
// it named.
func readOrders(r io.Reader) (group int, finished bool) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == done {
			return group, true
		}
		if n, err := strconv.Atoi(line); err == nil {
			group = n
		}
	}
	return group, false
}
