// Package life looks at the life of a file: what a section appends, replaces, removes or cuts off,
// and how its chunks are put, told of, and cleaned away: what docs/protocol.md says under Lives.
//
// # What a state is
//
// One file: its head, its chunks of two units each, its garbage key; two servers, which fold,
// clean, retain and bury, each in steps of one transaction, from what they read before; a reader.
// What is published, and in which order, is given with the configuration: sections of operations,
// one by one, or those of one commit at once. A fold is of one section, in one transaction or in
// several, or of two, merged. A cleaner deletes one chunk at a time. Retention moves the start of
// the file without the lock; a file that was removed is buried, and may be made again.
//
// A chunk's key is its position. Positions never come back while there is a head: a life begins
// where the one before has ended, and bytes that are never put are counted too.
//
// # Faults
//
// Servers are as slow as they like between two steps, or crash there.
//
// # What is judged
//
// In every state each byte that the head tells of is there, and right. A reader gets one life, and
// of that what it asked for: it reads chunk by chunk, by the head that it read first, or goes on
// with a read of its own, which says what life it is of. When all is folded and cleaned, nothing is
// left behind, and the head is what the operations come to.
//
// # What is left out
//
// Several files and locks, time, sizes and limits; how sections come to be published, which is
// package publish; when retention is due, and by which mark. Tail, which is a reader that goes on.
package life
