package process

import (
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ignoreAsBefore has this process, and the commands that it starts, ignore what it was started to
// ignore (a shell's trap, a service's settings). Go keeps SIGHUP and SIGINT as they were and takes
// all others for itself before main, so what they were is told from the parent, whose child
// inherits what that ignores, but for what a program ignores for itself alone:
//   - An interactive shell ignores SIGQUIT and SIGTERM, and not SIGINT.
//   - Python ignores SIGPIPE and SIGXFSZ.
//   - Who handles SIGHUP or SIGINT anew for a child does so with the others too.
//
// On the other hand a shell without job control has its background jobs ignore SIGINT and SIGQUIT.
func ignoreAsBefore() {
	of := ignoredBy(os.Getppid())
	switch hup, interrupt := signal.Ignored(unix.SIGHUP), signal.Ignored(unix.SIGINT); {
	case of[unix.SIGHUP] && !hup, of[unix.SIGINT] && !interrupt:
		of = nil
	case of[unix.SIGQUIT] && of[unix.SIGTERM] && !of[unix.SIGINT]:
		of = nil
	case interrupt && !of[unix.SIGINT]:
		of[unix.SIGQUIT] = true
	}
	python := of[unix.SIGPIPE] && of[unix.SIGXFSZ]
	for _, sig := range []syscall.Signal{
		unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGVTALRM, unix.SIGXCPU,
		unix.SIGIO, unix.SIGPWR, unix.SIGTSTP, unix.SIGPIPE, unix.SIGXFSZ,
	} {
		if of[sig] && (!python || sig != unix.SIGPIPE && sig != unix.SIGXFSZ) {
			signal.Ignore(sig)
		}
	}
}

// ignoredBy are the signals that a process ignores, as far as that can be seen.
func ignoredBy(pid int) map[syscall.Signal]bool { return signalSet(pid, "SigIgn") }

// stopPending reports whether a process that is stopped has been sent the terminal's stop signal
// since.
func stopPending(pid int) bool { return signalSet(pid, "ShdPnd")[unix.SIGTSTP] }

// signalSet reads one of the sets of signals that the kernel shows of a process.
func signalSet(pid int, name string) map[syscall.Signal]bool {
	in := map[syscall.Signal]bool{}
	text, _ := os.ReadFile(procPath(pid, "status"))
	_, rest, _ := strings.Cut(string(text), "\n"+name+":")
	hex, _, _ := strings.Cut(rest, "\n")
	set, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
	if err != nil {
		return in
	}
	for i := range 64 {
		if set&(1<<i) != 0 {
			in[syscall.Signal(i+1)] = true
		}
	}
	return in
}
