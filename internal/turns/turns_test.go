package turns_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/internal/await"
	"github.com/distributed-lock-manager/dlm/internal/turns"
)

const patience = 20 * time.Second

// One who asks for much has a turn as everybody has, and what is one client's stays in order.
func TestQueue(t *testing.T) {
	t.Parallel()
	var q turns.Queue[string]
	for _, v := range []string{"a1", "a2", "a3", "b1", "b2", "c1"} {
		q.Push(v[:1], v)
	}
	var got []string
	for v, ok := q.Pop(); ok; v, ok = q.Pop() {
		if got = append(got, v); v == "b1" {
			q.Push("d", "d1")
		}
	}
	if want := []string{"a1", "b1", "c1", "a2", "b2", "d1", "a3"}; !slices.Equal(got, want) {
		t.Errorf("the turns are %q; want %q", got, want)
	}
}

// So many work at once and no more, everything is done, and a client has its turn.
func TestWorkers(t *testing.T) {
	t.Parallel()
	const atOnce = 3
	w := turns.NewWorkers(atOnce, func(f func()) bool {
		go f()
		return true
	})
	var mu sync.Mutex
	var order []string
	begun, goOn, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	do := func(client string, first bool) {
		if !w.Do(client, func() {
			if first {
				begun <- struct{}{}
				<-goOn
			}
			mu.Lock()
			order = append(order, client)
			mu.Unlock()
			done <- struct{}{}
		}) {
			t.Error("it will not be done")
		}
	}
	for range atOnce {
		do("flood", true)
	}
	for range atOnce {
		await.Receive(t, patience, "work to begin", begun)
	}
	for range 100 {
		do("flood", false)
	}
	do("other", false)
	select {
	case <-begun:
		t.Error("too many work at once")
	case <-done:
		t.Error("what waits was done")
	default:
	}
	close(goOn)
	for range atOnce + 101 {
		await.Receive(t, patience, "work to be done", done)
	}
	if i := slices.Index(order, "other"); i < 0 || i > 4*atOnce {
		t.Errorf("the other client's work was done as number %d", i)
	}
}

// Work that cannot be started is not taken for done, nor counted.
func TestWorkersThatDoNotStart(t *testing.T) {
	t.Parallel()
	w := turns.NewWorkers(1, func(func()) bool { return false })
	for range 2 {
		if w.Do("c", func() {}) {
			t.Error("it is said that it will be done")
		}
	}
}
