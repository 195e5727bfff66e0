// Package scenarios plays the coursework's fault scenarios, 1a to 4e: clients, faults between them
// and the servers, and the file that a reader finds in the end. Each is a test, played once through
// lock_service.LockService and once through dlm.v1. `make scenarios` plays all of them and prints
// what happened, as a table and in words; those with killed processes need the build tag
// `scenarios`.
package scenarios
