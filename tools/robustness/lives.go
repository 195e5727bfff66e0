package main

import (
	"fmt"
	"hash/crc32"
	"time"
)

// Whoever reads a file is told of which life it is: what it is from its making, or its replacement,
// to the next, or to its removal. Each section leaves a file in a state; what is read, in pieces or
// at once, and what a tail is sent, has to be of one. The states follow from what is published, in
// the order of versions.

// piece is what was read of a file that has lives, or what a tail was sent of it.
type piece struct {
	Offset int64   `json:"offset,omitempty"`
	Start  int64   `json:"start,omitempty"`
	Size   int64   `json:"size,omitempty"`
	Life   version `json:"life,omitzero"`
	Of     version `json:"of,omitzero"` // the life that was asked for

	Tail     string `json:"tail,omitempty"` // which one; empty: it was read
	N        int    `json:"n,omitempty"`    // in its tail, from 1
	Cut      bool   `json:"cut,omitempty"`
	Replaced bool   `json:"replaced,omitempty"`
	Removed  bool   `json:"removed,omitempty"`
}

// fileState is what a file is from one section that changes it to the next.
type fileState struct {
	version, life version // zero: there is no such file
	start, size   int64
	text          *[]byte // of its life: what is before size

	first time.Time // its publication was first asked for then; zero: nobody says when
	over  time.Time // a later state was acknowledged by then; zero: none was
}

func (s *fileState) there() bool { return s.version != version{} }

// sum is that of some of its bytes.
func (s *fileState) sum(from, to int64) uint32 { return crc32.ChecksumIEEE((*s.text)[from:to]) }

// has reports whether some bytes of a file are as they were read, from an offset on.
func (s *fileState) has(offset int64, a answer) bool {
	return offset >= 0 && a.Got >= 0 && offset+a.Got <= s.size && s.sum(offset, offset+a.Got) == a.Sum
}

// operate does what an operation of a section does.
func (s *fileState) operate(o operation, by version) {
	switch {
	case o.kind == replacing, o.kind == appending && !s.there():
		s.life, s.start, s.text = by, 0, &[]byte{}
		*s.text = append(*s.text, o.text...)
	case o.kind == appending:
		*s.text = append((*s.text)[:s.size:s.size], o.text...)
	case !s.there():
		return
	case o.kind == removing:
		*s = fileState{}
		return
	case o.kind == cutting:
		s.start = max(s.start, min(o.offset, s.size))
	}
	s.version, s.size = by, int64(len(*s.text))
}

// lives are the states that each file has had which has lives, since it was none. What was
// acknowledged before an epoch may be undone in it.
func (f *facts) lives(ends endings, from time.Time) map[fileID][]*fileState {
	all := map[fileID][]*fileState{}
	for i := range lifeLocks {
		lock := fmt.Sprint("life", i)
		for _, name := range fileNames(lock) {
			all[fileID{lock, name}] = []*fileState{{}}
		}
	}
	done := map[fileID][]time.Time{} // when each state was acknowledged
	for _, s := range f.inOrder() {
		if !hasLives(s.lock) {
			continue
		}
		asked, _ := ends.of(s.lock, publication{version: s.version, tag: s.tag})
		if !asked.done.After(from) {
			asked.done = time.Time{}
		}
		after := map[string]fileState{}
		for _, o := range s.operations {
			is, begun := after[o.file]
			if states := all[fileID{s.lock, o.file}]; !begun && states != nil {
				is = *states[len(states)-1]
			}
			is.operate(o, s.version)
			after[o.file] = is
		}
		for name, is := range after {
			file := fileID{s.lock, name}
			is.first, is.over = asked.first, time.Time{}
			all[file], done[file] = append(all[file], &is), append(done[file], asked.done)
		}
	}
	for file, states := range all {
		var earliest time.Time
		for i := len(states) - 1; i > 0; i-- {
			states[i].over = earliest
			if is := done[file][i-1]; !is.IsZero() && (earliest.IsZero() || is.Before(earliest)) {
				earliest = is
			}
		}
		states[0].over = earliest
	}
	return all
}

// contents are what the files have that have lives, in the end; those that are not there are left
// out.
func contents(all map[fileID][]*fileState) map[fileID]string {
	texts := map[fileID]string{}
	for file, states := range all {
		if is := states[len(states)-1]; is.there() {
			texts[file] = string((*is.text)[is.start:is.size])
		}
	}
	return texts
}

// live judges what was read of a file that has lives.
func (v *verdicts) live(a answer, states []*fileState) {
	p := a.Piece
	if a.Reason == "MALFORMED" || a.Reason == "DATA_LOSS" {
		v.accuseAs(byReads, a, "could not be read")
		return
	}
	if p == nil {
		if a.Reason == ok { // all of it
			v.explained(a, states, func(s *fileState) bool {
				return s.version == a.Version && (!s.there() && a.Got == 0 || s.there() && a.Got == s.size-s.start && s.has(s.start, a))
			})
		}
		return
	}
	switch a.Reason {
	case ok:
		if p.Of != (version{}) && p.Of != p.Life {
			v.accuseAs(byReads, a, "read life %v, and life %v was asked for", p.Life, p.Of)
			return
		}
		v.explained(a, states, func(s *fileState) bool {
			return s.there() && s.version == a.Version && s.life == p.Life && s.start == p.Start && s.size == p.Size &&
				p.Offset >= p.Start && (a.Got == 0 || s.has(p.Offset, a))
		})
	case "FILE_NOT_FOUND":
		v.explained(a, states, func(s *fileState) bool { return !s.there() })
	case "FILE_CHANGED":
		v.explained(a, states, func(s *fileState) bool { return s.there() && s.life != p.Of })
	case "OFFSET_GONE":
		v.explained(a, states, func(s *fileState) bool {
			return s.there() && s.start == p.Start && p.Offset < s.start && (p.Of == version{} || p.Of == s.life)
		})
	}
}

// explained accuses an answer if the file was in no state, between the call and the answer, that is
// as it says.
func (v *verdicts) explained(a answer, states []*fileState, is func(*fileState) bool) {
	why := "read what the file never was"
	for _, s := range states {
		switch {
		case !is(s):
		case s.first.After(a.Answered):
			why = "read what was published only afterwards"
		case !s.over.IsZero() && s.over.Before(a.Asked):
			why = "read what the file was not any more"
		default:
			v.pieces++
			return
		}
	}
	v.accuseAs(byReads, a, "%s", why)
}

// told judges what a tail was sent after what it was sent before; nil: nothing.
func (v *verdicts) told(a answer, before *answer, states []*fileState) {
	p := a.Piece
	if a.Reason != ok {
		return
	}
	some := func(is func(*fileState) bool) bool {
		for _, s := range states {
			if is(s) && !s.first.After(a.Answered) {
				return true
			}
		}
		return false
	}
	if p.Removed {
		lived := false // up to the state that is looked at
		removed := some(func(s *fileState) bool {
			lived = lived || s.life == p.Life
			return lived && !s.there()
		})
		if !removed || before == nil || before.Piece.Life != p.Life {
			v.accuseAs(byTails, a, "told of a removal, and there was none, or of another life")
		}
		return
	}
	if !some(func(s *fileState) bool { return s.life == p.Life && s.has(p.Offset, a) }) {
		v.accuseAs(byTails, a, "sent what life %v does not have at %d, or not by then", p.Life, p.Offset)
		return
	}
	v.pieces++
	cut := p.Cut && some(func(s *fileState) bool { return s.life == p.Life && s.start == p.Offset })
	end := int64(0) // of what was sent of this life
	if before != nil {
		anew := p.Life.compare(before.Piece.Life) > 0
		if before.Piece.Removed && !p.Replaced || p.Replaced != anew || before.Piece.Life.compare(p.Life) > 0 {
			v.accuseAs(byTails, a, "sent life %v (said to be another: %t) after life %v", p.Life, p.Replaced, before.Piece.Life)
			return
		}
		if !anew {
			end = before.Piece.Offset + before.Got
		}
	}
	if p.Offset != end && !(cut && p.Offset > end) {
		v.accuseAs(byTails, a, "sent on from %d, and before was sent up to %d", p.Offset, end)
	}
}

// tails judges what all tails were sent in an epoch.
func (v *verdicts) tails(answers []answer, from, until time.Time, lives map[fileID][]*fileState) {
	before := map[string]*answer{}
	for i := range answers {
		a := &answers[i]
		if a.Call != callTail || a.Reason != ok || a.Answered.Before(from) || !a.Answered.Before(until) {
			continue
		}
		if is := before[a.Piece.Tail]; a.Piece.N == 1 || is != nil { // else it began before a restore
			v.told(*a, is, lives[fileID{a.Lock, a.File}])
		}
		before[a.Piece.Tail] = a
	}
}

// sayings judges what sections say: each operation is one that a worker has made, and those of one
// section are in the order in which they were made.
func (v *verdicts) sayings(f *facts) {
	for _, s := range f.inOrder() {
		last := -1
		for _, o := range s.operations {
			why := ""
			if !o.plausible(s.lock) {
				why = "does what nobody has asked for"
			}
			if o.text != "" {
				n := numberOf(firstLine(o.text))
				if n <= last {
					why = "does something before what was asked for earlier"
				}
				last = n
			}
			if why != "" {
				v.untrue = append(v.untrue, accusation{
					checker: byTransitions, lock: s.lock, at: s.seen, text: fmt.Sprintf("section %v of %s %s: %.200q", s.version, s.lock, why, o.says()),
				})
				break
			}
		}
	}
}

// change judges what dlm rm or dlm cut came to, which was asked of a file: some section does just
// that, which was seen since.
func (v *verdicts) change(a answer, f *facts) {
	if a.Reason != ok {
		return
	}
	for _, s := range f.inOrder() {
		if s.lock == a.Lock && !s.seen.Before(a.Asked) && len(s.operations) == 1 && s.operations[0].says() == a.Data {
			return
		}
	}
	v.accuse(a, "done, and no section does it")
}

// liveFiles holds what the files say that have lives against what was published.
func (v *verdicts) liveFiles(f *facts, files map[fileID]string) {
	want := contents(f.lives(endings{}, time.Time{}))
	for i := range lifeLocks {
		lock := fmt.Sprint("life", i)
		for _, name := range fileNames(lock) {
			file := fileID{lock, name}
			is, there := files[file]
			if text, published := want[file]; there != published || is != text {
				v.untrue = append(v.untrue, accusation{
					checker: byFiles, lock: lock,
					text: fmt.Sprintf("%s of %s has %d bytes (there: %t), and published are %d (there: %t)", name, lock, len(is), there, len(text), published),
				})
			}
		}
	}
}
