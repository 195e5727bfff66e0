package scenarios_test

import (
	"errors"
	"testing"

	"github.com/distributed-lock-manager/dlm/tools/faultproxy"
)

const (
	request = faultproxy.Request
	reply   = faultproxy.Reply
)

func TestScenario1a(t *testing.T) {
	t.Parallel()
	play(t, "1a", "C1's append of A is held up past its timeout; C2 is granted; then A arrives, and is refused", oneNode, func(s *stage) {
		c1, c2 := s.joins(), s.joins()
		c1.acquires()
		granted := s.begin(func() error { return c2.acquire(s.ctx) })
		s.queued(1)

		passedOn := make(chan struct{})
		c1.every("heartbeat", request, faultproxy.Fate{After: passedOn})
		held := c1.every("append", request, faultproxy.Fate{After: passedOn})
		s.strikes()
		late := s.begin(func() error { return c1.append(s.ctx, "file_0", "A") })
		s.comes("C1's append at the proxy", held.Arrived)
		s.must(s.done("C2's grant", granted))
		s.recovered()
		close(passedOn)
		s.comes("an answer to what came late", held.Settled)
		if err := s.done("C1's append", late); !errors.Is(err, errExpired) {
			s.Errorf("C1 is told %v, want %v", err, errExpired)
		}
		c2.releases()
		s.holds("file_0", "")
	})
}

func TestScenario1bRequest(t *testing.T) {
	t.Parallel()
	play(t, "1b-request", "C1's acquire is lost; C2 acquires, appends B, releases; C1 asks again, appends A", oneNode, func(s *stage) {
		c1, c2 := s.joins(), s.joins()
		c2Done := make(chan struct{})
		lost := c1.next("acquire", request, faultproxy.Fate{Lost: true})
		c1.every("acquire", request, faultproxy.Fate{After: c2Done})
		s.strikes()
		granted := s.begin(func() error { return c1.acquire(s.ctx) })
		s.comes("C1's acquire at the proxy", lost.Arrived)
		c2.acquires()
		c2.appends("file_0", "B")
		c2.releases()
		close(c2Done)
		s.must(s.done("C1's grant", granted))
		s.recovered()
		c1.appends("file_0", "A")
		c1.releases()
		s.holds("file_0", "BA")
	})
}

func TestScenario1bReply(t *testing.T) {
	t.Parallel()
	play(t, "1b-reply", "C1 is granted the lock, the answer is lost; C1 asks again and learns that it holds; A, then C2's B", oneNode, func(s *stage) {
		c1, c2 := s.joins(), s.joins()
		lost := c1.next("acquire", reply, faultproxy.Fate{Lost: true})
		s.strikes()
		granted := s.begin(func() error { return c1.acquire(s.ctx) })
		s.comes("C1's grant at the proxy", lost.Arrived)
		second := s.begin(func() error { return c2.acquire(s.ctx) })
		s.must(s.done("C1's grant", granted))
		s.recovered()
		s.queued(1)
		c1.appends("file_0", "A")
		c1.releases()
		s.must(s.done("C2's grant", second))
		c2.appends("file_0", "B")
		c2.releases()
		s.holds("file_0", "AB")
	})
}

func TestScenario1c(t *testing.T) {
	t.Parallel()
	play(t, "1c", "C1's release is held up and repeated; C2 is granted; the first release arrives late and frees nobody's lock", oneNode, func(s *stage) {
		c1, c2 := s.joins(), s.joins()
		c1.acquires()
		second := s.begin(func() error { return c2.acquire(s.ctx) })
		s.queued(1)
		c1.appends("file_0", "A")
		c2Granted := make(chan struct{})
		late := c1.next("release", request, faultproxy.Fate{After: c2Granted})
		s.strikes()
		c1.releases()
		s.recovered()
		s.must(s.done("C2's grant", second))
		third := s.begin(func() error { return c1.acquire(s.ctx) })
		s.queued(1)
		close(c2Granted)
		s.comes("an answer to the late release", late.Settled)
		c2.appends("file_0", "B")
		s.queued(1) // C1 still waits
		c2.appends("file_0", "B")
		c2.releases()
		s.must(s.done("C1's second grant", third))
		c1.appends("file_0", "A")
		c1.releases()
		s.holds("file_0", "ABBA")
	})
}

func TestScenario1d(t *testing.T) {
	t.Parallel()
	play(t, "1d", "C1's append of A is lost, then its answer is; the third try is answered, and A is there once", oneNode, func(s *stage) {
		c1, c2 := s.joins(), s.joins()
		c1.acquires()
		c1.appends("file_0", "1")
		lost := c1.next("append", request, faultproxy.Fate{Lost: true})
		unanswered := c1.next("append", reply, faultproxy.Fate{Lost: true})
		s.strikes()
		c1.appends("file_0", "A")
		s.recovered()
		s.comes("a lost append", lost.Arrived)
		s.comes("a lost answer", unanswered.Arrived)
		c1.releases()
		c2.acquires()
		c2.appends("file_0", "B")
		c2.releases()
		s.holds("file_0", "1AB")
	})
}

func TestScenario2a(t *testing.T) {
	t.Parallel()
	play(t, "2a", "C1 pauses past its timeout before it appends; C2 appends B; C1's A is refused; B; C1 begins anew: AA", oneNode, func(s *stage) {
		c1, c2 := s.joins(), s.joins()
		c1.acquires()
		stuck(s, c1, c2)
	})
}

func TestScenario2b(t *testing.T) {
	t.Parallel()
	play(t, "2b", "C1 appends A and pauses past its timeout; that A is undone; C2's section is BB; C1 redoes its own: AA", oneNode, func(s *stage) {
		c1, c2 := s.joins(), s.joins()
		c1.acquires()
		c1.appends("file_0", "A")
		stuck(s, c1, c2)
	})
}

// stuck is what becomes of a holder that pauses past its timeout.
func stuck(s *stage, c1, c2 member) {
	s.Helper()
	second := s.begin(func() error { return c2.acquire(s.ctx) })
	s.queued(1)
	s.strikes()
	wake := c1.pause()
	s.must(s.done("C2's grant", second))
	s.recovered()
	c2.appends("file_0", "B")
	wake()
	c1.expired("file_0", "A")
	c2.appends("file_0", "B")
	c2.releases()
	c1.acquires()
	c1.appends("file_0", "A")
	c1.appends("file_0", "A")
	c1.releases()
	s.holds("file_0", "BBAA")
}
