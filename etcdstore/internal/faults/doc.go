// Package faults puts an etcd client between a store and its etcd whose calls can be held, lost and
// counted, and whose watches can be held and broken. The store knows nothing of it: a
// clientv3.Client is made of interfaces.
//
// A lost request fails without having reached etcd; a lost reply fails although etcd did what was
// asked. Both look the same to the store, which is the point: whatever it concludes from the error
// must be true of both.
package faults
