// Package facadetest runs the whole service inside a test: embedded etcd in a temporary directory,
// and one or several facades, each with a store of its own, on ports of the loopback interface.
// Everything is stopped, and waited for, when the test ends.
package facadetest
