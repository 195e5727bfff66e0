package etcdstore

import (
	"runtime"
	"sync"
	"time"
)

// Observer is told what a store does, and what it sees happen, for metrics. Its methods are called
// from any goroutine, some with the mirror locked: they must neither block, nor take time, nor ask
// the store.
//
// Of a thing that happens once, one store of a cluster tells: the one that did it, or that heard of
// the session last. The exception is [EndElsewhere].
type Observer interface {
	// Acquired is that an acquire has ended that came to this store: its outcome, 0 if it failed,
	// and how long it took.
	Acquired(lock string, outcome Outcome, took time.Duration)
	// PublishEnded is that a publish has ended that came to this store: its outcome, 0 if it
	// failed.
	PublishEnded(lock string, outcome PublishOutcome)
	// Granted is that a transaction of this store has granted a lock.
	Granted(lock string)
	// HandedOver is that an end of a section has passed its lock on to a waiter, and how long that
	// took from when it was asked for.
	HandedOver(took time.Duration)
	// HoldEnded is that somebody holds a lock no more, how that came to be, and how long the lock
	// was held, by the servers' clocks. held < 0: that is not known.
	HoldEnded(lock string, how End, held time.Duration)
	// SessionEnded is that a session has ended, and how that came to be.
	SessionEnded(how End)
	// Committed is that etcd has answered a batch of so many transactions, or has not.
	Committed(transactions int, took time.Duration, err error)
}

// End is how a hold, or a session, came to its end.
type End int

// The ends of holds, and of sessions.
const (
	EndReleased  End = iota + 1 // by its holder
	EndDiscarded                // by its holder
	EndEvicted                  // by whoever called Evict
	EndDeadline                 // it was held for longer than it may be
	EndAbandoned                // its client does not know of it any more
	EndClosed                   // its session was closed by its client
	EndLingered                 // its session's client has left, and its linger was over
	EndRevoked                  // its session was ended by EndSessions
	EndExpired                  // its session was not renewed in time, and this store had heard of it last
	EndElsewhere                // its session has ended, by another store or as another's: that one tells why, if it still runs
)

func (e End) String() string {
	switch e {
	case EndReleased:
		return "released"
	case EndDiscarded:
		return "discarded"
	case EndEvicted:
		return "evicted"
	case EndDeadline:
		return "deadline"
	case EndAbandoned:
		return "abandoned"
	case EndClosed:
		return "closed"
	case EndLingered:
		return "lingered"
	case EndRevoked:
		return "revoked"
	case EndExpired:
		return "expired"
	case EndElsewhere:
		return "elsewhere"
	}
	return "unknown"
}

// end is what a section's note says of how it ended.
func (n noteValue) end() End {
	switch n.Why {
	case "":
		return EndReleased
	case discarded:
		return EndDiscarded
	case overdue:
		return EndDeadline
	case abandoned:
		return EndAbandoned
	}
	return EndEvicted
}

// nobody is told nothing.
type nobody struct{}

func (nobody) Acquired(string, Outcome, time.Duration) {}
func (nobody) PublishEnded(string, PublishOutcome)     {}
func (nobody) Granted(string)                          {}
func (nobody) HandedOver(time.Duration)                {}
func (nobody) HoldEnded(string, End, time.Duration)    {}
func (nobody) SessionEnded(End)                        {}
func (nobody) Committed(int, time.Duration, error)     {}

// heldFor is how long a lock was held that was granted at a time, in ms since 1970; 0: not known.
func heldFor(since int64) time.Duration {
	if since == 0 {
		return -1
	}
	return max(0, time.Since(fromMillis(since)))
}

// partings are why sessions are about to end, as far as this store ends them.
type partings struct {
	mu  sync.Mutex
	why map[string]End
}

func newPartings() *partings { return &partings{why: map[string]End{}} }

// begin notes why a session is about to be ended. An earlier reason is kept no more.
func (p *partings) begin(session string, why End) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.why[session] = why
}

// off notes that a session is not ended after all.
func (p *partings) off(session string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.why, session)
}

// take is why a session has ended; 0: not by this store.
func (p *partings) take(session string) End {
	p.mu.Lock()
	defer p.mu.Unlock()
	why := p.why[session]
	delete(p.why, session)
	return why
}

// parted is called for a session that has ended, and returns why it did, as far as that is known.
func (s *Store) parted(session string) End {
	silent := s.silences.forget(session)
	how := s.partings.take(session)
	switch {
	case how != 0:
	case silent:
		how = EndExpired
	default:
		how = EndElsewhere
	}
	s.observer.SessionEnded(how)
	return how
}

// Gauges is what a store knows at a moment, for metrics.
type Gauges struct {
	Classes  []ClassGauges // as [Store.Gauges] was asked for
	Sessions int           // of all stores

	SilentHolders int // sessions that this store heard of last, that hold something, and that have been silent for half of their TTL

	StagedBytes int64 // in open sections, by what came to this store
	Watchers    int   // watches and tails
	Pending     int   // transactions that wait for the next commit
	Folds       int   // locks with sections to fold, as far as this store knows
	Sweeps      int   // sections with records to delete, as far as this store knows
	Unfolded    int   // sections that this store has published in one call and that are not folded, as far as it knows
	Publishes   int   // that wait for the fold of what was published before them

	Quorum   bool  // etcd can commit
	Revision int64 // the highest that etcd has shown
	Lag      int64 // by how many revisions this store's own changes are ahead of its watch

	Space SpaceGauges
}

// ClassGauges are the gauges of one class of locks.
type ClassGauges struct {
	Held, Waiters          int
	OldestHold, OldestWait time.Duration // by the servers' clocks; 0: there is none
}

// SpaceGauges is how full etcd is, by its fullest member, as of the last look. The zero
// SpaceGauges: it is not known.
type SpaceGauges struct {
	Quota, File, Used int64   // in bytes
	Ratio             float64 // of what may be used, from 0 to 1, by which new data is refused
	Alarm             bool    // etcd's own is raised
}

// atOnce is how many locks are looked at before others have their turn at the mirror.
const atOnce = 256

// Gauges returns what the store knows now. A function says of each lock which of so many classes it
// belongs to; it must not ask the store. It takes some 10 ms for 100,000 locks, and holds nobody up
// for that: so what it returns is no state of one moment.
func (s *Store) Gauges(classes int, classOf func(lock string) int) Gauges {
	g := Gauges{
		Classes: make([]ClassGauges, classes), StagedBytes: s.usage.bytes(), Watchers: int(s.mirror.feed.takers.Load()), Pending: s.engine.Pending(),
		Folds: s.folds.len(), Sweeps: s.sweeps.len(), Quorum: s.health.Up(), Revision: s.seen.Highest(), Space: s.space.gauges(),
	}
	g.Unfolded, g.Publishes = s.bundles.gauges()
	m, now := s.mirror, time.Now()
	quiet := s.silences.quiet(now)
	m.mu.Lock()
	defer m.mu.Unlock()
	g.Sessions = len(m.sessions)
	for _, l := range m.ahead {
		g.Lag = max(g.Lag, l.rev-m.rev)
	}
	n := 0
	for name, l := range m.locks { // which may change meanwhile: then an entry may be missed
		if n++; n%atOnce == 0 {
			m.mu.Unlock()
			runtime.Gosched()
			m.mu.Lock()
		}
		c := &g.Classes[classOf(name)]
		if h := l.holder; h != nil {
			c.Held++
			c.OldestHold = max(c.OldestHold, now.Sub(fromMillis(h.Since)))
		}
		if w := l.queue.first(); w != nil {
			c.Waiters += l.queue.len()
			c.OldestWait = max(c.OldestWait, now.Sub(fromMillis(w.Since)))
		}
	}
	for _, session := range quiet {
		if sess := m.sessions[session]; sess != nil {
			for a := range sess.acqs {
				if state, _ := m.state(a); state == Holding {
					g.SilentHolders++
					break
				}
			}
		}
	}
	return g
}

// len is how many pieces are to be done.
func (b *backlog[K]) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.state)
}

// gauges are how many bundles there are, and how many publishes wait for room.
func (b *bundles) gauges() (unfolded, waiting int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.locks {
		unfolded += len(l.unfolded)
		waiting += len(l.waiting)
	}
	return unfolded, waiting
}

func (p *space) gauges() SpaceGauges {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quota == 0 {
		return SpaceGauges{Alarm: p.alarm}
	}
	unused := max(0, p.size-p.inUse-p.quota/scattered)
	return SpaceGauges{
		Quota: p.quota, File: p.size, Used: p.inUse, Alarm: p.alarm,
		Ratio: float64(max(p.inUse, p.size-unused)+p.coming()) / float64(p.quota),
	}
}

// Unserved is why the store cannot commit now; nil: it can, as far as is known.
func (s *Store) Unserved() error {
	if s.Serving() {
		return nil
	}
	return s.engine.Unserved()
}

// Short is why records, and why locks and sessions, are refused for want of space; nil: they are
// not.
func (s *Store) Short() (records, locks error) { return s.space.refusals() }
