// Package devcluster runs three servers on this machine, as child processes of one program that a
// person holds in one terminal: whoever wants to see what a cluster does when a server is killed,
// stopped, or comes back presses a key for it.
//
// A key is a command; a digit before it, or on its own, chooses the server that it is for. Without
// a terminal the same keys are read as words of lines. What the servers write is passed on, each
// line with the server's number, and among it stands who leads, whenever that changes.
//
// Guarantee: no server outlives the program. It ends them when it is told to end; if it is killed,
// the kernel ends them, on Linux.
//
// Limit: everything is on the loopback interface and without protection, since it is to be played
// with.
package devcluster
