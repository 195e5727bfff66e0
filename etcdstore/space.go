package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
)

// Etcd raises its alarm, and refuses every put from then on, when its file would exceed the quota:
// the file, of which it only knows how many pages it has ever used. Free pages in it are used
// again, but by what fits into them, so that the file may also grow while half of it is free. And
// it does not shrink. So neither number tells by itself what there is room for:
//
//   - by what is in use, a file in pieces reaches the quota with a third of it free;
//   - by the file, a store whose history is compacted would be full until the file is rewritten
//     (see defragment.go), which cannot be done all the time.
//
// So both are asked for, and to either is added what is certainly coming: what was put since, and
// what the sections that are open or published will put once more when they are folded. As if none
// of that fitted into a free page, it has to find room behind the end of the file. As long as it
// does fit, the file does not grow, and there is room for the next.
//
//	the file                            quota
//	├──── in use ────┬─ free ─┬ coming ┬──┤
//	                          80 % for records, 90 % for locks and sessions, the rest for endings
//
// Etcd is asked every few seconds, and again as soon as a good part of what was left may have been
// used up. Other servers do the same, and none knows what is coming from the others: so each takes
// its share. Each member of an embedded etcd is one server; with an external one, three are
// assumed.

// The parts of etcd's space quota, in percent, from which on new data is refused. Records stay, in
// files, while what a lock takes is history soon: locks go on when files have used up their part.
// The rest is for ending what there is. To release, fold and sweep also puts something, and at 100
// % etcd refuses every put.
const (
	refuseRecords = 80
	refuseLocks   = 90
	refuseFolds   = 98
	refuseGrowth  = 99 // anything, even if it might not make the file grow
	// The file may exceed that by as much as there are free pages in it, but for this part of the
	// quota, one in three: they may be too scattered to be of use.
	scattered = 3
)

const (
	spaceEvery     = 5 * time.Second
	spacePause     = 200 * time.Millisecond // before each look: etcd counts what it has written to its file, every 100 ms
	entryBytes     = 2 << 10                // about what a lock or a session takes, with its history
	entryMost      = 16 << 10               // what a value takes besides itself
	assumedServers = 3
)

// alarmed reports whether etcd's space alarm is raised, which is the same for all members.
func alarmed(st *clientv3.StatusResponse) bool {
	return slices.ContainsFunc(st.Errors, func(text string) bool { return strings.Contains(text, "NOSPACE") })
}

// space is what is known of etcd's room.
type space struct {
	ask chan struct{} // of size 1: to be looked at soon

	mu      sync.Mutex
	size    int64 // of the fullest member's file
	inUse   int64 // of that
	quota   int64 // 0: not known
	servers int64 // that are taken to share it
	put     int64 // and not seen by a look
	landed  int64 // of that, what has been answered
	entries int64 // of that, locks and sessions
	open    int64 // bytes of sections that are open
	folding int64 // of sections that are published and not folded
	pending map[string][]pendingFold
	full    bool  // as of the last look, for the log
	refused bool  // somebody, since the last look
	tight   bool  // history is to make room
	alarm   bool  // etcd's own is raised: it refuses every put
	dropped int64 // up to this revision history is dropped

	// Of the goroutine that looks.

	told  string           // of which endpoints the log last said that their files are loose
	again time.Time        // when the own member's file may be rewritten
	still stillness        // since when nothing was written
	turn  clientv3.LeaseID // of an earlier turn of this member to rewrite it that etcd may not know to be over; 0: none
}

// pendingFold is a section that is to be folded.
type pendingFold struct {
	token, bytes int64
}

func newSpace() *space {
	return &space{servers: assumedServers, ask: make(chan struct{}, 1), pending: map[string][]pendingFold{}}
}

// takes is about what a value takes of etcd's file, in pages that are seldom full.
func takes(bytes int64) int64 { return bytes + min(bytes/4, entryMost) + entryBytes }

// room is [ErrNoSpace] while there is none for a lock or a session. Otherwise it counts one. What
// is still to come of records is no reason to refuse it: they were taken with that in mind.
func (s *Store) room() error {
	p := s.space
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.noLocks() {
		return p.refuse()
	}
	p.entries += entryBytes
	p.count(entryBytes)
	p.landed += entryBytes // soon enough
	return nil
}

// roomFor is [ErrNoSpace] if there is no room for a record, and for folding it. Otherwise it counts
// it: until some time after its answer, of which hadRoom tells.
func (s *Store) roomFor(r Record) error { return s.roomForBytes(int64(len(r.Data))) }

// roomForBytes is roomFor for data of so many bytes. What has none may be a removal, or a cut, and
// is refused as a lock is: it is to make room.
func (s *Store) roomForBytes(n int64) error {
	return s.roomThen(n, func(p *space) { p.count(takes(n)) })
}

// lacksRoom is roomForBytes of what is not put yet, and not counted.
func (s *Store) lacksRoom(n int64) error { return s.roomThen(n, func(*space) {}) }

func (s *Store) roomThen(n int64, then func(*space)) error {
	open := s.usage.bytes()
	p := s.space
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = open
	if n == 0 && p.noLocks() || n > 0 && p.quota > 0 && p.left() < 2*p.servers*takes(n) {
		return p.refuse()
	}
	then(p)
	return nil
}

// hadRoom notes that a record is in etcd's file, or will not be.
func (s *Store) hadRoom(r Record) { s.hadRoomForBytes(int64(len(r.Data))) }

func (s *Store) hadRoomForBytes(n int64) { s.space.answered(takes(n)) }

// answered notes that something is put that was counted, or will not be.
func (p *space) answered(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.landed += bytes
}

// refuse is the refusal of new data. mu is held.
func (p *space) refuse() error {
	p.refused = true
	p.soon()
	return p.why()
}

// refusals are why records, and locks and sessions, are refused as of the last look; nil: they are
// not.
func (p *space) refusals() (records, locks error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alarm || p.full {
		records = p.why()
	}
	if p.alarm || p.noLocks() {
		locks = p.why()
	}
	return records, locks
}

// noLocks reports whether there is no room for a lock or a session. mu is held.
func (p *space) noLocks() bool {
	return p.quota > 0 && min(p.quota*refuseLocks/100-p.inUse, p.growth(refuseLocks)) < p.entries+entryBytes
}

// why is why something is refused for space. mu is held.
func (p *space) why() error {
	if p.alarm {
		return commit.ErrAlarm
	}
	return fmt.Errorf("%w: of etcd's quota of %d MiB its file takes %d MiB, %d MiB of them in use, and up to %d MiB are about to be put: wait "+
		"until history is dropped, remove or cut files, or raise the quota", ErrNoSpace, p.quota>>20, p.size>>20, p.inUse>>20, p.coming()>>20)
}

// admitFold counts a step of a fold, unless etcd might raise its alarm for it. There is room for
// what this store has staged; but others stage as well.
func (p *space) admitFold(lock string, bytes int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.foldableNow(bytes); err != nil {
		return err
	}
	p.count(stepTakes(bytes))
	for i := range p.pending[lock] { // from here on it is counted as put
		f := &p.pending[lock][i]
		part := min(f.bytes, bytes)
		f.bytes -= part
		bytes -= part
		p.folding -= part
	}
	return nil
}

// foldable is [ErrNoSpace] while nothing can be folded, as far as is known.
func (p *space) foldable() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.foldableNow(0)
}

// foldableNow is foldable for a step. mu is held.
func (p *space) foldableNow(bytes int64) error {
	if p.alarm || p.quota > 0 && p.growth(refuseFolds) < p.put+stepTakes(bytes) {
		return p.refuse()
	}
	return nil
}

// stepTakes is about what a step of a fold takes of etcd's file.
func stepTakes(bytes int64) int64 { return bytes + bytes/8 + entryBytes }

// growth is by how much the file may grow, up to a percentage. With many free pages in it, it
// hardly will for what is small. mu is held.
func (p *space) growth(percent int64) int64 {
	if p.size-p.inUse > p.quota/10 {
		percent = refuseGrowth
	}
	return p.quota*percent/100 - p.size
}

// left is how much there is room for, in records, besides what is certainly coming. mu is held.
func (p *space) left() int64 {
	unused := max(0, p.size-p.inUse-p.quota/scattered)
	room := min(p.quota*refuseRecords/100-p.inUse, p.quota*refuseRecords/100-p.size+unused, p.growth(refuseGrowth))
	return room - p.coming()
}

// coming is what is certainly going to be put, or has been since the last look. mu is held.
func (p *space) coming() int64 {
	toFold := p.open + p.folding
	return p.servers * (p.put + toFold + toFold/4)
}

// count counts what is put. It has etcd asked again when a part of what was left is used up. mu is
// held.
func (p *space) count(bytes int64) {
	p.put += bytes
	if p.put > p.left()/8 {
		p.soon()
	}
}

// puts counts an entry that is put without being asked for room.
func (p *space) puts() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count(entryBytes)
	p.landed += entryBytes
}

func (p *space) soon() {
	select {
	case p.ask <- struct{}{}:
	default:
	}
}

// published notes that the bytes of a section are to be folded.
func (p *space) published(lock string, token, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending[lock] = append(p.pending[lock], pendingFold{token, bytes})
	p.folding += bytes
}

// folded notes that sections are folded, up to a token.
func (p *space) folded(lock string, token int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var rest []pendingFold
	for _, f := range p.pending[lock] {
		if f.token > token {
			rest = append(rest, f)
			continue
		}
		p.folding -= f.bytes
	}
	if len(rest) == 0 {
		delete(p.pending, lock)
	} else {
		p.pending[lock] = rest
	}
}

// scarce reports whether history is in the way of new data.
func (p *space) scarce() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tight
}

// awaitRoom counts a step of a fold. If there seems to be no room for it, it waits for a few looks:
// what is counted meanwhile is more than what is there.
func (s *Store) awaitRoom(ctx context.Context, lock string, bytes int64) error {
	for range 2 * time.Second / spacePause {
		err := s.space.admitFold(lock, bytes)
		if err == nil || errors.Is(err, commit.ErrAlarm) {
			return err
		}
		timer := time.NewTimer(spacePause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
	return s.space.admitFold(lock, bytes)
}

// watchSpace looks at etcd's space now and then, and when it is asked to.
func (s *Store) watchSpace() {
	s.lookAtSpace(0, 0) // and nothing more: clients are just coming back
	timer := time.NewTimer(spaceEvery)
	defer timer.Stop()
	for {
		select {
		case <-s.space.ask:
		case <-timer.C:
		case <-s.ctx.Done():
			return
		}
		s.space.mu.Lock()
		landed, entries := s.space.landed, s.space.entries
		s.space.mu.Unlock()
		timer.Reset(spacePause)
		select {
		case <-timer.C:
		case <-s.ctx.Done():
			return
		}
		if s.Serving() {
			s.tighten(s.lookAtSpace(landed, entries))
		}
		timer.Reset(spaceEvery)
	}
}

// lookAtSpace asks how full etcd is. The fullest member counts, since each has its own file and
// refuses for all. landed and entries are in its file by now. It returns the endpoints of the
// members whose files are loose.
func (s *Store) lookAtSpace(landed, entries int64) (looseAt []string) {
	p := s.space
	ctx, cancel := context.WithTimeout(s.ctx, probeTimeout)
	defer cancel()
	p.mu.Lock()
	refused, dropped := p.refused, p.dropped
	p.mu.Unlock()
	var size, inUse, quota, rev int64
	var alarm bool

	for endpoint, st := range s.statuses(ctx) {
		alarm = alarm || alarmed(st)
		if st.DbSizeQuota <= 0 {
			continue // an etcd too old to know its quota refuses by itself
		}
		if q := st.DbSizeQuota; quota == 0 ||
			float64(max(st.DbSizeInUse, st.DbSize-q/10))/float64(q) > float64(max(inUse, size-quota/10))/float64(quota) {
			size, inUse, quota = st.DbSize, st.DbSizeInUse, q
		}
		rev = max(rev, st.Header.GetRevision())
		if loose(st, refused) || refused && p.still.uncounted(st) {
			looseAt = append(looseAt, endpoint)
		}
	}
	slices.Sort(looseAt)
	p.still.look(rev, dropped, time.Now())
	if quota == 0 {
		return nil
	}
	open, servers := s.usage.bytes(), s.servers(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if servers > 0 {
		p.servers = servers
	}
	p.size, p.inUse, p.quota = size, inUse, quota
	p.put -= landed
	p.landed -= landed
	p.entries -= entries
	p.open = open
	full := p.left() <= 0
	p.tight, p.refused = full || p.refused, false
	if p.alarm != alarm {
		p.alarm = alarm
		if alarm {
			s.log.Error("only what puts nothing goes on", "err", commit.ErrAlarm, "file", size, "quota", quota)
		} else {
			s.log.Info("etcd's space alarm is disarmed", "file", size, "quota", quota)
		}
	}
	if p.full != full {
		p.full = full
		if full {
			s.log.Warn("etcd is nearly full: new data is refused", "used", inUse, "file", size, "quota", quota)
		} else {
			s.log.Info("etcd has room again", "used", inUse, "file", size, "quota", quota)
		}
	}
	return looseAt
}

// servers is how many servers are taken to share etcd's space; 0: not known now.
func (s *Store) servers(ctx context.Context) int64 {
	if s.local == nil {
		return assumedServers
	}
	members, err := s.etcd().MemberList(ctx)
	if err != nil {
		return 0
	}
	return int64(len(members.Members))
}
