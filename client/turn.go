package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// PublishInTurn is [Client.PublishIf] that waits: while the lock is held or waited for, the publish
// stands in the lock's queue, as [Client.Lock] does, until ctx ends. condition may be nil; else it
// has to hold when it is the publish's turn.
//
// Its errors are those of PublishIf, and
//
//   - that of ctx, with [ErrOutcomeUnknown] unless nothing was sent: its place is given up, and
//     the next publish of this Client to the lock rules out that it still takes effect.
//   - [ErrBusy] only if this Client itself holds the lock: it does not wait behind itself.
func (c *Client) PublishInTurn(ctx context.Context, lock string, condition *Condition, operations ...*Operation) (*Version, error) {
	return c.publishIf(ctx, lock, condition, operations, c.askInTurn)
}

// askInTurn sends a publish, and waits for its turn, under one session after the other if need be.
// Its error is as told has it.
func (c *Client) askInTurn(ctx context.Context, m *dlmv1.PublishRequest, traceparent string) (an answer) {
	tries, sent := 0, false
	err := c.acquisitions(ctx, m.GetLock(), traceparent, time.Now(), bound{}, func(a *acquisition) (err error) {
		tries++
		var once bool
		an, once, err = a.publish(ctx, m, traceparent)
		sent = sent || once
		a.s.delist(a)
		return err
	})
	an.once = an.once && tries == 1
	if err != nil {
		an = answer{err: err}
	}
	return an.told(sent)
}

// publish sends a publish under the acquisition's session, and waits for its turn. errAgain: the
// session has ended, and with it all that was sent under it. sent: it may have taken effect, as far
// as is known here.
func (a *acquisition) publish(ctx context.Context, m *dlmv1.PublishRequest, traceparent string) (an answer, sent bool, err error) {
	own := proto.Clone(m).(*dlmv1.PublishRequest) //nolint:forcetypeassert // of the same type
	own.Session, own.Request = a.s.credential, a.request()
	answers := make(chan answer, 1)
	c := &call{
		message:     request(&dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Publish{Publish: own}}),
		waits:       true,
		done:        func(an answer) { answers <- an },
		traceparent: traceparent,
	}
	a.s.mu.Lock()
	a.wait = c
	a.s.mu.Unlock()
	if err := a.s.c.wire.start(c); err != nil {
		return answer{}, false, err
	}
	an, err = a.answer(ctx, c, answers)
	if err == nil && errors.Is(an.err, ErrSessionExpired) {
		a.s.lose(fmt.Errorf("%w: %w", ErrLockExpired, an.err))
		err = fmt.Errorf("%w: %w", errAgain, an.err)
	}
	return an, a.s.c.wire.sent(c), err
}
