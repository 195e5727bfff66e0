package process

import (
	"os"

	"golang.org/x/sys/unix"
)

// follower finds the processes of a tree.
type follower struct {
	guard int

	// A wrapper that somebody became by exec may have children already, and one that is the first
	// process of a container gets those of others. Then a process whose parent has ended counts
	// only if it was known before, or is known by its group, its session or its mark.
	others  bool
	foreign map[identity]bool // the children that were there before
	mark    string

	known  map[identity]bool
	groups map[int]bool // and sessions: of known processes, but not the wrapper's own
}

// adopt makes this process the parent of all descendants that lose theirs, from now on, and returns
// what follows them.
func adopt(mark string) (*follower, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, os.NewSyscallError("prctl", err)
	}
	f := &follower{mark: mark, foreign: map[identity]bool{}, others: os.Getpid() == 1}
	before, _ := children(os.Getpid())
	for _, pid := range before {
		if m, ok := readMember(pid); ok {
			f.foreign[m.identity] = true
			f.others = true
		}
	}
	return f, nil
}

// look returns the members of the tree that run now, the command's own process, leader, among them.
// It reports whether they can be seen at all; it costs some 50 µs, and more for each member.
func (f *follower) look(leader int) ([]member, bool) {
	if f == nil {
		return nil, false
	}
	below, ok := offspring()
	if !ok {
		return nil, false
	}
	self := os.Getpid()
	known, groups := map[identity]bool{}, map[int]bool{}
	var all []member
	var visit func(m member)
	visit = func(m member) {
		if known[m.identity] {
			return
		}
		known[m.identity] = true
		groups[m.group], groups[m.session] = true, true
		if !m.dead {
			all = append(all, m)
		}
		for _, child := range below(m.pid) {
			visit(child)
		}
	}
	for _, m := range below(self) {
		if m.pid != f.guard && !f.foreign[m.identity] && (m.pid == leader || f.ours(m)) {
			visit(m)
		}
	}
	delete(groups, unix.Getpgrp())
	delete(groups, ownSession())
	f.known, f.groups = known, groups
	return all, true
}

// ours reports whether a child of the wrapper is of the tree.
func (f *follower) ours(m member) bool {
	return !f.others || f.known[m.identity] || f.groups[m.group] || f.groups[m.session] || marked(m.pid, f.mark)
}

// offspring returns how to find the children of a process; false: they cannot be seen.
func offspring() (below func(pid int) []member, ok bool) {
	if _, told := children(os.Getpid()); told {
		return func(pid int) []member {
			var all []member
			pids, _ := children(pid)
			for _, child := range pids {
				if m, ok := readMember(child); ok {
					all = append(all, m)
				}
			}
			return all
		}, true
	}
	// A kernel without that file.
	byParent := map[int][]member{}
	for _, m := range everything() {
		byParent[m.parent] = append(byParent[m.parent], m)
		ok = ok || m.pid == os.Getpid()
	}
	return func(pid int) []member { return byParent[pid] }, ok
}
