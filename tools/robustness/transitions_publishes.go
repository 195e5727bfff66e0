package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// lanes are what etcd has of what is published in one call, as far as transitions asks.
type lanes struct {
	highest   map[publishID]uint64 // of each lane, without a number: the highest that was ever noted
	notes     map[string]int64     // key of each lane's note → its revision
	bundles   map[string]*publish  // that are not folded, by key
	folded    map[string]version   // of the last section that is folded, by lock, as etcd says
	forgotten int64
	told      bool // the feature is on: whatever publishes puts latest/L
}

// publishes judges what is published in one call, and what is said of it:
//
//   - A bundle is put where none is, with a note of its lane in the same revision, and no note of a
//     publish without what it published.
//   - Nobody holds the lock, and nobody waits for it; or those who did for longest do not any more,
//     one for each bundle: these were published in a run.
//   - Nobody is granted the lock in the same revision: no two sections have one version.
//   - In turn, under a token, a section is published as it ends: with its marker, its note, and the
//     lock passed on.
//   - A lane's numbers rise, whether they are published or withdrawn. So each is published once at
//     most, and never after a later one, or after it was withdrawn.
//   - Whatever publishes puts latest/L.
//   - A note is dropped with forgotten raised to its revision, which never falls.
//
// It returns how many were published in runs.
func (s *state) publishes(changes []change, accuse func(string, ...any)) (inRuns int) {
	published, withdrawn, err := publishesIn(changes)
	if err != nil { // facts says so
		return 0
	}
	put := map[string]bool{}    // false: deleted
	bundles := map[string]int{} // by lock
	for _, c := range changes {
		if put[c.key] = !c.deleted; strings.HasPrefix(c.key, "bundles/") && !c.deleted && c.created != c.rev {
			accuse("%s is put over another one", c.key)
		}
	}
	for _, p := range published {
		if p.bundle != "" {
			bundles[p.lock]++
		}
	}
	for lock, n := range bundles {
		if len(s.places[lock]) > 0 {
			inRuns += n
			s.overtakes(changes, lock, n, accuse)
		}
	}
	versions := map[string][]version{} // by lock
	for _, p := range published {
		h, held := s.holders[p.lock]
		switch {
		case p.lane == "":
			accuse("a section of %s is published, and no note says whose: %.200q", p.lock, fmt.Sprint(p.operations))
		case p.inTurn:
			_, passed := put["locks/"+p.lock]
			marked := put[fmt.Sprintf("commits/%s//%016x", p.lock, p.Token)]
			if h.token != p.Token || !passed || !marked || p.N != 0 {
				accuse("a section of %s is published in turn under %v, and held by %q under %d (marked: %t, passed on: %t)",
					p.lock, p.version, h.acquisition, h.token, marked, passed)
			}
		case p.bundle == "":
			accuse("number %d of lane %s of %s is published, and there is nothing of it", p.number, p.lane, p.lock)
		case held:
			accuse("a section of %s is published, and %s holds it", p.lock, h.acquisition)
		case put["locks/"+p.lock]:
			accuse("a section of %s is published, and it is granted at once", p.lock)
		case !put["latest/"+p.lock]:
			accuse("a section of %s is published, and latest is not put", p.lock)
		case slices.Contains(versions[p.lock], p.version):
			accuse("two sections of %s are published under %v", p.lock, p.version)
		}
		versions[p.lock] = append(versions[p.lock], p.version)
		if p.lane != "" {
			s.noted(p.publishID, accuse)
		}
	}
	for _, id := range withdrawn {
		s.noted(id, accuse)
	}
	for _, c := range changes {
		lock, _, _ := strings.Cut(strings.TrimPrefix(c.key, "commits/"), "//")
		if s.told && !c.deleted && strings.HasPrefix(c.key, "commits/") && !put["latest/"+lock] {
			accuse("%s is put, and latest is not", c.key)
		}
	}
	s.forgets(changes, accuse)
	return inRuns
}

// overtakes judges some bundles of a lock that somebody waits for.
func (s *state) overtakes(changes []change, lock string, bundles int, accuse func(string, ...any)) {
	var gone []int64 // since when those have waited who do not any more
	for acquisition, since := range s.places[lock] {
		if deletes(changes, "queue/"+lock+"//"+acquisition) {
			gone = append(gone, since)
		}
	}
	if len(gone) < bundles {
		accuse("%d sections of %s are published, and it is waited for by %d, %d of whom leave", bundles, lock, len(s.places[lock]), len(gone))
		return
	}
	slices.Sort(gone)
	for acquisition, since := range s.places[lock] {
		if !deletes(changes, "queue/"+lock+"//"+acquisition) && since < gone[bundles-1] {
			accuse("%d sections of %s are published past %s, which has waited since %d", bundles, lock, acquisition, since)
		}
	}
}

// noted takes in that a lane has come to a number.
func (s *state) noted(id publishID, accuse func(string, ...any)) {
	lane := publishID{lock: id.lock, lane: id.lane}
	if before := s.highest[lane]; id.number <= before {
		accuse("lane %s of %s is at %d, and was at %d before", id.lane, id.lock, id.number, before)
	}
	s.highest[lane] = max(s.highest[lane], id.number)
}

// forgets judges what is dropped of what is said of publishes.
func (s *state) forgets(changes []change, accuse func(string, ...any)) {
	upTo := s.forgotten
	for _, c := range changes {
		if c.key != "forgotten" {
			continue
		}
		rev, err := strconv.ParseInt(string(c.value), 16, 64)
		if err != nil || rev < s.forgotten {
			accuse("what is forgotten was up to %d, and is %q (deleted: %t)", s.forgotten, c.value, c.deleted)
		}
		upTo = rev
	}
	for _, c := range changes {
		if strings.HasPrefix(c.key, "applied/") && c.deleted && s.notes[c.key] > upTo {
			accuse("%s is dropped, which is of %d, and what is forgotten is up to %d", c.key, s.notes[c.key], upTo)
		}
	}
}

// folds judges what is folded: the oldest sections of a lock first, with the version of the newest,
// which only rises.
func (s *state) folds(changes []change, accuse func(string, ...any)) {
	newest := map[string]version{} // that is folded, by lock
	folded := map[string]bool{}    // keys
	says := map[string]version{}   // the newest that is folded, by lock
	bundled := map[string]bool{}   // locks
	markerOf := func(marker string) (lock string, v version) {
		lock, token, _ := strings.Cut(marker, "//")
		v.Token, _ = strconv.ParseInt(token, 16, 64) // facts says so
		return lock, v
	}
	later := func(a, b version) version {
		if a.compare(b) > 0 {
			return a
		}
		return b
	}
	for _, c := range changes {
		family, rest, _ := strings.Cut(c.key, "/")
		switch {
		case family == "folded":
			var v version
			if json.Unmarshal(c.value, &v) != nil || c.deleted || v.compare(s.folded[rest]) <= 0 {
				accuse("%s was %v, and is %q (deleted: %t)", c.key, s.folded[rest], c.value, c.deleted)
			}
			says[rest] = v
		case family == "commits" && c.deleted:
			lock, v := markerOf(rest)
			newest[lock], folded[c.key] = later(newest[lock], v), true
		case family == "bundles" && c.deleted && s.bundles[c.key] != nil:
			p := s.bundles[c.key]
			newest[p.lock], folded[c.key], bundled[p.lock] = later(newest[p.lock], p.version), true, true
		}
	}
	for lock, v := range says {
		if newest[lock] != v {
			accuse("%s is said to be folded up to %v, and is up to %v", lock, v, newest[lock])
		}
	}
	for lock, v := range newest {
		if _, said := says[lock]; !said && (s.told || bundled[lock]) {
			accuse("section %v of %s is folded, and that is not said", v, lock)
		}
	}
	if len(folded) == 0 {
		return
	}
	for marker := range s.markers {
		if lock, v := markerOf(marker); !folded["commits/"+marker] && v.compare(newest[lock]) < 0 {
			accuse("section %v of %s is folded, and %v is not", newest[lock], lock, v)
		}
	}
	for key, p := range s.bundles {
		if !folded[key] && p.compare(newest[p.lock]) < 0 {
			accuse("section %v of %s is folded, and %v is not", newest[p.lock], p.lock, p.version)
		}
	}
}

// take takes in a change.
func (l *lanes) take(c change) {
	family, _, _ := strings.Cut(c.key, "/")
	switch {
	case family == "bundles" && c.deleted:
		delete(l.bundles, c.key)
	case family == "bundles":
		if p, err := parseBundle(c); err == nil {
			l.bundles[c.key] = p
		}
	case family == "folded" && !c.deleted:
		var v version
		_ = json.Unmarshal(c.value, &v) // folds says so
		l.folded[strings.TrimPrefix(c.key, "folded/")] = v
	case family == "applied" && c.deleted:
		delete(l.notes, c.key)
	case family == "applied":
		l.notes[c.key] = c.rev
	case c.key == "forgotten" && !c.deleted:
		l.forgotten, _ = strconv.ParseInt(string(c.value), 16, 64) // facts says so
	case c.key == "cluster/features":
		l.told = isOn(c, "publish")
	}
}
