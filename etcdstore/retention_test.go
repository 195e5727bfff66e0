package etcdstore_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// aged has all that files have be older, by their marks.
func aged(t *testing.T, etcd *clientv3.Client, by time.Duration) {
	t.Helper()
	heads, err := etcd.Get(storetest.Bounded(t), "/dlm/files/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range heads.Kvs {
		var head map[string]json.RawMessage
		var marks [][2]int64
		if err := json.Unmarshal(kv.Value, &head); err != nil || head["marks"] == nil {
			continue
		}
		if err := json.Unmarshal(head["marks"], &marks); err != nil {
			t.Fatal(err)
		}
		for i := range marks {
			marks[i][0] -= by.Milliseconds()
		}
		head["marks"] = json.RawMessage(strings.ReplaceAll(fmt.Sprint(marks), " ", ","))
		older, err := json.Marshal(head)
		if err != nil {
			t.Fatal(err)
		}
		_, err = etcd.Txn(storetest.Bounded(t)).If(clientv3.Compare(clientv3.ModRevision(string(kv.Key)), "=", kv.ModRevision)).
			Then(clientv3.OpPut(string(kv.Key), string(older))).Commit()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func setRetention(t *testing.T, s *etcdstore.Store, r etcdstore.Retention) {
	t.Helper()
	if err := s.SetRetention(storetest.Bounded(t), r); err != nil {
		t.Fatalf("SetRetention(%+v): %v", r, err)
	}
}

func retain(t *testing.T, s *etcdstore.Store, after time.Duration) {
	t.Helper()
	if err := s.Retain(storetest.Bounded(t), time.Now().Add(after)); err != nil {
		t.Fatalf("retain: %v", err)
	}
}

// TestRetention: files are cut where a section ends, by size and by age; that is no section, and
// nobody notices who looks at versions.
func TestRetention(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	setRetention(t, s, etcdstore.Retention{MaxBytes: 250_000, MaxAge: time.Hour})
	p := newPublisher(t, s, "l", 1)
	var version etcdstore.Version
	for i := range 6 {
		version, _ = p.publish(appendTo("f", strings.Repeat(fmt.Sprint(i), 100_000)))
		storetest.Contents(t, s, "l", "f")
		aged(t, etcd, 10*time.Minute)
	}
	retain(t, s, 0)
	got := wantRead(t, s, "f", strings.Repeat("4", 100_000)+strings.Repeat("5", 100_000), 400_000)
	if got.Version() != version {
		t.Errorf("a file that was retained of is of version %v; want %v", got.Version(), version)
	}
	args := p.next(appendTo("f", "more;"))
	args.If = etcdstore.Condition{Files: []etcdstore.FileCondition{{File: "f", Version: version}}}
	is, err := s.Publish(storetest.Bounded(t), args)
	p.want("of what was read before", etcdstore.Published, is, err)
	gone(t, etcd, "garbage/")
	atRest(t, etcd, "/dlm/")

	retain(t, s, 55*time.Minute)
	wantRead(t, s, "f", "more;", 600_000)
	retain(t, s, 61*time.Minute)
	wantRead(t, s, "f", "", 600_005)
	p.publish(appendTo("f", "again;"))
	wantRead(t, s, "f", "again;", 600_005)
	p.publish(replace("f", "new;"))
	wantRead(t, s, "f", "new;", 0)
	retain(t, s, time.Minute)
	wantRead(t, s, "f", "new;", 0)
	p.publish(remove("f"))
	retain(t, s, 48*time.Hour)
	storetest.WantNoFile(t, s, "l", "f")
	gone(t, etcd, "garbage/")
	atRest(t, etcd, "/dlm/")
}

// TestRetentionOfOneFold: of sections that are folded together any may be the first that is left.
func TestRetentionOfOneFold(t *testing.T) {
	t.Parallel()
	s := openStore(t, startEtcd(t))
	setRetention(t, s, etcdstore.Retention{MaxBytes: 1000})
	p := newPublisher(t, s, "l", 1)
	free := s.HoldFolds(t, "l")
	for i := range 50 {
		p.publish(appendTo("f", fmt.Sprintf("%099d;", i)), appendTo("g", "x"))
	}
	free()
	storetest.Contents(t, s, "l", "f") // folds
	retain(t, s, 0)
	if got := storetest.Contents(t, s, "l", "f"); len(got) != 1000 || !strings.HasSuffix(got[:100], "40;") {
		t.Errorf("%d bytes are left; want 1000: %q", len(got), got)
	}
}

// TestRetentionOfWhatDoesNotGrow: what was there before is as old as the retention is known for.
func TestRetentionOfWhatDoesNotGrow(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	p := newPublisher(t, s, "l", 1)
	p.publish(appendTo("f", "old;"), appendTo("empty", ""))
	wantRead(t, s, "f", "old;", 0)
	setRetention(t, s, etcdstore.Retention{Prefix: "l", MaxAge: time.Hour})
	retain(t, s, 0)
	retain(t, s, 59*time.Minute)
	wantRead(t, s, "f", "old;", 0)
	retain(t, s, time.Hour)
	wantRead(t, s, "f", "", 4)
	wantRead(t, s, "empty", "", 0)
	gone(t, etcd, "garbage/")
	before := revision(t, etcd)
	retain(t, s, 2*time.Hour)
	if after := revision(t, etcd); after != before {
		t.Errorf("what needs no cut is put: revision %d, after %d", after, before)
	}
}

// TestRetentionOfWhich: the longest prefix counts, alone, for files that its pattern matches.
func TestRetentionOfWhich(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s, other := openStore(t, etcd), openStore(t, etcd)
	rules := []etcdstore.Retention{
		{Prefix: "a/", Files: "*.log", MaxAge: time.Minute},
		{Prefix: "a/b", MaxAge: 24 * time.Hour},
		{Prefix: "c", MaxAge: 90 * time.Second, MaxBytes: 1 << 30},
	}
	for _, r := range slices.Backward(rules) {
		setRetention(t, s, r)
	}
	all := map[string]bool{"a": true, "a-": true, "a/a": false, "a/b": true, "a/bc/d": true, "c": false, "cc/d": false, "b": true}
	for lock := range all {
		p := newPublisher(t, s, lock, 1)
		p.publish(appendTo("x.log", "1"), appendTo("x", "1"))
		storetest.WantContents(t, s, lock, "x", "1")
	}
	got, err := other.Retentions(storetest.Bounded(t))
	if err != nil || !slices.Equal(got, rules) {
		t.Errorf("Retentions = %+v, %v; want %+v", got, err, rules)
	}
	for _, store := range []*etcdstore.Store{s, other} {
		retain(t, store, 2*time.Minute) // by the other one what is not marked yet
		retain(t, store, 4*time.Minute)
	}
	for lock, stays := range all {
		for file, stays := range map[string]bool{"x.log": stays, "x": stays || lock == "a/a"} {
			p, err := s.Read(storetest.Bounded(t), etcdstore.ReadArgs{Lock: lock, File: file, Offset: 1})
			if err != nil || (p.Start == 0) != stays {
				t.Errorf("%s of %s begins at %d, %v; want that it stays: %t", file, lock, p.Start, err, stays)
			}
		}
	}
	for _, r := range rules {
		setRetention(t, s, etcdstore.Retention{Prefix: r.Prefix})
	}
	if got, err := other.Retentions(storetest.Bounded(t)); err != nil || len(got) > 0 {
		t.Errorf("Retentions = %+v, %v; want none", got, err)
	}
	last := newPublisher(t, other, "cc/d", 2)
	for range 2 {
		retain(t, other, 0)
		last.publish(appendTo("x", "2"))
	}
	p, err := other.Read(storetest.Bounded(t), etcdstore.ReadArgs{Lock: "cc/d", File: "x", Offset: 1})
	if err != nil || string(p.Data) != "22" {
		t.Errorf("what is not bounded any more is %q, %v", p.Data, err)
	}
	for _, head := range valuesOf(t, etcd, "files/cc/d//x") {
		if strings.Contains(head, "marks") {
			t.Errorf("what is not bounded any more has the head %s", head)
		}
	}
}

// TestBadRetentions: what is malformed is refused, and changes nothing.
func TestBadRetentions(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	s := openStore(t, etcd)
	before := revision(t, etcd)
	for _, r := range []etcdstore.Retention{
		{Prefix: "/", MaxBytes: 1},
		{Prefix: "a//b", MaxBytes: 1},
		{Prefix: "a b", MaxBytes: 1},
		{Prefix: strings.Repeat("a", etcdstore.MaxLockName+1), MaxBytes: 1},
		{Prefix: "a", Files: "[", MaxBytes: 1},
		{Prefix: "a", Files: strings.Repeat("a", 129), MaxBytes: 1},
		{Prefix: "a", MaxBytes: -1},
		{Prefix: "a", MaxBytes: 1 << 60},
		{Prefix: "a", MaxAge: -time.Hour},
		{Prefix: "a", MaxAge: time.Minute - 1},
		{Prefix: "a", MaxAge: time.Hour + 1},
	} {
		storetest.Want(t, fmt.Sprintf("SetRetention(%+v)", r), s.SetRetention(storetest.Bounded(t), r), etcdstore.ErrInvalidArgument)
	}
	if after := revision(t, etcd); after != before {
		t.Errorf("revision %d, after %d", after, before)
	}
	for i := range etcdstore.MaxRetentions {
		setRetention(t, s, etcdstore.Retention{Prefix: fmt.Sprint(i), MaxBytes: 1})
	}
	storetest.Want(t, "one more", s.SetRetention(storetest.Bounded(t), etcdstore.Retention{MaxBytes: 1}), etcdstore.ErrQuota)
	setRetention(t, s, etcdstore.Retention{Prefix: "7", MaxBytes: 2})
}

// Without the compare of the head, a retention moves it back over a fold: what that published is
// gone.
func TestHoleF5RetentionBehindAFold(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a := openFaulty(t, etcd)
	setRetention(t, a.Store, etcdstore.Retention{MaxAge: time.Hour})
	newPublisher(t, a, "l", 1).publish(appendTo("f", "old;"))
	wantRead(t, a, "f", "old;", 0)
	b := openStore(t, etcd)
	moves := puts("/dlm/garbage/")
	retaining, goOn := hold(t, a.Faults, moves)
	answer := answered(a.Faults, moves)
	done := make(chan error, 1)
	go func() { done <- a.Retain(storetest.Bounded(t), time.Now().Add(2*time.Hour)) }()
	storetest.Await(t, "a retention", retaining)
	newPublisher(t, b, "l", 2).publish(appendTo("f", "new;"))
	wantRead(t, b, "f", "old;new;", 0)
	goOn()
	storetest.Await(t, "its answer", answer)
	if err := <-done; err != nil {
		t.Errorf("retain: %v", err)
	}
	wantRead(t, b, "f", "old;new;", 0)
	newPublisher(t, a, "l", 3).publish(appendTo("f", "newer;"))
	wantRead(t, a, "f", "old;new;newer;", 0)
	retain(t, a.Store, 2*time.Hour)
	wantRead(t, b, "f", "", 14)
	atRest(t, etcd, "/dlm/")
}

func valuesOf(t *testing.T, etcd *clientv3.Client, key string) (all []string) {
	t.Helper()
	resp, err := etcd.Get(storetest.Bounded(t), "/dlm/"+key)
	if err != nil || len(resp.Kvs) == 0 {
		t.Fatalf("get %s: %v", key, err)
	}
	for _, kv := range resp.Kvs {
		all = append(all, string(kv.Value))
	}
	return all
}
