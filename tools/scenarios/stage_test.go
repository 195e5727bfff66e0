package scenarios_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

const (
	patience = 40 * time.Second // bounds everything that is waited for
	oneLock  = "default"        // the coursework's
)

// The APIs that each scenario is played through.
const (
	viaCoursework = "lock_service"
	viaSDK        = "dlm.v1"
)

// cast are the servers of a stage.
type cast interface {
	addrs() []string
	ttl() time.Duration // of clients' sessions: their timeout
}

// stage is where one scenario is played, through one API.
type stage struct {
	testing.TB
	row
	ctx    context.Context
	api    string
	cast   cast
	reader *client.Client

	mu    sync.Mutex
	fault time.Time // zero: there was none, or it is over
}

// play plays a scenario through both APIs and adds it to the story.
func play(t *testing.T, id, what string, build func(t testing.TB) cast, act func(s *stage)) {
	for _, api := range []string{viaCoursework, viaSDK} {
		t.Run(api, func(t *testing.T) {
			perform(t, row{id: id, what: what, api: api}, build, act)
		})
	}
}

func perform(t *testing.T, r row, build func(t testing.TB) cast, act func(s *stage)) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	s := &stage{TB: t, row: r, ctx: ctx, api: r.api, cast: build(t)}
	s.reader = s.sdk(s.cast.addrs())
	defer func() {
		s.row.ok = !t.Failed()
		story.add(s.row)
	}()
	act(s)
}

func (s *stage) sdk(addrs []string) *client.Client {
	s.Helper()
	c, err := client.Open(client.Config{Endpoints: addrs, TTL: s.cast.ttl(), ConnectTimeout: patience})
	s.must(err)
	s.Cleanup(func() { _ = c.Close() })
	return c
}

func (s *stage) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// begin runs what may take long beside the scenario; its error is to be received.
func (s *stage) begin(do func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	return done
}

// done waits for what was begun.
func (s *stage) done(what string, begun <-chan error) error {
	s.Helper()
	return await.Receive(s.TB, patience, what, begun)
}

// comes waits for a channel to be closed.
func (s *stage) comes(what string, c <-chan struct{}) {
	s.Helper()
	await.Receive(s.TB, patience, what, c)
}

// eventually polls until ok.
func (s *stage) eventually(what string, ok func() bool) {
	s.Helper()
	await.Eventually(s.TB, patience, what, ok)
}

// queued waits until so many wait for the lock.
func (s *stage) queued(n int32) {
	s.Helper()
	s.eventually(fmt.Sprintf("%d in the queue", n), func() bool {
		lock, err := s.reader.Inspect(s.ctx, oneLock)
		return err == nil && lock.GetQueueLength() == n
	})
}

// strikes notes the moment of a fault, recovered that of the first success after it.
func (s *stage) strikes() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = time.Now()
}

func (s *stage) recovered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.fault.IsZero() {
		s.recoveries = append(s.recoveries, time.Since(s.fault))
	}
	s.fault = time.Time{}
}

// recoveredBy is recovered if the call that succeeded was begun after the fault.
func (s *stage) recoveredBy(began time.Time) {
	s.mu.Lock()
	after := !s.fault.IsZero() && began.After(s.fault)
	s.mu.Unlock()
	if after {
		s.recovered()
	}
}

// holds checks what is in a file, read through the public API, and puts it into the story.
func (s *stage) holds(file string, want ...string) {
	s.Helper()
	b, err := s.reader.Read(s.ctx, oneLock, file)
	if errors.Is(err, client.ErrFileNotFound) {
		err = nil
	}
	s.must(err)
	s.files = append(s.files, short(string(b)))
	for _, w := range want {
		if string(b) == w {
			return
		}
	}
	s.Errorf("%s holds %q, want one of %q", file, b, want)
}

// nodes is a cast that runs inside the test.
type nodes struct{ *facadetest.Node }

func (n nodes) addrs() []string    { return n.Addrs() }
func (n nodes) ttl() time.Duration { return shortTTL }

// shortTTL is the least there is.
const shortTTL = 2 * time.Second

// oneNode is a server inside the test.
func oneNode(t testing.TB) cast {
	return nodes{facadetest.Start(t, facadetest.WithCoursework(shortTTL, time.Minute))}
}
