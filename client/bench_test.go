package client_test

import (
	"sync/atomic"
	"testing"

	"github.com/distributed-lock-manager/dlm/client"
)

// One cycle of an uncontended lock. etcd does not write through to the disk here.
func BenchmarkLockUnlock(b *testing.B) {
	c, name := open(b, client.Config{}), fresh(b)
	for b.Loop() {
		l, err := c.Lock(b.Context(), name)
		must(b, err)
		must(b, l.Unlock(b.Context()))
	}
}

// The same from many goroutines that share the client, each with a lock of its own.
func BenchmarkLockUnlockParallel(b *testing.B) {
	c := open(b, client.Config{})
	b.SetParallelism(64)
	var failed atomic.Bool
	b.RunParallel(func(pb *testing.PB) {
		name := fresh(b)
		for pb.Next() {
			l, err := c.Lock(b.Context(), name)
			if err == nil {
				err = l.Unlock(b.Context())
			}
			if err != nil && failed.CompareAndSwap(false, true) {
				b.Error(err)
			}
		}
	})
}
