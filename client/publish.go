package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Append returns the operation that appends data to a file. Without data, the file exists from then
// on. The data must not be changed before what the operation is given to has returned.
func Append(file string, data []byte) *Operation {
	return &Operation{File: file, Do: &dlmv1.Operation_Append{Append: data}}
}

// Replace returns the operation that has a file be data from then on, in a new life. The data must
// not be changed before what the operation is given to has returned.
func Replace(file string, data []byte) *Operation {
	return &Operation{File: file, Do: &dlmv1.Operation_Replace{Replace: data}}
}

// Remove returns the operation after which there is no such file. It need not be there, and may be
// made again.
func Remove(file string) *Operation {
	return &Operation{File: file, Do: &dlmv1.Operation_Remove{Remove: true}}
}

// Cut returns the operation that cuts off what is before an offset. What is behind keeps its
// offsets; a file's start never goes back, nor beyond its end.
func Cut(file string, before int64) *Operation {
	return &Operation{File: file, Do: &dlmv1.Operation_Cut{Cut: before}}
}

// bytesOf is how many bytes of data an operation has.
func bytesOf(o *Operation) int { return len(o.GetAppend()) + len(o.GetReplace()) }

// copyOf is a copy of an operation, which outlives its caller's.
func copyOf(o *Operation) *Operation {
	switch do := o.GetDo().(type) {
	case *dlmv1.Operation_Append:
		return Append(o.GetFile(), bytes.Clone(do.Append))
	case *dlmv1.Operation_Replace:
		return Replace(o.GetFile(), bytes.Clone(do.Replace))
	}
	return o
}

// Publish publishes a section in one call, without holding its lock: all of its operations in their
// order, or none, and once, whatever becomes of messages and servers. It is refused while somebody
// holds the lock, or waits for it. Any number of clients may publish to one lock at once; each
// section gets a version of its own, in the order in which they are read.
//
// It is for what is known in advance, 1 MiB in 256 operations on 50 files at most, and costs one
// commit of etcd's, where a Lock with an Append and an Unlock costs three. What depends on what the
// files have is for [Client.PublishIf].
//
// Errors:
//   - [ErrBusy]: the lock is held or waited for. Nothing was published, nor will it be.
//   - [ErrTooLarge], [ErrQuota], [ErrInvalidName], [ErrInvalidArgument]: the same.
//   - [ErrNoSpace]: the same, if it is not ErrOutcomeUnknown besides.
//   - [ErrPermissionDenied], [ErrUnauthenticated]: the same, if it is not ErrOutcomeUnknown
//     besides. It takes the right to acquire the lock, and that to append.
//   - [ErrUnimplemented]: the servers do not publish in one call, or not yet: it takes the feature
//     `publish` to be switched on, and `life` for what is no append. Nothing was published.
//   - [ErrOutcomeUnknown]: whether it was published, or still will be, is not known. Once the next
//     Publish to the lock by this Client has been answered, with no other beside it, it will not.
//   - [ErrUnavailable], [ErrClosed], that of ctx: if it is not ErrOutcomeUnknown besides, nothing
//     was sent, and nothing was published.
func (c *Client) Publish(ctx context.Context, lock string, operations ...*Operation) (*Version, error) {
	return c.publishIf(ctx, lock, nil, operations, c.askPublish)
}

// sender sends a publish.
type sender func(ctx context.Context, m *dlmv1.PublishRequest, traceparent string) answer

func (c *Client) publishIf(
	ctx context.Context, lock string, condition *Condition, operations []*Operation, send sender,
) (*Version, error) {
	call := Call{Op: OpPublish, Lock: lock}
	for _, o := range operations {
		call.Bytes += bytesOf(o)
	}
	hooks := c.cfg.Hooks.begin(ctx, call)
	version, err := c.publish(ctx, lock, condition, operations, send, hooks.Traceparent)
	hooks.end(Result{Token: version.GetToken(), Err: err})
	if err != nil {
		return nil, fmt.Errorf("publish to %q: %w", lock, err)
	}
	return version, nil
}

func (c *Client) publish(
	ctx context.Context, lock string, condition *Condition, operations []*Operation, send sender, traceparent string,
) (*Version, error) {
	names := []string{lock}
	for _, f := range condition.GetFiles() {
		names = append(names, f.GetFile())
	}
	copies := make([]*Operation, len(operations)) // which outlive the call if ctx ends
	for i, o := range operations {
		names = append(names, o.GetFile())
		copies[i] = copyOf(o)
	}
	if err := checkNames(names...); err != nil {
		return nil, err
	}
	lane := c.lanes.take(lock)
	defer func() { c.lanes.put(lock, lane) }()
	m := lane.next(lock, condition, copies, c.wire.seen.lately(time.Now()))
	a := send(ctx, m, traceparent)
	if a.once && errors.Is(a.err, ErrOutcomeUnknown) {
		// Nothing was ever done under this id: it is too old to tell. So another one is taken.
		lane = newLane()
		m = lane.next(lock, condition, copies, 0)
		a = send(ctx, m, traceparent)
	}
	if a.err != nil {
		return nil, a.err
	}
	switch p := a.msg.GetPublish(); p.GetOutcome() {
	case dlmv1.PublishResponse_OUTCOME_PUBLISHED:
		if p.GetVersion().GetToken() > 0 {
			return p.GetVersion(), nil
		}
	case dlmv1.PublishResponse_OUTCOME_BUSY:
		return c.withdraw(ctx, m, a.once, &BusyError{Lock: lock, Holder: p.GetHolder()})
	case dlmv1.PublishResponse_OUTCOME_CONFLICT:
		return c.withdraw(ctx, m, a.once, &ConflictError{Lock: lock, Version: p.GetLockVersion(), Files: p.GetFiles()})
	case dlmv1.PublishResponse_OUTCOME_WITHDRAWN, dlmv1.PublishResponse_OUTCOME_UNSPECIFIED:
	}
	return nil, errMalformed
}

// withdraw ends a publish that was refused for now. If it was sent more than once, another message
// of it may still be on its way to a server, and is ruled out, or turns out to have been faster.
func (c *Client) withdraw(ctx context.Context, m *dlmv1.PublishRequest, once bool, refusal error) (*Version, error) {
	if !once {
		w, err := ask(ctx, c.wire, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Withdraw{Withdraw: &dlmv1.WithdrawRequest{
			Lock: m.GetLock(), Lane: m.GetLane(), Number: m.GetNumber(), Born: m.GetBorn(),
		}}}, (*dlmv1.StreamResponse).GetWithdraw)
		if err != nil {
			return nil, err
		}
		if w.GetPublished().GetToken() > 0 {
			return w.GetPublished(), nil
		}
	}
	return nil, refusal
}

// askPublish sends a publish. Its error is as told has it.
func (c *Client) askPublish(ctx context.Context, m *dlmv1.PublishRequest, traceparent string) answer {
	if err := ctx.Err(); err != nil {
		return answer{err: err}
	}
	a, sent := c.wire.answerTo(ctx, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Publish{Publish: m}}, traceparent)
	return a.told(sent)
}

// told is the answer to a publish. Its error is [ErrOutcomeUnknown] as well if the publish was
// sent, and the error does not say what became of it: that etcd has no space says nothing of
// another message of it, which may come to a server once there is room.
func (a answer) told(sent bool) answer {
	if a.err != nil && sent && (!definite(a.err, a.once) || !a.once && errors.Is(a.err, ErrNoSpace)) {
		a.err = fmt.Errorf("%w: %w", ErrOutcomeUnknown, a.err)
	}
	return a
}

// lane is what one publish after the other is sent under. Each gives the last one up.
type lane struct {
	id     [16]byte
	number uint64
}

func newLane() *lane {
	l := &lane{}
	_, _ = rand.Read(l.id[:]) // never fails
	return l
}

func (l *lane) next(lock string, condition *Condition, operations []*Operation, born int64) *dlmv1.PublishRequest {
	l.number++
	return &dlmv1.PublishRequest{Lock: lock, Lane: l.id[:], Number: l.number, Born: born, Operations: operations, Condition: condition}
}

// lanes are those in which nothing is under way, by lock.
type lanes struct {
	mu   sync.Mutex
	idle map[string][]*lane
	n    int
}

// maxLanes bounds the lanes that are kept.
const maxLanes = 4096

// take returns a lane in which nothing is under way.
func (ls *lanes) take(lock string) *lane {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	idle := ls.idle[lock]
	if len(idle) == 0 {
		return newLane()
	}
	l := idle[len(idle)-1]
	ls.n--
	if idle = idle[:len(idle)-1]; len(idle) == 0 {
		delete(ls.idle, lock)
	} else {
		ls.idle[lock] = idle
	}
	return l
}

func (ls *lanes) put(lock string, l *lane) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.n >= maxLanes {
		return
	}
	if ls.idle == nil {
		ls.idle = map[string][]*lane{}
	}
	ls.n++
	ls.idle[lock] = append(ls.idle[lock], l)
}
