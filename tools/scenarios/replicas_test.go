//go:build scenarios

package scenarios_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/tools/faultproxy"
)

func TestScenario4a(t *testing.T) {
	play(t, "4a", "C1 and C2 append to three files; a replica, C1's own server, fails in C1's second append and is soon back",
		processes(3, 10*time.Second), func(s *stage) { replicaFails(s, nil) })
}

func TestScenario4b(t *testing.T) {
	const timeout = 4 * time.Second
	play(t, "4b", "as 4a, but the replica stays away for longer than every timeout; when it is back it has all the others have",
		processes(3, timeout), func(s *stage) {
			replicaFails(s, func() {
				away := time.NewTimer(timeout + 2*time.Second)
				defer away.Stop()
				<-away.C
			})
		})
}

// replicaFails plays 4a and 4b; with away, the replica returns only after that.
func replicaFails(s *stage, away func()) {
	s.Helper()
	servers := s.cast.(*fleet)
	replica := (servers.leader(s.ctx) + 1) % 3
	c1, c2 := s.joinsAt(replica), s.joinsAt((replica+1)%3)
	files := []string{"file_1", "file_2", "file_3"}

	c1.next("append", reply, faultproxy.Fate{})
	inSecond := c1.next("append", reply, faultproxy.Fate{Lost: true})
	first := s.begin(func() error { return c1.section("A", 1, files...) })
	second := s.begin(func() error { return c2.section("B", 1, files...) })
	s.comes("C1's second append", inSecond.Arrived)
	servers.kill(replica)
	s.strikes()
	if away == nil {
		servers.launch(replica)
	}
	s.must(s.done("C1's section", first))
	s.must(s.done("C2's section", second))
	if away != nil {
		away()
		servers.launch(replica)
	}
	servers.awaits(replica)
	for _, file := range files {
		s.holds(file, "AB", "BA")
	}
	s.returned(replica, files...)
}

// returned checks that a server which was away serves what a reader finds elsewhere.
func (s *stage) returned(server int, files ...string) {
	s.Helper()
	there := s.sdk([]string{s.cast.addrs()[server]})
	for _, file := range files {
		want, err := s.reader.Read(s.ctx, oneLock, file)
		s.must(err)
		got, err := there.Read(s.ctx, oneLock, file)
		s.must(err)
		if string(got) != string(want) {
			s.Errorf("the server that was away has %q in %s, the others %q", got, file, want)
		}
	}
}

func TestScenario4c(t *testing.T) {
	play(t, "4c", "C1, C2, C3 append five times each; the leader, C1's own server, is killed after C1's release, and returns later",
		processes(3, 10*time.Second), func(s *stage) {
			leaderFails(s, 5, func(c1, _ member) faultproxy.Met { return c1.next("release", reply, faultproxy.Fate{}) })
		})
}

func TestScenario4d(t *testing.T) {
	play(t, "4d", "C1, C2, C3 append twenty times each; the leader, C2's own server, is killed in C2's tenth append, and returns later",
		processes(3, 10*time.Second), func(s *stage) {
			leaderFails(s, 20, func(_, c2 member) faultproxy.Met {
				for range 9 {
					c2.next("append", reply, faultproxy.Fate{})
				}
				return c2.next("append", reply, faultproxy.Fate{Lost: true})
			})
		})
}

// leaderFails plays 4c and 4d: the leader is killed when a message has arrived.
func leaderFails(s *stage, times int, when func(c1, c2 member) faultproxy.Met) {
	s.Helper()
	servers := s.cast.(*fleet)
	leader := servers.leader(s.ctx)
	c1, c2, c3 := s.joinsAt(leader), s.joinsAt(leader), s.joinsAt((leader+1)%3)
	allWait := make(chan struct{})
	c1.every("release", request, faultproxy.Fate{After: allWait})
	moment := when(c1, c2)
	var begun []<-chan error
	for i, c := range []member{c1, c2, c3} {
		granted := c1.next("acquire", reply, faultproxy.Fate{})
		begun = append(begun, s.begin(func() error { return c.section("ABC"[i:i+1], times, "file_0") }))
		if i == 0 {
			s.comes("C1's grant", granted.Arrived)
		} else {
			s.queued(int32(i))
		}
	}
	close(allWait)
	s.comes("the moment of the fault", moment.Arrived)
	servers.kill(leader)
	s.strikes()
	for _, done := range begun {
		s.must(s.done("a section", done))
	}
	servers.launch(leader)
	servers.awaits(leader)
	a, b, c := strings.Repeat("A", times), strings.Repeat("B", times), strings.Repeat("C", times)
	s.holds("file_0", a+b+c, a+c+b) // C2, if its hold is lost, begins anew
	s.returned(leader, "file_0")
}

func TestScenario4e(t *testing.T) {
	play(t, "4e", "C1, C2, C3 append twice to each of five files; a replica fails and returns; then the leader and another server are killed: nothing goes on until one returns",
		processes(3, 20*time.Second), majorityLost)
}

func majorityLost(s *stage) {
	s.Helper()
	servers := s.cast.(*fleet)
	leader := servers.leader(s.ctx)
	replica, last := (leader+1)%3, (leader+2)%3
	c1, c2, c3 := s.joinsAt(replica), s.joinsAt(leader), s.joinsAt(last)
	files := []string{"file_0", "file_1", "file_2", "file_3", "file_4"}

	// A replica fails and returns in C1's section.
	inThird := c1.next("acquire", reply, faultproxy.Fate{})
	first := s.begin(func() error { return c1.section("A", 2, files...) })
	s.comes("C1's grant", inThird.Arrived)
	servers.kill(replica)
	s.strikes()
	s.must(s.done("C1's section", first))
	servers.launch(replica)
	servers.awaits(replica)

	// The leader and another server fail in C2's, while C3 waits.
	granted := c2.next("acquire", reply, faultproxy.Fate{})
	inAppend := c2.next("append", reply, faultproxy.Fate{Lost: true})
	second := s.begin(func() error { return c2.section("B", 2, files...) })
	s.comes("C2's grant", granted.Arrived)
	third := s.begin(func() error { return c3.section("C", 2, files...) })
	s.comes("C2's append", inAppend.Arrived)
	leader = servers.leader(s.ctx)
	if leader == last { // elected when the replica was away
		last = replica
	}
	servers.kill(leader)
	servers.kill(other(leader, last))
	s.refuses(last)
	select {
	case err := <-second:
		s.Fatalf("C2's section ended without a majority: %v", err)
	case err := <-third:
		s.Fatalf("C3's section ended without a majority: %v", err)
	default:
	}

	servers.launch(leader)
	s.strikes() // what has to be recovered from begins to end here
	s.must(s.done("C2's section", second))
	s.must(s.done("C3's section", third))
	servers.awaits(leader)
	text := map[string]bool{}
	for _, file := range files {
		s.holds(file, "AABBCC", "AACCBB", "BBAACC", "BBCCAA", "CCAABB", "CCBBAA")
		b, err := s.reader.Read(s.ctx, oneLock, file)
		s.must(err)
		text[string(b)] = true
	}
	if len(text) != 1 {
		s.Errorf("the files differ: %q", s.files)
	}
	s.returned(leader, files...)
}

// other is the third of three servers.
func other(a, b int) int { return 3 - a - b }

// refuses checks that a server without a majority answers nothing, of neither API, for a while.
func (s *stage) refuses(server int) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 4*time.Second)
	defer cancel()
	refused(ctx, s, s.cast.addrs()[server])
	<-ctx.Done()
}
