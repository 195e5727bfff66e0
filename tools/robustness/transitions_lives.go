package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// store is what etcd has of files, and of what becomes of them, as far as transitions asks.
type store struct {
	records map[string]map[string]recorded // of sections that are held, by section and key
	files   map[fileID]*fileAt
	chunks  map[fileID]map[int64][]byte
	garbage map[fileID]garbageValue
	unnamed bool // lives of files that were made by an append may have no name
}

// mostInChunk is how many bytes a chunk of the servers' has at most.
const mostInChunk = 64 << 10

// headValue is what etcd has of a file, in positions, which never come back: a life begins where
// the one before has ended.
type headValue struct {
	Size  int64  `json:"size"`
	Token int64  `json:"token"`
	N     uint32 `json:"n"`
	Base  int64  `json:"base"`
	Start int64  `json:"start"`
	Life  int64  `json:"life"`
	LifeN uint32 `json:"lifeN"`
	Gone  int64  `json:"gone"` // 0: there is such a file
}

// garbageValue is what etcd has of what can go: what is before a position, and chunks that end
// before another.
type garbageValue struct {
	Base int64 `json:"base"`
	Upto int64 `json:"upto"`
}

// fileAt is a file as what is folded makes it.
type fileAt struct {
	headValue
	text   []byte // from its base on
	soiled bool   // some of it can go since the last fold
}

// operate does what an operation of a section does, and reports whether it is anything.
func (f *fileAt) operate(o operation, by version) (changes bool) {
	there := f.Token > 0 && f.Gone == 0
	switch {
	case !there && (o.kind == removing || o.kind == cutting):
		return false
	case o.kind == cutting:
		f.Start = max(f.Start, f.Base+min(o.offset, f.Size-f.Base))
		f.soiled = true
	default:
		if there && o.kind != appending { // a life ends
			f.Base, f.Start, f.text, f.soiled = f.Size, f.Size, nil, true
		}
		if !there || o.kind == replacing { // one begins
			f.Life, f.LifeN, f.Gone = by.Token, by.N, 0
		}
		if o.kind == removing {
			f.Life, f.LifeN, f.Gone = 0, 0, 1
		}
		f.text = append(f.text[:len(f.text):len(f.text)], o.text...)
		f.Size += int64(len(o.text))
	}
	f.Token, f.N = by.Token, by.N
	return true
}

// lives judges what a revision makes of files:
//
//   - A head is what the sections make of the file that are folded with it, in the order of their
//     versions, and a file that they change has its head put.
//   - What is behind a head is in chunks, and stays as it is while somebody may read it.
//   - What can go of a file is said in the revision that makes it so, and not taken back before it
//     has gone.
//
// A step that moves a head without a section has its place in moved.
func (s *state) lives(changes []change, accuse func(string, ...any)) {
	grown := s.grown(changes)
	heads, said := map[fileID]headValue{}, map[fileID]bool{}
	for _, c := range changes {
		family, rest, _ := strings.Cut(c.key, "/")
		lock, name, _ := strings.Cut(rest, "//")
		file := fileID{lock, name}
		switch {
		case family == "files" && !c.deleted:
			var h headValue
			_ = json.Unmarshal(c.value, &h) // then it is not what it should be
			heads[file] = h
		case family == "garbage" && !c.deleted:
			var g garbageValue
			_ = json.Unmarshal(c.value, &g)
			said[file], s.garbage[file] = true, g
		case family == "garbage":
			s.cleaned(file, accuse)
			delete(s.garbage, file)
		case family == "chunks":
			s.chunk(c, grown, accuse)
		}
	}
	for file, h := range heads {
		if grown[file] != nil {
			continue
		}
		if f := s.moved(file, h, accuse); f != nil {
			grown[file] = f
		}
	}
	for file, f := range grown {
		h, put := heads[file]
		switch {
		case !put:
			accuse("the head of %s of %s is not put, and comes to %+v", file.name, file.lock, f.headValue)
		case !s.same(h, f.headValue):
			accuse("the head of %s of %s is %+v, and comes to %+v", file.name, file.lock, h, f.headValue)
		case f.soiled && !said[file]:
			accuse("some of %s of %s can go, and that is not said", file.name, file.lock)
		case said[file] && s.garbage[file] != garbageValue{f.Base, f.Start}:
			accuse("of %s of %s can go what is before %+v, and it begins at %d, and is cut to %d", file.name, file.lock, s.garbage[file], f.Base, f.Start)
		default:
			s.whole(file, f, accuse)
		}
		s.files[file] = f
	}
}

// grown are the files that change by what is folded in a revision, as they are then.
func (s *state) grown(changes []change) map[fileID]*fileAt {
	all := map[fileID]*fileAt{}
	for _, sec := range s.foldedIn(changes) {
		for _, o := range sec.operations {
			file := fileID{sec.lock, o.file}
			f := all[file]
			if f == nil {
				f = &fileAt{}
				if before := s.files[file]; before != nil {
					*f = *before
				}
				f.soiled = false
			}
			if f.operate(o, sec.version) {
				all[file] = f
			}
		}
	}
	return all
}

// moved is what a file comes to whose head is put, and of which nothing is folded; nil: nothing may
// put that, as there is nothing else that moves one.
func (s *state) moved(file fileID, h headValue, accuse func(string, ...any)) *fileAt {
	accuse("the head of %s of %s is put, and nothing of it is folded: %+v", file.name, file.lock, h)
	return nil
}

// same reports whether a head is what it should be. Only servers know when a file was removed, and
// a life has no name that was begun before all servers knew of lives.
func (s *state) same(h, want headValue) bool {
	if (h.Gone == 0) != (want.Gone == 0) {
		return false
	}
	h.Gone = want.Gone
	if s.unnamed && h.Life == 0 {
		want.Life, want.LifeN = 0, 0
	}
	return h == want
}

// whole judges whether chunks have what is behind a head and was not behind the one before it.
func (s *state) whole(file fileID, f *fileAt, accuse func(string, ...any)) {
	at := f.Start
	if before := s.files[file]; before != nil && before.Base == f.Base && before.Gone == 0 {
		at = max(at, before.Size)
	}
	chunks := s.chunks[file]
	for _, begin := range slices.Sorted(maps.Keys(chunks)) {
		chunk := chunks[begin]
		end := min(begin+int64(len(chunk)), f.Size)
		if begin > at || at >= f.Size {
			break
		}
		if end <= at {
			continue
		}
		if string(chunk[at-begin:end-begin]) != string(f.text[at-f.Base:end-f.Base]) {
			accuse("the chunk at %d of %s of %s has something else than was published", begin, file.name, file.lock)
			return
		}
		at = end
	}
	if at < f.Size {
		accuse("no chunk of %s of %s has what is at %d, and its head is %+v", file.name, file.lock, at, f.headValue)
	}
}

// chunk judges that a chunk is put, or deleted, and takes that in. grown are the files that the
// same revision makes something else of.
func (s *state) chunk(c change, grown map[fileID]*fileAt, accuse func(string, ...any)) {
	lock, rest, _ := strings.Cut(strings.TrimPrefix(c.key, "chunks/"), "//")
	name, at16, _ := strings.Cut(rest, "//")
	file := fileID{lock, name}
	at, err := strconv.ParseInt(at16, 16, 64)
	if err != nil {
		accuse("%s is no chunk", c.key)
		return
	}
	if s.chunks[file] == nil {
		s.chunks[file] = map[int64][]byte{}
	}
	was := s.chunks[file][at]
	if f := s.files[file]; f != nil && f.Gone == 0 && (grown[file] == nil || grown[file].Base == f.Base && grown[file].Gone == 0) {
		start := f.Start
		if g := grown[file]; g != nil {
			start = g.Start
		}
		from, to := max(start-at, 0), min(f.Size-at, int64(len(was)))
		if from < to && at >= f.Base && (int64(len(c.value)) < to || string(c.value[from:to]) != string(was[from:to])) {
			accuse("%s is not what it was (deleted: %t), and the head is %+v", c.key, c.deleted, f.headValue)
		}
	}
	if s.chunks[file][at] = c.value; c.deleted {
		delete(s.chunks[file], at)
	}
}

// cleaned judges that all is said to have gone of a file that could go.
func (s *state) cleaned(file fileID, accuse func(string, ...any)) {
	g := s.garbage[file]
	for at := range s.chunks[file] {
		if at < g.Base || at+mostInChunk <= g.Upto {
			accuse("all of %s of %s is said to have gone, and the chunk at %d has not: %+v", file.name, file.lock, at, g)
		}
	}
}

// atRest judges what is left of files when everybody has gone: no chunk has nothing that can be
// read, but for one that ends less than a whole one's size after where it was cut.
func (s *state) atRest(accuse func(string, ...any)) {
	for file := range s.garbage {
		accuse("some of %s of %s can go, and does not", file.name, file.lock)
	}
	for file, chunks := range s.chunks {
		f := s.files[file]
		for at := range chunks {
			if f == nil || f.Gone != 0 || at < f.Base || at+mostInChunk <= f.Start || at >= f.Size {
				accuse("the chunk at %d of %s of %s is left behind by %+v", at, file.name, file.lock, f)
			}
		}
	}
}

// foldedIn are the sections that are folded in a revision, in the order of their versions.
func (s *state) foldedIn(changes []change) (all []*readable) {
	for _, c := range changes {
		family, section, _ := strings.Cut(c.key, "/")
		switch p := s.bundles[c.key]; {
		case family == "bundles" && c.deleted && p != nil:
			all = append(all, &readable{lock: p.lock, version: p.version, operations: p.operations})
		case family == "commits" && c.deleted:
			lock, token, _ := strings.Cut(section, "//")
			is := &readable{lock: lock}
			is.Token, _ = strconv.ParseInt(token, 16, 64) // facts says so
			is.operations = operationsIn(s.records[section])
			all = append(all, is)
		}
	}
	slices.SortFunc(all, func(a, b *readable) int { return a.compare(b.version) })
	return all
}

// take takes in a change.
func (st *store) take(c change) {
	family, rest, _ := strings.Cut(c.key, "/")
	switch family {
	case "staged":
		section := rest[:max(strings.LastIndex(rest, "/"), 0)]
		if c.deleted {
			delete(st.records[section], c.key)
			return
		}
		if st.records[section] == nil {
			st.records[section] = map[string]recorded{}
		}
		st.records[section][c.key], _ = newRecorded(c) // facts says so
	case "files":
		if c.deleted { // its positions come back
			lock, name, _ := strings.Cut(rest, "//")
			delete(st.files, fileID{lock, name})
		}
	case "cluster":
		if rest == "features" {
			st.unnamed = st.unnamed || !isOn(c, "life")
		}
	}
}

// isOn reports whether a feature is on.
func isOn(c change, feature string) bool {
	var v struct {
		On []string `json:"on"`
	}
	_ = json.Unmarshal(c.value, &v) // what is malformed switches nothing on
	return slices.Contains(v.On, feature)
}

func newStore() store {
	return store{
		records: map[string]map[string]recorded{}, files: map[fileID]*fileAt{}, chunks: map[fileID]map[int64][]byte{},
		garbage: map[fileID]garbageValue{},
	}
}

func (f *fileAt) String() string {
	if f == nil {
		return "no head"
	}
	return fmt.Sprintf("%+v", f.headValue)
}
