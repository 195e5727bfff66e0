package main

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// does is the nth operation of a section on life0's log that says a tag.
func does(kind kind, tag string, n int) operation {
	line := taggedRecord("life0", tag, n)
	return operation{file: "log", text: line + filler("life0", line), kind: kind}
}

// aBundle is the put of a section of life0 in one call, by a server that makes no other.
func aBundle(rev int64, operations ...operation) change {
	b := bundle(rev, "life0", 0, operations...)
	b.key = fmt.Sprintf("bundles/life0//%016x.%08x", rev, 0)
	return b
}

// publishes1 is a section of life0 in one call, the first of its revision.
func publishes1(rev int64, operations ...operation) []change {
	return []change{
		aBundle(rev, operations...), applied(rev, "life0", laneA, uint64(rev), `{"n":1,"at":5}`), latest(rev, "life0"),
	}
}

// livedPast is past, and then what makes log of lock life0, replaces, cuts and removes it, and
// makes it again.
func livedPast() *epoch {
	e := past()
	e.changes = append(e.changes, slices.Concat(
		publishes1(40, does(appending, "p1", 0), does(appending, "p1", 1)), publishes1(42, does(replacing, "p3", 0)),
		publishes1(43, operation{file: "log", kind: cutting, offset: 3}), publishes1(44, operation{file: "log", kind: removing}),
		publishes1(45, does(appending, "p4", 0)))...)
	return e
}

// What etcd has of operations is read, and nothing else.
func TestParseOperations(t *testing.T) {
	t.Parallel()
	all := []operation{
		does(appending, "p1", 0), does(replacing, "p2", 0), {file: "log", kind: removing}, {file: "notes", kind: cutting, offset: 70_000},
	}
	value := bundle(1, "life0", 0, all...).value
	if got, err := parseOperations(value); err != nil || !slices.Equal(got, all) {
		t.Errorf("got %v, %v; want %v", got, err, all)
	}
	for _, o := range all {
		value := slices.Concat([]byte{7}, o.target(), o.with())
		if n, got, err := parseStaged(value); n != 7 || got != o || err != nil {
			t.Errorf("got %d, %v, %v; want 7, %v", n, got, err, o)
		}
	}
	for name, value := range map[string]string{
		"nothing":            "",
		"no file":            "\x01\x09log",
		"of no kind":         "\x01\x00\x04\x03log",
		"a removal of bytes": "\x01\x00\x02\x03logx",
		"a cut of bytes":     "\x01\x00\x03\x03log\x05x",
		"a cut to nowhere":   "\x01\x00\x03\x03log",
	} {
		if n, o, err := parseStaged([]byte(value)); err == nil {
			t.Errorf("%s: got %d, %v; want an error", name, n, o)
		}
	}
}

// A section may do what workers do, and nothing else.
func TestPlausible(t *testing.T) {
	t.Parallel()
	for range 200 {
		for n := range 6 {
			tag := fmt.Sprintf("p%d", n)
			for _, o := range append(operationsOf("life1", tag, 3), operationOf("life1", record("life1", 45, n), n), operationOf("lock0", record("lock0", 45, n), n)) {
				lock := "life1"
				if strings.HasPrefix(o.text, "lock0") {
					lock = "lock0"
				}
				if !o.plausible(lock) {
					t.Fatalf("%s is not plausible", o.says())
				}
			}
		}
	}
	good := does(appending, "p1", 0)
	for name, o := range map[string]operation{
		"more":                     {file: "log", text: good.text + "x"},
		"less":                     {file: "log", text: good.text[:len(good.text)-1]},
		"to another file":          {file: "notes", text: good.text},
		"a cut with text":          {file: "log", text: good.text, kind: cutting},
		"a removal of another one": {file: "other", kind: removing},
	} {
		if o.plausible("life0") && name != "less" {
			t.Errorf("%s is plausible", name)
		}
	}
	if (operation{file: "log", kind: removing}).plausible("lock0") {
		t.Error("a removal of a file without lives is plausible")
	}
}

// What may not become of a file is found, and what may is not.
func TestTransitionsOfLives(t *testing.T) {
	t.Parallel()
	one, two, three := does(appending, "p1", 0).text+does(appending, "p1", 1).text, does(replacing, "p3", 0).text, does(appending, "p4", 0).text
	base, end := int64(len(one)), int64(len(one)+len(two))
	put := func(rev int64, key string, value any) change {
		b, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		return change{rev: rev, key: key, value: b, seen: time.Unix(rev, 0)}
	}
	head := func(rev int64, h headValue) change { return put(rev, "files/life0//log", h) }
	soils := func(rev, base, upto int64) change { return put(rev, "garbage/life0//log", garbageValue{base, upto}) }
	chunk := func(rev, at int64, text string) change {
		return change{rev: rev, key: fmt.Sprintf("chunks/life0//log//%016x", at), value: []byte(text), seen: time.Unix(rev, 0)}
	}
	// The sections are folded one after the other, those of 43 to 45 together.
	folds := func(rev int64, sections ...int64) (all []change) {
		for _, s := range sections {
			all = append(all, deletion(rev, aBundle(s).key))
		}
		return append(all, put(rev, "folded/life0", version{sections[len(sections)-1], 1}))
	}
	begun := headValue{Size: base, Token: 40, N: 1, Life: 40, LifeN: 1}
	replaced := headValue{Size: end, Token: 42, N: 1, Base: base, Start: base, Life: 42, LifeN: 1}
	cut := headValue{Size: end, Token: 43, N: 1, Base: base, Start: base + 3, Life: 42, LifeN: 1}
	removed := headValue{Size: end, Token: 44, N: 1, Base: end, Start: end, Gone: 5}
	again := headValue{Size: end + int64(len(three)), Token: 45, N: 1, Base: end, Start: end, Life: 45, LifeN: 1}
	steps := [][]change{
		append(folds(40, 40), chunk(40, 0, one), head(40, begun)),
		append(folds(42, 42), chunk(42, base, two), head(42, replaced), soils(42, base, base)),
		append(folds(43, 43), head(43, cut), soils(43, base, base+3)),
		append(folds(44, 44), head(44, removed), soils(44, end, end)),
		append(folds(45, 45), chunk(45, end, three), head(45, again)),
	}
	del := func(rev, at int64) change { return deletion(rev, chunk(rev, at, "").key) }
	clean := []change{del(46, 0), del(46, base), deletion(47, "garbage/life0//log")}
	for name, test := range map[string]struct {
		change func(steps [][]change)
		wrong  bool
	}{
		"as it should be":             {func([][]change) {}, false},
		"left as it was":              {func(s [][]change) { s[3] = folds(44, 44); s[4] = nil }, true},
		"positions that come back":    {func(s [][]change) { s[1][3] = head(42, with(replaced, func(h *headValue) { h.Base, h.Start = 0, 0 })) }, true},
		"a cut of another position":   {func(s [][]change) { s[2][2] = head(43, with(cut, func(h *headValue) { h.Start = base })) }, true},
		"a life of another name":      {func(s [][]change) { s[1][3] = head(42, with(replaced, func(h *headValue) { h.LifeN = 0 })) }, true},
		"garbage that is not said":    {func(s [][]change) { s[1] = s[1][:4] }, true},
		"too much garbage":            {func(s [][]change) { s[1][4] = soils(42, base, base+1) }, true},
		"no chunk":                    {func(s [][]change) { s[1] = slices.Delete(s[1], 2, 3) }, true},
		"another chunk":               {func(s [][]change) { s[1][2] = chunk(42, base, one) }, true},
		"half a chunk":                {func(s [][]change) { s[1][2] = chunk(42, base, two[1:]) }, true},
		"a chunk that reaches beyond": {func(s [][]change) { s[0] = append(s[0], chunk(41, 0, one+"x")) }, true},
		"a chunk that becomes other":  {func(s [][]change) { s[0] = append(s[0], chunk(41, 0, "x"+one)) }, true},
		"a chunk that goes":           {func(s [][]change) { s[0] = append(s[0], del(41, 0)) }, true},
		"a chunk too many goes":       {func(s [][]change) { s[4] = append(s[4], del(46, end)) }, true},
		"garbage that stays":          {func(s [][]change) { s[5] = clean[1:] }, true},
		"garbage that is not cleaned": {func(s [][]change) { s[5] = nil }, true},
		"a chunk behind the head":     {func(s [][]change) { s[5] = append(s[5], chunk(48, again.Size, "x")) }, true},
		"a head by itself":            {func(s [][]change) { s[5] = append(s[5], head(48, again)) }, true},
		"a head of no file":           {func(s [][]change) { s[0] = append([]change{put(39, "files/life0//notes", begun)}, s[0]...) }, true},
		"all at once": {func(s [][]change) {
			for i := range 5 {
				s[i] = nil
			}
			s[4] = append(folds(45, 40, 42, 43, 44, 45), chunk(45, end, three), head(45, again), soils(45, end, end))
			s[5] = clean[2:]
		}, false},
	} {
		begun := make([][]change, 6)
		for i, s := range append(steps, clean) {
			begun[i] = slices.Clone(s)
		}
		test.change(begun)
		e := livedPast()
		for _, changes := range begun { // long afterwards
			for _, c := range changes {
				c.rev += 100
				e.changes = append(e.changes, c)
			}
		}
		v := &verdicts{}
		if v.transitions(e, true); len(v.untrue) > 0 != test.wrong {
			t.Errorf("%s: got %v; want any: %t", name, v.untrue, test.wrong)
		}
	}
}

// A file is read as it was between the call and the answer.
func TestReadsOfLives(t *testing.T) {
	t.Parallel()
	one, two, three := does(appending, "p1", 0).text+does(appending, "p1", 1).text, does(replacing, "p3", 0).text, does(appending, "p4", 0).text
	whole := func(text string, token int64) answer {
		return answer{Call: callRead, Got: int64(len(text)), Sum: crc32.ChecksumIEEE([]byte(text)), Version: version{token, uint32(min(token, 1))}}
	}
	of := func(token int64) version { return version{token, uint32(min(token, 1))} }
	part := func(text string, from, to int, token, life, of1 int64, start int64) answer {
		a := whole(text[from:to], token)
		a.Call, a.Piece = callPiece, &piece{Offset: int64(from), Start: start, Size: int64(len(text)), Life: of(life), Of: of(of1)}
		return a
	}
	refused := func(reason string, of1 int64, offset, start int64) answer {
		return answer{Call: callPiece, Reason: reason, Piece: &piece{Offset: offset, Start: start, Of: of(of1)}}
	}
	// The replacement was asked for at 60, and answered at 70; the last section at 80, and 90.
	publishes := []answer{
		{Call: callPublish, Lock: "life0", Data: "p3", Operations: 1, Asked: time.Unix(60, 0), Answered: time.Unix(70, 0), Reason: ok},
		{Call: callPublish, Lock: "life0", Data: "p4", Operations: 1, Asked: time.Unix(80, 0), Answered: time.Unix(90, 0), Reason: ok},
	}
	for name, test := range map[string]struct {
		answer          answer
		asked, answered int64
		untrue          bool
	}{
		"the first":                    {whole(one, 40), 50, 55, false},
		"the first, too late":          {whole(one, 40), 71, 75, true},
		"the first, meanwhile":         {whole(one, 40), 65, 75, false},
		"half of it":                   {whole(one[:9], 40), 50, 55, true},
		"replaced":                     {whole(two, 42), 65, 75, false},
		"replaced, too early":          {whole(two, 42), 50, 55, true},
		"replaced, with what was":      {whole(one+two, 42), 65, 75, true},
		"cut":                          {whole(two[3:], 43), 65, 75, false},
		"cut, with all":                {whole(two, 43), 65, 75, true},
		"removed":                      {whole("", 0), 65, 75, false},
		"removed, too late":            {whole("", 0), 91, 95, true},
		"before it was made":           {whole("", 0), 50, 55, false},
		"made again":                   {whole(three, 45), 91, 95, false},
		"made again, of another":       {whole(three, 42), 91, 95, true},
		"a piece":                      {part(two, 2, 7, 42, 42, 0, 0), 65, 75, false},
		"a piece of what was asked":    {part(two, 2, 7, 42, 42, 42, 0), 65, 75, false},
		"a piece of another life":      {part(two, 2, 7, 42, 42, 40, 0), 65, 75, true},
		"a piece said to be another's": {part(two, 2, 7, 42, 40, 0, 0), 65, 75, true},
		"a piece of the cut":           {part(two, 3, 7, 43, 42, 42, 3), 65, 75, false},
		"a piece before the cut":       {part(two, 2, 7, 43, 42, 42, 3), 65, 75, true},
		"a piece at another offset":    {with(part(two, 2, 7, 42, 42, 0, 0), func(a *answer) { a.Piece.Offset = 1 }), 65, 75, true},
		"nothing there":                {refused("FILE_NOT_FOUND", 42, 0, 0), 65, 75, false},
		"nothing there, and there is":  {refused("FILE_NOT_FOUND", 42, 0, 0), 91, 95, true},
		"changed":                      {refused("FILE_CHANGED", 42, 0, 0), 91, 95, false},
		"changed, and it is that":      {refused("FILE_CHANGED", 45, 0, 0), 91, 95, true},
		"cut off":                      {refused("OFFSET_GONE", 42, 2, 3), 65, 75, false},
		"cut off, and it is there":     {refused("OFFSET_GONE", 42, 3, 3), 65, 75, true},
		"malformed":                    {refused("MALFORMED", 42, 3, 3), 65, 75, true},
		"no quorum":                    {refused("NO_QUORUM", 42, 3, 3), 65, 75, false},
	} {
		test.answer.Lock, test.answer.File = "life0", "log"
		test.answer.Asked, test.answer.Answered = time.Unix(test.asked, 0), time.Unix(test.answered, 0)
		v := judge(append(slices.Clone(publishes), test.answer), []*epoch{livedPast()}, false)
		if len(v.untrue) > 0 != test.untrue {
			t.Errorf("%s: got %v; want any: %t", name, v.untrue, test.untrue)
		}
	}
}

// A tail is sent one life after the other, each from its beginning or where it is cut, and told so.
func TestTailsOfLives(t *testing.T) {
	t.Parallel()
	one, two, three := does(appending, "p1", 0).text+does(appending, "p1", 1).text, does(replacing, "p3", 0).text, does(appending, "p4", 0).text
	type sent struct {
		life int64
		at   int
		text string
		said string // c: cut, r: replaced, d: removed
	}
	first, second := sent{life: 40, text: one[:5]}, sent{life: 40, at: 5, text: one[5:]}
	next, removed := sent{life: 42, text: two, said: "r"}, sent{life: 42, at: len(two), said: "d"}
	for name, test := range map[string]struct {
		all    []sent
		untrue bool
	}{
		"one after the other":     {[]sent{first, second, next, removed, {life: 45, text: three, said: "r"}}, false},
		"with a life left out":    {[]sent{first, {life: 45, text: three, said: "r"}}, false},
		"cut":                     {[]sent{first, {life: 42, at: 3, text: two[3:], said: "cr"}}, false},
		"cut, and nothing else":   {[]sent{{life: 42, at: 3, said: "c"}}, false},
		"bytes left out":          {[]sent{first, {life: 40, at: 6, text: one[6:]}}, true},
		"bytes twice":             {[]sent{first, {life: 40, at: 4, text: one[4:]}}, true},
		"left out, and not cut":   {[]sent{first, {life: 40, at: 6, text: one[6:], said: "c"}}, true},
		"another life, not said":  {[]sent{first, {life: 42, text: two}}, true},
		"said, and the same":      {[]sent{first, {life: 40, at: 5, text: one[5:], said: "r"}}, true},
		"a life that was before":  {[]sent{next, with(first, func(s *sent) { s.said = "r" })}, true},
		"lives mixed":             {[]sent{first, {life: 40, at: 5, text: two[5:]}}, true},
		"removed of another life": {[]sent{first, removed}, true},
		"removed, of none":        {[]sent{removed}, true},
		"after a removal":         {[]sent{next, removed, {life: 42, at: len(two), text: ""}}, true},
	} {
		var answers []answer
		for i, s := range test.all {
			a := answer{
				Call: callTail, Lock: "life0", File: "log", Got: int64(len(s.text)), Sum: crc32.ChecksumIEEE([]byte(s.text)),
				Answered: time.Unix(100+int64(i), 0),
			}
			a.Piece = &piece{
				Offset: int64(s.at), Life: version{s.life, 1}, Tail: "t", N: i + 1,
				Cut: strings.Contains(s.said, "c"), Replaced: strings.Contains(s.said, "r"), Removed: strings.Contains(s.said, "d"),
			}
			answers = append(answers, a)
		}
		if v := judge(answers, []*epoch{livedPast()}, false); len(v.untrue) > 0 != test.untrue {
			t.Errorf("%s: got %v; want any: %t", name, v.untrue, test.untrue)
		}
	}
}

// Conditions hold of a file as it is in its life, and what is cut off counts.
func TestConditionsOfLives(t *testing.T) {
	t.Parallel()
	f, err := livedPast().facts()
	if err != nil {
		t.Fatal(err)
	}
	var got []lockNow
	for _, s := range f.states()["life0"] {
		got = append(got, s.lockNow)
	}
	one, two, three := does(appending, "p1", 0).text+does(appending, "p1", 1).text, does(replacing, "p3", 0).text, does(appending, "p4", 0).text
	file := func(token int64, text string) lockNow {
		return lockNow{version{token, 1}, map[string]fileNow{"log": {version{token, 1}, int64(len(text))}}}
	}
	want := []lockNow{{}, file(40, one), file(42, two), file(43, two), {version{44, 1}, map[string]fileNow{}}, file(45, three)}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
