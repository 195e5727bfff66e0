// Package original is a client that behaves as the coursework's own clients do on the wire: it
// numbers its calls "<client>-<counter>" and repeats them under the same number with growing
// pauses, draws an append's number before it asks who holds the lock, sends heartbeats from its
// first acquire to just after its first release, and looks for another server among those it knows,
// by Ping, when calls have failed for long.
//
// It is for tests: its times can be short, and it can be stopped as a process can. Use package
// client for anything else.
package original
