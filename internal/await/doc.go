// Package await has a test wait for what must come: until something is so, for a channel, or for a
// text that is being written. It never waits for time to pass, so that a busy machine makes a test
// slow and not fail; and never for ever, so that a test that hangs says what it has waited for.
//
// It is for all tests, those of other processes included, and imports nothing. Where a store is in
// the test's own process, package storetest has the same with a bound of its own.
package await
