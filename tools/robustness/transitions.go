package main

import (
	"fmt"
	"strconv"
	"strings"
)

// state is what etcd has at a revision, as far as transitions asks.
type state struct {
	holders map[string]holder              // by lock
	places  map[string]map[string]int64    // lock → acquisition → CreateRevision
	staged  map[string]map[string]struct{} // section → keys of its records
	markers map[string]struct{}            // sections
	lanes
	store
}

// holder is who holds a lock, and under which token.
type holder struct {
	acquisition string
	token       int64
}

// transitions holds every change of what etcd has against what may follow on what: facts says what
// became of sections, this is about who comes next, and what is taken away.
//
//   - A lock is put on the lease of its holder's session.
//   - A lock goes from one holder to another only if that has waited, and nobody did before it.
//   - Nobody is granted a free lock past somebody who waits.
//   - No acquisition holds and waits at once.
//   - A section with records that its holder or an eviction has ended is marked or noted at once; while
//     etcd has no space a discard leaves its records as they are, and no note.
//   - No two records of a section say the same.
//   - Records are taken away with their marker, by a fold, or of a section that has ended otherwise.
//
// And what publishes, folds and lives say. over: nothing more is to come, and everybody has gone.
func (v *verdicts) transitions(e *epoch, over bool) {
	s := state{
		map[string]holder{}, map[string]map[string]int64{}, map[string]map[string]struct{}{}, map[string]struct{}{},
		lanes{
			highest: map[publishID]uint64{}, notes: map[string]int64{}, bundles: map[string]*publish{}, folded: map[string]version{},
		},
		newStore(),
	}
	texts := map[string]struct{}{} // section and text of each record
	for changes := range e.revisions() {
		accuse := func(why string, args ...any) {
			v.untrue = append(v.untrue, accusation{
				checker: byTransitions, text: fmt.Sprintf("revision %d: ", changes[0].rev) + fmt.Sprintf(why, args...),
				lock: lockOf(changes), at: changes[0].seen,
			})
		}
		s.grants(changes, accuse)
		s.endings(changes, e.full(changes[0].seen), accuse)
		s.removals(changes, accuse)
		v.inRuns += s.publishes(changes, accuse)
		s.folds(changes, accuse)
		s.lives(changes, accuse)
		for _, c := range changes {
			if id, isRecord := strings.CutPrefix(c.key, "staged/"); isRecord && !c.deleted {
				section := id[:strings.LastIndex(id, "/")]
				_, o, _ := parseStaged(c.value) // facts says so
				if _, twice := texts[section+"\n"+o.text]; twice && o.text != "" {
					accuse("%s says what another record of its section says", c.key)
				}
				texts[section+"\n"+o.text] = struct{}{}
			}
			s.take(c)
			s.lanes.take(c)
			s.store.take(c)
		}
		for _, c := range changes {
			lock, isLock := strings.CutPrefix(c.key, "locks/")
			if !isLock {
				rest, _ := strings.CutPrefix(c.key, "queue/")
				lock, _, _ = strings.Cut(rest, "//")
			}
			if h, held := s.holders[lock]; held {
				if _, waits := s.places[lock][h.acquisition]; waits {
					accuse("%s holds %s, and waits for it", h.acquisition, lock)
				}
			}
		}
	}
	if over {
		s.atRest(func(why string, args ...any) {
			v.untrue = append(v.untrue, accusation{checker: byRest, text: fmt.Sprintf(why, args...)})
		})
	}
}

// lockOf is the lock that a revision is about, or the first of several; empty: none.
func lockOf(changes []change) string {
	for _, c := range changes {
		switch family, rest, _ := strings.Cut(c.key, "/"); family {
		case "locks", "queue", "staged", "commits", "undone", "files", "chunks", "garbage", "folded", "bundles", "applied", "latest":
			lock, _, _ := strings.Cut(rest, "//")
			return lock
		}
	}
	return ""
}

// grants judges who is granted a lock.
func (s *state) grants(changes []change, accuse func(string, ...any)) {
	left := map[string]bool{} // places that are gone with this revision
	for _, c := range changes {
		if key, isPlace := strings.CutPrefix(c.key, "queue/"); isPlace && c.deleted {
			left[key] = true
		}
	}
	for _, c := range changes {
		lock, isLock := strings.CutPrefix(c.key, "locks/")
		if !isLock || c.deleted {
			continue
		}
		now, _, _ := strings.Cut(string(c.value), "\x00")
		session, _, _ := strings.Cut(now, ".")
		if id, err := strconv.ParseInt(session, 16, 64); err != nil || id != c.lease {
			accuse("%s is granted to %s, and on the lease %016x", lock, now, c.lease)
		}
		before, held := s.holders[lock]
		if before.acquisition == now { // a commit, which facts looks at
			continue
		}
		own, waited := s.places[lock][now]
		if held && !waited {
			accuse("%s is held by %s, and granted to %s, which did not wait", lock, before.acquisition, now)
		}
		for other, created := range s.places[lock] {
			if other != now && !left[lock+"//"+other] && (!waited || created < own) {
				accuse("%s is granted to %s, and %s has waited since %d", lock, now, other, created)
				break
			}
		}
	}
}

// endings judges how sections end; full: while etcd may have no space.
func (s *state) endings(changes []change, full bool, accuse func(string, ...any)) {
	said := map[string]bool{} // keys that are put or deleted
	for _, c := range changes {
		said[c.key] = true
	}
	for _, c := range changes {
		lock, isLock := strings.CutPrefix(c.key, "locks/")
		before, held := s.holders[lock]
		if !isLock || !held {
			continue
		}
		section := fmt.Sprintf("%s//%016x", lock, before.token)
		session, _, _ := strings.Cut(before.acquisition, ".")
		if len(s.staged[section]) > 0 && !said["sessions/"+session] && !said["commits/"+section] && !said["undone/"+section] && !full {
			accuse("section %s has records, and ends with neither a marker nor a note", section)
		}
	}
}

// removals judges what is taken away of sections.
func (s *state) removals(changes []change, accuse func(string, ...any)) {
	unmarked, undone := map[string]bool{}, map[string]bool{}
	for _, c := range changes {
		if section, isMarker := strings.CutPrefix(c.key, "commits/"); isMarker && c.deleted {
			unmarked[section] = true
		}
		if section, isNote := strings.CutPrefix(c.key, "undone/"); isNote && !c.deleted {
			undone[section] = true
		}
	}
	for _, c := range changes {
		if id, isRecord := strings.CutPrefix(c.key, "staged/"); isRecord && c.deleted {
			section := id[:strings.LastIndex(id, "/")]
			if _, marked := s.markers[section]; marked && !unmarked[section] {
				accuse("%s is taken away, and its section is published and not folded", c.key)
			}
			lock, token, _ := strings.Cut(section, "//")
			if h, held := s.holders[lock]; held && fmt.Sprintf("%016x", h.token) == token {
				accuse("%s is taken away, and its section is held", c.key)
			}
		}
	}
	for section := range unmarked {
		for key := range s.staged[section] {
			if !deletes(changes, key) {
				accuse("%s is folded, and %s stays", section, key)
			}
		}
	}
	for section := range undone {
		if _, marked := s.markers[section]; marked {
			accuse("%s is undone, and published", section)
		}
	}
}

// deletes reports whether a key is among what is deleted.
func deletes(changes []change, key string) bool {
	for _, c := range changes {
		if c.key == key && c.deleted {
			return true
		}
	}
	return false
}

// take takes in a change.
func (s *state) take(c change) {
	family, rest, _ := strings.Cut(c.key, "/")
	switch family {
	case "locks":
		now, _, _ := strings.Cut(string(c.value), "\x00")
		s.holders[rest] = holder{now, c.rev}
		if c.deleted {
			delete(s.holders, rest)
		}
	case "queue":
		lock, acquisition, _ := strings.Cut(rest, "//")
		if c.deleted {
			delete(s.places[lock], acquisition)
			return
		}
		if s.places[lock] == nil {
			s.places[lock] = map[string]int64{}
		}
		s.places[lock][acquisition] = c.created
	case "staged":
		section := rest[:max(strings.LastIndex(rest, "/"), 0)]
		if c.deleted {
			delete(s.staged[section], c.key)
			return
		}
		if s.staged[section] == nil {
			s.staged[section] = map[string]struct{}{}
		}
		s.staged[section][c.key] = struct{}{}
	case "commits":
		s.markers[rest] = struct{}{}
		if c.deleted {
			delete(s.markers, rest)
		}
	}
}
