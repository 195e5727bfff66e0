package client_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/distributed-lock-manager/dlm/client"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Sections through a server that loses and doubles messages are published exactly as acknowledged.
// Each seed is a schedule of faults; that of the goroutines is not reproducible.
func TestFaultyMessages(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		faults  faults
		workers int           // of 200 cycles together
		timeout time.Duration // an answer is missed after a third of it
	}{
		"lost silently":          {faults{requests: 0.1, replies: 0.1, twice: 0.1}, 20, 900 * time.Millisecond},
		"lost with their stream": {faults{requests: 0.1, replies: 0.1, twice: 0.1, breaks: true}, 2, patience},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			workers, each := tc.workers, 200/tc.workers
			p := startFaulty(t, tc.faults, 1)
			c := open(t, client.Config{
				Endpoints:      []string{p.addr},
				TTL:            4 * time.Second,
				ConnectTimeout: tc.timeout,
			})
			direct := open(t, client.Config{})
			shared := fresh(t)
			want := make([]strings.Builder, workers)
			var lost, order atomic.Int64
			var inOrder sync.Map
			var running sync.WaitGroup
			for w := range workers {
				own := fmt.Sprintf("%s/%d", shared, w)
				running.Go(func() {
					for i := range each {
						// Every tenth section is of the lock that all workers share.
						name := own
						if i%10 == 4 {
							name = shared
						}
						text := fmt.Sprintf("%d.%d a\n%d.%d b\n", w, i, w, i)
						end := (*client.Lock).Unlock
						if i%3 == 0 {
							end = commitAndLeave
						}
						for !cycle(t, c, name, text, end, func() { inOrder.Store(text, order.Add(1)) }) {
							lost.Add(1)
						}
						if name == own {
							want[w].WriteString(text)
						}
					}
				})
			}
			running.Wait()
			for w := range workers {
				reads(t, direct, fmt.Sprintf("%s/%d", shared, w), "f", want[w].String())
			}
			checkShared(t, direct, shared, workers*each/10, &inOrder)
			if p.lost.Load() < 50 || p.doubled.Load() < 20 {
				t.Errorf("only %d messages lost and %d doubled", p.lost.Load(), p.doubled.Load())
			}
			t.Logf("%d messages lost, %d doubled, %d sections lost and done again", p.lost.Load(), p.doubled.Load(), lost.Load())
		})
	}
}

// cycle runs one section and reports whether it was published. A hold may really be lost when
// heartbeats are.
func cycle(
	t testing.TB, c *client.Client, name, text string, end func(*client.Lock, context.Context) error, inside func(),
) bool {
	for {
		l, err := c.Lock(t.Context(), name)
		if errors.Is(err, client.ErrUnavailable) {
			continue
		}
		if err != nil {
			t.Errorf("lock: %v", err)
			return true
		}
		inside()
		for line := range strings.Lines(text) {
			if err == nil {
				err = l.Append(t.Context(), "f", []byte(line))
			}
		}
		if err == nil {
			err = end(l, t.Context())
		}
		switch {
		case err == nil:
			return true
		case errors.Is(err, client.ErrLockExpired):
			return false
		}
		t.Errorf("%s: %v", name, err)
		return true
	}
}

// commitAndLeave publishes by a commit, and discards the section that follows it.
func commitAndLeave(l *client.Lock, ctx context.Context) error { //nolint:revive // as a method expression
	before := l.Token()
	if err := l.Commit(ctx); err != nil {
		return err
	}
	if l.Context().Err() == nil && l.Token() <= before {
		return fmt.Errorf("token %d after %d", l.Token(), before)
	}
	_ = l.Append(ctx, "f", []byte("never to be read\n")) // fails if the hold is lost
	return l.Discard(ctx)
}

// checkShared checks that a file has n whole sections, each once, in the order in which the lock
// was held.
func checkShared(t testing.TB, c *client.Client, name string, n int, order *sync.Map) {
	t.Helper()
	b, err := c.Read(t.Context(), name, "f")
	must(t, err)
	lines := strings.SplitAfter(strings.TrimSuffix(string(b), "\n")+"\n", "\n")
	lines = lines[:len(lines)-1]
	if len(lines) != 2*n {
		t.Fatalf("%d lines, want %d", len(lines), 2*n)
	}
	var last int64
	for i := 0; i < len(lines); i += 2 {
		place, ok := order.LoadAndDelete(lines[i] + lines[i+1])
		if !ok {
			t.Fatalf("a torn or doubled section: %q", lines[i]+lines[i+1])
		}
		if place.(int64) <= last {
			t.Errorf("section %q is out of order", lines[i])
		}
		last = place.(int64)
	}
}

// faults are what happens to messages, as probabilities.
type faults struct {
	requests, replies float64 // to be lost
	twice             float64 // to be delivered twice
	breaks            bool    // the stream breaks with each lost message
}

// faulty is a server that passes calls on to the real one, message by message, with faults.
type faulty struct {
	dlmv1.UnimplementedLockServiceServer
	faults
	addr          string
	real          dlmv1.LockServiceClient
	lost, doubled atomic.Int64

	mu  sync.Mutex
	rnd *rand.Rand
}

func startFaulty(t testing.TB, f faults, seed uint64) *faulty {
	t.Helper()
	conn, err := grpc.NewClient(endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	p := &faulty{
		faults: f,
		addr:   l.Addr().String(),
		real:   dlmv1.NewLockServiceClient(conn),
		rnd:    rand.New(rand.NewPCG(seed, 0)), //nolint:gosec // to be repeated, not to be secret
	}
	server := grpc.NewServer()
	dlmv1.RegisterLockServiceServer(server, p)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		must(t, <-served)
		_ = conn.Close()
	})
	return p
}

func (p *faulty) roll(probability float64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rnd.Float64() < probability
}

var errBroken = status.Error(codes.Unavailable, "the stream broke")

// pass delivers one message, or not, or twice.
func pass[M any](p *faulty, lose float64, m M, send func(M) error) error {
	if p.roll(lose) {
		p.lost.Add(1)
		if p.breaks {
			return errBroken
		}
		return nil
	}
	if p.roll(p.twice) {
		p.doubled.Add(1)
		if err := send(m); err != nil {
			return err
		}
	}
	return send(m)
}

func (p *faulty) Stream(in grpc.BidiStreamingServer[dlmv1.StreamRequest, dlmv1.StreamResponse]) error {
	ctx, cancel := context.WithCancel(in.Context())
	defer cancel()
	out, err := p.real.Stream(ctx)
	if err != nil {
		return err
	}
	replies := make(chan error, 1)
	go func() {
		for {
			m, err := out.Recv()
			if err == nil {
				err = pass(p, p.replies, m, in.Send)
			}
			if err != nil {
				cancel()
				replies <- err
				return
			}
		}
	}()
	requests := make(chan error, 1)
	go func() {
		for {
			m, err := in.Recv()
			if err == nil {
				err = pass(p, p.requests, m, out.Send)
			}
			if err != nil {
				requests <- err
				return
			}
		}
	}()
	select {
	case err = <-requests:
		cancel()
		err = errors.Join(err, <-replies) // its goroutine must not use in after the return
	case err = <-replies:
	}
	if errors.Is(err, errBroken) {
		return errBroken
	}
	return err
}
