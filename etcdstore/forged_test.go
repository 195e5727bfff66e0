package etcdstore_test

import (
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// TestSessionThatIsNotThere: a session whose record is gone authorises nothing, even if etcd still
// has its lease and what is held on it. Its secret is checked against what it was.
func TestSessionThatIsNotThere(t *testing.T) {
	for name, open := range map[string]func(*etcdstore.Store) storetest.Subject{
		"Called":   func(s *etcdstore.Store) storetest.Subject { return s },
		"Resolved": func(s *etcdstore.Store) storetest.Subject { return etcdstore.Resolving{Store: s} },
	} {
		t.Run(name, func(t *testing.T) {
			etcd := startEtcd(t)
			s := open(openStore(t, etcd))
			c := begin(t, s)
			h := c.Acquire("gone")
			c.Append(h, "f", "mine;")
			if _, err := etcd.Delete(storetest.Bounded(t), "/dlm/sessions/"+c.ID); err != nil {
				t.Fatalf("delete the session's record: %v", err)
			}
			caughtUp(t, etcd, s)
			forged := c.ID + "." + strings.Repeat("0", 32)
			sec := etcdstore.Section{Credential: forged, Lock: "gone", Token: h.Token, Appended: true}
			before := revision(t, etcd)

			r := c.Record(h, "f", "a stranger's")
			r.Credential = forged
			storetest.Want(t, "Append", storetest.AppendTo(storetest.Bounded(t), s, r), etcdstore.ErrLockExpired)
			storetest.Want(t, "Release", s.Release(storetest.Bounded(t), sec), etcdstore.ErrSessionExpired)
			_, err := s.Commit(storetest.Bounded(t), sec)
			storetest.Want(t, "Commit", err, etcdstore.ErrSessionExpired)
			_, err = s.Discard(storetest.Bounded(t), sec)
			storetest.Want(t, "Discard", err, etcdstore.ErrSessionExpired)
			if after := revision(t, etcd); after != before {
				t.Errorf("a stranger moved etcd from revision %d to %d", before, after)
			}
			if got := storetest.HolderOf(t, s, "gone"); got != h.Token {
				t.Errorf("the lock is held under %d; want %d", got, h.Token)
			}
			storetest.WantNoFile(t, s, "gone", "f")
		})
	}
}

// TestAppendOfAnothersRequest: a stranger's append is no repeat of the holder's, though token and
// request are the same, and its data is not staged: success would be untrue, whatever became of the
// section.
func TestAppendOfAnothersRequest(t *testing.T) {
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	holder, stranger := begin(t, s), begin(t, s)
	h := holder.Acquire("l")
	forged := holder.Append(h, "f", "mine;")
	forged.Credential, forged.Data = stranger.Credential, []byte("a stranger's;")
	refused := func(when string) {
		t.Helper()
		before := revision(t, etcd)
		storetest.Want(t, "Append "+when, storetest.AppendTo(storetest.Bounded(t), s, forged), etcdstore.ErrLockExpired)
		if after := revision(t, etcd); after != before {
			t.Errorf("%s: a stranger moved etcd from revision %d to %d", when, before, after)
		}
	}
	refused("while it is held")
	release := s.HoldFolds(t, "l")
	holder.Release(h)
	refused("when it is published")
	release()
	storetest.WantContents(t, s, "l", "f", "mine;")
	refused("when it is folded")
}
