//go:build scenarios

package scenarios_test

import (
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/tools/faultproxy"
)

func TestScenario3a(t *testing.T) {
	play(t, "3a", "C1's section AA is released, the server killed and restarted; C1's acquire is repeated until it answers; 1",
		processes(1, 10*time.Second), func(s *stage) {
			server := s.cast.(*fleet)
			c1 := s.joins()
			c1.acquires()
			c1.appends("file_0", "A")
			c1.appends("file_0", "A")
			c1.releases()
			server.kill(0)
			s.strikes()
			granted := s.begin(func() error { return c1.acquire(s.ctx) })
			server.launch(0)
			s.must(s.done("C1's grant", granted))
			s.recovered()
			server.awaits(0)
			c1.appends("file_0", "1")
			c1.releases()
			s.holds("file_0", "AA1")
		})
}

func TestScenario3b(t *testing.T) {
	play(t, "3b", "C1's A is released; C2 has appended B, C1 waits; the server is killed in C2's next append and restarted; all goes on",
		processes(1, 10*time.Second), func(s *stage) {
			server := s.cast.(*fleet)
			c1, c2 := s.joins(), s.joins()
			c1.acquires()
			c1.appends("file_0", "A")
			c1.releases()
			c2.acquires()
			c2.appends("file_0", "B")
			waiting := s.begin(func() error { return c1.acquire(s.ctx) })
			s.queued(1)
			carriedOut := c2.next("append", reply, faultproxy.Fate{Lost: true})
			appended := s.begin(func() error { return c2.append(s.ctx, "file_0", "B") })
			s.comes("an append that was carried out and not answered", carriedOut.Arrived)
			server.kill(0)
			s.strikes()
			server.launch(0)
			s.must(s.done("C2's append", appended))
			s.recovered()
			server.awaits(0)
			s.queued(1)
			c2.releases()
			s.must(s.done("C1's grant", waiting))
			c1.appends("file_0", "A")
			c1.releases()
			s.holds("file_0", "ABBA")
		})
}
