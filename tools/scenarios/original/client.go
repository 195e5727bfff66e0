package original

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
)

// What the server refused, to be tested with errors.Is.
var (
	// ErrExpired: TIMEOUT_ERROR, the lock is not held, or not any more.
	ErrExpired = errors.New("TIMEOUT_ERROR")
	// ErrFile: FILE_ERROR, no such file, no such client, or not this one's to release.
	ErrFile = errors.New("FILE_ERROR")
	// ErrDuplicate: DUPLICATE_ERROR, to a call that is not repeated after it.
	ErrDuplicate = errors.New("DUPLICATE_ERROR")
)

// Config is how a client behaves. What is zero is as the original has it.
type Config struct {
	Servers []string      // host:port, in the order in which they are tried
	Timeout time.Duration // after which a call is taken as lost and repeated; 0: it waits for ever
	Pause   time.Duration // before the first repeat of a call, doubled for each further one; 0: 2 s
	Ask     time.Duration // before an acquire or append that was put off is sent again; 0: 5 s
	Beat    time.Duration // between heartbeats; 0: 5 s
	Look    time.Duration // for how long calls fail before another server is looked for; 0: 32 s
}

func (cfg Config) withDefaults() Config {
	for _, d := range []struct {
		of   *time.Duration
		here time.Duration
	}{{&cfg.Pause, 2 * time.Second}, {&cfg.Ask, 5 * time.Second}, {&cfg.Beat, 5 * time.Second}, {&cfg.Look, 32 * time.Second}} {
		if *d.of == 0 {
			*d.of = d.here
		}
	}
	return cfg
}

// Client is one client. Its calls are for one goroutine; Stop and Continue are for any.
type Client struct {
	cfg     Config
	id      int32
	counter int
	version int64

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup // the heartbeats
	beating bool
	release chan struct{} // closed with the first release
	expired chan struct{} // closed when a heartbeat was told of a loss

	mu      sync.Mutex
	conn    *grpc.ClientConn
	server  int           // index of the server it is connected to
	stopped chan struct{} // closed by Continue; nil: it runs
	stops   int
}

// Open begins a client. To be closed.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	c := &Client{cfg: cfg.withDefaults(), release: make(chan struct{}), expired: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if err := c.dial(0); err != nil {
		c.cancel()
		return nil, err
	}
	resp, err := call(ctx, c, func(ctx context.Context, api pb.LockServiceClient) (*pb.Int, error) {
		return api.ClientInit(ctx, &pb.Int{})
	})
	if err != nil {
		c.Close()
		return nil, err
	}
	c.id = resp.GetRc()
	return c, nil
}

// ID is the client's number.
func (c *Client) ID() int32 { return c.id }

// Version is what the last acquire was answered with.
func (c *Client) Version() int64 { return c.version }

// Close ends the client as the original does: without telling the server.
func (c *Client) Close() {
	c.Continue()
	c.cancel()
	c.running.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.Close()
		c.conn = nil
	}
}

// Stop stops all that the client does, as a pause of its process would, until Continue.
func (c *Client) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped == nil {
		c.stopped = make(chan struct{})
		c.stops++
	}
}

// Continue ends a Stop. Without one it does nothing.
func (c *Client) Continue() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped != nil {
		close(c.stopped)
		c.stopped = nil
	}
}

// pass waits while the client is stopped, and returns how often it was.
func (c *Client) pass() (stops int) {
	c.mu.Lock()
	stopped, stops := c.stopped, c.stops
	c.mu.Unlock()
	if stopped != nil {
		<-stopped
	}
	return stops
}

// dial turns to a server.
func (c *Client) dial(server int) error {
	conn, err := grpc.NewClient("passthrough:///"+c.cfg.Servers[server], grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{BaseDelay: c.cfg.Pause, Multiplier: 1, MaxDelay: c.cfg.Pause}}))
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		_ = c.conn.Close()
	}
	c.conn, c.server = conn, server
	return nil
}

func (c *Client) api() (pb.LockServiceClient, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return pb.NewLockServiceClient(c.conn), c.server
}

// maxGrowth bounds the pauses between repeats, as a multiple of the first.
const maxGrowth = 8

// call makes a call until it is answered.
func call[R any](ctx context.Context, c *Client, do func(context.Context, pb.LockServiceClient) (R, error)) (R, error) {
	began, pause := time.Now(), c.cfg.Pause
	for {
		c.pass()
		api, server := c.api()
		answer, err := attempt(ctx, c.cfg.Timeout, api, do)
		if err == nil {
			return answer, nil
		}
		if ctx.Err() != nil {
			return answer, fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		if time.Since(began) >= c.cfg.Look && len(c.cfg.Servers) > 1 {
			if err := c.look(ctx, server); err != nil {
				return answer, err
			}
			began, pause = time.Now(), c.cfg.Pause
			continue
		}
		if !wait(ctx, min(pause, max(time.Until(began.Add(c.cfg.Look)), c.cfg.Pause))) {
			return answer, fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		pause = min(2*pause, maxGrowth*c.cfg.Pause)
	}
}

func attempt[R any](
	ctx context.Context, timeout time.Duration, api pb.LockServiceClient, do func(context.Context, pb.LockServiceClient) (R, error),
) (R, error) {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return do(ctx, api)
}

// look tries one server after another until one answers a Ping.
func (c *Client) look(ctx context.Context, server int) error {
	for ctx.Err() == nil {
		server = (server + 1) % len(c.cfg.Servers)
		if err := c.dial(server); err != nil {
			return err
		}
		api, _ := c.api()
		resp, err := attempt(ctx, c.cfg.Timeout, api, func(ctx context.Context, api pb.LockServiceClient) (*pb.PingResponse, error) {
			return api.Ping(ctx, &pb.Empty{})
		})
		if err == nil && resp.GetStatus() == "OK" {
			return nil
		}
		if server == 0 && !wait(ctx, c.cfg.Pause) { // the original spins
			break
		}
	}
	return ctx.Err()
}

// wait waits, and reports whether ctx did not end first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
