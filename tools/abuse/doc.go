// Abuse floods a real server in every way that once hurt it, with an honest client beside it, and
// tells what that one noticed and what memory it took.
//
//	go run ./tools/abuse                   # all floods
//	go run ./tools/abuse -short            # the worst of each kind, within a minute
//	go run ./tools/abuse -only 'unread'    # those whose names match; -list tells them
//
// A flood is a process of its own on one processor at the lowest priority (floods.go), and speaks
// its own HTTP/2 where a library would not do such things (wire.go). Another process is the honest
// client: it locks and unlocks one lock, and says how long each cycle took. Every flood has a
// server with fresh data for itself. The control is an honest client of another, idle server,
// beside a process that burns as much of the processor as the flood did, and talks to nobody.
//
// A row of the table is met if
//
//   - the honest client's p50 is at most three times the control's, and it never had to wait longer
//     than a second for the end of a cycle;
//   - the server lives, a new client can lock, a new watch sees that, and SIGTERM ends the server;
//   - its memory (RssAnon) was never above twice an idle server's plus twice the budget, and is
//     within 30 s at most twice that plus 32 MiB. The short form does not wait for the latter;
//   - it wrote no more than 2 MiB of log;
//   - where a holder is killed meanwhile, its lock is passed on within its TTL and 2 s.
//
// A row that is unmet by time alone is measured once more, for somebody else may have used the
// machine. A server that takes more than 3 GB is killed. The exit code is 0 if every row is met or
// -report was given, 1 if one is not, 2 if the run was broken off.
package main
