package etcdstore

import (
	"fmt"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// What is remembered is whole revisions, without a gap, and not too many.
func TestRecent(t *testing.T) {
	run := func(revs ...int64) (facts []fact) {
		for _, rev := range revs {
			facts = append(facts, fact{Event: &clientv3.Event{Kv: &mvccpb.KeyValue{ModRevision: rev}}})
		}
		return facts
	}
	var r recent
	if r.has(1 << 40) {
		t.Error("something is remembered before anything was told")
	}
	r.begin(10)
	r.put(run(11, 12, 12))
	r.put(nil)
	r.put(run(15))
	for _, c := range []struct {
		since, upTo int64
		want        []int64
	}{{10, 20, []int64{11, 12, 12, 15}}, {11, 12, []int64{12, 12}}, {12, 14, nil}, {12, 15, []int64{15}}, {15, 20, nil}, {17, 20, nil}} {
		facts, rev, ok := r.between(c.since, c.upTo)
		equal := len(facts) == len(c.want)
		for i := range c.want {
			equal = equal && facts[i].Kv.ModRevision == c.want[i]
		}
		if !ok || rev != c.upTo || !equal {
			t.Errorf("from %d to %d: %d changes up to %d, %v; want %v", c.since, c.upTo, len(facts), rev, ok, c.want)
		}
	}
	if _, _, ok := r.between(9, 20); ok || r.has(9) || !r.has(10) {
		t.Error("what was before the listing is remembered")
	}

	// Of what is too much for once, a part that ends with a whole revision.
	var many []int64
	for i := range int64(catchUpRound) {
		many = append(many, 20+i/3)
	}
	last := many[len(many)-1]
	r.put(run(append(many, last, last+1)...))
	if facts, rev, ok := r.between(15, last+1); !ok || rev != last || len(facts) != catchUpRound+1 {
		t.Errorf("got %d changes up to %d, %v; want all of %d", len(facts), rev, ok, last)
	}

	// What is oldest is forgotten first.
	before := time.Now()
	for rev := last + 2; r.has(15); rev += 2 {
		r.put(run(rev, rev+1))
		if r.facts > maxRecent {
			t.Fatalf("%d changes are remembered", r.facts)
		}
	}
	if r.after != last+1 || !r.has(last+1) || r.has(last) || r.since.After(before) || r.since.IsZero() {
		t.Errorf("remembered is what has happened after %d, %v", r.after, r.since)
	}
	runs, _ := r.all()
	n := 0
	for _, run := range runs {
		n += len(run.facts)
	}
	if n != r.facts {
		t.Errorf("%d changes are counted of %d", r.facts, n)
	}
	r.begin(1 << 30)
	if r.has(1<<30-1) || !r.has(1<<30) || r.facts != 0 {
		t.Error("what was before a gap is remembered")
	}
}

// Whoever has a lock's page open asks a few times a second.
func BenchmarkLastEvents(b *testing.B) {
	m := newMirror("/dlm/", func(string) {}, func(sectionKey) {}, func(sectionKey) {})
	m.feed.begin(1)
	for rev := range int64(maxRecent) {
		lock := fmt.Sprintf("jobs/%d", rev%1000)
		h := holderValue{session: hex16(rev % 100), request: "1", Label: "cron@db-1:4711"}
		m.feed.put([]fact{{Event: &clientv3.Event{Kv: &mvccpb.KeyValue{
			Key: []byte(m.keys.lock(lock)), CreateRevision: rev + 2, ModRevision: rev + 2, Value: []byte(h.encode()),
		}}}})
	}
	s := &Store{keys: m.keys, mirror: m}
	b.ReportAllocs()
	for b.Loop() {
		if events, _, err := s.LastEvents(b.Context(), "jobs/7", 100); err != nil || len(events) == 0 {
			b.Fatal(len(events), err)
		}
	}
}
