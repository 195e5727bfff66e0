package main

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"time"
)

// publication is one published section of a file, and the file up to its end.
type publication struct {
	version
	tag  string // empty: it says its token
	text string
	size int64  // of the file up to here
	sum  uint32 // of that, CRC-32
}

// readable is one published section.
type readable struct {
	lock, tag string
	version
	operations []operation
	texts      map[string]string // by file
	seen       time.Time
}

// fileID is a file of a lock.
type fileID struct{ lock, name string }

// readable are all sections that are published, and say something.
func (f *facts) readable() (all []*readable) {
	return slices.DeleteFunc(f.inOrder(), func(s *readable) bool { return len(s.texts) == 0 })
}

// inOrder are all sections that are published, by their versions.
func (f *facts) inOrder() (all []*readable) {
	for id, s := range f.sections {
		if !s.marked {
			continue
		}
		all = append(all, newReadable(id.lock, version{Token: id.token}, operationsIn(s.records), s.ended))
	}
	for _, p := range f.published {
		if p.inTurn { // then it is one of the sections
			continue
		}
		all = append(all, newReadable(p.lock, p.version, p.operations, p.seen))
	}
	slices.SortFunc(all, func(a, b *readable) int { return a.compare(b.version) })
	return all
}

func newReadable(lock string, is version, operations []operation, seen time.Time) *readable {
	s := &readable{lock: lock, version: is, operations: operations, texts: map[string]string{}, seen: seen}
	for _, o := range operations {
		if o.text != "" {
			s.texts[o.file] += o.text
			s.tag = tagOf(o.text)
		}
	}
	return s
}

// publications are what each file that is only appended to has to consist of, in the order of
// versions.
func (f *facts) publications() map[fileID][]publication {
	all := map[fileID][]publication{}
	for _, s := range f.readable() {
		if hasLives(s.lock) {
			continue
		}
		for name, text := range s.texts {
			file := fileID{s.lock, name}
			p := publication{version: s.version, tag: s.tag, text: text, size: int64(len(text)), sum: crc32.ChecksumIEEE([]byte(text))}
			if n := len(all[file]); n > 0 {
				before := all[file][n-1]
				p.size += before.size
				p.sum = crc32.Update(before.sum, crc32.IEEETable, []byte(text))
			}
			all[file] = append(all[file], p)
		}
	}
	return all
}

// asked is when the publication of a section was first asked for, and first answered with success.
type asked struct{ first, done time.Time }

// with is that and one more call.
func (t asked) with(a answer) asked {
	if t.first.IsZero() || a.Asked.Before(t.first) {
		t.first = a.Asked
	}
	if a.Reason == ok && (t.done.IsZero() || a.Answered.Before(t.done)) {
		t.done = a.Answered
	}
	return t
}

// endings are the times of all releases and commits of their own holders, and of all publishes.
type endings struct {
	held   map[sectionID]asked
	tagged map[said]asked
}

func askedEndings(answers []answer) endings {
	all := endings{map[sectionID]asked{}, map[said]asked{}}
	for _, a := range answers {
		if a.Other {
			continue
		}
		switch a.kind() {
		case callRelease, callCommit:
			id := sectionID{a.Lock, a.Token}
			all.held[id] = all.held[id].with(a)
		case callPublish, callWithdraw, callDlmAppend:
			id := said{a.Lock, a.Data}
			all.tagged[id] = all.tagged[id].with(a)
		}
	}
	return all
}

// of is when the publication of a section of a lock was asked for; known: anybody says so.
func (e endings) of(lock string, p publication) (t asked, known bool) {
	if p.tag != "" {
		t, known = e.tagged[said{lock, p.tag}]
	} else {
		t, known = e.held[sectionID{lock, p.Token}]
	}
	return t, known
}

// read judges a read of a whole file: it has to be some number of whole sections from the first on,
// at least those whose publication was answered before the read was asked for, and none whose
// publication was asked for only after the read was answered.
func (v *verdicts) read(a answer, published []publication, ends endings, from time.Time) {
	if a.Reason != ok {
		return
	}
	n := 0
	if a.Got > 0 {
		i, found := slices.BinarySearchFunc(published, a.Got, func(p publication, size int64) int { return int(p.size - size) })
		switch {
		case !found:
			v.accuseAs(byReads, a, "read a file that does not end with a section")
			return
		case published[i].sum != a.Sum:
			v.accuseAs(byReads, a, "read something else than what was published")
			return
		}
		n = i + 1
	}
	var last publication
	if n > 0 {
		last = published[n-1]
		if t, known := ends.of(a.Lock, last); known && t.first.After(a.Answered) {
			v.accuseAs(byReads, a, "read section %v before its publication was asked for", last.version)
		}
	}
	if a.Version != (version{}) && a.Version != last.version {
		v.accuseAs(byReads, a, "read a file of version %v, and it is of %v", a.Version, last.version)
	}
	for _, p := range published[n:] {
		// What was answered before a restore may be undone by it.
		if t, _ := ends.of(a.Lock, p); !t.done.IsZero() && t.done.After(from) && t.done.Before(a.Asked) {
			v.accuseAs(byReads, a, "did not read section %v, whose publication was answered before", p.version)
			return
		}
	}
}

// files holds what the files say against what was published: each published section whole, in the
// order of tokens, and nothing else.
func (v *verdicts) files(f *facts, files map[fileID]string) {
	accuse := func(file fileID, why string, args ...any) {
		v.untrue = append(v.untrue, accusation{
			checker: byFiles, text: fmt.Sprintf("%s of %s ", file.name, file.lock) + fmt.Sprintf(why, args...), lock: file.lock,
		})
	}
	published := f.publications()
	for file, list := range published {
		var text strings.Builder
		for _, p := range list {
			text.WriteString(p.text)
		}
		if got := files[file]; got != text.String() {
			at := 0
			for at < min(len(got), text.Len()) && got[at] == text.String()[at] {
				at++
			}
			accuse(file, "has %d bytes, and published are %d; they differ at %d: has %.80q, want %.80q",
				len(got), text.Len(), at, got[at:], text.String()[at:])
		}
	}
	for file, text := range files {
		if !hasLives(file.lock) && published[file] == nil && text != "" {
			accuse(file, "has %d bytes, and nothing was published", len(text))
		}
	}
}
