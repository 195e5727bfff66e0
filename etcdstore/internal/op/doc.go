// Package op builds transactions in etcd's own messages, and reads their answers: a word for each
// operation and each compare. clientv3 has words of its own for them, but makes them into these
// messages by copying every compare, which was a tenth of the time of a busy server.
//
// It knows etcd and nothing of locks.
package op
