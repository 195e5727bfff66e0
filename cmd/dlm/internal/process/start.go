//go:build unix

package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// inherited are the descriptors besides the standard ones that this process was started with and
// passes on to a command, and to nothing else.
type inherited []int

// keepInherited finds them. From now on they are closed in every process that is started, but where
// they are passed on.
func keepInherited() inherited {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return nil // They reach the command anyhow, and the guard too.
	}
	var all inherited
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil || fd <= 2 {
			continue
		}
		// What this process has opened by itself is closed on exec.
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.CloseOnExec(fd)
			all = append(all, fd)
		}
	}
	return all
}

// files are the descriptors of a command, by number.
func (in inherited) files(stdio [3]*os.File) []uintptr {
	most := 2
	for _, fd := range in {
		most = max(most, fd)
	}
	files := make([]uintptr, most+1)
	for i := range files {
		files[i] = ^uintptr(0) // closed
	}
	for i, f := range stdio {
		files[i] = f.Fd()
	}
	for _, fd := range in {
		files[fd] = uintptr(fd)
	}
	return files
}

// start starts a command as the leader of a group of its own. The calling thread must live as long
// as the command should: see EndWithThread. A file that is no program, and does not say which one
// it is for, is a shell's script, as execvp has it.
func start(cmd Command, files []uintptr) (pid int, err error) {
	attr := &syscall.ProcAttr{Env: cmd.Env, Files: files, Sys: &syscall.SysProcAttr{Setpgid: true}}
	EndWithThread(attr.Sys) // The guard may have died with the wrapper, as of a kill -9 of everything.
	pid, err = syscall.ForkExec(cmd.Path, cmd.Args, attr)
	if errors.Is(err, syscall.ENOEXEC) {
		pid, err = syscall.ForkExec(shellPath, append([]string{shellPath, cmd.Path}, cmd.Args[1:]...), attr)
	}
	if err != nil {
		return 0, notStarted(cmd.Path, err)
	}
	return pid, nil
}

// notStarted is why a command does not run.
func notStarted(path string, err error) error {
	if !errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("%w: %s: %w", ErrNotRunnable, path, err)
	}
	if _, err := os.Stat(path); err == nil {
		return fmt.Errorf("%w: %s: its interpreter was not found", ErrNotRunnable, path)
	}
	return fmt.Errorf("%w: %s", ErrNotFound, path)
}
