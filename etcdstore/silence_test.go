package etcdstore_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// longLeases grants leases that last, and says that they have the least TTL: etcd ends none of them
// within a test, and what is said of them is up to it.
type longLeases struct {
	clientv3.Lease
	say   func(*clientv3.LeaseTimeToLiveResponse) error
	asked atomic.Int64
}

func (l *longLeases) Grant(ctx context.Context, ttl int64) (*clientv3.LeaseGrantResponse, error) {
	if ttl != int64(etcdstore.MinTTL/time.Second) {
		return l.Lease.Grant(ctx, ttl)
	}
	resp, err := l.Lease.Grant(ctx, int64(etcdstore.MaxTTL/time.Second))
	if err == nil {
		resp.TTL = ttl
	}
	return resp, err
}

func (l *longLeases) TimeToLive(ctx context.Context, id clientv3.LeaseID, opts ...clientv3.LeaseOption) (*clientv3.LeaseTimeToLiveResponse, error) {
	resp, err := l.Lease.TimeToLive(ctx, id, opts...)
	if err == nil {
		err = l.say(resp)
		l.asked.Add(1)
	}
	return resp, err
}

// A session that was silent for its TTL is ended if etcd's leader says that its lease has expired,
// and by nobody else's word.
func TestSilentSession(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		say         func(*clientv3.LeaseTimeToLiveResponse) error
		fail        func(faults.Call) error // of etcd's calls
		ends, again bool                    // it ends; it is asked after again
	}{
		"it has expired": {
			say:  func(r *clientv3.LeaseTimeToLiveResponse) error { r.TTL = -1; return nil },
			ends: true,
		},
		"within the rounding": {
			say: func(r *clientv3.LeaseTimeToLiveResponse) error { r.TTL = 0; return nil },
		},
		"it lives": {
			say: func(*clientv3.LeaseTimeToLiveResponse) error { return nil },
		},
		"it is gone": {
			say: func(r *clientv3.LeaseTimeToLiveResponse) error { r.TTL, r.GrantedTTL = -1, 0; return nil },
		},
		"in another term": {
			say: func(r *clientv3.LeaseTimeToLiveResponse) error { r.TTL, r.RaftTerm = -1, r.RaftTerm+1; return nil },
		},
		"nobody says": {
			say:   func(*clientv3.LeaseTimeToLiveResponse) error { return faults.ErrLost },
			again: true,
		},
		"the revocation is lost at first": {
			say:  func(r *clientv3.LeaseTimeToLiveResponse) error { r.TTL = -1; return nil },
			fail: failing(1, func(c faults.Call) bool { return c.Kind == faults.Revoke }),
			ends: true, again: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			etcd := startEtcd(t)
			f := newFaults(t, etcd)
			leases := &longLeases{Lease: f.Client().Lease, say: test.say}
			f.Client().Lease = leases
			s := openStore(t, f.Client())
			c := storetest.BeginFor(t, s, "c", etcdstore.MinTTL)
			if test.fail != nil {
				f.Before(func(_ context.Context, c faults.Call) error { return test.fail(c) })
			}
			asked := int64(1)
			if test.again {
				asked = 2
			}
			storetest.Eventually(t, "it to be asked after", func() bool { return leases.asked.Load() >= asked })
			if test.ends {
				gone(t, etcd, "sessions/"+c.ID)
				return
			}
			if !test.again {
				storetest.Eventually(t, "it to be left alone", func() bool { return !s.Asks(c.ID) })
			}
			if len(keys(t, etcd, "sessions/"+c.ID)) != 1 {
				t.Error("it has ended")
			}
		})
	}
}

// failing fails the first n calls that match.
func failing(n int64, match func(faults.Call) bool) func(faults.Call) error {
	var failed atomic.Int64
	return func(c faults.Call) error {
		if match(c) && failed.Add(1) <= n {
			return faults.ErrLost
		}
		return nil
	}
}

// A heartbeat puts the question off: it is not asked about a session that goes on.
func TestHeardOf(t *testing.T) {
	t.Parallel()
	f := newFaults(t, startEtcd(t))
	leases := &longLeases{Lease: f.Client().Lease, say: func(*clientv3.LeaseTimeToLiveResponse) error { return errors.New("asked") }}
	f.Client().Lease = leases
	s := openStore(t, f.Client())
	c := storetest.BeginFor(t, s, "c", etcdstore.MinTTL)
	c.Heartbeat(0) // which has etcd's own TTL, of minutes
	silent := storetest.BeginFor(t, s, "silent", etcdstore.MinTTL)
	storetest.Eventually(t, "the other one to be asked after", func() bool { return leases.asked.Load() > 0 })
	if !s.Asks(c.ID) {
		t.Error("it is not known any more")
	}
	closeSession(t, s, silent)
	storetest.Eventually(t, "one that was closed to be forgotten", func() bool { return !s.Asks(silent.ID) })
}

// Thousands of sessions that are abandoned at once end, and the holder among them passes its lock
// on. How soon is logged: etcd alone, with its thousand a second, comes to the holder last.
// DLM_TEST_ABANDONED has another number of them.
func TestAbandonedSessions(t *testing.T) {
	t.Parallel()
	many := 3000
	if raceEnabled() {
		many = 600
	}
	if n, err := strconv.Atoi(os.Getenv("DLM_TEST_ABANDONED")); err == nil {
		many = n
	}
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	waiter := begin(t, s)
	flood := etcdstore.WithClient(t.Context(), "flood")
	var making sync.WaitGroup
	began := time.Now()
	const makers = 50
	for range makers {
		making.Go(func() {
			for range many / makers {
				if _, err := s.Init(flood, etcdstore.InitArgs{TTL: etcdstore.MinTTL}); err != nil {
					t.Errorf("Init: %v", err)
				}
			}
		})
	}
	making.Wait()
	made := time.Now()
	holder, err := s.Init(t.Context(), etcdstore.InitArgs{TTL: etcdstore.MinTTL})
	if err != nil {
		t.Fatalf("Init: %v", err)
	}
	args := etcdstore.AcquireArgs{Credential: holder.Credential, Acquisition: etcdstore.Acquisition{Lock: "l", Request: "1"}}
	if g, err := s.Acquire(t.Context(), args); err != nil || g.Outcome != etcdstore.Granted {
		t.Fatalf("Acquire = %+v, %v", g, err)
	}
	waiter.Queue("l").Granted()
	t.Logf("%d sessions made in %v; the lock was passed on %v after its holder's TTL, with %d sessions left",
		many, made.Sub(began), time.Since(made)-etcdstore.MinTTL, len(keys(t, etcd, "sessions/"))-1)
	storetest.Eventually(t, "all to have ended", func() bool { return len(keys(t, etcd, "sessions/")) == 1 })
}
