package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Append stages one record of at most 1 MiB. When it returns nil the record is durable; it becomes
// readable, at the end of the file, when the section is published. Records of appends that overlap
// are in the order in which the calls began. Without data the record is empty: the file exists from
// the publication on. The data may be changed once Append has returned.
//
// A repeat of Append is another record, so an error matters:
//   - nil: the record is in the section, once.
//   - [ErrLockExpired]: the lock is lost, the section will not be published.
//   - [ErrEnded], [ErrClosed]: the section has ended, or the client was closed.
//   - [ErrTooLarge], [ErrQuota], [ErrNoSpace], [ErrInvalidName]: nothing was staged, the section
//     goes on.
//   - [ErrPermissionDenied], [ErrUnauthenticated]: the same, unless the append had been sent before
//     and not been answered. Then Unlock and Commit discard the section, and return this error.
//   - the error of ctx: the append goes on without the caller; [Lock.Unlock] and [Lock.Commit] wait
//     for it.
//   - any other error: whether the record was staged is not known, and the section can only be
//     discarded.
func (l *Lock) Append(ctx context.Context, file string, data []byte) error {
	return l.Stage(ctx, Append(file, data))
}

// Stage stages one operation: see [Append], [Replace], [Remove] and [Cut]. It comes into effect
// with the section, in the order of the calls. Everything else is as of [Lock.Append], and there is
// one error more:
//   - [ErrUnimplemented]: the servers do not do that, or not before the feature `life` is switched
//     on. Nothing was staged, the section goes on.
func (l *Lock) Stage(ctx context.Context, o *Operation) error {
	hooks := l.begin(ctx, Call{Op: OpAppend, File: o.GetFile(), Bytes: bytesOf(o)})
	err := l.stage(ctx, o, hooks.Traceparent)
	if hooks.End != nil {
		hooks.End(l.result(err))
	}
	if err != nil {
		return fmt.Errorf("%s %q of %q: %w", whatDoes(o), o.GetFile(), l.a.lock, err)
	}
	return nil
}

// whatDoes says what an operation does to a file.
func whatDoes(o *Operation) string {
	switch o.GetDo().(type) {
	case *dlmv1.Operation_Replace:
		return "replace"
	case *dlmv1.Operation_Remove:
		return "remove"
	case *dlmv1.Operation_Cut:
		return "cut"
	}
	return "append to"
}

// appendOf is the message that stages an operation, without what says in which section. An append
// has the form that every server knows.
func appendOf(o *Operation) (*dlmv1.AppendRequest, error) {
	if err := checkNames(o.GetFile()); err != nil {
		return nil, err
	}
	if do, is := o.GetDo().(*dlmv1.Operation_Append); is {
		return &dlmv1.AppendRequest{File: o.GetFile(), Data: bytes.Clone(do.Append)}, nil
	}
	return &dlmv1.AppendRequest{Operation: copyOf(o)}, nil
}

func (l *Lock) stage(ctx context.Context, o *Operation, traceparent string) error {
	m, err := appendOf(o)
	if err != nil {
		return err
	}
	s := l.a.s
	m.Session, m.Lock = s.credential, l.a.lock
	c := &call{message: request(&dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Append{Append: m}}), lease: s, traceparent: traceparent}
	answers := make(chan error, 1)
	c.done = func(a answer) { l.appendAnswered(c, a, answers) }

	if err := l.enter(ctx); err != nil {
		return err
	}
	m.Token, m.Number, m.Request = l.token, l.numbered+1, s.nextRequest()
	if err := s.c.wire.start(c); err != nil {
		l.mu.Unlock()
		return err
	}
	l.numbered++
	l.appended = true
	if l.staging == nil {
		l.staging = make(map[*call]struct{})
	}
	l.staging[c] = struct{}{}
	l.mu.Unlock()

	select {
	case err := <-answers:
		return err
	case <-ctx.Done():
	case <-l.ctx.Done():
	}
	// Several of the channels may be ready. The answer counts before all else. A loss comes before
	// the error of ctx, which may well be a context that ends with the hold: then the loss is what
	// the caller needs to know.
	select {
	case err := <-answers:
		return err
	default:
	}
	if l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	return ctx.Err()
}

// appendAnswered takes the answer to an append.
func (l *Lock) appendAnswered(c *call, a answer, answers chan<- error) {
	err := a.err
	if err == nil && a.msg.GetAppend() == nil {
		err = errMalformed
	}
	answers <- err
	if errors.Is(err, ErrSessionExpired) || foreign(err) {
		l.a.s.lose(fmt.Errorf("%w: %w", ErrLockExpired, err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.staging, c)
	switch {
	case err == nil:
		l.took(c.message().GetAppend().GetRequest(), a)
	case errors.Is(err, ErrLockExpired):
		if !l.discarding() {
			l.loseLocked(err)
		}
	case !definite(err, a.once):
		l.doubt = err
	}
	l.advance()
	l.announce()
}

// discarding reports whether the section is being discarded. The server then refuses what was
// appended beside the discard, which is no news. mu is held.
func (l *Lock) discarding() bool {
	return l.end != nil && (l.end.way == discard || l.end.why != nil)
}

// lastAppend is the append that was staged last, of those that were answered over one stream.
type lastAppend struct {
	link    uint64 // the number of that
	request string
	rev     int64 // at which it was staged
}

// maxLast is how many of these an ending may name.
const maxLast = 16

// took notes that an append was answered. If the last one over each stream is there when the
// section ends, so are those before it: etcd is restored only while no server runs, and no stream
// outlasts that. Of more than maxLast streams the first and the last ones are kept. mu is held.
func (l *Lock) took(id string, a answer) {
	rev := a.msg.GetAppend().GetRevision()
	if rev == 0 {
		return // of a server that does not say
	}
	n := len(l.lasts)
	for i := range l.lasts {
		if last := &l.lasts[i]; last.link == a.link {
			if last.rev < rev {
				last.request, last.rev = id, rev
			}
			return
		}
	}
	if n == maxLast {
		l.lasts = slices.Delete(l.lasts, 1, 2)
	}
	l.lasts = append(l.lasts, lastAppend{a.link, id, rev})
}

// last is what an ending names. mu is held.
func (l *Lock) last() (requests []string) {
	for _, last := range l.lasts {
		requests = append(requests, last.request)
	}
	return requests
}
