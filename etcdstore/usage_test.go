package etcdstore_test

import (
	"context"
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// TestAppendsThroughAnOutage: large appends, many at once, whose requests or replies are lost, and
// which are repeated until they are answered. A record is counted once however often it is asked
// for: the section has room for all of them.
func TestAppendsThroughAnOutage(t *testing.T) {
	t.Parallel()
	const records = etcdstore.MaxSection/etcdstore.MaxRecord/2 + 1 // twice as many would be too much
	for name, losing := range map[string]func(*faults.Faults, faults.Hook){
		"Requests": (*faults.Faults).Before,
		"Replies":  (*faults.Faults).After,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openFaulty(t, startEtcd(t))
			c := begin(t, s)
			h := c.Acquire("l")
			all := make([]etcdstore.Record, records)
			for i := range all {
				all[i] = c.Record(h, "f", strings.Repeat("x", etcdstore.MaxRecord))
			}
			staging := puts("/dlm/staged/")
			losing(s.Faults, func(_ context.Context, call faults.Call) error {
				if staging(call.Op) {
					return faults.ErrLost
				}
				return nil
			})
			for range 2 {
				for i, err := range appendAll(t, s, all) {
					if err != nil && !indeterminate(err) || err == nil && name == "Requests" {
						t.Fatalf("append %d, lost: %v; want its outcome not known", i, err)
					}
				}
			}
			s.Before(nil)
			s.After(nil)
			for range 2 { // and again, as if these answers had been lost on their way to the client
				left := all
				storetest.Eventually(t, "all records to be staged", func() bool { // etcd may be slow to take so much at once
					var again []etcdstore.Record
					for i, err := range appendAll(t, s, left) {
						if err != nil && !indeterminate(err) {
							t.Fatalf("append %s: %v", left[i].Request, err)
						} else if err != nil {
							again = append(again, left[i])
						}
					}
					left = again
					return len(left) == 0
				})
			}
			h.Appended = true
			for range etcdstore.MaxSection/etcdstore.MaxRecord - records {
				c.Append(h, "f", strings.Repeat("x", etcdstore.MaxRecord))
			}
			storetest.Want(t, "one byte too many", storetest.AppendTo(storetest.Bounded(t), s, c.Record(h, "f", "x")), etcdstore.ErrQuota)
			discard(t, s, h)
		})
	}
}

// appendAll makes appends at once.
func appendAll(t *testing.T, s storetest.Subject, records []etcdstore.Record) []error {
	t.Helper()
	answers := make([]chan error, len(records))
	for i, r := range records {
		answers[i] = make(chan error, 1)
		go func() { answers[i] <- storetest.AppendTo(storetest.Bounded(t), s, r) }()
	}
	errs := make([]error, len(records))
	for i := range errs {
		errs[i] = <-answers[i]
	}
	return errs
}
