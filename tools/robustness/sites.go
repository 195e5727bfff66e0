package main

// site is a place in the source at which rules are broken: old is there once, and becomes broken,
// in which mutated(name) reports whether the process is that mutant.
type site struct{ file, old, broken string }

// sites are all places.
func sites() []site {
	return []site{
		{"etcdstore/append.go", `	return append(s.guard(r.Lock, r.Token, c), op.Absent(record)),
`, `	guard = append(s.guard(r.Lock, r.Token, c), op.Absent(record))
	h := s.mirror.holder(r.Lock)
	switch {
	case mutated("append-without-guard"), mutated("append-guarded-by-memory") && h != nil && h.token == r.Token:
		guard = guard[len(guard)-1:]
	case mutated("append-twice"):
		guard = guard[:len(guard)-1]
	}
	return guard,
`},
		{"etcdstore/section.go", `	key := s.keys.lock(lock)
	if !c.alive {
`, `	key := s.keys.lock(lock)
	switch {
	case mutated("guard-without-token"):
		return []*pb.Compare{op.HeldOn(key, c.lease)}
	case mutated("guard-without-session"):
		return []*pb.Compare{op.ModifiedAt(key, token)}
	}
	if !c.alive {
`},
		{"etcdstore/section.go", `	if sec.Appended && !sec.Withheld {
`, `	if mutated("release-without-guard") {
		e.guard = nil
	}
	if mutated("publish-apart") && sec.Appended && !sec.Withheld {
		e.apart, e.publishes, e.bytes = s.marker(c, sec), true, s.usage.bytesOf(sec.Lock, sec.Token)
	} else if sec.Appended && !sec.Withheld && !mutated("release-without-marker") {
`},
		{"etcdstore/ending.go", `	bytes     int64           // of that, as far as this store knows
`, `	bytes     int64
	apart     []*pb.RequestOp
`},
		{"etcdstore/ending.go", `	if e.publishes {
		s.publish(`, `	if len(e.apart) > 0 {
		s.engine.Submit(commit.Txn{Then: e.apart}, func(*pb.TxnResponse, error) {})
	}
	if mutated("sweep-blindly") && e.publishes {
		s.sweeps.add(sectionKey{e.lock, e.token})
	}
	if e.publishes {
		s.publish(`},
		{"etcdstore/section.go", `		Then:  []*pb.RequestOp{op.PutOn(c.lease, lock, value)},
`, `		Then:  putsUnless(mutated("commit-keeps-token"), op.PutOn(c.lease, lock, value)),
`},
		{"etcdstore/section.go", `	if sec.Appended {
		e.note.Why = discarded
`, `	if sec.Appended && !mutated("discard-without-note") {
		e.note.Why = discarded
`},
		{"etcdstore/section.go", `		guard: []*pb.Compare{op.ModifiedAt(s.keys.lock(lock), token)},
		then:  s.note(lock, token, note),
`, `		guard: evictGuard(s.keys.lock(lock), token),
		then:  evictNote(s.note(lock, token, note)),
`},
		{"etcdstore/section.go", `	err := s.truth(ctx, c, sec)
`, `	err := s.truth(ctx, c, sec)
	if mutated("truth-says-success") && errors.Is(err, ErrLockExpired) {
		err = nil
	}
`},
		{"etcdstore/evidence.go", `	return s.truthAtEnd(ctx, c, sec, now)
`, `	if mutated("truth-forgets") {
		return notOwn(sec)
	}
	return s.truthAtEnd(ctx, c, sec, now)
`},
		{"etcdstore/evidence.go", `	return len(marker.Value) == 0 ||`, `	return mutated("marker-of-anybody") || len(marker.Value) == 0 ||`},
		{"etcdstore/acquire.go", `	} else if vacant {
		a.grant(since)
	} else {
`, `	} else if vacant || grantsAnyhow(s, a.lock) {
		a.grant(since)
	} else {
`},
		{"etcdstore/acquire.go", `a.s.mirror.vacant(a.lock); !vacant {
`, `a.s.mirror.vacant(a.lock); !vacant && !grantsAnyhow(a.s, a.lock) {
`},
		// Harmless by itself: promote passes it on. But so the lock is free for a moment.
		{"etcdstore/section.go", `	p := s.passTo(s.heir(sec.Lock, nil), sec.Lock)
`, `	p := s.passTo(s.heir(sec.Lock, nil), sec.Lock)
	if mutated("grant-past-the-queue") || mutated("promote-a-held-lock") || mutated("publish-past-the-queue") {
		p = s.passTo(nil, sec.Lock)
	}
`},
		{"etcdstore/entry.go", `	return []*pb.Compare{op.Absent(e.keys.lock(e.lock)), op.ModifiedBy(e.keys.waited(e.lock), since)}
`, `	switch {
	case mutated("grant-of-a-held-lock"):
		return nil
	case mutated("grant-past-the-queue"):
		return []*pb.Compare{op.Absent(e.keys.lock(e.lock))}
	}
	return []*pb.Compare{op.Absent(e.keys.lock(e.lock)), op.ModifiedBy(e.keys.waited(e.lock), since)}
`},
		{"etcdstore/entry.go", `	return []*pb.Compare{op.Absent(e.keys.lock(e.lock)), op.Empty(e.keys.queue(e.lock))}
`, `	if mutated("grant-past-the-queue") {
		return []*pb.Compare{op.Absent(e.keys.lock(e.lock))}
	}
	return []*pb.Compare{op.Absent(e.keys.lock(e.lock)), op.Empty(e.keys.queue(e.lock))}
`},
		{"etcdstore/entry.go", `	t.If = []*pb.Compare{op.NotHeldOn(e.keys.lock(e.lock), e.lease), op.Absent(c.key)}
`, `	t.If = []*pb.Compare{op.NotHeldOn(e.keys.lock(e.lock), e.lease), op.Absent(c.key)}
	if mutated("place-beside-a-hold") {
		t.If = t.If[1:]
	}
`},
		{"etcdstore/acquire.go", `	if a.repeatable = h != nil && h.session == a.session; a.repeatable {
`, `	if a.repeatable = h != nil && h.session == a.session && !mutated("place-beside-a-hold"); a.repeatable {
`},
		{"etcdstore/mirror_query.go", `		if w.created > m.rev {
			return false
		}
		if !skip[w.acquisition] {
			first = w
		}
		return first == nil
`, `		if w.created > m.rev && !mutated("pass-beyond-the-watch") {
			return false
		}
		if !skip[w.acquisition] {
			first = w
		}
		return first == nil || mutated("pass-to-the-last")
`},
		{"etcdstore/mirror.go", `	if w.created != o.created {
		return`, `	if w.created != o.created && !mutated("pass-by-name") {
		return`},
		// Harmless by itself: a watch may be late. But so what is remembered is wrong for longer.
		{"etcdstore/informer.go", `		case resp, ok := <-watch:
`, `		case resp, ok := <-watch:
			lateWatch()
`},
		{"etcdstore/pass.go", `	return pass{
		ifs:   []*pb.Compare{op.CreatedAt(place, w.created)},
`, `	ifs := []*pb.Compare{op.CreatedAt(place, w.created)}
	if mutated("pass-to-who-left") {
		ifs = nil
	}
	if mutated("pass-without-lease") {
		lease = 0
	}
	return pass{
		ifs:   ifs,
`},
		{"etcdstore/queue.go", `			If:    append([]*pb.Compare{op.Absent(s.keys.lock(lock))}, p.ifs...),
`, `			If:    promoteIfs(op.Absent(s.keys.lock(lock)), p.ifs),
`},
		{"etcdstore/queue.go", `	for s.mirror.waitedFor(lock) {
`, `	for s.mirror.waitedFor(lock) || mutated("promote-a-held-lock") {
`},
		{"etcdstore/queue.go", `	case holder != nil && holds(holder, a):
`, `	case holder != nil && holds(holder, a) && !mutated("cancel-unseen-grant"):
`},
		{"etcdstore/session.go", `	states, rev, err := s.states(ctx, c.id, unfinished)
	s.mirror.timed(states)
`, `	states, rev, err := s.states(ctx, c.id, unfinished)
	states = remembered(c.id, states)
	s.mirror.timed(states)
`},
		{"etcdstore/sweep.go", `		noted, err := s.get(ctx, s.keys.note(k.lock, k.token), clientv3.WithKeysOnly())
`, `		if mutated("sweep-blindly") {
			t.If = t.If[2:]
		}
		noted, err := s.get(ctx, s.keys.note(k.lock, k.token), clientv3.WithKeysOnly())
`},
		{"etcdstore/fold.go", `			guard = append(guard, op.ModifiedAt(key, f.rev))
`, `			if !mutated("fold-without-heads") {
				guard = append(guard, op.ModifiedAt(key, f.rev))
			}
`},
		{"etcdstore/fold.go", `		last = append(last, op.Delete(s.keys.marker(lock, sec.Token)), op`, `		if !mutated("fold-keeps-marker") {
			last = append(last, op.Delete(s.keys.marker(lock, sec.Token)))
		}
		last = append(last, op`},
		{"etcdstore/fold.go", `	var guard []*pb.Compare
	var files []string
`, `	if mutated("fold-out-of-order") {
		slices.Reverse(secs)
	}
	var guard []*pb.Compare
	var files []string
`},
		{"etcdstore/lane.go", `	return []*pb.Compare{op.ValueBelow(s.keys.applied(lock, id.Lane), id.number16())}
`, `	if mutated("publish-without-fresh") {
		return nil
	}
	return []*pb.Compare{op.ValueBelow(s.keys.applied(lock, id.Lane), id.number16())}
`},
		{"etcdstore/lane.go", `	return []*pb.Compare{op.Absent(s.keys.applied(lock, id.Lane)), op.ValueBelow(s.keys.forgotten(), hex16(id.Born+1))}
`, `	ifs := []*pb.Compare{op.Absent(s.keys.applied(lock, id.Lane)), op.ValueBelow(s.keys.forgotten(), hex16(id.Born+1))}
	if mutated("publish-though-forgotten") {
		return ifs[:1]
	}
	return ifs
`},
		{"etcdstore/lane.go", `		if horizon != nil && id.Born < upTo {
`, `		if horizon != nil && id.Born < upTo && !mutated("publish-though-forgotten") {
`},
		{"etcdstore/lane.go", `	case v.Withdrawn:
`, `	case v.Withdrawn && !mutated("withdrawn-as-published"):
`},
		{"etcdstore/publish.go", `p.lives()...)
	p.putLatest(&t)
`, `p.lives()...)
	p.putLatest(&t)
	t.SharedIf = vacantIfs(t.SharedIf)
	t.Touch = unless(mutated("publish-without-latest"), t.Touch)
	if mutated("publish-beside-a-grant") {
		t.If, t.SharedIf, t.Shares = append(t.If, t.SharedIf...), nil, ""
	}
`},
		{"etcdstore/publish.go", `		If:    append(p.lives(), op.Absent(lock), op.Empty(s.keys.queue(args.Lock))),
`, `		If:    append(p.lives(), vacantIfs([]*pb.Compare{op.Absent(lock), op.Empty(s.keys.queue(args.Lock))})...),
`},
		{"etcdstore/publish.go", `		Touch: puts.Touch, Shares: lock,
`, `		Touch: unless(mutated("publish-without-latest"), puts.Touch), Shares: unless(mutated("publish-beside-a-grant"), lock),
`},
		{"etcdstore/publish.go", `func (p *publishing) slotFree() *pb.Compare { return op.Absent(p.key) }
`, `func (p *publishing) slotFree() *pb.Compare {
	if mutated("publish-into-a-taken-slot") {
		return op.ModifiedBy(p.key, 1<<62)
	}
	return op.Absent(p.key)
}
`},
		{"etcdstore/publish.go", `p.s.bundles.leave(p.args.Lock, p.slot, used)
`, `p.s.bundles.leave(p.args.Lock, p.slot, used && !mutated("publish-into-a-taken-slot"))
`},
		{"etcdstore/publish.go", `	return []*pb.RequestOp{
		op.Put(p.s.keys.applied(p.args.Lock, p.args.Lane), note.encode()),
		op.Put(p.key, encodeBundle(p.args.Operations)),
	}
`, `	puts := putsUnless(mutated("publish-without-note"), op.Put(p.s.keys.applied(p.args.Lock, p.args.Lane), note.encode()))
	return append(puts, op.Put(p.key, encodeBundle(p.args.Operations)))
`},
		{"etcdstore/publish.go", `	put := []*pb.RequestOp{op.Put(s.keys.applied(lock, id.Lane), note.encode())}
`, `	put := putsUnless(mutated("withdraw-without-note"), op.Put(s.keys.applied(lock, id.Lane), note.encode()))
`},
		{"etcdstore/publish.go", `	t.If, t.Then = append(t.If, op.ModifiedAt(key, p.state.latest)), append(t.Then, op.Put(key, ""))
`, `	if !mutated("condition-without-latest") {
		t.If = append(t.If, op.ModifiedAt(key, p.state.latest))
	}
	t.Then = append(t.Then, op.Put(key, ""))
`},
		{"etcdstore/condition.go", `		if known.latest != latest {
`, `		if known.latest != latest && (!mutated("conflict-from-memory") || known.meets(p.args.If)) {
`},
		{"etcdstore/turn.go", `		if told, err = p.unlessTold(ctx); err == nil && told == nil {
`, `		told, err = p.unlessTold(ctx)
		if mutated("finish-without-fresh") && told != nil && told.Outcome != Conflict {
			told = nil
		}
		if err == nil && told == nil {
`},
		{"etcdstore/turn.go", `	if !p.args.If.empty() {
		p.looks = 0
`, `	if !p.args.If.empty() && !mutated("finish-without-condition") {
		p.looks = 0
`},
		{"etcdstore/turn.go", `whole: p.fresh(),
`, `whole: freshUnless(mutated("finish-without-fresh"), p.fresh()),
`},
		{"etcdstore/turn.go", `		then:      append(records, op.Put(s.keys.applied(args.Lock, args.Lane), note.encode())),
`, `		then:      append(records, putsUnless(mutated("finish-without-note"), op.Put(s.keys.applied(args.Lock, args.Lane), note.encode()))...),
`},
		{"etcdstore/run.go", `r.slotFree()), r.fresh()...)
`, `r.slotFree()), freshUnless(mutated("run-without-fresh"), r.fresh())...)
`},
		{"etcdstore/run.go", `	places, lanes, bytes := s.mirror.firsts(lock, mostRun), map[Lane]bool{}, int64(0)
`, `	places, lanes, bytes := s.mirror.firsts(lock, mostRun), map[Lane]bool{}, int64(0)
	if mutated("run-past-a-waiter") {
		places = s.publishWaits.those(places)
	}
`},
		{"etcdstore/run.go", `	through := s.engine.Alone // a batch has no room for many
`, `	if mutated("run-beside-a-grant") {
		skip := map[acquisition]bool{}
		for _, r := range run {
			skip[r.place.acquisition] = true
		}
		if w := s.mirror.next(lock, skip); w != nil {
			p := s.passTo(w, lock)
			t.If, t.Then, t.Besides = append(t.If, p.ifs...), append(t.Then, p.then...), ""
		}
	}
	through := s.engine.Alone // a batch has no room for many
`},
		{"etcdstore/fold.go", `	if bundled || s.features.on(featurePublish) {
`, `	if (bundled || s.features.on(featurePublish)) && !mutated("fold-without-version") {
`},
		{"etcdstore/published.go", `	return cmp.Or(cmp.Compare(v.Token, other.Token), cmp.Compare(v.N, other.N))
`, `	if mutated("fold-bundles-by-slot") {
		return cmp.Compare(v.N, other.N)
	}
	return cmp.Or(cmp.Compare(v.Token, other.Token), cmp.Compare(v.N, other.N))
`},
		{"etcdstore/life.go", `	g.Token, g.N = by.Token, by.N
`, `	g.Token, g.N = by.Token, by.N
	if mutated("version-without-n") {
		g.N = 0
	}
`},
		{"etcdstore/life.go", `	case Remove:
		if !g.exists() {
`, `	case Remove:
		if !g.exists() || mutated("fold-ignores-removals") {
`},
		{"etcdstore/life.go", `	g.Base, g.Start, g.Last = g.Size, g.Size, g.Size
`, `	if mutated("life-at-old-positions") {
		g.Size = g.Base
	}
	g.Base, g.Start, g.Last = g.Size, g.Size, g.Size
`},
		{"etcdstore/life.go", `		g.Life, g.LifeN = by.Token, by.N
`, `		if g.Life, g.LifeN = by.Token, by.N; mutated("life-without-n") {
			g.LifeN = 0
		}
`},
		{"etcdstore/life.go", `		g.Start = max(g.Start, g.Base+min(o.Offset, g.end()-g.Base))
`, `		if g.Start = max(g.Start, g.Base+min(o.Offset, g.end()-g.Base)); mutated("cut-without-base") {
			g.Start = max(g.was.Start, g.Base, min(o.Offset, g.end()))
		}
`},
		{"etcdstore/fold.go", `		if g.soils {
			last = append(`, `		if g.soils && !mutated("fold-without-garbage") {
			last = append(`},
		{"etcdstore/values.go", `func (g garbageValue) upTo() int64 { return max(g.Base, g.Upto-g.Chunk+1) }
`, `func (g garbageValue) upTo() int64 {
	if mutated("clean-one-too-many") {
		return max(g.Base, g.Upto-g.Chunk+1) + 1
	}
	return max(g.Base, g.Upto-g.Chunk+1)
}
`},
		{"etcdstore/files.go", `	case args.Life != Version{} && args.Life != p.Life:
`, `	case args.Life != Version{} && args.Life != p.Life && !mutated("pieces-of-any-life"):
`},
		// Harmless by itself: chunks are read after the head. But so they are cleaned meanwhile.
		{"etcdstore/files.go", `	data = make([]byte, 0, to-from)
`, `	data = make([]byte, 0, to-from)
	if mutated("read-what-is-cleaned") {
		time.Sleep(20 * time.Millisecond)
	}
`},
		{"etcdstore/files.go", `import (
	"context"
`, `import (
	"context"
	"time"
`},
		{"etcdstore/files.go", `	if at < to {
		return nil, true, notWhole(`, `	if at < to {
		return nil, !mutated("read-what-is-cleaned"), notWhole(`},
		{"etcdstore/files.go", `	f.next = Piece{Replaced: true}
`, `	f.next = Piece{Replaced: !mutated("tail-mixes-lives")}
`},
		{"etcdstore/condition.go", `		return lockFile{by, int64(len(o.Data))}
`, `		if mutated("condition-adds-up-lives") {
			return lockFile{by, f.size + int64(len(o.Data))}
		}
		return lockFile{by, int64(len(o.Data))}
`},
		{"client/unlock.go", `	e.err = err
	if errors.Is(err, ErrLockExpired) {
`, `	if mutated("sdk-success-without-evidence") && errors.Is(err, ErrLockExpired) {
		err = nil
	}
	e.err = err
	if errors.Is(err, ErrLockExpired) {
`},
		{"client/files.go", `				return api.Tail(`, `				if mutated("sdk-tail-of-any-life") {
					life = nil
				}
				return api.Tail(`},
		{"client/outbox.go", `		c.sent = now
		if !l.untaken {
			c.sends++
`, `		if a := c.message().GetAppend(); a != nil && c.sends > 0 && mutated("sdk-repeats-under-another-request") {
			a.Request += "0"
		}
		if p := c.message().GetPublish(); p != nil && c.sends > 0 && mutated("sdk-publishes-under-another-number") {
			p.Number++
		}
		c.sent = now
		if !l.untaken {
			c.sends++
`},
	}
}

// addition is a file that a package gets besides.
type addition struct{ imports, code string }

// added is what the sites need, by package.
func added() map[string]addition {
	return map[string]addition{
		"client": {},
		"etcdstore": {imports: `
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
`, code: `
func putsUnless(broken bool, put *pb.RequestOp) []*pb.RequestOp {
	if broken {
		return nil
	}
	return []*pb.RequestOp{put}
}

func unless(broken bool, key string) string {
	if broken {
		return ""
	}
	return key
}

func freshUnless(broken bool, fresh []*pb.Compare) []*pb.Compare {
	if broken {
		return nil
	}
	return fresh
}

// those are the places, of some, of publishes whose payload this store has.
func (ws *publishWaits) those(places []*mirrorWaiter) (own []*mirrorWaiter) {
	for _, w := range places {
		if len(ws.all([]*mirrorWaiter{w})) > 0 {
			own = append(own, w)
		}
	}
	return own
}

// vacantIfs are the compares of a publish that nobody holds its lock, and that nobody waits for it.
func vacantIfs(ifs []*pb.Compare) []*pb.Compare {
	switch {
	case mutated("publish-to-a-held-lock"):
		return ifs[1:]
	case mutated("publish-past-the-queue"):
		return ifs[:1]
	}
	return ifs
}

func evictGuard(lock string, token int64) []*pb.Compare {
	if mutated("evict-without-token") {
		return []*pb.Compare{op.Present(lock)}
	}
	return []*pb.Compare{op.ModifiedAt(lock, token)}
}

func evictNote(note []*pb.RequestOp) []*pb.RequestOp {
	if mutated("evict-without-note") {
		return nil
	}
	return note
}

func promoteIfs(free *pb.Compare, ifs []*pb.Compare) []*pb.Compare {
	if mutated("promote-a-held-lock") {
		return ifs
	}
	return append([]*pb.Compare{free}, ifs...)
}

func lateWatch() {
	for _, name := range []string{
		"append-guarded-by-memory", "pass-beyond-the-watch", "pass-to-who-left", "promote-a-held-lock", "cancel-unseen-grant",
		"publish-to-a-held-lock", "publish-past-the-queue",
	} {
		if mutation == name {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// grantsAnyhow reports whether a lock is granted whatever the mirror shows.
func grantsAnyhow(s *Store, lock string) bool {
	return mutated("grant-of-a-held-lock") || mutated("grant-past-the-queue") && s.mirror.holder(lock) == nil
}

var memory sync.Map // session → what its last heartbeat was told

// remembered is what the session's last heartbeat was told.
func remembered(session string, states []AcquisitionState) []AcquisitionState {
	if !mutated("heartbeat-from-memory") {
		return states
	}
	if before, ok := memory.Swap(session, states); ok {
		return before.([]AcquisitionState)
	}
	return states
}
`},
	}
}
