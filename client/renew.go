package client

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// A server ends a connection with the certificate, or the token, that it was shown. So a link is
// replaced before, by one that was shown what the files have by then: it is made beside the old
// one, which is left only once the new one has proved that it serves.

// minRenewal is the least time between two attempts to replace a link.
const minRenewal = time.Second

// renewal is when a link is to be replaced that has just been made, and ends then: after two thirds
// of its life, and up to a tenth of it before that, so that clients whose certificates were made
// together do not come together. zero: never.
func renewal(now, ends time.Time) time.Time {
	left := ends.Sub(now)
	if ends.IsZero() || left <= 0 {
		return time.Time{}
	}
	return now.Add(left*2/3 - rand.N(left/10+1))
}

// nextRenewal is when to try again what has failed: each time that half of what was left is over.
func nextRenewal(now, ends time.Time) time.Time {
	if next := now.Add(max(minRenewal, ends.Sub(now)/2)); next.Before(ends) {
		return next
	}
	return time.Time{}
}

// renew begins to replace the link if that is due. It returns when it will be; zero: nothing is
// known to be. mu is held.
func (t *transport) renew(now time.Time) time.Time {
	l := t.link
	if l == nil || !l.up || t.heir != nil || l.renewAt.IsZero() {
		return time.Time{}
	}
	if now.Before(l.renewAt) {
		return l.renewAt
	}
	l.renewedAt = now
	t.heir = newLink(t, l.endpoint)
	t.heir.replaces = l
	t.heir.openedAt, t.heir.limit = now, max(minDial, t.dialLimit())
	t.running.Go(t.heir.run)
	return time.Time{}
}

// renewSoon has a link replaced that has begun to refuse what it was shown: the files may have
// something else by now. mu is held.
func (t *transport) renewSoon(l *link, now time.Time) {
	l.refused = true
	l.renewAt = later(now, l.renewedAt.Add(minRenewal))
	wake(t.kick)
}

// prove asks the server of a link that is to replace another one what it would be asked first, and
// fails if it does not serve this client.
func (l *link) prove(stream dlmv1.LockService_StreamClient) error {
	first := l.t.question()
	first.Call = 1
	if err := stream.Send(first); err != nil {
		_, err = stream.Recv() // which knows why
		return rpcError(err)
	}
	for {
		msg, err := stream.Recv()
		switch {
		case err != nil:
			return rpcError(err)
		case msg.GetCall() != first.GetCall():
			continue
		case msg.GetError() == nil:
			return nil
		}
		if err := streamError(msg.GetError()); err.indeterminate() || err.limited() || foreign(err) || denied(err) {
			return err
		}
		return nil // that the session has ended, for instance, is an answer
	}
}

// errSameCredential is why a link is not replaced by one that would end no later.
var errSameCredential = errors.New("the certificate, or the token, is still the one that ends")

// replace makes a link that has proved itself the current one. The old one is kept until the
// sessions that linger are attached to the new one. It fails if the new one is of no use.
func (t *transport) replace(l *link) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.heir != l {
		return errMoved
	}
	old, now := l.replaces, time.Now()
	if ends := l.conn.Ends(); !old.refused && !ends.IsZero() && !ends.After(old.conn.Ends()) {
		return errSameCredential
	}
	t.heir, t.link = nil, l
	clear(t.sendings)
	l.recognized, l.usefulAt = true, now
	if len(t.attached) > 0 {
		t.retain(old, now)
	} else {
		old.cancel()
	}
	return nil
}

// notReplaced notes that a link that was to replace another one is of no use. mu is held.
func (t *transport) notReplaced(l *link, err error, now time.Time) {
	t.heir = nil
	l.replaces.renewAt = nextRenewal(now, l.replaces.conn.Ends())
	if !t.closed {
		t.journal.write(func(log *slog.Logger) {
			log.Warn("connection not renewed", "endpoint", l.endpoint, "ends", l.replaces.conn.Ends(), "err", err)
		})
	}
	wake(t.kick)
}

// establish opens a link's stream, and has it take the place of the one that it replaces, if any.
func (l *link) establish() (grpc.BidiStreamingClient[dlmv1.StreamRequest, dlmv1.StreamResponse], error) {
	dialing := time.AfterFunc(l.limit, l.cancel)
	stream, err := dlmv1.NewLockServiceClient(l.conn).Stream(l.ctx)
	if err == nil && l.replaces != nil {
		err = l.prove(stream)
	} else if err != nil {
		err = rpcError(err)
	}
	if !dialing.Stop() {
		return nil, fmt.Errorf("no connection within %v", l.limit.Round(time.Millisecond))
	}
	if err == nil && l.replaces != nil {
		err = l.t.replace(l)
	}
	return stream, err
}
