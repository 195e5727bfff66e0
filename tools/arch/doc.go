// Package arch holds the rules between packages as a test: who may import whom, what is never
// linked into the SDK, that every package says what it is, and that the store exports nothing that
// nobody uses.
package arch
