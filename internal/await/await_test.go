package await_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/internal/await"
)

// failing takes in what ends a test.
type failing struct {
	testing.TB
	said string
}

func (f *failing) Fatalf(format string, args ...any) {
	f.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// saidBy is how a test ends that does this; empty: well.
func saidBy(t *testing.T, do func(testing.TB)) string {
	t.Helper()
	f, done := &failing{TB: t}, make(chan struct{})
	go func() {
		defer close(done)
		do(f)
	}()
	<-done
	return f.said
}

func TestEventually(t *testing.T) {
	t.Parallel()
	looks := 0
	if said := saidBy(t, func(t testing.TB) {
		await.Eventually(t, time.Minute, "the third look", func() bool { looks++; return looks == 3 })
	}); said != "" || looks != 3 {
		t.Errorf("it ended after %d looks, with %q; want 3, and nothing", looks, said)
	}
	if said := saidBy(t, func(t testing.TB) {
		await.Eventually(t, 20*time.Millisecond, "rain", func() bool { return false })
	}); said != "waited 20ms for rain" {
		t.Errorf("what never is so ends with %q", said)
	}
}

func TestReceive(t *testing.T) {
	t.Parallel()
	c := make(chan int, 1)
	c <- 7
	if got := await.Receive(t, time.Minute, "the seven", c); got != 7 {
		t.Errorf("received %d, want 7", got)
	}
	if said := saidBy(t, func(t testing.TB) { await.Receive(t, 20*time.Millisecond, "another", c) }); said != "waited 20ms for another" {
		t.Errorf("what never comes ends with %q", said)
	}
	close(c)
	if got := await.Receive(t, time.Minute, "the end", c); got != 0 {
		t.Errorf("the end is %d, want 0", got)
	}
}
