// Package process runs a command as a process group that must not outlive a lease.
//
// A group is the command and every descendant of it that has not left for a group of its own. The
// caller's process is the wrapper. Two helpers are processes of the caller's binary, each at the
// other end of a pipe. The starter leads the group from the beginning, waits until it is told what
// to run, and becomes that; the group is known before anything runs in it. The guard lives in a
// session of its own: when the wrapper dies without a word, by SIGKILL or a crash, the pipe breaks
// and the guard kills the group; after that it does what it was told to, such as letting others
// know. Should the guard be killed as well, the kernel ends the command, on Linux, and nothing ends
// what the command has started.
//
// Guarantee: when Run returns, no process of the group runs any more; when the lease ends, the
// group has been sent SIGKILL before the lease's expiry; when the wrapper dies, the group dies with
// it.
//
// Limit: a wrapper that is stopped (SIGSTOP) cannot kill anything before it is continued, and a
// process that leaves the group (setsid, a job of an interactive shell) is not followed.
package process
