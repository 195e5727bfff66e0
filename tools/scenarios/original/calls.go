package original

import (
	"context"
	"fmt"
	"time"

	pb "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
)

// next numbers a call.
func (c *Client) next() string {
	c.counter++
	return fmt.Sprintf("%d-%d", c.id, c.counter)
}

// Acquire asks for the lock until it is granted.
func (c *Client) Acquire(ctx context.Context) error {
	args := &pb.LockArgs{ClientId: c.id, RequestId: c.next()}
	c.beat()
	for {
		resp, err := call(ctx, c, func(ctx context.Context, api pb.LockServiceClient) (*pb.Response, error) {
			return api.LockAcquire(ctx, args)
		})
		if err != nil {
			return err
		}
		switch resp.GetStatus() {
		case pb.Status_SUCCESS:
			c.version = resp.GetVersion()
			return nil
		case pb.Status_DUPLICATE_ERROR: // again, at once
		default:
			if !wait(ctx, c.cfg.Ask) {
				return ctx.Err()
			}
		}
	}
}

// Release releases the lock. Errors: ErrFile, ErrExpired.
func (c *Client) Release(ctx context.Context) error {
	args := &pb.LockArgs{ClientId: c.id, RequestId: c.next()}
	resp, err := call(ctx, c, func(ctx context.Context, api pb.LockServiceClient) (*pb.Response, error) {
		return api.LockRelease(ctx, args)
	})
	if err != nil {
		return err
	}
	if err := refusal(resp.GetStatus()); err != nil {
		return err
	}
	select {
	case <-c.release:
	default:
		close(c.release)
	}
	return nil
}

// Append appends to a file, under the lock, which it acquires first if it does not hold it. Errors:
// ErrFile, ErrExpired.
func (c *Client) Append(ctx context.Context, file string, content []byte) error {
	return c.append(ctx, file, content, true)
}

// AppendAtOnce is an Append that does not ask first whether the lock is held, as one is that was
// held up after it asked.
func (c *Client) AppendAtOnce(ctx context.Context, file string, content []byte) error {
	return c.append(ctx, file, content, false)
}

func (c *Client) append(ctx context.Context, file string, content []byte, ask bool) error {
	args := &pb.FileArgs{ClientId: c.id, RequestId: c.next(), Filename: file, Content: content}
	if ask {
		holder, err := c.Holder(ctx)
		if err != nil {
			return err
		}
		if holder != c.id {
			if err := c.Acquire(ctx); err != nil {
				return err
			}
		}
	}
	for {
		resp, err := call(ctx, c, func(ctx context.Context, api pb.LockServiceClient) (*pb.Response, error) {
			return api.FileAppend(ctx, args)
		})
		if err != nil {
			return err
		}
		if resp.GetStatus() != pb.Status_DUPLICATE_ERROR {
			return refusal(resp.GetStatus())
		}
		if !wait(ctx, c.cfg.Ask) {
			return ctx.Err()
		}
	}
}

// Holder returns the number of the client that holds the lock; 0: none, -1: one of another API.
func (c *Client) Holder(ctx context.Context) (int32, error) {
	resp, err := call(ctx, c, func(ctx context.Context, api pb.LockServiceClient) (*pb.Response, error) {
		return api.GetCurrentLockHolder(ctx, &pb.CurrentLockHolder{ClientId: c.id})
	})
	return resp.GetCurrentLockHolder().GetClientId(), err
}

// Expired is closed when a heartbeat was answered TIMEOUT_ERROR. The original hangs up then, for
// good.
func (c *Client) Expired() <-chan struct{} { return c.expired }

// beat begins the heartbeats, once.
func (c *Client) beat() {
	if c.beating {
		return
	}
	c.beating = true
	c.running.Go(func() {
		for last := false; !last; {
			stops := c.pass()
			timer := time.NewTimer(c.cfg.Beat)
			select {
			case <-timer.C:
			case <-c.release:
				timer.Stop()
				last = true
			case <-c.ctx.Done():
				timer.Stop()
				return
			}
			if c.pass() != stops {
				continue // a sleep that a stop prolonged begins anew
			}
			api, _ := c.api()
			resp, err := attempt(c.ctx, c.cfg.Timeout, api, func(ctx context.Context, api pb.LockServiceClient) (*pb.Response, error) {
				return api.Heartbeat(ctx, &pb.Heartbeat{ClientId: c.id})
			})
			if err != nil {
				return // as the original's thread does
			}
			if resp.GetStatus() == pb.Status_TIMEOUT_ERROR {
				close(c.expired)
				return
			}
		}
	})
}

func refusal(s pb.Status) error {
	switch s {
	case pb.Status_SUCCESS:
		return nil
	case pb.Status_TIMEOUT_ERROR:
		return ErrExpired
	case pb.Status_FILE_ERROR:
		return ErrFile
	}
	return fmt.Errorf("%w: %v", ErrDuplicate, s)
}
