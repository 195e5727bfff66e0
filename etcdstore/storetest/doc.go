// Package storetest is the conformance suite of the lock service: what every implementation of its
// calls must do, seen through the calls alone. It runs on the store, and again on whatever a store
// is wrapped in: a second store on the same etcd, or a client, a wire and a server.
//
// The suite waits for what must come, with a bound, and never for time to pass, so that it holds on
// busy machines. Where several stores serve one subject, their mirrors may lag: what may then be
// true a moment later is asked for again.
package storetest
