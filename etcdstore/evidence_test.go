package etcdstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// What an ending comes to that is late, or not its caller's, needs evidence. Each test is named
// after where that is, or what was taken for it and is none. The table of all combinations is in
// storetest.
func TestEvidence(t *testing.T) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *clientv3.Client, *faulty)
	}{
		{"AnothersMarker", testAnothersMarker},
		{"MarkerOfAnEarlierServer", testMarkerOfAnEarlierServer},
		{"NoteDropped", testNoteDropped},
		{"LongerThanHistory", testLongerThanHistory},
		{"ReadsOfThePast", testReadsOfThePast},
		{"DeletedByHand", testDeletedByHand},
		{"NeverGranted", testNeverGranted},
		{"EveryAppendRefused", testEveryAppendRefused},
		{"DiscardAfterTheSession", testDiscardAfterTheSession},
		{"MemberBehind", testMemberBehind},
		{"ReadThatFails", testReadThatFails},
		{"CompactedMeanwhile", testCompactedMeanwhile},
		{"SecretOfAnEndedSession", testSecretOfAnEndedSession},
		{"NotByThisCall", testNotByThisCall},
		{"DataLoss", testDataLoss},
		{"AppendThatCannotBeLookedFor", testAppendThatCannotBeLookedFor},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			etcd := startEtcd(t)
			test.run(t, etcd, openFaulty(t, etcd))
		})
	}
	t.Run("DiscardWhenFull", testDiscardWhenFull)
}

// deleteKey deletes a key as an operator would, or forget.
func deleteKey(t *testing.T, etcd *clientv3.Client, key string) {
	t.Helper()
	resp, err := etcd.Delete(storetest.Bounded(t), "/dlm/"+key)
	if err != nil || resp.Deleted != 1 {
		t.Fatalf("delete %s: %v, %v; want one key deleted", key, resp, err)
	}
}

// compactTo drops etcd's history before a revision.
func compactTo(t *testing.T, etcd *clientv3.Client, rev int64) {
	t.Helper()
	if _, err := etcd.Compact(storetest.Bounded(t), rev); err != nil {
		t.Fatalf("compact to %d: %v", rev, err)
	}
}

// askedAs is a section as its holder asks about it, having appended or not.
func askedAs(h *storetest.Held, appended bool) etcdstore.Section {
	sec := h.Section
	sec.Appended = appended
	return sec
}

// A section is published, and somebody else ends it under its token: nothing of that one's was
// published.
func testAnothersMarker(t *testing.T, _ *clientv3.Client, s *faulty) {
	owner, other := begin(t, s), begin(t, s)
	fold := sync.OnceFunc(s.HoldFolds(t, "l"))
	defer fold()
	h := owner.Publish("l", "f", "own")
	for _, isFolded := range []bool{false, true} {
		if isFolded {
			fold()
			storetest.WantContents(t, s, "l", "f", "own")
		}
		stolen := other.Section("l", "1", h.Token)
		for _, appended := range []bool{false, true} {
			storetest.Want(t, "another's release", s.Release(storetest.Bounded(t), askedAs(stolen, appended)), etcdstore.ErrLockExpired)
			_, err := s.Commit(storetest.Bounded(t), askedAs(stolen, appended))
			storetest.Want(t, "another's commit", err, etcdstore.ErrLockExpired)
			if published, err := s.Discard(storetest.Bounded(t), askedAs(stolen, appended)); published || err != nil {
				t.Errorf("another's discard = %v, %v; want false, nil", published, err)
			}
		}
		storetest.Want(t, "its own release, repeated", s.Release(storetest.Bounded(t), h.Section), nil)
	}
}

// A marker that an earlier server has put says nothing of whose it is.
func testMarkerOfAnEarlierServer(t *testing.T, etcd *clientv3.Client, s *faulty) {
	owner := begin(t, s)
	defer s.HoldFolds(t, "l")()
	h := owner.Publish("l", "f", "own")
	if _, err := etcd.Put(storetest.Bounded(t), "/dlm/commits/l//"+hex16(h.Token), ""); err != nil {
		t.Fatalf("put a marker: %v", err)
	}
	storetest.Want(t, "Release repeated", s.Release(storetest.Bounded(t), h.Section), nil)
}

// The note of what was undone is dropped after a day, and etcd's history is kept: it tells still.
func testNoteDropped(t *testing.T, etcd *clientv3.Client, s *faulty) {
	c := begin(t, s)
	evicted := c.Acquire("evicted")
	if _, err := s.Evict(storetest.Bounded(t), "evicted", evicted.Token, "enough"); err != nil {
		t.Fatalf("Evict: %v", err)
	}
	discarded := c.Acquire("discarded")
	discarded.Appended = true // and it was refused
	discard(t, s, discarded)
	for _, h := range []*storetest.Held{evicted, discarded} {
		deleteKey(t, etcd, "undone/"+h.Lock+"//"+hex16(h.Token))
		for _, appended := range []bool{false, true} {
			storetest.Want(t, "Release of what was "+h.Lock, s.Release(storetest.Bounded(t), askedAs(h, appended)), etcdstore.ErrLockExpired)
		}
	}
}

// A section is held for longer than history is kept. What became of it is told as long as its end
// is not forgotten.
func testLongerThanHistory(t *testing.T, etcd *clientv3.Client, s *faulty) {
	c := begin(t, s)
	released, evicted, published := c.Acquire("released"), c.Acquire("evicted"), c.Acquire("published")
	begin(t, s).Acquire("between")
	compact(t, etcd)
	begin(t, s).Acquire("between2")
	c.Release(released)
	c.Append(published, "f", "own")
	c.Release(published)
	storetest.WantContents(t, s, "published", "f", "own")
	if _, err := s.Evict(storetest.Bounded(t), "evicted", evicted.Token, "enough"); err != nil {
		t.Fatalf("Evict: %v", err)
	}
	gone(t, etcd, "commits/")
	deleteKey(t, etcd, "undone/evicted//"+hex16(evicted.Token))
	for _, section := range []struct {
		*storetest.Held
		want error
	}{{released, nil}, {published, nil}, {evicted, etcdstore.ErrLockExpired}} {
		storetest.Want(t, "Release of what was "+section.Lock, s.Release(storetest.Bounded(t), section.Section), section.want)
	}
	compact(t, etcd)
	for _, h := range []*storetest.Held{released, evicted, published} {
		storetest.Want(t, "Release, its end forgotten", s.Release(storetest.Bounded(t), h.Section), etcdstore.ErrOutcomeUnknown)
	}
}

// The past is asked for one key at a time, and not watched: etcd would read all that was since, and
// let nobody write meanwhile.
func testReadsOfThePast(t *testing.T, etcd *clientv3.Client, s *faulty) {
	c := begin(t, s)
	h := c.Acquire("l")
	for range 500 {
		if _, err := etcd.Put(storetest.Bounded(t), "/elsewhere", ""); err != nil {
			t.Fatalf("put: %v", err)
		}
	}
	c.Release(h)
	c.Release(c.Acquire("l"))
	for range 500 {
		if _, err := etcd.Put(storetest.Bounded(t), "/elsewhere", ""); err != nil {
			t.Fatalf("put: %v", err)
		}
	}
	var reads atomic.Int64
	s.After(func(_ context.Context, call faults.Call) error {
		if ofThePast(call.Op, true) {
			reads.Add(1)
		}
		return nil
	})
	storetest.Want(t, "Release repeated", s.Release(storetest.Bounded(t), h.Section), nil)
	if n := reads.Load(); n == 0 || n > 12 {
		t.Errorf("%d reads of the past; want some, and at most 12 over 1,000 revisions", n)
	}
}

// Somebody deletes a lock's key. What had records was not published by that.
func testDeletedByHand(t *testing.T, etcd *clientv3.Client, s *faulty) {
	c := begin(t, s)
	h := c.Acquire("l")
	c.Append(h, "f", "dropped")
	deleteKey(t, etcd, "locks/l")
	storetest.Want(t, "Release of what a hand has ended", s.Release(storetest.Bounded(t), h.Section), etcdstore.ErrLockExpired)
	openStore(t, etcd) // and tidies up
	gone(t, etcd, "staged/")
	deleteKey(t, etcd, "undone/l//"+hex16(h.Token))
	storetest.Want(t, "Release, with nothing left of it", s.Release(storetest.Bounded(t), h.Section), etcdstore.ErrLockExpired)
	if published, err := s.Discard(storetest.Bounded(t), h.Section); published || err != nil {
		t.Errorf("Discard = %v, %v; want false, nil", published, err)
	}
}

// A token of another lock, or of no lock, was never granted, and history says so.
func testNeverGranted(t *testing.T, etcd *clientv3.Client, s *faulty) {
	c := begin(t, s)
	a := c.Acquire("a")
	c.Release(c.Acquire("b")) // has a history of its own
	for _, lock := range []string{"b", "never"} {
		sec := a.Section
		sec.Lock = lock
		for _, appended := range []bool{false, true} {
			sec.Appended = appended
			storetest.Want(t, "Release under another lock's token", s.Release(storetest.Bounded(t), sec), etcdstore.ErrLockExpired)
		}
	}
	compact(t, etcd)
	sec := a.Section
	sec.Lock = "never"
	begin(t, s).Acquire("c")
	storetest.Want(t, "the same, and history does not reach back", s.Release(storetest.Bounded(t), sec), etcdstore.ErrOutcomeUnknown)
}

// That a client has appended is no evidence: every append was refused, and the session ended.
func testEveryAppendRefused(t *testing.T, _ *clientv3.Client, s *faulty) {
	c := begin(t, s)
	h := c.Acquire("l")
	r := c.Record(h, "f", "")
	r.Data = make([]byte, etcdstore.MaxRecord+1)
	storetest.Want(t, "Append", storetest.AppendTo(storetest.Bounded(t), s, r), etcdstore.ErrTooLarge)
	h.Appended = true
	closeSession(t, s, c)
	storetest.Want(t, "Release of a lost section", s.Release(storetest.Bounded(t), h.Section), etcdstore.ErrLockExpired)
}

// The same, and the discard comes after the session's end.
func testDiscardAfterTheSession(t *testing.T, _ *clientv3.Client, s *faulty) {
	c := begin(t, s)
	h := c.Acquire("l")
	h.Appended = true // the append never arrived
	closeSession(t, s, c)
	if published, err := s.Discard(storetest.Bounded(t), h.Section); published || err != nil {
		t.Errorf("Discard = %v, %v; want false, nil", published, err)
	}
}

// A discard that can leave no note, as etcd is full, of a section whose append never arrived.
func testDiscardWhenFull(t *testing.T) {
	t.Parallel()
	etcd, _ := smallEtcd(t)
	s := openStore(t, etcd)
	c := begin(t, s)
	h := c.Acquire("l")
	h.Appended = true
	fill(t, etcd)
	for range 2 {
		if published, err := s.Discard(storetest.Bounded(t), h.Section); published || err != nil {
			t.Errorf("Discard = %v, %v; want false, nil", published, err)
		}
	}
	if left := keys(t, etcd, "undone/"); len(left) != 0 {
		t.Errorf("there is a note, %q: nothing is shown", left)
	}
}

// ofThePast reports whether a call reads as of an earlier revision; serializable: from what the
// member has.
func ofThePast(op clientv3.Op, serializable bool) (found bool) {
	every(op, func(o clientv3.Op) { found = found || o.Rev() > 0 && o.IsSerializable() == serializable })
	return found
}

// A member that has not come so far says that the revision is in the future. That is not: there was
// no such key.
func testMemberBehind(t *testing.T, _ *clientv3.Client, s *faulty) {
	c := begin(t, s)
	h := c.Acquire("l")
	c.Release(h)
	var behind, asked atomic.Int64
	s.Before(func(_ context.Context, call faults.Call) error {
		switch {
		case ofThePast(call.Op, true):
			behind.Add(1)
			return rpctypes.ErrFutureRev
		case ofThePast(call.Op, false):
			asked.Add(1)
		}
		return nil
	})
	storetest.Want(t, "Release repeated", s.Release(storetest.Bounded(t), h.Section), nil)
	if behind.Load() == 0 || asked.Load() != behind.Load() {
		t.Errorf("%d reads failed, %d were made again; want some, and as many", behind.Load(), asked.Load())
	}
}

// A read of the past that fails proves nothing, and the call may be repeated.
func testReadThatFails(t *testing.T, _ *clientv3.Client, s *faulty) {
	c := begin(t, s)
	h := c.Acquire("l")
	c.Acquire("meanwhile")
	c.Release(h)
	for fails := int64(1); ; fails++ {
		var reads atomic.Int64
		s.Before(func(_ context.Context, call faults.Call) error {
			if ofThePast(call.Op, true) && reads.Add(1) == fails {
				return faults.ErrLost
			}
			return nil
		})
		err := s.Release(storetest.Bounded(t), h.Section)
		if reads.Load() < fails {
			storetest.Want(t, "Release repeated", err, nil)
			if fails < 2 {
				t.Errorf("%d reads; want several", reads.Load())
			}
			return
		}
		storetest.Want(t, fmt.Sprintf("Release whose read %d fails", fails), err, etcdstore.ErrNoQuorum)
	}
}

// The end is compacted away while it is asked about.
func testCompactedMeanwhile(t *testing.T, etcd *clientv3.Client, s *faulty) {
	c := begin(t, s)
	for at := int64(1); ; at++ {
		lock := fmt.Sprint("l", at)
		h := c.Acquire(lock)
		c.Acquire(lock + "/meanwhile")
		c.Release(h)
		c.Acquire(lock + "/since")
		var reads atomic.Int64
		s.Before(func(_ context.Context, call faults.Call) error {
			if ofThePast(call.Op, true) && reads.Add(1) == at {
				compact(t, etcd)
			}
			return nil
		})
		err := s.Release(storetest.Bounded(t), h.Section)
		if reads.Load() < at {
			storetest.Want(t, "Release repeated", err, nil)
			if at < 2 {
				t.Errorf("%d reads; want several", reads.Load())
			}
			return
		}
		storetest.Want(t, fmt.Sprintf("Release, compacted before read %d", at), err, etcdstore.ErrOutcomeUnknown)
	}
}

// The secret of a session that has ended is checked against what it was.
func testSecretOfAnEndedSession(t *testing.T, etcd *clientv3.Client, s *faulty) {
	c := begin(t, s)
	h := c.Acquire("l")
	c.Append(h, "f", "own")
	c.Release(h)
	later := c.Acquire("later")
	begin(t, s).Acquire("meanwhile")
	closeSession(t, s, c)
	caughtUp(t, etcd, s) // else the mirror refuses the other secrets
	forged := func(h *storetest.Held) etcdstore.Section {
		sec := h.Section
		sec.Credential = c.ID + "." + fmt.Sprintf("%032x", 7)
		return sec
	}
	for _, held := range []*storetest.Held{h, later} {
		storetest.Want(t, "Release with another secret", s.Release(storetest.Bounded(t), forged(held)), etcdstore.ErrSessionExpired)
		_, err := s.Commit(storetest.Bounded(t), forged(held))
		storetest.Want(t, "Commit with another secret", err, etcdstore.ErrSessionExpired)
		_, err = s.Discard(storetest.Bounded(t), askedAs(&storetest.Held{Section: forged(held)}, true))
		storetest.Want(t, "Discard with another secret", err, etcdstore.ErrSessionExpired)
	}
	storetest.Want(t, "Release with its own", s.Release(storetest.Bounded(t), h.Section), nil)
	compactTo(t, etcd, later.Token+1) // when the token was granted is forgotten, and not how it ended
	storetest.Want(t, "Release with another secret, found at the end", s.Release(storetest.Bounded(t), forged(later)), etcdstore.ErrSessionExpired)
	begin(t, s).Acquire("more")
	compact(t, etcd)
	if err := s.Release(storetest.Bounded(t), forged(later)); !errors.Is(err, etcdstore.ErrOutcomeUnknown) {
		t.Errorf("Release with another secret, all forgotten: %v; want outcome unknown", err)
	}
}

// An outcome that is not known says whether it can have been this very call that ended the section.
func testNotByThisCall(t *testing.T, etcd *clientv3.Client, s *faulty) {
	c := begin(t, s)
	calls := map[string]func(etcdstore.Section) error{
		"Release": func(sec etcdstore.Section) error { return s.Release(storetest.Bounded(t), sec) },
		"Release, resolved": func(sec etcdstore.Section) error {
			return etcdstore.Resolving{Store: s.Store}.Release(storetest.Bounded(t), sec)
		},
		"Commit": func(sec etcdstore.Section) error {
			_, err := s.Commit(storetest.Bounded(t), sec)
			return err
		},
		"Discard": func(sec etcdstore.Section) error {
			sec.Appended = true
			_, err := s.Discard(storetest.Bounded(t), sec)
			return err
		},
	}
	h := c.Acquire("l")
	c.Release(h)
	c.Acquire("since")
	compact(t, etcd)
	for name, call := range calls {
		err := call(h.Section)
		storetest.Want(t, name, err, etcdstore.ErrOutcomeUnknown)
		if !etcdstore.NotByThisCall(err) {
			t.Errorf("%s: %v; want it to say that it was not by this call", name, err)
		}
	}
	// Etcd says that it is full, whether or not it has made the transaction: that may have been it.
	// This store has not heard that the section is over, so that it asks for its end.
	other := openStore(t, etcd)
	for name, call := range calls {
		// A lock of its own: of one used before, this store may not have heard yet, and then it has
		// more to ask of etcd than this call, which must be the one that is refused.
		h := c.Acquire("full/" + strings.ReplaceAll(name, ", ", "-"))
		follow := s.HoldWatches()
		storetest.Want(t, "Release elsewhere", other.Release(storetest.Bounded(t), h.Section), nil)
		compact(t, etcd)
		var once sync.Once
		s.Before(func(_ context.Context, call faults.Call) (err error) {
			if puts("/dlm/locks/full")(call.Op) || deletes("/dlm/locks/full")(call.Op) {
				once.Do(func() { err = rpctypes.ErrNoSpace })
			}
			return err
		})
		err := call(h.Section)
		s.Before(nil)
		follow()
		storetest.Want(t, name+", etcd being full", err, etcdstore.ErrOutcomeUnknown)
		if etcdstore.NotByThisCall(err) {
			t.Errorf("%s, etcd being full: %v; want it not to say that it was not by this call", name, err)
		}
	}
}

// A record whose append was acknowledged is gone, as after the restore of an old snapshot. What is
// left of the section is not published.
func testDataLoss(t *testing.T, etcd *clientv3.Client, s *faulty) {
	for name, via := range map[string]storetest.Subject{"plain": s, "resolved": etcdstore.Resolving{Store: s.Store}} {
		c := begin(t, via)
		h := c.Acquire(name)
		first := c.Append(h, "f", "kept")
		c.Append(h, "f", "gone")
		p := begin(t, via).Queue(name)
		p.Queued()
		deleteKey(t, etcd, "staged/"+name+"//"+hex16(h.Token)+"/"+h.Last[0])
		for range 2 {
			storetest.Want(t, "Release", via.Release(storetest.Bounded(t), h.Section), etcdstore.ErrDataLoss)
			_, err := via.Commit(storetest.Bounded(t), h.Section)
			storetest.Want(t, "Commit", err, etcdstore.ErrDataLoss)
		}
		if got := storetest.HolderOf(t, via, name); got != h.Token {
			t.Errorf("the lock is held under %d; want it held still, under %d", got, h.Token)
		}
		storetest.WantNoFile(t, via, name, "f")
		discard(t, via, h)
		storetest.Want(t, "Release of what was discarded", via.Release(storetest.Bounded(t), h.Section), etcdstore.ErrLockExpired)
		p.Granted()

		// The last append over each of two connections is named, and that of the first is gone.
		later := c.Acquire(name + "/earlier")
		before := c.Append(later, "f", "gone")
		c.Append(later, "f", "kept")
		later.Last = append([]string{before.Request}, later.Last...)
		deleteKey(t, etcd, "staged/"+name+"/earlier//"+hex16(later.Token)+"/"+before.Request)
		storetest.Want(t, "Release without an earlier record", via.Release(storetest.Bounded(t), later.Section), etcdstore.ErrDataLoss)
		discard(t, via, later)

		other := c.Acquire(name + "/whole")
		c.Append(other, "f", "one;")
		other = c.Commit(other) // names its record
		c.Append(other, "f", "two;")
		c.Release(other)
		storetest.Want(t, "Release repeated, its record folded", via.Release(storetest.Bounded(t), other.Section), nil)
		storetest.WantContents(t, via, name+"/whole", "f", "one;two;")
		storetest.Want(t, "Release repeated, its record folded", via.Release(storetest.Bounded(t), other.Section), nil)
		wrong := other.Section
		wrong.Appended, wrong.Last = false, []string{first.Request}
		storetest.Want(t, "a last append of none", via.Release(storetest.Bounded(t), wrong), etcdstore.ErrInvalidArgument)
		wrong.Appended, wrong.Last = true, make([]string, etcdstore.MaxLast+1)
		storetest.Want(t, "too many last appends", via.Release(storetest.Bounded(t), wrong), etcdstore.ErrInvalidArgument)
	}
}

// An append is refused, for a bound or for want of room, and it cannot be looked up whether an
// earlier call has staged it: nobody knows, and that is the answer.
func testAppendThatCannotBeLookedFor(t *testing.T, _ *clientv3.Client, s *faulty) {
	c := begin(t, s)
	h := c.Acquire("l")
	staged := c.Append(h, "f", "staged")
	looks := gets("/dlm/staged/l")
	for name, refuse := range map[string]func(faults.Call) error{
		"etcd is full": func(call faults.Call) error {
			if puts("/dlm/staged/l")(call.Op) {
				return rpctypes.ErrNoSpace
			}
			return nil
		},
		"nearly full": func(faults.Call) error { return nil },
	} {
		var full atomic.Bool
		if name == "nearly full" {
			s.Status(func(st *clientv3.StatusResponse) {
				if full.Load() {
					st.DbSizeInUse = st.DbSizeQuota * 91 / 100
				}
			})
			full.Store(true)
			storetest.Eventually(t, "new data to be refused", func() bool {
				_, err := s.Init(storetest.Bounded(t), etcdstore.InitArgs{})
				return errors.Is(err, etcdstore.ErrNoSpace)
			})
		}
		s.Before(func(_ context.Context, call faults.Call) error {
			if err := refuse(call); err != nil {
				return err
			}
			if looks(call.Op) {
				return faults.ErrLost
			}
			return nil
		})
		storetest.Want(t, "Append repeated, "+name, storetest.AppendTo(storetest.Bounded(t), s, staged), etcdstore.ErrNoQuorum)
		s.Before(func(_ context.Context, call faults.Call) error { return refuse(call) })
		c.AppendRecord(h, staged)
		storetest.Want(t, "a new one, "+name, storetest.AppendTo(storetest.Bounded(t), s, c.Record(h, "f", "new")), etcdstore.ErrNoSpace)
	}
	s.Before(nil)
	c.Release(h)
	storetest.Want(t, "Append of a section that is folded, nearly full", func() error {
		storetest.WantContents(t, s, "l", "f", "staged")
		return storetest.AppendTo(storetest.Bounded(t), s, staged)
	}(), etcdstore.ErrLockExpired)
}
