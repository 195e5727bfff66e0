// Package audit keeps a record of who has done what, and of who was refused: one line of JSON a
// call, in a file of its own or on standard error.
//
// # Lines
//
// A [Line] is an object on a line of its own, with these members in this order, those left out that
// say nothing:
//
//	time      when the call ended, in UTC, to the microsecond
//	server    which server writes this
//	identity  who called; left out: nobody was asked who they are
//	peer      the address the call came from
//	verb      what the policy was asked about
//	method    the call
//	lock, request, session, token
//	          what it was about; of a session its public part only
//	revision  etcd's, of the call's last transaction. It orders the lines of all servers
//	reason    why a holder was evicted, in the words of whoever did it
//	outcome   OK, or the reason of the error; of the coursework's API also the status that it
//	          answered with
//	took_us   how long the call took, in microseconds
//
// Text is what the client said, cut where it is longer than anything that makes sense, with control
// characters, line separators and what changes the direction of writing as escapes of JSON's, so a
// line is a line, and is safe to look at. There is never a credential in it, nor what a record or
// file holds: those who write lines see to that.
//
// A line {"time": …, "dropped": n} stands where n lines are missing. Where a write was cut short,
// as on a full disk, half a line is followed by an end of line, and by that line again, whole. A
// reader skips what is not JSON.
//
// # What is lost when
//
// Lines wait for one goroutine that writes them, in order, and all that there are at once; at most
// 4096 do. What cannot be written is tried again every 200 ms. A call never waits for its line.
//
// A log that is not required drops lines that find the queue full. A required log is not ready
// while a write has failed, or while more than three quarters of the queue are taken ([Log.Ready]),
// and whoever changes something is to ask it first, and to change nothing then. What only gives
// back asks whether there is room ([Log.Room]). So its queue does not grow without end, and it
// takes the lines of calls that have begun before even if it is full. It drops nothing but refusals
// ([Line].Refusal).
//
// Of refusals there can be any number, also by those who may do nothing, and a disk can be filled
// with them. So any log takes 200 of them a second, after 4096 at once, and drops the others.
//
// A line is in the hands of the operating system once it is written, and survives the end of the
// process, not that of the machine. The lines that wait are lost with a process that is killed.
//
// # Rotation
//
// Rename the file, then have [Log.Reopen] called: what is written after it goes to a new file. The
// old one may get lines for a moment longer, and can be compressed when another has come.
package audit
