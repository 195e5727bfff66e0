package commit

import (
	"fmt"
	"time"

	"github.com/distributed-lock-manager/dlm/internal/turns"
)

// maxLooks bounds how many of those that wait are looked at for one batch.
const maxLooks = 8 * batchMembers

// lines is what waits for a batch. Each client stands in a line of its own, and they are served by
// turns, one transaction each: a client that asks for thousands costs the others a turn of theirs.
// As long as there are others, it has a quarter of a batch, for they wait for what is on its way.
// What is urgent stands in lines of its own, which have half of a batch before anything else does:
// so that a client's own flood cannot keep it from releasing.
//
// Nothing is looked at for each batch that waits for it. What must not share a batch with another
// one is parked by the key that both write, and of all that is parked by a key only the first is
// looked at again.
//
// It belongs to the goroutine of Run, but for the counts.
type lines struct {
	byOwner map[lineOwner]*line
	urgent  ring
	others  ring
	spare   []*line // that can be used again

	lately         [2]served // the two named clients who were served last
	oldest, newest *member   // of all that wait, linked in the order of arrival
	batch          int       // number of the batch that is filled
	looks          int       // that are left for it
}

type lineOwner struct {
	client string
	urgent bool
}

// line is what one owner waits for: first what is to run again, then what is parked, then the rest.
type line struct {
	owner  lineOwner
	again  turns.FIFO[*member]
	parked turns.FIFO[*parking]
	byKey  map[string]*parking
	rest   turns.FIFO[*member]

	batch  int // for which it was looked at last
	unseen int // parkings, the first ones, that were not looked at for it
	share  share
}

// share is what of a batch is taken up.
type share struct{ members, packs, bytes int }

// served is a client, and the batch in which it was served last.
type served struct {
	client string
	batch  int
}

// parking is what has to wait for another one that writes the same key.
type parking struct {
	key string
	turns.FIFO[*member]
}

// ring is the lines of a kind in which somebody waits, in the order of their turns.
type ring struct {
	now, next []*line // of this round, and those that have had their turn in it
	at        int     // in now
	stuck     []*line // no first one of which may join this batch
}

const (
	// latelyBatches is how long ago a client may have been served to count as one whom others hold
	// up.
	latelyBatches = 16

	keptLines    = 256  // that are empty
	keptLineRoom = 1024 // of such a line
)

// add has a transaction wait.
func (ls *lines) add(m *member) {
	ls.age(m)
	ls.of(m).rest.Push(m)
}

// age puts a transaction behind all that has arrived.
func (ls *lines) age(m *member) {
	m.older = ls.newest
	if m.older == nil {
		ls.oldest = m
	} else {
		m.older.newer = m
	}
	ls.newest = m
}

// repeat has transactions wait once more, each before what else its client waits for.
func (ls *lines) repeat(members []*member) {
	for _, m := range members {
		ls.of(m).again.Push(m)
	}
	for i := len(members) - 1; i >= 0; i-- {
		m := members[i]
		m.newer = ls.oldest
		if m.newer == nil {
			ls.newest = m
		} else {
			m.newer.older = m
		}
		ls.oldest = m
	}
}

// leave takes a transaction out of those that wait. Its line may still have it.
func (ls *lines) leave(m *member) {
	if m.older == nil {
		ls.oldest = m.newer
	} else {
		m.older.newer = m.newer
	}
	if m.newer == nil {
		ls.newest = m.older
	} else {
		m.newer.older = m.older
	}
	m.older, m.newer = nil, nil
	m.engine.queue.left(m)
}

// of finds or makes the line in which a transaction stands.
func (ls *lines) of(m *member) *line {
	owner := m.owner
	l := ls.byOwner[owner]
	if l != nil {
		return l
	}
	if n := len(ls.spare); n > 0 {
		l, ls.spare = ls.spare[n-1], ls.spare[:n-1]
	} else {
		l = &line{}
	}
	l.owner = owner
	ls.byOwner[owner] = l
	r := &ls.others
	if owner.urgent {
		r = &ls.urgent
	}
	r.now = append(r.now, l)
	return l
}

func (l *line) empty() bool { return l.again.Len()+l.parked.Len()+l.rest.Len() == 0 }

// retire forgets a line that is empty.
func (ls *lines) retire(l *line) {
	delete(ls.byOwner, l.owner)
	if len(ls.spare) < keptLines && l.rest.Cap() <= keptLineRoom {
		l.owner = lineOwner{}
		ls.spare = append(ls.spare, l)
	}
}

// fill makes a batch. Who is not to be tried is answered.
func (ls *lines) fill() *batch {
	b := newBatch()
	ls.batch++
	ls.looks = maxLooks
	ls.expire()
	ls.join(&ls.urgent, b, b.halfFull)
	ls.join(&ls.others, b, b.full)
	ls.join(&ls.urgent, b, b.full)
	ls.urgent.end()
	ls.others.end()
	return b
}

// expire answers what has waited for too long.
func (ls *lines) expire() {
	now := time.Now()
	for m := ls.oldest; m != nil && now.Sub(m.since) > Timeout; m = ls.oldest {
		m.expired = true
		ls.leave(m)
		m.tell(nil, notSent{fmt.Errorf("%w: etcd is too slow", ErrNoQuorum)})
	}
}

// join has one of each line join the batch, by turns, until it is full or nobody may.
func (ls *lines) join(r *ring, b *batch, full func() bool) {
	for ls.looks > 0 && !full() {
		l := r.turn()
		if l == nil {
			return
		}
		before := b.share()
		joined := ls.serve(l, b)
		if joined {
			ls.serves(l.owner.client)
			l.share.add(before, b.share())
		}
		switch {
		case l.empty():
			ls.retire(l)
		case joined && !(l.share.large() && ls.othersThan(l.owner.client)):
			r.next = append(r.next, l)
		default:
			r.stuck = append(r.stuck, l)
		}
	}
}

// serve has the first of a line join the batch that may. It reports whether there was one.
func (ls *lines) serve(l *line, b *batch) bool {
	if l.batch != ls.batch {
		l.batch, l.unseen, l.share = ls.batch, l.parked.Len(), share{}
	}
	for ls.looks > 0 {
		ls.looks--
		var p *parking
		from := &l.rest
		switch {
		case l.again.Len() > 0:
			from = &l.again
		case l.unseen > 0:
			p = l.parked.First()
			from = &p.FIFO
		case l.rest.Len() == 0:
			return false
		}
		m := from.First()
		if m.expired || m.abandoned.Load() {
			from.Pop()
			if !m.expired {
				ls.leave(m)
			}
			l.parkedOn(p, p != nil && p.Len() == 0)
			continue
		}
		if !b.hasRoom(m.Footprint) {
			return false
		}
		key, met := b.meet(m.Footprint)
		if met && p != nil {
			l.parkedOn(p, true)
			continue
		}
		from.Pop()
		if met {
			l.park(key, m)
			continue
		}
		l.parkedOn(p, true)
		ls.leave(m)
		if err := m.refused(); err != nil {
			m.tell(nil, err)
			continue
		}
		b.add(m)
		return true
	}
	return false
}

// serves notes that a client is served. What nobody is named for is in nobody's way.
func (ls *lines) serves(client string) {
	switch client {
	case "", ls.lately[0].client:
	case ls.lately[1].client:
		ls.lately[0], ls.lately[1] = ls.lately[1], ls.lately[0]
	default:
		ls.lately[0], ls.lately[1] = served{client: client}, ls.lately[0]
	}
	if client != "" {
		ls.lately[0].batch = ls.batch
	}
}

// othersThan reports whether another client was served lately. Its next transaction has to wait for
// the batch that is on its way then, however few are in the next one: so that nobody fills batches
// alone meanwhile.
func (ls *lines) othersThan(client string) bool {
	for _, s := range ls.lately {
		if s.client != "" && s.client != client && ls.batch-s.batch < latelyBatches {
			return true
		}
	}
	return false
}

func (s *share) add(before, after share) {
	s.members += after.members - before.members
	s.packs += after.packs - before.packs
	s.bytes += after.bytes - before.bytes
}

// large reports whether it is a quarter of a batch, in some respect.
func (s *share) large() bool {
	return s.members >= batchMembers/4 || s.packs >= batchPacks/4 || s.bytes >= batchBytes/4
}

// park has a transaction wait for another one that writes a key.
func (l *line) park(key string, m *member) {
	p := l.byKey[key]
	if p == nil {
		p = &parking{key: key}
		if l.byKey == nil {
			l.byKey = map[string]*parking{}
		}
		l.byKey[key] = p
		l.parked.Push(p)
	}
	p.Push(m)
}

// parkedOn goes on behind a parking, the first of those that were not seen, once it is seen; nil:
// it was none.
func (l *line) parkedOn(p *parking, seen bool) {
	if p == nil || !seen {
		return
	}
	l.parked.Pop()
	l.unseen--
	if p.Len() > 0 {
		l.parked.Push(p)
	} else {
		delete(l.byKey, p.key)
	}
}

// turn is the line whose turn it is; nil: none may join any more.
func (r *ring) turn() *line {
	if r.at == len(r.now) {
		r.now, r.next = r.next, r.now[:0]
		r.at = 0
	}
	if r.at == len(r.now) {
		return nil
	}
	l := r.now[r.at]
	r.at++
	return l
}

// end ends the turns of a batch. The next one begins with those that had none, then with those
// whose first had to wait for another one.
func (r *ring) end() {
	n := copy(r.now, r.now[r.at:])
	clear(r.now[n:])
	r.now = append(append(r.now[:n], r.stuck...), r.next...)
	clear(r.stuck)
	clear(r.next)
	r.stuck, r.next, r.at = r.stuck[:0], r.next[:0], 0
}
