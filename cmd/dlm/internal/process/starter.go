//go:build unix

package process

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// startStarter starts the process that will become the command. It leads the group before there is
// anything in it to guard, so that no process of the command ever runs without the guard knowing of
// it.
func startStarter(arg string, stdio [3]*os.File) (*helper, error) {
	attr := &syscall.SysProcAttr{Setpgid: true}
	endWithWrapper(attr)
	return startHelper(arg, starterRole, stdio, "", attr)
}

// starter waits for its order and becomes the command. If the wrapper ends before, or has nothing
// to run, so does it.
func starter(orders io.Reader, answers io.Writer) int {
	wrapper := os.Getppid()
	if _, err := fmt.Fprintln(answers); err != nil {
		return 0
	}
	var cmd Command
	if err := gob.NewDecoder(orders).Decode(&cmd); err != nil {
		return 0
	}
	if !stayWithWrapper(wrapper) {
		return 0
	}
	err := syscall.Exec(cmd.Path, cmd.Args, cmd.Env)
	// A command that runs has closed the pipe: only a failure has an answer.
	var errno syscall.Errno
	errors.As(err, &errno)
	if err := gob.NewEncoder(answers).Encode(int(errno)); err != nil {
		return 1
	}
	return 0
}

// exec makes the starter the command.
func (h *helper) exec(cmd Command) error {
	if err := gob.NewEncoder(h.orders).Encode(cmd); err != nil {
		return fmt.Errorf("%w: the starter is gone: %w", ErrNotRunnable, err)
	}
	var code int
	err := gob.NewDecoder(h.answers).Decode(&code)
	if errors.Is(err, io.EOF) {
		return nil // Closed by the command's start, or by a signal's that ended the group: its end will tell.
	}
	if err != nil {
		return err
	}
	return notStarted(cmd.Path, syscall.Errno(code))
}

// notStarted is why a command does not run.
func notStarted(path string, errno syscall.Errno) error {
	if errno != syscall.ENOENT {
		return fmt.Errorf("%w: %s: %w", ErrNotRunnable, path, errno)
	}
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("%w: %s: its interpreter was not found", ErrNotRunnable, path)
	}
	return fmt.Errorf("%w: %s", ErrNotFound, path)
}
