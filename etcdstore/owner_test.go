package etcdstore_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

const (
	alice = "spiffe:spiffe://example.org/ns/prod/sa/alice"
	bob   = "spiffe:spiffe://example.org/ns/prod/sa/bob"
	none  = ""
)

// as makes every call of a subject in the name of an identity.
type as struct {
	storetest.Subject
	owner string
}

func (a as) in(ctx context.Context) context.Context { return etcdstore.WithOwner(ctx, a.owner) }

func (a as) Init(ctx context.Context, args etcdstore.InitArgs) (etcdstore.Session, error) {
	return a.Subject.Init(a.in(ctx), args)
}

func (a as) Heartbeat(ctx context.Context, args etcdstore.HeartbeatArgs) (etcdstore.Renewal, error) {
	return a.Subject.Heartbeat(a.in(ctx), args)
}

func (a as) CloseSession(ctx context.Context, credential string) error {
	return a.Subject.CloseSession(a.in(ctx), credential)
}

func (a as) Acquire(ctx context.Context, args etcdstore.AcquireArgs) (etcdstore.Grant, error) {
	return a.Subject.Acquire(a.in(ctx), args)
}

func (a as) Cancel(ctx context.Context, credential string, acq etcdstore.Acquisition) (int64, error) {
	return a.Subject.Cancel(a.in(ctx), credential, acq)
}

func (a as) Release(ctx context.Context, sec etcdstore.Section) error {
	return a.Subject.Release(a.in(ctx), sec)
}

func (a as) Commit(ctx context.Context, sec etcdstore.Section) (int64, error) {
	return a.Subject.Commit(a.in(ctx), sec)
}

func (a as) Discard(ctx context.Context, sec etcdstore.Section) (bool, error) {
	return a.Subject.Discard(a.in(ctx), sec)
}

func (a as) Append(ctx context.Context, r etcdstore.Record) (int64, error) {
	return a.Subject.Append(a.in(ctx), r)
}

func (a as) ListFiles(ctx context.Context, lock string, limit int, after string) ([]etcdstore.File, string, error) {
	return a.Subject.ListFiles(a.in(ctx), lock, limit, after)
}

func (a as) List(ctx context.Context, prefix string, limit int, after string) ([]etcdstore.LockInfo, string, error) {
	return a.Subject.List(a.in(ctx), prefix, limit, after)
}

// All that the store promises it promises somebody as well.
func TestStoreOfSomebody(t *testing.T) {
	storetest.RunCalls(t, func(t *testing.T) storetest.Subject {
		etcd := startEtcd(t)
		return as{newTurns(openStore(t, etcd), openStore(t, etcd)), alice}
	})
}

// credentialCalls are all calls with a credential, of a session that holds a lock under a token.
func credentialCalls(t *testing.T, s storetest.Subject, c *storetest.Client, h *storetest.Held) map[string]func() error {
	t.Helper()
	ctx := storetest.Bounded(t)
	return map[string]func() error{
		"Heartbeat": func() error {
			_, err := s.Heartbeat(ctx, etcdstore.HeartbeatArgs{Credential: c.Credential, Highest: 1_000_000})
			return err
		},
		"CloseSession": func() error { return s.CloseSession(ctx, c.Credential) },
		"Acquire": func() error {
			_, err := s.Acquire(ctx, c.Args("another", c.Request(), 0))
			return err
		},
		"Acquire, its own": func() error {
			_, err := s.Acquire(ctx, c.Args(h.Lock, h.Acquisition().Request, etcdstore.WaitForever))
			return err
		},
		"Acquire, in vain": func() error {
			_, err := s.Acquire(ctx, c.Args("busy", c.Request(), time.Millisecond))
			return err
		},
		"Cancel": func() error {
			_, err := s.Cancel(ctx, c.Credential, h.Acquisition())
			return err
		},
		"Append":  func() error { return storetest.AppendTo(ctx, s, c.Record(h, "f", "another's;")) },
		"Release": func() error { return s.Release(ctx, h.Section) },
		"Commit": func() error {
			_, err := s.Commit(ctx, h.Section)
			return err
		},
		"Discard": func() error {
			_, err := s.Discard(ctx, h.Section)
			return err
		},
	}
}

// own makes all calls with a credential as its owner makes them; each has the error that it always
// has.
func own(t *testing.T, s storetest.Subject, c *storetest.Client, h *storetest.Held, ended bool) {
	t.Helper()
	session, section := error(nil), error(nil)
	if ended {
		session, section = etcdstore.ErrSessionExpired, etcdstore.ErrLockExpired
	}
	calls := credentialCalls(t, s, c, h)
	for _, call := range []struct {
		name string
		want error
	}{
		{"Acquire, its own", session}, {"Acquire", session}, {"Acquire, in vain", session}, {"Cancel", session}, {"Append", section},
		{"Release", section}, {"Commit", section}, {"Discard", nil}, {"Heartbeat", session}, {"CloseSession", nil},
	} {
		if call.name == "Commit" && !ended {
			continue // it was released
		}
		storetest.Want(t, call.name+" of its own", calls[call.name](), call.want)
	}
}

// A credential is of use to nobody but its owner, whichever store is asked: neither while the
// session lives nor afterwards. What is refused changes nothing.
func TestCredentialOfAnother(t *testing.T) {
	for _, owner := range []string{alice, none} {
		for name, resolving := range map[string]bool{"called": false, "resolved": true} {
			t.Run(fmt.Sprintf("of %q, %s", owner, name), func(t *testing.T) {
				t.Parallel()
				etcd := startEtcd(t)
				subject := func(s *etcdstore.Store, owner string) storetest.Subject {
					if resolving {
						return as{etcdstore.Resolving{Store: s}, owner}
					}
					return as{s, owner}
				}
				here, elsewhere := openStore(t, etcd), openStore(t, etcd)
				begin(t, here).Acquire("busy")
				sections := 0
				taken := func() (*storetest.Client, *storetest.Held) {
					c := begin(t, subject(here, owner))
					sections++
					h := c.Acquire(fmt.Sprint("lock/", sections))
					c.Append(h, "f", "own;")
					return c, h
				}
				check := func(when string, s *etcdstore.Store, c *storetest.Client, h *storetest.Held, ended bool) {
					t.Helper()
					gone(t, etcd, "commits/") // folded
					before := revision(t, etcd)
					for _, caller := range []string{alice, bob, none} {
						if caller == owner {
							continue
						}
						for name, call := range credentialCalls(t, subject(s, caller), c, h) {
							storetest.Want(t, fmt.Sprintf("%s by %q, %s", name, caller, when), call(), etcdstore.ErrNotOwner)
						}
					}
					if after := revision(t, etcd); after != before {
						t.Errorf("%s: others moved etcd from revision %d to %d", when, before, after)
					}
					own(t, subject(s, owner), c, h, ended)
				}
				end := func(compacted bool) (*storetest.Client, *storetest.Held) {
					c, h := taken()
					if _, err := etcd.Revoke(storetest.Bounded(t), leaseOf(t, c)); err != nil {
						t.Fatalf("end the session: %v", err)
					}
					gone(t, etcd, "staged/"+h.Lock) // swept
					for _, s := range []*etcdstore.Store{here, elsewhere} {
						caughtUp(t, etcd, s)
					}
					if compacted {
						compact(t, etcd)
					}
					return c, h
				}
				for where, s := range map[string]*etcdstore.Store{"here": here, "elsewhere": elsewhere} {
					c, h := taken()
					check("alive, "+where, s, c, h, false)
					c, h = end(false)
					check("ended, "+where, s, c, h, true)
					c, h = end(true)
					check("compacted, "+where, s, c, h, true)
				}
				living, held := taken()
				past, was := end(true)
				closeStore(t, here)
				closeStore(t, elsewhere)
				anew := openStore(t, etcd)
				check("alive, opened anew", anew, living.Via(anew), held, false)
				check("compacted, opened anew", anew, past.Via(anew), was, true)
				here = anew // for what ends with the test
			})
		}
	}
}

func leaseOf(t *testing.T, c *storetest.Client) clientv3.LeaseID {
	t.Helper()
	var lease int64
	if _, err := fmt.Sscanf(c.ID, "%x", &lease); err != nil {
		t.Fatalf("the session %q: %v", c.ID, err)
	}
	return clientv3.LeaseID(lease)
}

// The tag of a session that has ended is the one that it was given, or nobody's past is told: that
// of another session, of another identity, or of another cluster is none.
func TestTag(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openStore(t, etcd), openStoreWith(t, etcdstore.Config{Client: etcd, Prefix: "/other/"})
	mine, another, foreign := begin(t, as{s, alice}), begin(t, as{s, alice}), begin(t, as{other, alice})
	h := mine.Acquire("l")
	mine.Release(h)
	closeSession(t, as{s, alice}, mine)
	caughtUp(t, etcd, s)
	release := func(credential, owner string) error {
		sec := h.Section
		sec.Credential = credential
		return as{s, owner}.Release(storetest.Bounded(t), sec)
	}
	cut := strings.LastIndexByte(mine.Credential, '.')
	bare, tag := mine.Credential[:cut], mine.Credential[cut:]
	tagOf := func(c *storetest.Client) string { return c.Credential[strings.LastIndexByte(c.Credential, '.'):] }
	storetest.Want(t, "its own", release(mine.Credential, alice), nil)
	storetest.Want(t, "without the tag", release(bare, alice), etcdstore.ErrNotOwner)
	storetest.Want(t, "without the tag, by nobody", release(bare, none), etcdstore.ErrNotOwner)
	storetest.Want(t, "another session's", release(bare+tagOf(another), alice), etcdstore.ErrNotOwner)
	storetest.Want(t, "another cluster's", release(bare+tagOf(foreign), alice), etcdstore.ErrNotOwner)
	storetest.Want(t, "made up", release(bare+"."+strings.Repeat("0", 32), alice), etcdstore.ErrNotOwner)
	for _, malformed := range []string{bare + ".", bare + tag[:32], mine.Credential + "0", bare + strings.ToUpper(tag) + "G", mine.Credential + tag} {
		storetest.Want(t, "malformed", release(malformed, alice), etcdstore.ErrInvalidArgument)
	}
}

// Nobody's calls need no secret, and none is made for them.
func TestSecretIsMadeForOwners(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	begin(t, s).Publish("l", "f", "x")
	if secrets := keys(t, etcd, "cluster/secret"); len(secrets) > 0 {
		t.Errorf("there is %q", secrets)
	}
	begin(t, as{s, alice}).Publish("l", "f", "x")
	if secrets := keys(t, etcd, "cluster/secret"); len(secrets) != 1 {
		t.Errorf("there are %d secrets; want one", len(secrets))
	}
}

// A secret that no store has made begins no session for anybody, and refuses nobody else.
func TestMalformedSecret(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	const value = "0123456789abcdef"
	intrude(t, etcd, "cluster/secret", value)
	_, err := as{s, alice}.Init(storetest.Bounded(t), etcdstore.InitArgs{})
	storetest.Want(t, "Init by somebody", err, etcdstore.ErrMalformed)
	if err != nil && strings.Contains(err.Error(), value) {
		t.Errorf("the error shows it: %v", err)
	}
	honest(t, s, "a")
	found, _, err := s.Problems(storetest.Bounded(t), "")
	if err != nil || len(found) != 1 || found[0].Kind != "secret" || !found[0].Fixed || strings.Contains(found[0].Why, value) {
		t.Errorf("the problems are %+v, %v; want the secret, unshown, which no server removes", found, err)
	}
	// Somebody deletes it; then another one is made, and what was read before is not gone by.
	deleteKey(t, etcd, "cluster/secret")
	if _, err := (as{s, alice}).Init(storetest.Bounded(t), etcdstore.InitArgs{}); err != nil {
		t.Fatalf("Init: %v", err)
	}
	deleteKey(t, etcd, "cluster/secret")
	anew := openStore(t, etcd)
	d := begin(t, as{anew, alice})
	h := d.Acquire("b")
	d.Release(h)
	closeSession(t, as{anew, alice}, d)
	caughtUp(t, etcd, s)
	storetest.Want(t, "a release with the new secret's tag", as{s, alice}.Release(storetest.Bounded(t), h.Section), nil)
}

// Neither a credential nor the cluster's secret is ever logged, whatever becomes of the calls.
func TestNothingSecretIsLogged(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	log := &logged{}
	s := openStoreWith(t, etcdstore.Config{Client: etcd, Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	c := begin(t, as{s, alice})
	h := c.Acquire("l")
	storetest.Want(t, "another's Release", as{s, bob}.Release(storetest.Bounded(t), h.Section), etcdstore.ErrNotOwner)
	if _, err := s.Evict(storetest.Bounded(t), "l", h.Token, "a reason"); err != nil {
		t.Fatalf("Evict: %v", err)
	}
	intrude(t, etcd, "sessions/"+nobody, `{"owner":"`+strings.Repeat("x", etcdstore.MaxOwner+1)+`","secret":"AA=="}`)
	c.Acquire("again")
	if _, err := s.EndSessions(storetest.Bounded(t), func(string, time.Time) bool { return true }); err != nil {
		t.Errorf("EndSessions: %v", err)
	}
	caughtUp(t, etcd, s)
	shared, err := etcd.Get(storetest.Bounded(t), "/dlm/cluster/secret")
	if err != nil || len(shared.Kvs) != 1 {
		t.Fatalf("the cluster's secret: %v, %v", shared, err)
	}
	parts := append(strings.Split(c.Credential, ".")[1:], string(shared.Kvs[0].Value))
	storetest.Eventually(t, "the log", func() bool { return strings.Contains(log.String(), "malformed") })
	for _, secret := range parts {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%q is logged", secret)
		}
	}
}

// An identity is as long as it may be, and is compared as a whole.
func TestOwnerBounds(t *testing.T) {
	t.Parallel()
	s := openStore(t, startEtcd(t))
	longest := "cn:" + strings.Repeat("x", etcdstore.MaxOwner-3)
	c := begin(t, as{s, longest})
	c.Acquire("l")
	if info := storetest.Inspect(t, s, "l"); info.Holder == nil || info.Holder.Owner != longest {
		t.Errorf("the holder is %+v", info.Holder)
	}
	storetest.Want(t, "one byte less", as{s, longest[:len(longest)-1]}.CloseSession(storetest.Bounded(t), c.Credential), etcdstore.ErrNotOwner)
	for _, owner := range []string{longest + "x", "cn:\xff", "cn:a\nb", "cn:\x00"} {
		_, err := as{s, owner}.Init(storetest.Bounded(t), etcdstore.InitArgs{})
		storetest.Want(t, fmt.Sprintf("Init by %.10q", owner), err, etcdstore.ErrInvalidArgument)
	}
}

// Who holds and who waits is shown with the identity, also after the lock was handed on, promoted,
// or committed, and after another store has come.
func TestOwnerIsShown(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	here, elsewhere := openStore(t, etcd), openStore(t, etcd)
	first, second, third := begin(t, as{here, alice}), begin(t, as{elsewhere, bob}), begin(t, here)
	shown := func(holder string, waiters ...string) {
		t.Helper()
		for _, s := range []*etcdstore.Store{here, elsewhere} {
			info := storetest.Inspect(t, s, "l")
			var got []string
			for _, w := range info.Waiters {
				got = append(got, w.Owner)
			}
			if info.Holder == nil || info.Holder.Owner != holder || fmt.Sprint(got) != fmt.Sprint(waiters) {
				t.Errorf("held by %+v, waited for by %q; want %q, and %q", info.Holder, got, holder, waiters)
			}
		}
	}
	h := first.Acquire("l")
	p := second.Queue("l")
	q := third.Queue("l")
	shown(alice, bob, none)
	first.Commit(h)
	shown(alice, bob, none)
	g, err := here.Acquire(storetest.Bounded(t), third.Args("l", third.Request(), 0))
	if err != nil || g.Holder == nil || g.Holder.Owner != alice {
		t.Errorf("Acquire = %+v, %v; want it busy with alice", g, err)
	}
	closeSession(t, as{here, alice}, first) // and bob is promoted
	next := p.Granted()
	shown(bob, none)
	second.Release(next)
	q.Granted()
	shown(none)
}

// All sessions of an identity that is revoked end, with what they hold and wait for, and no other
// does. It may be said again, and by several at once.
func TestEndSessions(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	here, elsewhere := openStore(t, etcd), openStore(t, etcd)
	var revoked []*storetest.Client
	for i := range 40 {
		c := begin(t, as{[]*etcdstore.Store{here, elsewhere}[i%2], bob})
		c.Acquire(fmt.Sprint("bob/", i))
		revoked = append(revoked, c)
	}
	owned, nobodys := begin(t, as{here, alice}), begin(t, here)
	kept, keptToo := owned.Acquire("alice"), nobodys.Acquire("nobody")
	lost := revoked[0].Acquire("l")
	revoked[0].Append(lost, "f", "lost;")
	next := owned.Queue("l")
	caughtUp(t, etcd, here)
	var asked []string
	cut := time.Now().Truncate(time.Second)
	is := func(owner string, issued time.Time) bool {
		asked = append(asked, fmt.Sprint(owner, issued.Unix()))
		return owner == bob && issued.Before(cut)
	}
	since := etcdstore.WithIssued(etcdstore.WithOwner(storetest.Bounded(t), bob), cut)
	spared, err := here.Init(since, etcdstore.InitArgs{})
	if err != nil {
		t.Fatal(err)
	}
	n, err := here.EndSessions(storetest.Bounded(t), is)
	if n != len(revoked) || err != nil {
		t.Errorf("EndSessions = %d, %v; want all %d ended", n, err, len(revoked))
	}
	if len(asked) != 3 {
		t.Errorf("it was asked whether %q are revoked; want each owner once, of each time", asked)
	}
	if _, err := here.Heartbeat(since, etcdstore.HeartbeatArgs{Credential: spared.Credential}); err != nil {
		t.Errorf("what was begun with something newer: %v", err)
	}
	owned.Release(next.Granted())
	storetest.WantNoFile(t, here, "l", "f")
	revoked[0].Lost(lost)
	for i, c := range revoked {
		_, err := as{elsewhere, bob}.Heartbeat(storetest.Bounded(t), etcdstore.HeartbeatArgs{Credential: c.Credential})
		storetest.Want(t, "a heartbeat of the revoked", err, etcdstore.ErrSessionExpired)
		if token := storetest.HolderOf(t, here, fmt.Sprint("bob/", i)); token != 0 {
			t.Errorf("lock %d is still held", i)
		}
	}
	owned.Release(kept)
	nobodys.Release(keptToo)
	for _, s := range []*etcdstore.Store{here, elsewhere} {
		caughtUp(t, etcd, s)
		if n, err := s.EndSessions(storetest.Bounded(t), is); n != 0 || err != nil {
			t.Errorf("once more: %d, %v; want none left", n, err)
		}
	}
}

// Who may not have a lock any more does not wait for it: the place is taken, whichever store it was
// asked of, and whoever comes next is granted the lock.
func TestEndWaits(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	here, elsewhere := openStore(t, etcd), openStore(t, etcd)
	holder, denied, next := begin(t, as{here, alice}), begin(t, as{elsewhere, bob}), begin(t, as{elsewhere, alice})
	nobodys := begin(t, here)
	for _, lock := range []string{"l", "other"} {
		held := holder.Acquire(lock)
		waits := denied.Queue(lock)
		last := next.Queue(lock)
		nobody := nobodys.Queue(lock)
		caughtUp(t, etcd, here)
		is := func(owner, name string) bool { return owner == bob && name == "l" }
		want := 0
		if lock == "l" {
			want = 1
		}
		if n, err := here.EndWaits(storetest.Bounded(t), is); n != want || err != nil {
			t.Errorf("%s: EndWaits = %d, %v; want %d", lock, n, err, want)
		}
		holder.Release(held)
		if want == 1 {
			if grant, err := waits.Wait(); err != nil || grant.Outcome != etcdstore.Cancelled {
				t.Errorf("whoever may not have the lock is answered %+v, %v", grant, err)
			}
		} else {
			denied.Release(waits.Granted())
		}
		next.Release(last.Granted())
		nobodys.Release(nobody.Granted())
	}
}

// Who may not publish any more can release a section that has nothing to publish, and no other.
func TestReleaseOfWhatIsWithheld(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	c := begin(t, s)
	release := func(token int64) error {
		return s.Release(storetest.Bounded(t), etcdstore.Section{Credential: c.Credential, Lock: "l", Token: token, Appended: true, Withheld: true})
	}
	bare := c.Acquire("l")
	for range 2 { // a repeat finds it released
		if err := release(bare.Token); err != nil {
			t.Errorf("a release of a section without records: %v", err)
		}
	}
	staged := c.Acquire("l")
	c.Append(staged, "f", "x")
	storetest.Want(t, "a release of what is staged", release(staged.Token), etcdstore.ErrWithheld)
	if token := storetest.HolderOf(t, s, "l"); token != staged.Token {
		t.Errorf("the lock is held under %d, want %d", token, staged.Token)
	}
	c.Release(staged)
	if err := release(staged.Token); err != nil {
		t.Errorf("a release of what was published before: %v", err)
	}
	storetest.Want(t, "a release of what was never granted", release(staged.Token+1), etcdstore.ErrLockExpired)
}
