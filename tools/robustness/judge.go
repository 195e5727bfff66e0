package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// verdicts is what judging a run has come to.
type verdicts struct {
	untrue  []accusation
	answers map[string]int // by call and reason
	checked int
	// Calls that were put in order, those for which that took too long, and which they are.
	ordered, unordered int
	void               []string
	// Writes to plain stores by commands of dlm lock, and how many of them were refused.
	written, refusedWrites int
	inOneCall              int      // sections that were published so, in the last epoch
	inTurn, inRuns         int      // those of them that waited for it, and those that were published in runs
	onConditions           int      // answers to publishes on conditions that are published
	pieces                 int      // of files that have lives, that were read and sent
	linked                 int      // links of the chain, in the last epoch
	facts                  []*facts // of each epoch, as far as nothing in one was impossible
	last                   *facts   // of the last epoch; nil: something in it was impossible
}

// accusation is something that may not be.
type accusation struct {
	checker, text string
	lock          string    // empty: of no lock in particular
	at            time.Time // zero: of no moment in particular
	answer        *answer   // that is untrue; nil: none in particular
}

// Checkers: what each of them looks at.
const (
	byAnswers     = "answers"     // what a call was answered
	byReads       = "reads"       // what was read of a file while it grew
	byTransitions = "transitions" // what etcd went through
	byFiles       = "files"       // what the files have in the end
	byOrder       = "order"       // what clients tell of one lock, by itself
	byCoursework  = "coursework"  // what the coursework's API answered
	byTrees       = "trees"       // what commands did under dlm lock
	byTails       = "tails"       // what was sent of files as they changed
	byChain       = "chain"       // what sections append to what they have read
	byRest        = "rest"        // what is left when everybody has gone
)

func (v *verdicts) accuse(a answer, why string, args ...any) {
	v.accuseAs(byAnswers, a, why, args...)
}

func (v *verdicts) accuseAs(checker string, a answer, why string, args ...any) {
	v.untrue = append(v.untrue, accusation{checker: checker, text: fmt.Sprintf(why, args...) + ": " + a.String(), lock: a.Lock, at: a.Answered, answer: &a})
}

// soon is how long after a section's end its outcome must be known, whatever was compacted.
const soon = 10 * time.Second

// judge holds all answers against what happened. Every epoch's answers are judged by what had
// happened in it: what a restore has undone was true until then. over says that nothing more is to
// come: what is held then is held for good.
func judge(answers []answer, epochs []*epoch, over bool) *verdicts {
	v := &verdicts{answers: map[string]int{}}
	slices.SortStableFunc(answers, func(a, b answer) int { return a.Answered.Compare(b.Answered) })
	discards := map[sectionID]bool{}         // of which a discard was asked for
	appends := map[sectionID][]answer{}      // that were acknowledged
	refused := map[string][]answer{}         // appends, by section and request: all their definite refusals
	acknowledged := map[string]bool{}        // appends
	busyOrCancelled := map[string][]answer{} // acquires
	for _, a := range answers {
		if a.Call == callDiscard && !a.Other {
			discards[sectionID{a.Lock, a.Token}] = true
		}
	}
	endings := askedEndings(answers)
	for i, e := range epochs {
		v.transitions(e, over && i == len(epochs)-1)
		f, err := e.facts()
		if err != nil {
			v.untrue = append(v.untrue, accusation{checker: byTransitions, text: err.Error()})
			return v
		}
		v.facts = append(v.facts, f)
		if i == len(epochs)-1 {
			v.last = f
		}
		published, tagged := f.publications(), v.tagged(f)
		v.chain(published[chainFile()], f)
		v.publishOrder(answers, tagged)
		v.inOneCall, v.inTurn = len(f.published), 0
		for _, p := range f.published {
			if p.inTurn {
				v.inTurn++
			}
		}
		until := endOf(epochs, i)
		v.sayings(f)
		lives := f.lives(endings, e.from)
		v.tails(answers, e.from, until, lives)
		v.conditions(answers, e, until, f, tagged, endings)
		v.expired(answers, e, until, f)
		for _, a := range answers {
			if a.Answered.Before(e.from) || !a.Answered.Before(until) {
				continue
			}
			name := a.Reason
			if name == ok {
				name = "OK"
			}
			v.answers[a.Call+" "+name]++
			if a.Reason == indeterminate || a.Reason == unasked {
				continue
			}
			v.checked++
			id := sectionID{a.Lock, a.Token}
			s := f.sections[id]
			if s != nil && a.Session == "" {
				a.Session = s.session
			}
			if strings.HasPrefix(a.Call, viaCoursework) {
				if a.kind() == callAppend && a.Reason == ok {
					appends[id] = append(appends[id], a)
				}
				v.coursework(a, f, s, e.from, appends[id])
				continue
			}
			switch a.Call {
			case callAcquire:
				v.acquire(a, f, over)
				if a.Reason == busy || a.Reason == cancelled {
					key := acqKey(a.Lock, a.Session, a.Request)
					busyOrCancelled[key] = append(busyOrCancelled[key], a)
				}
			case callAppend:
				key := fmt.Sprint(id, a.Request)
				switch a.Reason {
				case ok:
					acknowledged[key] = true
					appends[id] = append(appends[id], a)
					v.append(a, s)
				case "LOCK_EXPIRED", "NO_SPACE", "QUOTA", "SESSION_EXPIRED", "DATA_LOSS", "PERMISSION_DENIED", "UNAUTHENTICATED":
					refused[key] = append(refused[key], a)
					if t, asked := endings.held[id]; a.Reason == "LOCK_EXPIRED" && s != nil && s.session == a.Session && s.own() &&
						!discards[id] && (!asked || t.first.After(a.Answered)) {
						v.accuse(a, "refused, and its holder has not ended the section")
					}
				}
			case callRelease, callCommit, callDiscard:
				v.ending(a, s, f, e, discards[id], appends[id], over)
			case callHeartbeat:
				v.heartbeat(a, f)
			case callRead, callPiece:
				if states := lives[fileID{a.Lock, a.File}]; states != nil {
					v.live(a, states)
					continue
				}
				v.read(a, published[fileID{a.Lock, a.File}], endings, e.from)
			case callPublish, callWithdraw, callDlmAppend:
				if a.Lane != "" {
					v.publish(a, f)
				} else {
					v.publishByTag(a, e, tagged)
				}
			case callDlmChange:
				v.change(a, f)
			case callEvict:
				if a.Reason == ok && a.Got > 0 && (s == nil || !s.noted) {
					v.accuse(a, "evicted, and it was not")
				}
			}
		}
		// A definite refusal of a record that is staged all the same, in this epoch.
		for key, as := range refused {
			if a := as[0]; !acknowledged[key] && !a.Answered.Before(e.from) && a.Answered.Before(until) {
				if s := f.sections[sectionID{a.Lock, a.Token}]; s != nil {
					if r, there := s.records[a.Request]; there && strings.HasSuffix(r.says(), a.Data) && !mayCome(as) {
						v.accuse(a, "refused, and staged")
					}
				}
			}
		}
		for key, as := range busyOrCancelled {
			if s := f.byAcq[key]; len(s) > 0 && as[0].Reason == busy {
				v.accuse(as[0], "busy, and it was granted %d", s[0].token)
			}
		}
		clear(busyOrCancelled)
	}
	return v
}

// mayCome reports whether an append was sent more than once. A copy of it may have come before:
// what is refused is then the repeat, of a section that is folded.
func mayCome(as []answer) bool {
	return len(as) > 1 || as[0].Sends != 1
}

func (v *verdicts) acquire(a answer, f *facts, over bool) {
	tokens := f.byAcq[acqKey(a.Lock, a.Session, a.Request)]
	switch a.Reason {
	case ok:
		s := f.sections[sectionID{a.Lock, a.Got}]
		if s == nil || a.Session != "" && (s.session != a.Session || s.request != a.Request) {
			v.accuse(a, "granted, and it was not")
		}
	case "LOCK_EXPIRED": // it is over; a late copy of it may be granted, which a heartbeat then ends
		if (over || a.Sends == 1) && len(tokens) > 0 && tokens[len(tokens)-1].end == 0 {
			v.accuse(a, "refused as over, and it holds the lock")
		}
	}
}

func (v *verdicts) append(a answer, s *section) {
	if s == nil || s.session != a.Session {
		v.accuse(a, "staged in a section that is not the caller's")
		return
	}
	r, there := s.records[a.Request]
	if !there && a.Request == "" { // the SDK's requests are its own
		for _, one := range s.records {
			if strings.HasSuffix(one.says(), a.Data) {
				r, there = one, true
			}
		}
	}
	if !there || !strings.HasSuffix(r.says(), a.Data) {
		v.accuse(a, "staged, and it is not")
	} else if a.Got != 0 && a.Got != r.rev {
		v.accuse(a, "staged at %d, and answered %d", r.rev, a.Got)
	}
}

// ending judges a release, commit or discard of a section; s is nil if it never was. appends are
// those that were acknowledged in it, discarded says that a discard of it was asked for, over that
// nothing more is to come.
func (v *verdicts) ending(a answer, s *section, f *facts, e *epoch, discarded bool, appends []answer, over bool) {
	own := s != nil && s.session == a.Session
	switch {
	case a.Reason == "OUTCOME_UNKNOWN":
		if s != nil && s.end > 0 && s.ended.After(e.from) && a.Answered.Sub(s.ended) < soon && // a restore drops all history
			!e.forgotten(s.end, a.Answered) {
			v.accuse(a, "unknown, %v after its end", a.Answered.Sub(s.ended))
		}
	case a.Call == callDiscard && (a.Reason == ok || a.Reason == published):
		// Of a section in which it has appended nothing, by its own word, the caller is not told.
		if was := own && s.published(); a.Appended && was != (a.Reason == published) {
			v.accuse(a, "discarded, and published: %t", was)
		}
		if own && s.end == 0 && !e.cut {
			v.accuse(a, "discarded, and it is held")
		}
	case a.Reason == ok:
		switch {
		case !own:
			v.accuse(a, "success for a section that is not the caller's")
		case !s.own():
			v.accuse(a, "success for a section that was not ended by its holder (undone %t, session ended %t, ended at %d)", s.noted, s.expired, s.end)
		case a.Appended && len(s.records) > 0 && !s.marked:
			v.accuse(a, "success for records that are not published")
		case a.Call == callCommit && a.Got != 0 && s.next != a.Got:
			v.accuse(a, "committed to %d, and it was %d", a.Got, s.next)
		case a.Call == callCommit && a.Got == 0:
			if next := f.sections[sectionID{a.Lock, s.next}]; next != nil && next.end == 0 {
				v.accuse(a, "committed and lost, and it is held")
			}
		}
		for _, one := range appends {
			if own && s.own() {
				v.append(one, s)
			}
		}
	case a.Reason == "LOCK_EXPIRED":
		switch {
		case !own:
		case s.marked:
			v.accuse(a, "refused, and published at %d", s.end)
		case s.end == 0 && (e.cut || !over): // it may end yet: a client goes by its own clock
		case s.end == 0:
			v.accuse(a, "refused, and held for good")
		case s.own() && !discarded:
			v.accuse(a, "refused, and ended by nobody else")
		}
	case a.Reason == "DATA_LOSS":
		if own && s.marked {
			v.accuse(a, "data lost, and published")
		}
	}
}

// heartbeat judges what a heartbeat says of one acquisition, as of a revision.
func (v *verdicts) heartbeat(a answer, f *facts) {
	if a.Reason != ok || a.Got == 0 {
		return
	}
	var now *section // what it held at that revision
	for _, s := range f.byAcq[acqKey(a.Lock, a.Session, a.Request)] {
		if s.token <= a.Got && (s.end == 0 || s.end > a.Got) {
			now = s
		}
	}
	switch {
	case a.Holding && (now == nil || now.token != a.Token):
		v.accuse(a, "held, and it was not")
	case !a.Holding && now != nil:
		v.accuse(a, "not held, and it held %d", now.token)
	}
}
