// Package top is a live view of locks on a terminal: a row for each, who holds it and who waits,
// and one lock with its queue and its last events.
//
// It lists the locks again when a watch has told that something has happened, and every few seconds
// in any case, for what no event tells. A listing waits five times as long as the last one took, so
// that a view costs servers a sixth of their listing at the most. What is shown of others' texts is
// escaped, and drawn cell by cell: nothing of it reaches the terminal as it is.
package top
