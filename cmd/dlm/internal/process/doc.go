// Package process runs a command, with everything that it starts, and ends it before a lease can
// end.
//
// A tree is the command and all its descendants. The caller's process is the wrapper. On Linux it
// becomes the parent of those whose own parent has ended (a child subreaper), so that no process
// leaves the tree, whatever group or session it makes for itself, and /proc shows all of them. The
// wrapper passes signals and the terminal on to the command's process group, and waits until none
// of the tree runs any more.
//
// The guard is a process in a session of its own that waits at a pipe's end. When the wrapper dies
// without a word, by SIGKILL or a crash, the pipe breaks and the guard ends the tree, as far as it
// knows it: the group, the processes outside of it that the wrapper told it of, and every process
// with this tree's mark in its environment. After that it does what it was told to, such as letting
// others know. It is a shell that only becomes the caller's binary when there is something to do,
// because starting that takes as long as everything else that the wrapper does; where there is no
// /bin/sh, it is that binary from the beginning. Should the guard be killed as well, the kernel
// ends the command, on Linux, and nothing ends what the command has started.
//
// Guarantee: when Run returns, no process of the tree runs any more, but for those that its Result
// names, or that it was told to leave alone; when the lease ends, they have been sent SIGKILL
// before its expiry; when the wrapper dies, the tree dies with it.
//
// Limits:
//   - A wrapper that is stopped (SIGSTOP) cannot end anything before it is continued.
//   - What a process asked of somebody else's daemon (docker, at, systemd-run, a tmux server that
//     ran before) is not of the tree.
//   - Processes of other users, as below sudo, cannot be ended without their rights: Run says so.
//   - The guard does not find a process that has left the group within the last second and cleared
//     its environment, nor those of other users.
//   - Elsewhere than on Linux, or where /proc hides processes, the tree is the process group: what
//     leaves that (setsid, a job of an interactive shell) is not followed.
package process
