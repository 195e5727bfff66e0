package budget

import (
	"log/slog"
	"testing"
	"time"
)

func newTestConn(limits Limits) *Conn {
	return New(limits, slog.New(slog.DiscardHandler), func(string) {}).Conn(nil)
}

// Who reads is not late, though there is always more; who does not is, once the time is over.
func TestLate(t *testing.T) {
	t.Parallel()
	const message = 100
	c := newTestConn(Limits{Collect: time.Second, Deliver: time.Second})
	call := &Call{conn: c, ended: true}
	c.calls[1] = call
	call.Answer(message)
	step := func() {
		c.budget.now.Add(int64(600 * time.Millisecond))
		call.Answer(message)
	}
	for i := range 100 {
		step()
		call.sent(message + prefixed)
		if limit, late := c.late(); late {
			t.Fatalf("step %d of one who reads: %s", i, limit)
		}
	}
	step()
	if limit, late := c.late(); late {
		t.Errorf("after a pause: %s", limit)
	}
	step()
	if limit, late := c.late(); !late || limit != LimitCollect {
		t.Errorf("after a long one: %q, want %s", limit, LimitCollect)
	}
	call.end()
	if used := c.used.Load(); used != 0 || c.budget.Used() != 0 {
		t.Errorf("after the end %d bytes of the connection, %d of all", used, c.budget.Used())
	}
}

// However messages come, and are read, what is counted is what has come and was not read.
func TestReceived(t *testing.T) {
	t.Parallel()
	c := newTestConn(Limits{})
	call := &Call{conn: c, endless: true}
	whole := []byte{0, 0, 0, 0, 3, 'a', 'b', 'c'}
	want := func(what string, bytes int, awaited bool) {
		t.Helper()
		if got := int(c.used.Load()); got != bytes || call.awaited() != awaited {
			t.Errorf("%s: %d bytes, awaited %v; want %d, %v", what, got, call.awaited(), bytes, awaited)
		}
	}
	want("nothing", 0, false)
	for i := range whole {
		call.receive(whole[i : i+1])
		want("a part", i+1, i+1 < len(whole))
	}
	call.receive(append(whole, whole[:2]...))
	want("two, and a part", 2*len(whole)+2, true)
	call.Read(3)
	want("one was read", len(whole)+2, true)
	call.Read(3)
	want("both were read", 2, true)
	call.receive(whole[2:])
	call.Read(1000) // was compressed
	want("all was read", 0, false)
}
