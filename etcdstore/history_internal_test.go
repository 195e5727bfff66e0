package etcdstore

import (
	"testing"
	"time"
)

// clock drives a history by a clock of the test: revision n is current at second n.
type clock struct {
	*history
	t   *testing.T
	now time.Time
	cut int64 // the highest revision that was to be compacted
	rev int64
}

func newClock(t *testing.T, keep time.Duration) *clock {
	return &clock{history: newHistory(keep), t: t, now: time.Now()}
}

// serve lets time pass in which the store commits, once a second.
func (c *clock) serve(d time.Duration, tight bool) {
	c.t.Helper()
	for range d / time.Second {
		c.now = c.now.Add(time.Second)
		c.rev++
		if to := c.look(c.rev, c.now, tight); to != 0 {
			if to <= c.cut {
				c.t.Errorf("at %d history is cut to %d, and was to %d", c.rev, to, c.cut)
			}
			c.cut = to
		}
	}
}

// kept checks how many seconds of serving are kept, an eighth and a second more or less.
func (c *clock) kept(want time.Duration) {
	c.t.Helper()
	kept := time.Duration(c.rev-c.cut) * time.Second
	if kept < want || kept > want+want/8+2*time.Second {
		c.t.Errorf("%v of history are kept, want %v", kept, want)
	}
}

func TestHistoryIsCutByAge(t *testing.T) {
	c := newClock(t, 80*time.Second)
	c.serve(79*time.Second, false)
	if c.cut != 0 {
		t.Errorf("history is cut to %d before it is old", c.cut)
	}
	c.serve(10*time.Minute, false)
	c.kept(80 * time.Second)
	if n := len(c.all.marks) + len(c.recent.marks); n > 20 {
		t.Errorf("%d revisions are remembered", n)
	}
}

// What is kept does not age while nobody can ask for it.
func TestOutageMakesNoHistoryOlder(t *testing.T) {
	c := newClock(t, 80*time.Second)
	c.serve(60*time.Second, false)
	c.pause()
	c.now = c.now.Add(time.Hour)
	c.serve(19*time.Second, false)
	if c.cut != 0 {
		t.Errorf("after an outage history is cut to %d of %d", c.cut, c.rev)
	}
	c.serve(5*time.Minute, false)
	c.kept(80 * time.Second)
	before := c.cut
	for range 100 { // an etcd that comes and goes
		c.pause()
		c.now = c.now.Add(time.Minute)
		c.look(c.rev, c.now, false)
	}
	if c.cut != before {
		t.Errorf("outages cut history from %d to %d of %d", before, c.cut, c.rev)
	}
}

// A process that was stopped, or a machine that slept, has made no failed look.
func TestSleepMakesNoHistoryOlder(t *testing.T) {
	c := newClock(t, 80*time.Second)
	c.serve(70*time.Second, false)
	c.now = c.now.Add(24 * time.Hour)
	c.serve(5*time.Second, false)
	if c.cut != 0 {
		t.Errorf("after a sleep history is cut to %d of %d", c.cut, c.rev)
	}
}

// However little space there is, a repeat finds what happened a moment ago.
func TestLeastHistoryIsKept(t *testing.T) {
	c := newClock(t, 24*time.Hour)
	c.serve(5*time.Minute, false)
	if c.cut != 0 {
		t.Fatalf("history is cut to %d before it is old", c.cut)
	}
	c.serve(2*time.Second, true)
	c.kept(leastHistory)
	c.pause()
	c.now = c.now.Add(time.Hour)
	c.serve(time.Second, true)
	c.kept(leastHistory)
	c.serve(time.Minute, true)
	c.kept(leastHistory)
	if n := len(c.recent.marks); n > 20 {
		t.Errorf("%d revisions are remembered", n)
	}

	fresh := newClock(t, 24*time.Hour) // a server that starts when there is little space
	fresh.serve(9*time.Second, true)
	if fresh.cut != 0 {
		t.Errorf("history is cut to %d of %d", fresh.cut, fresh.rev)
	}
	fresh.serve(time.Minute, true)
	fresh.kept(leastHistory)
}

func TestHistoryOfOthersIsNotCut(t *testing.T) {
	c := newClock(t, 0)
	c.serve(time.Hour, false)
	c.serve(time.Hour, true)
	if c.cut != 0 {
		t.Errorf("history is cut to %d", c.cut)
	}
}
