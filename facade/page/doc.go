// Package page is the web page by which people see who holds which lock and who waits for it, and
// take a lock away: static files, what they ask for as JSON, and what happens as server-sent
// events. It has no listener: the admin server serves it, and finds out who asks.
//
// # One watch
//
// However many pages are open, the store is watched once, and only while one is open or was a few
// minutes ago. What changed is read from the store, a batch of locks at a time, and kept as rows,
// encoded: see hub.go. A stream remembers names alone, and reads their rows when its reader is
// ready. So a slow reader costs no memory, is told less often, and always the newest; one that does
// not read at all is ended. See stream.go.
//
// # Who sees what
//
// A caller is sent the rows of those locks that it may inspect. Who it is, and what it may do, is
// asked again each second while a stream lasts. Evictions are made by what the admin server passes
// in, which asks, bounds and writes down as for any other call.
//
// # Browsers
//
// Whatever a client has chosen, such as a label, is escaped before it is sent, and becomes text and
// nothing else on the page. The page may load nothing but its own files, and calls nobody but its
// server. What changes something has to come from the page itself, as JSON. A server that asks
// nobody who they are answers only to names that no stranger's site can have: see [guard].
//
// # What is exact
//
// A row is of one revision, which it says. All rows together have everything that happened up to
// the revision that comes with them, and of later ones perhaps a part. Times are absolute, ages are
// worked out where they are shown. What is staged, when a holder was heard of, and when its lease
// ends, happens to no lock: it is read again every few seconds for the rows that somebody looks at.
package page
