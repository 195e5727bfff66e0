package etcdstore

import (
	"slices"
	"sync"
	"time"
)

// Limits and defaults. Names and other texts have bounds of their own, from [MaxLockName] on.
const (
	DefaultTTL = 10 * time.Second // a session's TTL when none is asked for
	MinTTL     = 2 * time.Second  // the least that may be asked for
	MaxTTL     = 10 * time.Minute // the most that may be asked for
	MaxWait    = 24 * time.Hour   // the longest bounded wait
	MinHold    = time.Second      // the shortest hold deadline
	MaxHold    = 24 * time.Hour   // the longest

	MaxRecord       = 1 << 20  // bytes of one record
	MaxSection      = 64 << 20 // bytes of one section
	MaxSectionFiles = 100      // files one section may touch
	MaxRead         = 1 << 20  // bytes of one Read or one piece of a Tail
	MaxPage         = 1000     // entries of one page of a listing, and waiters of one Inspect
	MaxUnfinished   = 1000     // acquisitions one heartbeat may name
	MaxLast         = 16       // appends that one Release or Commit may name

	listedWaiters = 10 // waiters of each lock that List shows
)

// WaitForever is the Wait of an acquisition that stays in the queue until it is granted or
// cancelled, or its session ends.
const WaitForever time.Duration = -1

// InitArgs are the arguments of [Store.Init].
type InitArgs struct {
	TTL   time.Duration // 0: DefaultTTL
	Label string        // for people, at most MaxLabel bytes
	Link  *Link         // by which the call came; nil: by none
	Seen  Seen          // what the client has seen of a cluster
	// Linger is how long the session outlives its attachment, from when the client's side has
	// closed the link: MinLinger to the TTL. 0: it lives its TTL, whatever becomes of the link.
	Linger time.Duration

	TakesLost bool // the client takes the session's losses over Link
}

// Session is what a client gets from [Store.Init].
type Session struct {
	ID         string        // the public half, which others see: the lease id, 16 hex digits
	Credential string        // ID and a secret, with a dot between them: whoever has it, and is its owner, is the session
	TTL        time.Duration // as granted, in whole seconds
	Revision   int64         // at which it was begun
	Cluster    string        // its id; empty: it has none
}

// HeartbeatArgs are the arguments of [Store.Heartbeat].
type HeartbeatArgs struct {
	Credential string
	Highest    uint64        // the highest request number issued when the heartbeat was sent; 0: ends nothing
	Unfinished []Acquisition // what the client has not finished by then, at most MaxUnfinished
	Link       *Link         // by which the call came; nil: by none
	Seen       Seen          // what the client has seen of a cluster
	// Attachment is the number of the session's attachment to the link: 1 for that of its Init, one
	// more for each that the client moves to. 0: it attaches nothing.
	Attachment uint64
	TakesLost  bool // the client takes the session's losses over Link
}

// Renewal is what a client gets from [Store.Heartbeat].
type Renewal struct {
	TTL      time.Duration      // from when the heartbeat was sent
	States   []AcquisitionState // of what was listed as unfinished, in that order
	Revision int64              // as of which they were read, the earliest if they were read in parts; 0: none were read
	Cluster  string             // its id; empty: it has none
	// Attachment is the number that is recorded. Lower than the one that was asked for: etcd is too
	// full to record it. 0: the session does not linger.
	Attachment uint64
}

// Acquisition names one attempt to get one lock within a session. What is asked under the same
// Request is a repeat of it; another attempt needs a Request that the session has not used yet.
//
// A client that numbers its requests upwards, in decimal, has what it forgot ended by its
// heartbeats: see [Store.Heartbeat]. A Request that is no such number is never ended by one.
type Acquisition struct {
	Lock    string
	Request string
}

// State is what an acquisition is at one revision.
type State int

// The states of an acquisition.
const (
	None    State = iota // neither holds nor waits
	Waiting              // in the lock's queue
	Holding              // holds the lock
)

// AcquisitionState is the state of one acquisition.
type AcquisitionState struct {
	Acquisition
	State State
	Token int64 // 0 unless Holding

	HoldLeft time.Duration // how much longer it may hold; 0: for ever, it does not hold, or this store does not know
}

// Outcome is what became of an attempt to acquire.
type Outcome int

// The outcomes of [Store.Acquire].
const (
	Granted   Outcome = iota + 1
	Busy              // not within the wait; nothing of the attempt is left
	Cancelled         // given up by Cancel or by a heartbeat; nothing of the attempt is left
)

// AcquireArgs are the arguments of [Store.Acquire].
type AcquireArgs struct {
	Credential string
	Acquisition
	Wait  time.Duration // WaitForever, 0 = not at all, at most MaxWait
	Label string        // for people, at most MaxLabel bytes; empty: the session's
	// Hold has it evicted when it has held the lock for so long, counted from the grant and over
	// commits, MinHold to MaxHold. 0: never, unless [Store.LimitHolds] says otherwise.
	Hold time.Duration
}

// Grant is what came of an attempt to acquire that did not fail.
type Grant struct {
	Outcome     Outcome
	Token       int64         // 0 unless Granted
	Holder      *Holder       // Busy: who held the lock; nil: nobody just then
	HoldLeft    time.Duration // Granted: how much longer it may hold; 0: for ever
	Position    int           // Busy: the place it had or would have had, from 1
	QueueLength int           // Busy: how many others waited
}

// Section names one section for [Store.Release], [Store.Commit] and [Store.Discard].
type Section struct {
	Credential string
	Lock       string
	Token      int64 // as granted

	// Appended: at least one append was sent in the section, whatever became of it. The store takes
	// the client's word and does not look. If it is false and something was staged, that is not
	// published.
	Appended bool

	// Last are requests of appends that were answered in the section: of those that were answered
	// over one connection, the one whose answer has the highest revision. At most MaxLast; empty:
	// none is looked for. For [Store.Release] and [Store.Commit].
	Last []string

	// Withheld: the caller may not publish any more. For [Store.Release]: if something is staged,
	// it is [ErrWithheld].
	Withheld bool
}

// Record is one operation that is staged, an append unless Kind says otherwise.
type Record struct {
	Credential string
	Lock       string
	Token      int64  // of the section
	Request    string // unique within the session; the same for a repeat
	File       string
	Kind       OperationKind
	Data       []byte // at most MaxRecord
	Offset     int64  // see [Operation]
	Number     uint64 // records are read in this order; those with the same number, such as 0, as stored
}

// Holder is who holds a lock.
type Holder struct {
	Session string // public id
	Request string
	Label   string
	Owner   string // in whose name its session was begun; empty: in nobody's, or an earlier server has handed the lock on
	Token   int64
	Since   time.Time // by the granting server's clock: for eyes only
	// Deadline is when it is evicted, by the same clock; zero: never.
	Deadline time.Time

	// LeaseLeft is how long its session lives on if no heartbeat comes any more, and HeartbeatAge
	// how long ago the last one came: for eyes only. Negative: this server does not know. What it
	// knows may be two seconds old, and a session that has just moved to another server may look
	// as it did here. Inspect, List and Describe only.
	LeaseLeft, HeartbeatAge time.Duration
}

// Waiter is one place in a queue.
type Waiter struct {
	Session string // public id
	Request string
	Label   string
	Owner   string    // in whose name its session was begun; empty: in nobody's
	Since   time.Time // by the queueing server's clock: for eyes only
	// Position is its place in the queue, from 1. 0: that of where it is listed.
	Position int
}

// LockInfo is a lock's state at one revision.
type LockInfo struct {
	Name        string
	Holder      *Holder  // nil: nobody
	Waiters     []Waiter // the first in line: up to MaxPage from Inspect, up to 10 from List
	QueueLength int      // how many wait in all
	Staged      int64    // how many records the holder has staged
	LastUndone  string   // why the last undone section still remembered was undone, and when; Inspect only
}

// File is what is known of one file.
type File struct {
	Lock  string
	Name  string
	Size  int64  // in bytes, with what was cut off
	Token int64  // of the last section published to it
	N     uint32 // which of that token: see [Version]
	Start int64  // the first offset that was not cut off
	// Life names what the file is from its making, or its replacement, to the next, or to its
	// removal: by the section that began it. Of a file that was made before there was the feature
	// "life" it has an N that no section has.
	Life Version
}

// ReadArgs are the arguments of [Store.Read].
type ReadArgs struct {
	Lock, File string
	Offset     int64   // of the first byte that is wanted
	Limit      int     // of bytes; 0, or more than MaxRead: MaxRead
	Life       Version // that the file must be in; zero: any
}

// TailArgs are the arguments of [Store.Tail].
type TailArgs struct {
	Lock, File string
	Offset     int64   // of the first byte that is wanted
	Life       Version // that the offset is of; zero: the first that there is
}

// Piece is a run of a file's bytes.
type Piece struct {
	Data   []byte
	Offset int64  // of Data in the file, in bytes
	Size   int64  // of the file at that moment, in bytes, with what was cut off
	Token  int64  // of the last section published to it
	N      uint32 // which of that token: see [Version]
	Start  int64  // the first offset that was not cut off
	Life   Version

	// What became of the file since the piece before, of [Store.Tail]. Such a piece may have no
	// data.

	Cut      bool // what is before Offset, and was not sent, was cut off
	Replaced bool // it is another life, and begins anew
	Removed  bool // there is no such file any more; Life and Offset are as they were
}

// Version is that of the last section published to the file.
func (f File) Version() Version { return Version{f.Token, f.N} }

// Version is that of the last section published to the file.
func (p Piece) Version() Version { return Version{p.Token, p.N} }

// EventType is what happened to a lock.
type EventType int

// The types of events.
const (
	EventWaiting   EventType = iota + 1 // an acquisition joined the queue
	EventGranted                        // an acquisition was granted the lock
	EventCommitted                      // the holder published its section and goes on under the next event's token
	EventReleased                       // the holder gave the lock up, by release or discard
	EventLost                           // the holder's session ended, or it was evicted
	EventLeft                           // a waiter left without the lock
)

// Event is one thing that happened to one lock. Session, Request, Label and Owner are of the
// acquisition that it happened to.
type Event struct {
	Type     EventType
	Lock     string
	Session  string
	Request  string
	Label    string
	Owner    string // as a [Holder] or a [Waiter] has it
	Token    int64  // 0: a waiter
	Revision int64  // several events may share one
	Reason   string // why, for Released, Lost and Left, where there is more to say
	Initial  bool   // describes the state at the start of the watch
}

// News is what a watcher is told at once: what happened, in order, or a part of the state at the
// start. Watchers who are told the same are told by one News, which must not be changed.
type News struct {
	Events []Event
	// Revision is up to where everything was told, these events included; later ones have a higher
	// one. 0: a part of the state, more of which follows. The state ends with News that have a
	// revision and no events.
	Revision int64

	once sync.Once
	form any
}

// Form returns what a function makes of the news. It is made once, for all who are told them.
func (n *News) Form(from func(*News) any) any {
	n.once.Do(func() { n.form = from(n) })
	return n.form
}

// Only is the news without the events that somebody may not see, up to the same revision.
func (n *News) Only(visible func(Event) bool) *News {
	first := slices.IndexFunc(n.Events, func(e Event) bool { return !visible(e) })
	if first < 0 {
		return n
	}
	events := slices.Clone(n.Events[:first])
	for _, e := range n.Events[first:] {
		if visible(e) {
			events = append(events, e)
		}
	}
	return &News{Events: events, Revision: n.Revision}
}

// after is what of the news is later than a revision; nil: nothing.
func (n *News) after(rev int64) *News {
	first := slices.IndexFunc(n.Events, func(e Event) bool { return e.Revision > rev })
	switch {
	case first < 0:
		return nil
	case first == 0:
		return n
	}
	return &News{Events: n.Events[first:], Revision: n.Revision}
}
