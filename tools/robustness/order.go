package main

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// Order is a second judge of what was published and read. It trusts nothing but the histories of
// the clients: of the watch of etcd it uses nothing, but the versions of what nobody was told of.
// It looks at locks whose files are only appended to. What they tell of one lock has to be what its
// files could have answered, if every publication and every read had happened at one moment between
// its call and its answer (linearizability, which porcupine decides), and if the versions of what
// was published had only risen.
//
// A publication is a section whose release, commit or publish was answered with success. One whose
// outcome no answer tells may have happened at any time after it was asked for, or never: of a
// worker that was killed not even the call is written down, so that is each section without a
// definite answer. A record whose append has no certain answer may be in its section, or not.
//
// After a restore the files have what they had at the snapshot, which no client knows: the first
// read tells. At most one section that was granted before is published after it, the snapshot's
// holder's; that is allowed to be any, once in each file.

// orderTimeout is how long the history of one lock may be looked at when a run is over.
const orderTimeout = 30 * time.Second

// extent is what a file holds.
type extent struct {
	known bool
	size  int64
	sum   uint32 // CRC-32
	old   bool   // a section of before the restore has come to it since
}

func (e extent) with(text string) extent {
	if e.known {
		e.size += int64(len(text))
		e.sum = crc32.Update(e.sum, crc32.IEEETable, []byte(text))
	}
	return e
}

// content is a state of the model: what the files of a lock hold.
type content struct {
	last  version // that was published last
	files [filesOfLock]extent
}

// texts is what a section adds to each file of its lock.
type texts [filesOfLock]string

// publish adds a section.
func (c content) publish(v version, t texts) content {
	c.last = v
	for i, text := range t {
		c.files[i] = c.files[i].with(text)
	}
	return c
}

// step is one operation of a lock's history: a publication, or a read.
type step struct {
	at        answer // that says that it was done
	called    int64
	returned  int64
	version   version // of a publication
	may       []texts // what the section may consist of
	file      int     // that was read
	size      int64
	sum       uint32
	published bool // rather than read
}

func (s *step) String() string {
	if s.published {
		return fmt.Sprintf("publish %v", s.version)
	}
	return fmt.Sprintf("read file %d: %d bytes, %08x", s.file, s.size, s.sum)
}

// lockHistory is what the clients tell of one lock between two restores.
type lockHistory struct {
	lock     string
	restored bool // it begins with a restore
	steps    []*step
	doubtful []*step // publications that may have happened, in the order of versions
	old      []*step // sections of before the restore
}

// begin is the state in which it begins.
func (h *lockHistory) begin() (c content) {
	for i := range c.files {
		c.files[i].known = !h.restored
	}
	return c
}

// next is every state that an operation may lead to.
func (h *lockHistory) next(c content, s *step) (states []content) {
	if !s.published {
		h.before(c, s, func(c content) {
			f := c.files[s.file]
			if !f.known {
				f.known, f.size, f.sum = true, s.size, s.sum
				c.files[s.file] = f
			}
			if f.size == s.size && f.sum == s.sum {
				states = append(states, c)
			}
		})
		return states
	}
	h.before(c, s, func(c content) {
		if s.version.compare(c.last) <= 0 {
			return
		}
		for _, t := range s.may {
			states = append(states, c.publish(s.version, t))
		}
	})
	return states
}

// before visits every state that the lock may be in when an operation happens: sections without a
// definite answer may have been published until then.
func (h *lockHistory) before(c content, s *step, visit func(content)) {
	h.withOld(c, func(c content) { h.withDoubtful(c, s, 0, visit) })
}

func (h *lockHistory) withDoubtful(c content, s *step, from int, visit func(content)) {
	if !s.published && c.files[s.file].known && c.files[s.file].size > s.size {
		return
	}
	visit(c)
	for i, d := range h.doubtful[from:] {
		if d.version.compare(c.last) <= 0 || d.called > s.returned || s.published && d.version.compare(s.version) >= 0 {
			continue
		}
		for _, t := range d.may {
			h.withDoubtful(c.publish(d.version, t), s, from+i+1, visit)
		}
	}
}

// withOld visits the state, and what it is with one of the sections of before the restore added to
// some files. One that is not known may have it already, and so may one that was read.
func (h *lockHistory) withOld(c content, visit func(content)) {
	visit(c)
	if c.last != (version{}) {
		return
	}
	for _, o := range h.old {
		for _, t := range o.may {
			for some := 1; some < 1<<filesOfLock; some++ {
				if to, can := c.withOld(t, some); can {
					visit(to)
				}
			}
		}
	}
}

// withOld adds a section of before the restore to some files, a bit for each.
func (c content) withOld(t texts, some int) (to content, can bool) {
	for i, text := range t {
		if some&(1<<i) == 0 {
			continue
		}
		if f := c.files[i]; !f.known || f.old || text == "" {
			return c, false
		}
		c.files[i] = c.files[i].with(text)
		c.files[i].old = true
	}
	return c, true
}

// model is what porcupine asks.
func (h *lockHistory) model() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{h.begin()} },
		Step: func(state, input, _ any) (states []any) {
			for _, c := range h.next(state.(content), input.(*step)) {
				states = append(states, c)
			}
			return states
		},
		Hash: func(state any) uint64 {
			c := state.(content)
			return uint64(c.last.Token)<<32 ^ uint64(c.last.N)<<48 ^ uint64(c.files[0].sum) ^ uint64(c.files[0].size)<<16
		},
		DescribeOperation: func(input, _ any) string { return input.(*step).String() },
		DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
	}
	return m.ToModel()
}

// operations are the steps as porcupine has them. Steps that overlap are drawn as different
// clients'.
func (h *lockHistory) operations() (all []porcupine.Operation) {
	slices.SortStableFunc(h.steps, func(a, b *step) int { return cmp.Compare(a.called, b.called) })
	var idle []int64 // since when each client is
	for _, s := range h.steps {
		client := slices.IndexFunc(idle, func(since int64) bool { return since < s.called })
		if client < 0 {
			client = len(idle)
			idle = append(idle, 0)
		}
		idle[client] = s.returned
		all = append(all, porcupine.Operation{ClientId: client, Input: s, Call: s.called, Return: s.returned, Metadata: s.at.String()})
	}
	return all
}

// order judges the histories of all locks, each for so long at most, and draws the first that is
// untrue into a file.
func (v *verdicts) order(answers []answer, epochs []*epoch, atMost time.Duration, path string) error {
	var failed error
	for _, h := range lockHistories(answers, epochs, v.facts) {
		model, ops := h.model(), h.operations()
		result, info := porcupine.CheckOperationsVerbose(model, ops, atMost)
		switch result {
		case porcupine.Ok:
			v.ordered += len(ops)
		case porcupine.Unknown:
			v.unordered += len(ops)
			v.void = append(v.void, fmt.Sprintf("the order of %s (%d calls) is not decided within %v", h.lock, len(ops), atMost))
		case porcupine.Illegal:
			v.disordered(h, info)
			if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
				failed = errors.Join(failed, porcupine.VisualizePath(model, info, path))
			}
		}
	}
	return failed
}

// disordered accuses a history of the first answer that has no place in it.
func (v *verdicts) disordered(h *lockHistory, info porcupine.LinearizationInfo) {
	longest := map[*step]bool{}
	for _, partial := range info.PartialLinearizationsOperations()[0] {
		if len(partial) <= len(longest) {
			continue
		}
		clear(longest)
		for _, op := range partial {
			longest[op.Input.(*step)] = true
		}
	}
	var first *step
	for _, s := range h.steps {
		if !longest[s] && (first == nil || s.returned < first.returned) {
			first = s
		}
	}
	if first == nil {
		first = h.steps[len(h.steps)-1]
	}
	v.accuseAs(byOrder, first.at, "no order of the calls explains it (%d of %d are explained; it says: %v)", len(longest), len(h.steps), first)
}

// clientSection is what the histories tell of one section.
type clientSection struct {
	sectionID
	granted time.Time        // when what was answered with its token was asked for
	appends map[int][]answer // by the record's number
	ends    []answer
}

// clientSections are all sections that clients tell of, by their own holders.
func clientSections(answers []answer) map[sectionID]*clientSection {
	all := map[sectionID]*clientSection{}
	section := func(lock string, token int64) *clientSection {
		id := sectionID{lock, token}
		if all[id] == nil {
			all[id] = &clientSection{sectionID: id, appends: map[int][]answer{}}
		}
		return all[id]
	}
	for _, a := range answers {
		if a.Other {
			continue
		}
		switch kind := a.kind(); kind {
		case callAcquire, callCommit:
			if a.Reason == ok && a.Got > 0 {
				s := section(a.Lock, a.Got)
				if s.granted.IsZero() || a.Asked.Before(s.granted) {
					s.granted = a.Asked
				}
			}
			if kind == callCommit {
				s := section(a.Lock, a.Token)
				s.ends = append(s.ends, a)
			}
		case callRelease, callDiscard:
			s := section(a.Lock, a.Token)
			s.ends = append(s.ends, a)
		case callAppend:
			if _, _, n, err := parseRecord(a.Data); err == nil {
				s := section(a.Lock, a.Token)
				s.appends[n] = append(s.appends[n], a)
			}
		}
	}
	for _, s := range all {
		for _, as := range s.appends {
			if s.granted.IsZero() { // as after a commit without an answer
				s.granted = as[0].Asked
			}
		}
	}
	return all
}

// may is every text that the section may have.
func (s *clientSection) may() []texts {
	all := []texts{{}}
	for _, n := range slices.Sorted(maps.Keys(s.appends)) {
		as := s.appends[n]
		sure := slices.ContainsFunc(as, func(a answer) bool { return a.Reason == ok })
		if !sure && !mayCome(as) && definitely(as[0].Reason) {
			continue
		}
		var without []texts
		if !sure {
			without = slices.Clone(all)
		}
		for i := range all {
			all[i][fileIndex(n)] += as[0].Data
		}
		all = append(all, without...)
	}
	return all
}

// definitely reports whether a refusal says that nothing was done.
func definitely(reason string) bool { return reason == "LOCK_EXPIRED" || reason == "DATA_LOSS" }

// outcome is what was answered within some time: that the section is published, or that it never
// will be.
func (s *clientSection) outcome(from, until time.Time) (done *answer, refused bool) {
	for _, a := range s.ends {
		if a.Answered.Before(from) || !a.Answered.Before(until) {
			continue
		}
		discards := a.kind() == callDiscard
		switch {
		case a.Reason == published, a.Reason == ok && !discards:
			if done == nil || a.Answered.Before(done.Answered) {
				done = &a
			}
		case definitely(a.Reason), discards && a.Reason == ok && a.Appended:
			refused = true
		}
	}
	return done, refused
}

// asked is when an end of the section was first asked for; if that is not written down, when the
// section was.
func (s *clientSection) asked() time.Time {
	first := s.granted
	for i, a := range s.ends {
		if i == 0 || a.Asked.Before(first) {
			first = a.Asked
		}
	}
	return first
}

// lockHistories are the histories of all locks, those of before and after a restore apart: what is
// asked before it and answered after it belongs to neither for certain.
func lockHistories(answers []answer, epochs []*epoch, all []*facts) (histories []*lockHistory) {
	sections, tells := clientSections(answers), publishesOf(answers)
	for i, e := range epochs {
		until, above := endOf(epochs, i), int64(math.MaxInt64)
		if i+1 < len(epochs) {
			above = epochs[i+1].since
		}
		of := map[string]*lockHistory{}
		history := func(lock string) *lockHistory {
			if of[lock] == nil {
				of[lock] = &lockHistory{lock: lock, restored: i > 0}
			}
			return of[lock]
		}
		for _, a := range answers {
			if a.Call == callRead && !hasLives(a.Lock) && a.Reason == ok && !a.Asked.Before(e.from) && a.Answered.Before(until) {
				h := history(a.Lock)
				h.steps = append(h.steps, &step{
					at: a, called: a.Asked.UnixNano(), returned: a.Answered.UnixNano(),
					file: max(0, slices.Index(fileNames(a.Lock), a.File)), size: a.Got, sum: a.Sum,
				})
			}
		}
		for _, s := range sections {
			if len(s.appends) > 0 && !hasLives(s.lock) && s.token <= above {
				history(s.lock).take(s, e, until)
			}
		}
		var f *facts
		if i < len(all) {
			f = all[i]
		}
		for _, p := range tells.in(e, until, f) {
			if !hasLives(p.lock) && p.version.Token > e.since && p.version.Token <= above {
				history(p.lock).takePublish(p)
			}
		}
		for _, lock := range slices.Sorted(maps.Keys(of)) {
			byVersion := func(a, b *step) int { return a.version.compare(b.version) }
			slices.SortFunc(of[lock].doubtful, byVersion)
			slices.SortFunc(of[lock].old, byVersion)
			histories = append(histories, of[lock])
		}
	}
	return histories
}

// take takes in a section, which was granted in an epoch or before it.
func (h *lockHistory) take(s *clientSection, e *epoch, until time.Time) {
	done, refused := s.outcome(e.from, until)
	one := &step{published: true, version: version{Token: s.token}, may: s.may(), called: s.asked().UnixNano()}
	switch {
	case s.token <= e.since:
		if h.restored && !refused {
			h.old = append(h.old, one)
		}
	case done != nil:
		one.at, one.returned = *done, done.Answered.UnixNano()
		h.steps = append(h.steps, one)
	case !refused:
		h.doubtful = append(h.doubtful, one)
	}
}

// kind is the call, by whichever API it was made.
func (a answer) kind() string { return strings.TrimPrefix(a.Call, viaCoursework) }
