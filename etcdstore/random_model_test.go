package etcdstore_test

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// fate is what is known of a section.
type fate int

const (
	open      fate = iota // or its ending has not been answered
	published             // its release or commit was acknowledged
	undone                // it was discarded or lost, and nobody ever asked for its publication with success
)

// modelSection is one section as its holder sees it. Only its holder changes it, under the model's
// lock.
type modelSection struct {
	etcdstore.Section
	files map[string]string
	lives []etcdstore.Operation // on the file g
	fate  fate
}

// model is what must be true of all locks.
type model struct {
	t     *testing.T
	mu    sync.Mutex
	locks map[string]*modelLock

	compacted atomic.Int64 // up to which revision etcd's history may be gone
}

type modelLock struct {
	sections  map[int64]*modelSection
	ended     int64 // the highest token whose section is known to have ended
	published int64 // the highest token that was acknowledged as published
	read      []snapshot
}

// snapshot is what one read saw.
type snapshot struct {
	file, text string
	after      int64 // the token that was acknowledged before the read began
}

func newModel(t *testing.T) *model { return &model{t: t, locks: map[string]*modelLock{}} }

func (m *model) lock(name string) *modelLock {
	l := m.locks[name]
	if l == nil {
		l = &modelLock{sections: map[int64]*modelSection{}}
		m.locks[name] = l
	}
	return l
}

// marks is the highest tokens that are known to have ended, and to be published.
func (m *model) marks(lock string) (ended, published int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.lock(lock)
	return l.ended, l.published
}

// granted opens a section. ended is the highest token that had ended when the lock was asked for.
func (m *model) granted(sec etcdstore.Section, ended int64) *modelSection {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.lock(sec.Lock)
	if sec.Token <= ended {
		m.t.Errorf("%s is granted under %d after %d had ended", sec.Lock, sec.Token, ended)
	}
	if other := l.sections[sec.Token]; other != nil {
		m.t.Errorf("%s is granted twice under %d", sec.Lock, sec.Token)
	}
	s := &modelSection{Section: sec, files: map[string]string{}}
	l.sections[sec.Token] = s
	return s
}

// appended notes a record that was acknowledged. From then on its holder says so when it ends the
// section; an append whose outcome it does not know, or that was refused, it does not end with a
// release.
func (m *model) appended(s *modelSection, r etcdstore.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.Appended = true
	if r.File == "g" {
		s.lives = append(s.lives, etcdstore.Operation{File: r.File, Kind: r.Kind, Data: r.Data, Offset: r.Offset})
		return
	}
	s.files[r.File] += string(r.Data)
}

// ended notes what became of a section.
func (m *model) ended(s *modelSection, f fate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.fate != open && s.fate != f {
		m.t.Errorf("section %d of %s is now %d, and was %d", s.Token, s.Lock, f, s.fate)
	}
	s.fate = f
	l := m.lock(s.Lock)
	l.ended = max(l.ended, s.Token)
	if f == published {
		l.published = max(l.published, s.Token)
	}
}

func (m *model) fateOf(s *modelSection) fate {
	m.mu.Lock()
	defer m.mu.Unlock()
	return s.fate
}

func (m *model) saw(lock string, s snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.lock(lock)
	l.read = append(l.read, s)
}

// check compares, when all is over, what is readable with what was acknowledged. What was left open
// is asked for: a release that is repeated finds the truth.
func (m *model) check(s *etcdstore.Store) (acknowledged int) {
	m.t.Helper()
	for name, l := range m.locks {
		var all []*modelSection
		for _, sec := range l.sections {
			err := s.Release(storetest.Bounded(m.t), sec.Section)
			switch {
			case !sec.Appended:
				continue
			case m.forgotten(sec, err):
				if sec.fate == open && m.readable(s, sec) {
					sec.fate = published
				}
			case sec.fate == open && err == nil:
				sec.fate = published
			case sec.fate == published:
				storetest.Want(m.t, "Release of a published section", err, nil)
			default:
				storetest.Want(m.t, "Release of an undone section", err, etcdstore.ErrLockExpired)
			}
			if sec.fate == published {
				all = append(all, sec)
			}
		}
		acknowledged += len(all)
		slices.SortFunc(all, func(a, b *modelSection) int { return cmp.Compare(a.Token, b.Token) })
		var ops []etcdstore.Operation
		for _, sec := range all {
			ops = append(ops, sec.lives...)
		}
		wantLife(m.t, s, name, ops, false)
		for _, file := range []string{"a", "b"} {
			var want strings.Builder
			ends := map[int]int64{0: 0} // length → the last token up to there
			for _, sec := range all {
				want.WriteString(sec.files[file])
				ends[want.Len()] = sec.Token
			}
			storetest.WantContents(m.t, s, name, file, want.String())
			for _, r := range l.read {
				if r.file != file {
					continue
				}
				if _, whole := ends[len(r.text)]; !whole || !strings.HasPrefix(want.String(), r.text) {
					m.t.Errorf("%s of %s was read as %d bytes that are no run of whole sections", file, name, len(r.text))
				}
				missing := slices.ContainsFunc(all, func(sec *modelSection) bool {
					return sec.Token <= r.after && sec.files[file] != "" && sec.Token > lastOf(ends, len(r.text))
				})
				if missing {
					m.t.Errorf("%s of %s was read up to section %d after %d had been acknowledged", file, name, lastOf(ends, len(r.text)), r.after)
				}
			}
		}
	}
	return acknowledged
}

// forgotten reports whether an ending was answered with an unknown outcome, and may be: etcd's
// history does not reach back to the section's whole.
func (m *model) forgotten(s *modelSection, err error) bool {
	return errors.Is(err, etcdstore.ErrOutcomeUnknown) && s.Token <= m.compacted.Load()
}

// readable reports whether what a section has appended is in a file.
func (m *model) readable(s *etcdstore.Store, sec *modelSection) bool {
	m.t.Helper()
	for file, data := range sec.files {
		return strings.Contains(storetest.Contents(m.t, s, sec.Lock, file), data) // the data names the section
	}
	return false
}

// lastOf is the last section in a file of that length.
func lastOf(ends map[int]int64, length int) int64 { return ends[length] }
