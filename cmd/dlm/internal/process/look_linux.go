package process

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// readMember reads what the kernel says of a process; false: it has ended, or is hidden.
func readMember(pid int) (member, bool) {
	b, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return member{}, false
	}
	// The name, in brackets, may contain anything.
	text := string(b)
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return member{}, false
	}
	// What follows it: state, parent, group, session, ..., the number of threads, 0, the start.
	fields := strings.Fields(text[end+1:])
	const parent, group, session, threads, ticks = 1, 2, 3, 17, 19
	if len(fields) <= ticks {
		return member{}, false
	}
	m := member{identity: identity{pid: pid}, name: text[open+1 : end]}
	var faults [4]error
	m.parent, faults[0] = strconv.Atoi(fields[parent])
	m.group, faults[1] = strconv.Atoi(fields[group])
	m.session, faults[2] = strconv.Atoi(fields[session])
	m.start, faults[3] = strconv.ParseUint(fields[ticks], 10, 64)
	// A process whose first thread has ended looks dead, though the others work on.
	m.dead = (fields[0] == "Z" || fields[0] == "X") && (fields[threads] == "0" || fields[threads] == "1")
	return m, errors.Join(faults[:]...) == nil
}

func procPath(pid int, file string) string { return "/proc/" + strconv.Itoa(pid) + "/" + file }

// everything are all processes that can be seen.
func everything() []member {
	var all []member
	for _, pid := range numbers("/proc") {
		if m, ok := readMember(pid); ok {
			all = append(all, m)
		}
	}
	return all
}

// numbers are the entries of a directory that are numbers.
func numbers(dir string) []int {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1) // what was read before an error counts: a process may end meanwhile
	var all []int
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			all = append(all, n)
		}
	}
	return all
}

// children are the processes whose parent is one of a process's threads. It reports whether the
// kernel tells.
func children(pid int) ([]int, bool) {
	var all []int
	told := false
	for _, task := range numbers(procPath(pid, "task")) {
		b, err := os.ReadFile(procPath(pid, "task/"+strconv.Itoa(task)+"/children"))
		if err != nil {
			continue // The thread has ended, or this kernel does not tell.
		}
		told = true
		for field := range strings.FieldsSeq(string(b)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(all, child)
			}
		}
	}
	return all, told
}

// marked reports whether a process's environment contains a mark, as far as it may be read.
func marked(pid int, mark string) bool {
	if mark == "" {
		return false
	}
	b, err := os.ReadFile(procPath(pid, "environ"))
	return err == nil && bytes.Contains(b, []byte(mark))
}

// signal sends to this process, and to no other one that has its number by now. That it has ended
// is no error.
func (m member) signal(sig syscall.Signal) error {
	fd, err := unix.PidfdOpen(m.pid, 0)
	if err == nil {
		defer unix.Close(fd)
	} else if !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EPERM) {
		return gone(err)
	}
	// Whoever has the number from now on, the descriptor is of the one that is looked at here.
	if now, ok := readMember(m.pid); !ok || now.start != m.start {
		return nil
	}
	if err != nil { // an old kernel, or one that does not let us
		return gone(unix.Kill(m.pid, sig))
	}
	return gone(unix.PidfdSendSignal(fd, sig, nil, 0))
}

// vanished reports whether no process of a group runs any more. Some may have ended that their new
// parent has not taken note of, which in a container may never happen.
func vanished(group int) bool {
	if errors.Is(unix.Kill(-group, 0), unix.ESRCH) {
		return true
	}
	all := everything()
	for _, m := range all {
		if m.group == group && !m.dead {
			return false
		}
	}
	return len(all) > 0
}
