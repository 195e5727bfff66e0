package main

import (
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"time"
)

// publication is one published section of a file, and the file up to its end.
type publication struct {
	token int64
	text  string
	size  int64  // of the file up to here
	sum   uint32 // of that, CRC-32
}

// fileID is a file of a lock.
type fileID struct{ lock, name string }

// publications are what each file has to consist of, in the order of tokens.
func (f *facts) publications() map[fileID][]publication {
	all := map[fileID][]publication{}
	for id, s := range f.sections {
		if !s.marked || len(s.records) == 0 {
			continue
		}
		lines := map[int]string{}
		for _, r := range s.records {
			text := string(r.text)
			line := text[max(0, strings.Index(text, id.lock+" ")):]
			_, _, n, _ := parseRecord(line)
			lines[n] += line // twice, if it is: that is found
		}
		text := map[fileID]string{}
		for _, n := range slices.Sorted(maps.Keys(lines)) {
			text[fileID{id.lock, fileOf(id.lock, n)}] += lines[n]
		}
		for file, text := range text {
			all[file] = append(all[file], publication{token: id.token, text: text})
		}
	}
	for _, list := range all {
		slices.SortFunc(list, func(a, b publication) int { return int(a.token - b.token) })
		size, sum := int64(0), uint32(0)
		for i := range list {
			size += int64(len(list[i].text))
			sum = crc32.Update(sum, crc32.IEEETable, []byte(list[i].text))
			list[i].size, list[i].sum = size, sum
		}
	}
	return all
}

// asked is when the publication of a section was first asked for, and first answered with success.
type asked struct{ first, done time.Time }

// askedEndings are the times of all releases and commits of their own holders.
func askedEndings(answers []answer) map[sectionID]asked {
	all := map[sectionID]asked{}
	for _, a := range answers {
		if a.Other || a.kind() != callRelease && a.kind() != callCommit {
			continue
		}
		id := sectionID{a.Lock, a.Token}
		t := all[id]
		if t.first.IsZero() || a.Asked.Before(t.first) {
			t.first = a.Asked
		}
		if a.Reason == ok && (t.done.IsZero() || a.Answered.Before(t.done)) {
			t.done = a.Answered
		}
		all[id] = t
	}
	return all
}

// read judges a read of a whole file: it has to be some number of whole sections from the first on,
// at least those whose publication was answered before the read was asked for, and none whose
// publication was asked for only after the read was answered.
func (v *verdicts) read(a answer, published []publication, endings map[sectionID]asked, from time.Time) {
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
	if n > 0 {
		if t, known := endings[sectionID{a.Lock, published[n-1].token}]; known && t.first.After(a.Answered) {
			v.accuseAs(byReads, a, "read section %d before its publication was asked for", published[n-1].token)
		}
	}
	for _, p := range published[n:] {
		// What was answered before a restore may be undone by it.
		if t := endings[sectionID{a.Lock, p.token}]; !t.done.IsZero() && t.done.After(from) && t.done.Before(a.Asked) {
			v.accuseAs(byReads, a, "did not read section %d, whose publication was answered before", p.token)
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
		if published[file] == nil && text != "" {
			accuse(file, "has %d bytes, and nothing was published", len(text))
		}
	}
}
