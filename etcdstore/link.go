package etcdstore

import "time"

// Link is one stream of a client's, by which calls of several sessions may come. A call that was
// not sent over a stream has none: nil.
type Link struct {
	attachments

	tell func(Loss)

	// Guarded by the mirror's mu.

	sessions map[string]struct{} // whose losses it takes
	closed   bool
}

// Loss is that a hold is over, or a whole session: then Lock and Request are empty. With HoldLeft
// the hold is not over, and will be when that is.
type Loss struct {
	Session  string // public id
	Lock     string
	Request  string
	Revision int64 // as of which it is over; it says nothing of a token above that
	Reason   string
	HoldLeft time.Duration // until its deadline; 0: it is over
}

// NewLink makes a link for a new stream. tell is called with the losses of the sessions that asked
// for them over this link, until Close. It must not block, for others' calls wait behind it, and
// must not call the store. It may be called from any goroutine.
func (s *Store) NewLink(tell func(Loss)) *Link {
	return &Link{tell: tell, attachments: attachments{store: s}}
}

// Close ends the link. byPeer: the client's side has closed the stream, for certain; false: it
// broke, timed out, or this side ended it. The first call counts.
func (l *Link) Close(byPeer bool) {
	if l.store == nil {
		return
	}
	l.store.mirror.unsubscribe(l)
	l.close(byPeer)
}
