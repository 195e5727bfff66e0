// Package bench is what `dlm bench` does: slices of load on dlm, each in a pair with the same slice
// on another system if one is named, so that both see the machine in the same state; of several
// pairs the medians are reported. The other system may be another build of dlm. The loop is that of
// package load. Two workloads are dlm's alone: sessions that idle, and waiters on one lock.
package bench
