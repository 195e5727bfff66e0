package etcdstore

import (
	"slices"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// An end of this store's own is on its way when the watch tells that the holder is gone. Nothing is
// told before it is answered, and nothing is remembered after.
func TestDoubtsAreResolved(t *testing.T) {
	t.Parallel()
	a := acquisition{"l", "0000000000000007", "1"}
	for name, test := range map[string]struct {
		ends  int             // how many are on their way
		rest  func(m *mirror) // what comes after the watch
		told  []Loss          // of the reason alone
		asked []acquisition   // whose loss is to be explained
	}{
		"its client's": {1, func(m *mirror) { m.take(ownEnd{sectionKey: sectionKey{"l", 5}}, freed(m)) }, nil, nil},
		"an eviction": {1, func(m *mirror) {
			m.take(ownEnd{sectionKey: sectionKey{"l", 5}, note: noteValue{Why: evicted, Reason: "why"}}, freed(m))
		}, []Loss{{Reason: "evicted: why"}}, nil},
		"refused": {1, func(m *mirror) { m.unmarkEnd("l", 5) }, nil, []acquisition{a}},
		"two, one refused": {2, func(m *mirror) {
			m.unmarkEnd("l", 5)
			m.take(ownEnd{sectionKey: sectionKey{"l", 5}}, freed(m))
		}, nil, nil},
		"two, both refused": {2, func(m *mirror) {
			m.unmarkEnd("l", 5)
			m.unmarkEnd("l", 5)
		}, nil, []acquisition{a}},
		"of another section": {0, func(m *mirror) { m.take(ownEnd{sectionKey: sectionKey{"l", 4}}, freed(m)) }, nil, []acquisition{a}},
	} {
		for _, order := range []string{"the watch first", "the watch last"} {
			if order == "the watch last" && test.asked != nil {
				continue // then it is the watch that tells
			}
			t.Run(name+", "+order, func(t *testing.T) {
				t.Parallel()
				m := newMirror("/dlm/", func(string) {}, func(sectionKey) {}, func(sectionKey) {})
				var asked []acquisition
				m.explain = func(a acquisition) { asked = append(asked, a) }
				var told []Loss
				m.subscribe(a.session, &Link{tell: func(l Loss) { told = append(told, l) }})
				m.own(change{key: m.keys.session(a.session), rev: 2, created: 2, value: []byte(encode(someSession))})
				m.own(change{key: m.keys.lock("l"), holder: &holderValue{session: a.session, request: a.request}}.at(5))
				for range test.ends {
					m.markEnd("l", 5)
				}
				watch := func() {
					m.observe([]*clientv3.Event{{Type: clientv3.EventTypeDelete, Kv: &mvccpb.KeyValue{
						Key: []byte(m.keys.lock("l")), ModRevision: 7,
					}}})
				}
				if order == "the watch last" {
					test.rest(m)
				}
				watch()
				if test.ends > 0 && order == "the watch first" && len(told)+len(asked) > 0 {
					t.Errorf("before the answer: told %v, to be explained %v", told, asked)
				}
				if order == "the watch first" {
					test.rest(m)
				}
				for i, l := range told {
					if l.Session != a.session || l.Lock != a.lock || l.Request != a.request || l.Revision != 7 {
						t.Errorf("told %+v", l)
					}
					told[i] = Loss{Reason: l.Reason}
				}
				if !slices.Equal(told, test.told) || !slices.Equal(asked, test.asked) {
					t.Errorf("told %v, to be explained %v; want %v, %v", told, asked, test.told, test.asked)
				}
				if len(m.doubts) > 0 {
					t.Errorf("still in doubt: %v", m.doubts)
				}
			})
		}
	}
}

// freed is the deletion of the lock l at 7.
func freed(m *mirror) change { return change{key: m.keys.lock("l"), rev: 7, deleted: true} }
