// Package arch holds the rules between packages as a test: who may import whom, what is never
// linked into the SDK, and that every package says what it is.
package arch
