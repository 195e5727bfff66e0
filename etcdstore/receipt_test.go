package etcdstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// A call's receipt has the revision at which etcd has what the call did, and a repeat's, or that of
// a call that etcd's word refuses, is no lower. So receipts are in the order of what was done,
// whichever store did it.
func TestReceipts(t *testing.T) {
	for name, wrap := range map[string]func(*etcdstore.Store) storetest.Subject{
		"called":   func(s *etcdstore.Store) storetest.Subject { return s },
		"resolved": func(s *etcdstore.Store) storetest.Subject { return etcdstore.Resolving{Store: s} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etcd := startEtcd(t)
			stores := []*etcdstore.Store{openStore(t, etcd), openStore(t, etcd)}
			changes := etcd.Watch(t.Context(), "/dlm/", clientv3.WithPrefix(), clientv3.WithRev(revision(t, etcd)+1))
			changed := map[int64]map[string]bool{}
			last, calls := int64(0), 0
			// call makes a call of either store by turns, by which a key is changed; empty: none
			// is.
			call := func(what, key string, want error, call func(context.Context, storetest.Subject) error) int64 {
				t.Helper()
				var receipt etcdstore.Receipt
				calls++
				err := call(etcdstore.WithReceipt(storetest.Bounded(t), &receipt), wrap(stores[calls%2]))
				storetest.Want(t, what, err, want)
				rev := receipt.Revision()
				if rev == 0 || rev < last || key != "" && rev == last {
					t.Errorf("%s has the receipt %d; the one before had %d", what, rev, last)
				}
				last = rev
				for key != "" && changed[rev] == nil {
					select {
					case resp := <-changes:
						for _, e := range resp.Events {
							if changed[e.Kv.ModRevision] == nil {
								changed[e.Kv.ModRevision] = map[string]bool{}
							}
							changed[e.Kv.ModRevision][string(e.Kv.Key)] = true
						}
					case <-time.After(patience):
						t.Fatalf("%s: nothing has changed at its receipt, %d", what, rev)
					}
				}
				if key != "" && !changed[rev]["/dlm/"+key] {
					t.Errorf("%s has the receipt %d, at which %v was changed; want %s", what, rev, changed[rev], key)
				}
				return rev
			}
			var credential, id string
			call("Init", "", nil, func(ctx context.Context, s storetest.Subject) error {
				session, err := s.Init(ctx, etcdstore.InitArgs{TTL: time.Minute})
				credential, id = session.Credential, session.ID
				return err
			})
			call("Heartbeat of what is not there", "", nil, func(ctx context.Context, s storetest.Subject) error {
				_, err := s.Heartbeat(ctx, etcdstore.HeartbeatArgs{Credential: credential, Unfinished: []etcdstore.Acquisition{{Lock: "l", Request: "1"}}})
				return err
			})
			acquire := func(lock, request string, wait time.Duration) func(context.Context, storetest.Subject) error {
				return func(ctx context.Context, s storetest.Subject) error {
					g, err := s.Acquire(ctx, etcdstore.AcquireArgs{
						Credential: credential, Acquisition: etcdstore.Acquisition{Lock: lock, Request: request}, Wait: wait,
					})
					if err == nil && (g.Outcome == etcdstore.Granted) != (lock != "busy") {
						err = fmt.Errorf("it is %+v", g)
					}
					return err
				}
			}
			token := call("Acquire", "locks/l", nil, acquire("l", "1", etcdstore.WaitForever))
			call("Acquire, repeated", "", nil, acquire("l", "1", etcdstore.WaitForever))
			section := func() etcdstore.Section {
				return etcdstore.Section{Credential: credential, Lock: "l", Token: token, Appended: true}
			}
			put := func(ctx context.Context, s storetest.Subject) error {
				return storetest.AppendTo(ctx, s, etcdstore.Record{Credential: credential, Lock: "l", Token: token, Request: "2", File: "f", Data: []byte("x")})
			}
			call("Append", "staged/l//"+hex16(token)+"/2", nil, put)
			call("Append, repeated", "", nil, put)
			commit := func(ctx context.Context, s storetest.Subject) error {
				_, err := s.Commit(ctx, section())
				return err
			}
			next := call("Commit", "locks/l", nil, commit)
			call("Commit, repeated", "", nil, commit)
			token = next
			release := func(ctx context.Context, s storetest.Subject) error { return s.Release(ctx, section()) }
			call("Release", "locks/l", nil, release)
			call("Release, repeated", "", nil, release)

			token = call("Acquire without a wait", "locks/l", nil, acquire("l", "3", 0))
			call("Discard", "locks/l", nil, func(ctx context.Context, s storetest.Subject) error {
				_, err := s.Discard(ctx, section())
				return err
			})
			call("Release, refused", "", etcdstore.ErrLockExpired, release)
			call("Append, refused", "", etcdstore.ErrLockExpired, put)

			other := begin(t, stores[0])
			other.Acquire("busy")
			call("Acquire, busy", "", nil, acquire("busy", "4", 0))
			call("Acquire, in vain", "queue/busy//"+id+".5", nil, acquire("busy", "5", time.Millisecond))
			ctx, cut := context.WithCancel(storetest.Bounded(t))
			waits := make(chan struct{})
			go func() {
				defer close(waits)
				_ = acquire("busy", "6", etcdstore.WaitForever)(ctx, stores[0])
			}()
			storetest.Eventually(t, "a place", func() bool { return len(storetest.Inspect(t, stores[1], "busy").Waiters) == 1 })
			cut()
			storetest.Await(t, "the acquire", waits)
			call("Cancel", "queue/busy//"+id+".6", nil, func(ctx context.Context, s storetest.Subject) error {
				_, err := s.Cancel(ctx, credential, etcdstore.Acquisition{Lock: "busy", Request: "6"})
				return err
			})

			held := other.Acquire("handed")
			call("Acquire, handed on", "locks/handed", nil, func(ctx context.Context, s storetest.Subject) error {
				granted := make(chan error, 1)
				go func() { granted <- acquire("handed", "7", etcdstore.WaitForever)(ctx, s) }()
				storetest.Eventually(t, "a place", func() bool { return stores[0].Waiters("handed") == 1 })
				other.Release(held)
				return <-granted
			})
			call("Evict", "locks/handed", nil, func(ctx context.Context, s storetest.Subject) error {
				_, err := s.Evict(ctx, "handed", 0, "a reason")
				return err
			})
			call("Acquire, to be abandoned", "locks/abandoned", nil, acquire("abandoned", "8", 0))
			for _, s := range stores {
				caughtUp(t, etcd, s)
			}
			call("Heartbeat", "locks/abandoned", nil, func(ctx context.Context, s storetest.Subject) error {
				_, err := s.Heartbeat(ctx, etcdstore.HeartbeatArgs{Credential: credential, Highest: 8})
				return err
			})
			intrude(t, etcd, "undone/l//zzzz", "malformed")
			call("Repair", "undone/l//zzzz", nil, func(ctx context.Context, _ storetest.Subject) error {
				found, _, err := stores[0].Problems(ctx, "")
				if err == nil && len(found) == 1 {
					_, err = stores[1].Repair(ctx, found[0].Key, found[0].Revision)
				}
				return err
			})
			closes := func(ctx context.Context, s storetest.Subject) error { return s.CloseSession(ctx, credential) }
			call("CloseSession", "sessions/"+id, nil, closes)
			for _, s := range stores {
				caughtUp(t, etcd, s)
			}
			call("CloseSession, repeated", "", nil, closes)
		})
	}
}
