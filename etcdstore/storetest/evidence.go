package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// Judged is a subject with what the table needs beside it.
type Judged struct {
	Subject
	Etcd *clientv3.Client // of the etcd behind it
	// Hold keeps what is published of a lock from being folded, until release is called. nil: that
	// cannot be had.
	Hold func(t *testing.T, lock string) (release func())
}

// RunEvidence asks, of every section that can have come to be, every question that can be asked
// about it late, and holds the answer against what really happened. The questions are the
// combinations of
//
//   - how the section ended: see fates;
//   - what was in it: nothing, nothing though its client said so, records;
//   - what has happened since: nothing, all was tidied up, the lock passed on, the session ended;
//   - how much is still known: see memories;
//   - who asks: its holder, its holder about another lock, somebody with its session's id and
//     another secret, another session, another session that has ended;
//   - which call is made: release, commit, discard, with the last append named and without it;
//   - how often: its holder asks again.
//
// What must be answered is reckoned from what happened, and from whether anything is left that
// shows it: not from how a store finds out. open is called once for each memory; short: only for
// those without the notes.
func RunEvidence(t *testing.T, short bool, open func(t *testing.T) Judged) {
	for _, m := range memories() {
		if short && !m.dropped {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			e := &evidence{Judged: open(t), T: t, memory: m}
			e.build()
			e.judge()
		})
	}
}

// memory is how much is still known when the questions are asked.
type memory struct {
	name    string
	history since
	dropped bool // the notes are
}

// since is from when on etcd's history is kept.
type since int

const (
	always   since = iota // all is kept
	midway                // from between the grants and the ends
	afterEnd              // from after the ends
	now                   // none is
)

func memories() (all []memory) {
	for h, name := range []string{"everything", "the end", "what came after the end", "nothing"} {
		all = append(all, memory{name, since(h), false}, memory{name + ", notes dropped", since(h), true})
	}
	return all
}

// fate is how a section ended.
type fate int

const (
	held fate = iota // it has not
	released
	committed
	discarded
	evicted
	abandoned // evicted by a heartbeat
	expired   // its session ended
	byHand    // somebody deleted the lock's key
	fates
)

func (f fate) String() string {
	return [...]string{"held", "released", "committed", "discarded", "evicted", "abandoned", "expired", "deleted by hand"}[f]
}

// content is what was in a section.
type content int

const (
	nothing content = iota
	said            // nothing, but its client had to say that it appended
	records         // one, and another
	contents
)

func (c content) String() string { return [...]string{"nothing", "nothing but the word", "records"}[c] }

// aftermath is what has happened since the section ended.
type aftermath int

const (
	atOnce   aftermath = iota // nothing, if it can be helped
	tidied                    // folded or swept
	passedOn                  // that, and another session holds the lock
	closed                    // that, and its session has ended
	aftermaths
)

func (a aftermath) String() string {
	return [...]string{"at once", "tidied up", "passed on", "its session closed"}[a]
}

// past is one section, and what happened to it.
type past struct {
	*Held
	owner   *Client
	fate    fate
	content content
	after   aftermath
	next    *Held // after a commit: the section that follows
	over    bool  // the owner's session is
	free    func()
}

func (p *past) String() string {
	return fmt.Sprintf("%s, %s, %s", p.content, p.fate, p.after)
}

// evidence is one run of the table.
type evidence struct {
	Judged
	*testing.T
	memory memory
	pasts  []*past
	other  *Client // another session
	ended  *Client // one that has ended

	rows    int // questions
	unknown int // answers that were unknown
	lost    int // those that nobody can give any more
}

// build makes the past.
func (e *evidence) build() {
	e.Helper()
	e.other, e.ended = BeginFor(e.T, e, "other", etcdstore.MaxTTL), BeginFor(e.T, e, "ended", etcdstore.MaxTTL)
	for f := range fates {
		for c := range contents {
			for a := range aftermaths {
				switch {
				case a == atOnce && c != nothing && e.Hold == nil && f != held: // it would be tidied up meanwhile
				case a != atOnce && f == held, a == closed && f == expired:
				default:
					e.pasts = append(e.pasts, e.grant(f, c, a))
				}
			}
		}
	}
	grants := e.pass()
	for _, p := range e.pasts {
		e.end(p)
	}
	ends := e.pass()
	if err := e.CloseSession(Bounded(e.T), e.ended.Credential); err != nil {
		e.Fatalf("CloseSession: %v", err)
	}
	for _, p := range e.pasts {
		e.goOn(p)
	}
	if e.memory.dropped {
		for _, p := range e.pasts {
			if p.after != atOnce {
				e.drop("undone/" + p.Lock + "//" + token16(p.Token))
			}
		}
	}
	if rev := map[since]int64{midway: grants, afterEnd: ends, now: e.pass()}[e.memory.history]; rev > 0 {
		if _, err := e.Etcd.Compact(Bounded(e.T), rev); err != nil {
			e.Fatalf("compact to %d: %v", rev, err)
		}
	}
}

// grant makes a section, with what is in it.
func (e *evidence) grant(f fate, c content, a aftermath) *past {
	e.Helper()
	p := &past{owner: BeginFor(e.T, e, "owner", etcdstore.MaxTTL), fate: f, content: c, after: a, free: func() {}}
	lock := fmt.Sprintf("evidence/%d/%d/%d", f, c, a)
	if e.Hold != nil && a == atOnce {
		p.free = e.Hold(e.T, lock)
	}
	p.Held = p.owner.Acquire(lock)
	switch c {
	case nothing, contents:
	case said:
		p.Appended = true
	case records:
		p.owner.Append(p.Held, "f", "first;")
		p.owner.Append(p.Held, "f", "second;")
	}
	return p
}

// pass lets some revisions pass, and returns one of them.
func (e *evidence) pass() (rev int64) {
	e.Helper()
	for range 5 {
		resp, err := e.Etcd.Put(Bounded(e.T), "/elsewhere", "")
		if err != nil {
			e.Fatalf("put: %v", err)
		}
		rev = resp.Header.Revision - 2
	}
	return rev
}

// end ends a section.
func (e *evidence) end(p *past) {
	e.Helper()
	switch p.fate {
	case held, fates:
	case released:
		p.owner.Release(p.Held)
	case committed:
		p.next = p.owner.Commit(p.Held)
	case discarded:
		if published, err := e.Discard(Bounded(e.T), p.Section); published || err != nil {
			e.Fatalf("Discard(%s) = %v, %v", p, published, err)
		}
	case evicted:
		if out, err := e.Evict(Bounded(e.T), p.Lock, p.Token, "enough"); out == nil || err != nil {
			e.Fatalf("Evict(%s) = %v, %v", p, out, err)
		}
	case abandoned:
		Eventually(e.T, "a heartbeat to end "+p.String(), func() bool { // a store may not have heard of it
			p.owner.Heartbeat(p.owner.Requests())
			return HolderOf(e.T, e, p.Lock) == 0
		})
	case expired:
		lease, err := leaseOf(p.owner.ID)
		if err == nil {
			_, err = e.Etcd.Revoke(Bounded(e.T), lease)
		}
		if err != nil {
			e.Fatalf("revoke the lease of %s: %v", p, err)
		}
		p.over = true
	case byHand:
		if !e.drop("locks/" + p.Lock) {
			e.Fatalf("%s is not held", p)
		}
	}
}

// goOn makes what happens after the end.
func (e *evidence) goOn(p *past) {
	e.Helper()
	if p.after == atOnce {
		return
	}
	for _, left := range []string{"staged/", "commits/"} {
		if p.fate == byHand { // nobody hears of it, and what is left is found by a look once a minute
			break
		}
		Eventually(e.T, "nothing of "+p.String()+" under "+left, func() bool { return !e.there(left + p.Lock + "//") })
	}
	switch p.after {
	case atOnce, tidied, aftermaths:
	case passedOn:
		if p.next != nil {
			p.owner.Release(p.next)
			p.next = nil
		}
		e.other.Acquire(p.Lock)
	case closed:
		if err := e.CloseSession(Bounded(e.T), p.owner.Credential); err != nil {
			e.Fatalf("CloseSession: %v", err)
		}
		p.over, p.next = true, nil
	}
}

// there reports whether there is a key that begins so.
func (e *evidence) there(prefix string) bool {
	e.Helper()
	resp, err := e.Etcd.Get(Bounded(e.T), etcdstore.DefaultPrefix+prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		e.Fatalf("get %s: %v", prefix, err)
	}
	return resp.Count > 0
}

// drop deletes a key, and reports whether it was there.
func (e *evidence) drop(key string) bool {
	e.Helper()
	resp, err := e.Etcd.Delete(Bounded(e.T), etcdstore.DefaultPrefix+key)
	if err != nil {
		e.Fatalf("delete %s: %v", key, err)
	}
	return resp.Deleted > 0
}

func token16(token int64) string { return fmt.Sprintf("%016x", token) }

func leaseOf(session string) (id clientv3.LeaseID, err error) {
	_, err = fmt.Sscanf(session, "%x", &id)
	return id, err
}

// traces reports whether anything is left, outside of history, that shows what became of a section.
func (e *evidence) traces(p *past) bool {
	e.Helper()
	of := p.Lock + "//" + token16(p.Token)
	return e.there("commits/"+of) || e.there("undone/"+of) || e.there("staged/"+of+"/")
}

// who asks.
type who int

const (
	holder    who = iota
	elsewhere     // the holder, with its token, of a lock that nobody ever held
	stranger      // somebody who knows the session's id, and not its secret
	another       // another session
	anotherEnded
	askers
)

func (w who) String() string {
	return [...]string{"its holder", "its holder of another lock", "a stranger", "another session", "another session that has ended"}[w]
}

// which call is made.
type which int

const (
	release which = iota
	commit
	discard
	calling
)

func (w which) String() string { return [...]string{"Release", "Commit", "Discard"}[w] }

// truth is what an answer may say.
type truth int

const (
	success   truth = iota + 1 // published, or of its own ending; of a discard: it came too late
	refused                    // lock expired; of a discard: not published
	unknown                    // outcome unknown
	notItself                  // session expired: the secret is wrong
)

func (t truth) String() string {
	return [...]string{"", "success", "lock expired", "outcome unknown", "session expired"}[t]
}

// judge asks all there is to ask.
func (e *evidence) judge() {
	e.Helper()
	for _, p := range e.pasts {
		before := e.traces(p)
		for w := range askers {
			if w == holder && p.fate == held {
				continue // it would end it
			}
			for call := range calling {
				e.ask(p, w, call, nil, before)
				if w == holder {
					e.ask(p, w, call, nil, before)
				}
				if w == holder && len(p.Last) > 0 && call != discard {
					e.ask(p, w, call, p.Last, before)
				}
			}
		}
		if after := e.traces(p); after != before {
			e.Errorf("%s: traces of it %t before it was asked about, %t after: the run is not what it is meant to be", p, before, after)
		}
		if p.fate == held {
			if got := HolderOf(e.T, e, p.Lock); got != p.Token {
				e.Errorf("%s: held under %d; want still %d", p, got, p.Token)
			}
			p.owner.Release(p.Held)
		}
		p.free()
	}
	e.Logf("%d questions, %d of which nobody can answer", e.rows, e.lost)
	if e.unknown != e.lost {
		e.Errorf("%d answers are unknown; want %d", e.unknown, e.lost)
	}
	if kept := e.memory.history == always; kept != (e.lost == 0) || e.lost*4 > e.rows*3 {
		e.Errorf("of %d questions nobody can answer %d: the run does not show what it is to", e.rows, e.lost)
	}
}

// ask asks one question, and judges the answer.
func (e *evidence) ask(p *past, w who, call which, last []string, traces bool) {
	e.Helper()
	sec := p.Section
	sec.Last = last
	switch w {
	case holder, askers:
	case elsewhere:
		sec.Lock += "/never"
	case stranger:
		sec.Credential = p.owner.ID + "." + fmt.Sprintf("%032x", 1)
	case another:
		sec.Credential = e.other.Credential
	case anotherEnded:
		sec.Credential = e.ended.Credential
	}
	var err error
	var token, next int64
	published := false
	switch call {
	case release, calling:
		err = e.Release(Bounded(e.T), sec)
	case commit:
		token, err = e.Commit(Bounded(e.T), sec)
	case discard:
		published, err = e.Discard(Bounded(e.T), sec)
	}
	got := success
	switch {
	case errors.Is(err, etcdstore.ErrLockExpired), err == nil && call == discard && !published:
		got = refused
	case errors.Is(err, etcdstore.ErrOutcomeUnknown):
		got = unknown
		e.unknown++
	case errors.Is(err, etcdstore.ErrSessionExpired):
		got = notItself
	case err != nil:
		e.Errorf("%s: %s by %s: %v", p, call, w, err)
	}
	if p.next != nil && w == holder {
		next = p.next.Token
	}
	may := e.expect(p, w, call, traces)
	e.rows++
	if slices.Contains(may, unknown) {
		e.lost++
	}
	if !slices.Contains(may, got) || call == commit && got == success && token != next {
		e.Errorf("%s: %s by %s, last %q: %s, token %d (%v); want one of %s, and the token %d", p, call, w, last, got, token, err, may, next)
	}
}

// expect is what may be answered. It goes by what happened, and by what is left of it.
func (e *evidence) expect(p *past, w who, call which, traces bool) []truth {
	if call == discard && !p.Appended { // whatever became of it, there was nothing to publish
		if w == stranger && !p.over {
			return []truth{notItself}
		}
		return []truth{refused}
	}
	endKnown := e.memory.history < afterEnd || p.fate == held
	switch w {
	case elsewhere: // the token was never granted of that lock
		if e.memory.history == always {
			return []truth{refused}
		}
		return []truth{unknown}
	case another, anotherEnded: // nothing that they did was ever published under this token
		if endKnown || traces || p.next != nil {
			return []truth{refused}
		}
		return []truth{unknown}
	case stranger:
		if !p.over || e.memory.history == always {
			return []truth{notItself}
		}
		told := e.expect(p, holder, call, traces) // the session's record is forgotten, or was not asked
		if slices.Contains(told, unknown) {
			return told
		}
		return append(told, notItself)
	case holder, askers:
	}
	publishing := p.fate == released || p.fate == committed
	switch {
	case !endKnown && !traces && p.next == nil:
		return []truth{unknown}
	case publishing:
		return []truth{success}
	case p.content == nothing && (p.fate == discarded || p.fate == byHand):
		// Nothing was published, and there was nothing to publish: both are true. Nobody but a hand
		// leaves as little behind as a discard of nothing.
		return []truth{success, refused}
	}
	return []truth{refused}
}
