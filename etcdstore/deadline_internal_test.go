package etcdstore

import (
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

func TestHoldLimitsByPrefix(t *testing.T) {
	t.Parallel()
	s := &Store{}
	if got := s.holdOf("a", 7); got != 7 {
		t.Errorf("without limits %d; want what was asked for", got)
	}
	if err := s.LimitHolds([]HoldLimit{{"", time.Hour}, {"a", 10 * time.Second}, {"a/b", 0}, {"a/b/c", 20 * time.Second}}); err != nil {
		t.Fatalf("LimitHolds: %v", err)
	}
	const hour, day = 3600_000, 24 * 3600_000
	for _, test := range []struct {
		lock        string
		asked, want int64
	}{
		{"x", 0, hour}, {"x", 5_000, 5_000}, {"x", day, hour},
		{"a", 0, 10_000}, {"a/x", 0, 10_000}, {"ab", 0, hour}, {"a/x/y", 9_000, 9_000}, {"a/x/y", 11_000, 10_000},
		{"a/b", 0, 0}, {"a/b", day, day}, {"a/b/x", 0, 0}, {"a/bc", 0, 10_000}, {"a/b/c/d/e", 0, 20_000},
	} {
		if got := s.holdOf(test.lock, test.asked); got != test.want {
			t.Errorf("%s, asked for %d ms: %d, want %d", test.lock, test.asked, got, test.want)
		}
	}
	for _, wrong := range [][]HoldLimit{
		{{"a/", time.Hour}}, {{"*", time.Hour}}, {{"a", time.Hour}, {"a", 0}}, {{"", -1}}, {{"", time.Nanosecond}}, {{"", 1000 * MaxHold}},
	} {
		if s.LimitHolds(wrong) == nil {
			t.Errorf("%v was taken", wrong)
		}
	}
	if got := s.holdOf("x", 0); got != hour {
		t.Errorf("after what was refused %d; want it as it was", got)
	}
}

// A store that has heard of the grant goes on counting on its own clock, whatever it lists anew;
// one that has not goes by the record, and warns all the same.
func TestDeadlineOfWhatIsListed(t *testing.T) {
	t.Parallel()
	const hold = time.Hour
	for name, test := range map[string]struct {
		heard bool
		ago   time.Duration // that it was granted, by the record
		left  time.Duration
	}{
		"heard of":                     {true, 30 * time.Minute, hold},
		"not heard of":                 {false, 20 * time.Minute, 40 * time.Minute},
		"nearly over":                  {false, hold - time.Second, maxWarning},
		"over":                         {false, 100 * hold, maxWarning},
		"by a clock that is far ahead": {false, -100 * hold, hold},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMirror("/dlm/", func(string) {}, func(sectionKey) {}, func(sectionKey) {})
			defer m.stop()
			v := holderValue{session: "0000000000000007", request: "1", Since: millis(time.Now().Add(-test.ago)), Hold: hold.Milliseconds()}
			key := m.keys.lock("l")
			if test.heard {
				m.own(change{key: key, holder: &v}.at(5))
				v.Prev = 5 // a commit, that was missed
			}
			m.reset([]*mvccpb.KeyValue{{Key: []byte(key), Value: []byte(v.encode()), ModRevision: 9, CreateRevision: 5}}, 9)
			left := time.Until(m.holder("l").due)
			if left > test.left || left < test.left-time.Minute {
				t.Errorf("%v are left; want %v", left, test.left)
			}
		})
	}
}

func TestWarning(t *testing.T) {
	t.Parallel()
	for hold, want := range map[time.Duration]time.Duration{
		MinHold: 200 * time.Millisecond, time.Minute: 12 * time.Second, 5 * time.Minute: time.Minute, MaxHold: time.Minute,
	} {
		if got := warning(hold); got != want {
			t.Errorf("of %v the last %v; want %v", hold, got, want)
		}
	}
}
