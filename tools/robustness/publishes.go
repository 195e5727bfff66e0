package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A publish is a section in one call: mostly there is no holder, and who it is cannot be told by a
// token. Each record of it says a tag instead, which its worker made up for this one publish, so
// that what became of it is known even if nobody was told: by the watch of etcd, and by what the
// files have.

// version says which section was the last that was published; N is 0 of one that was held.
type version struct {
	Token int64  `json:"token"`
	N     uint32 `json:"n,omitempty"`
}

func (v version) compare(o version) int {
	return cmp.Or(cmp.Compare(v.Token, o.Token), cmp.Compare(v.N, o.N))
}

// publishID names a publish as its note does.
type publishID struct {
	lock, lane string
	number     uint64
}

// publish is what really became of one publish.
type publish struct {
	publishID // without a lane: there is no note that says whose it is
	version
	operations []operation
	bundle     string // its key; empty: none
	inTurn     bool   // by a holder for as long as it takes: its records and its marker are those of a section
	seen       time.Time
}

// publishesIn are the publishes that a revision has made, and those that it has withdrawn.
func publishesIn(changes []change) (all []*publish, withdrawn []publishID, err error) {
	for _, c := range changes {
		if !strings.HasPrefix(c.key, "bundles/") || c.deleted {
			continue
		}
		p, err := parseBundle(c)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, p)
	}
	for _, c := range changes {
		if !strings.HasPrefix(c.key, "applied/") || c.deleted {
			continue
		}
		id, note, err := parseNote(c)
		if err != nil {
			return nil, nil, err
		}
		if note.Withdrawn {
			withdrawn = append(withdrawn, id)
			continue
		}
		is := version{cmp.Or(note.Token, c.rev), note.N}
		i := slices.IndexFunc(all, func(p *publish) bool { return p.lane == "" && p.lock == id.lock && p.version == is })
		if i >= 0 {
			all[i].publishID = id
		} else {
			all = append(all, &publish{publishID: id, version: is, inTurn: note.Token > 0, seen: c.seen})
		}
	}
	return all, withdrawn, nil
}

// parseBundle reads a section that was published in one call, without its lane and number.
func parseBundle(c change) (*publish, error) {
	lock, name, _ := strings.Cut(strings.TrimPrefix(c.key, "bundles/"), "//")
	_, slot, _ := strings.Cut(name, ".")
	n, err := strconv.ParseUint(slot, 16, 31)
	if err != nil {
		return nil, fmt.Errorf("key %s at %d: %w", c.key, c.rev, err)
	}
	p := &publish{publishID: publishID{lock: lock}, version: version{c.rev, uint32(n) + 1}, bundle: c.key, seen: c.seen}
	if p.operations, err = parseOperations(c.value); err != nil {
		return nil, fmt.Errorf("%s at %d: %w", c.key, c.rev, err)
	}
	return p, nil
}

// laneNote is what became of a lane's last publish.
type laneNote struct {
	N         uint32 `json:"n"`
	Token     int64  `json:"token"` // of a section that was held; 0: the note's revision
	Withdrawn bool   `json:"withdrawn"`
}

func parseNote(c change) (id publishID, note laneNote, err error) {
	id.lock, id.lane, _ = strings.Cut(strings.TrimPrefix(c.key, "applied/"), "//")
	number, rest := string(c.value[:min(16, len(c.value))]), c.value[min(16, len(c.value)):]
	if id.number, err = strconv.ParseUint(number, 16, 63); err == nil {
		err = json.Unmarshal(rest, &note)
	}
	if err != nil {
		return id, note, fmt.Errorf("%s at %d is malformed: %q: %w", c.key, c.rev, c.value, err)
	}
	return id, note, nil
}

// said is a section that says a tag: a publish, or what was held instead.
type said struct{ lock, tag string }

// operationsIn are what the records of a section do, in order.
func operationsIn(records map[string]recorded) (all []operation) {
	byPlace := func(a, b string) int {
		r, other := records[a], records[b]
		return cmp.Or(cmp.Compare(r.number, other.number), cmp.Compare(r.rev, other.rev), cmp.Compare(a, b))
	}
	for _, request := range slices.SortedFunc(maps.Keys(records), byPlace) {
		all = append(all, records[request].operation)
	}
	return all
}

// numberOf is the number of a record in its section.
func numberOf(line string) int {
	if _, _, n, err := parseRecord(line); err == nil {
		return n
	}
	fields := strings.Fields(line)
	n, _ := strconv.Atoi(fields[len(fields)-1]) // others say nothing that is looked at
	return n
}

// tagOf is the tag that a record says; empty: it says a token.
func tagOf(line string) string {
	fields := strings.Fields(line)
	if len(fields) < 2 || fields[1][0] >= '0' && fields[1][0] <= '9' {
		return ""
	}
	return fields[1]
}

// taggedRecord is the text of a publish's nth operation.
func taggedRecord(lock, tag string, n int) string { return fmt.Sprintf("%s %s %d\n", lock, tag, n) }

// operationsOf are the operations of a publish with so many.
func operationsOf(lock, tag string, many int) (all []operation) {
	for n := range many {
		all = append(all, operationOf(lock, taggedRecord(lock, tag, n), n))
	}
	return all
}

// takePublishes takes in what a revision has published in one call.
func (f *facts) takePublishes(changes []change) error {
	all, withdrawn, err := publishesIn(changes)
	if err != nil {
		return err
	}
	took := func(id publishID) {
		lane := publishID{lock: id.lock, lane: id.lane}
		f.highest[lane] = max(f.highest[lane], id.number)
	}
	for _, p := range all {
		if s := f.sections[sectionID{p.lock, p.Token}]; p.inTurn && s != nil {
			p.operations = operationsIn(s.records)
		}
		f.published = append(f.published, p)
		f.publishes[p.publishID] = p
		took(p.publishID)
	}
	for _, id := range withdrawn {
		f.withdrawn[id] = true
		took(id)
	}
	for _, c := range changes {
		if c.key == "forgotten" && !c.deleted {
			if f.forgotten, err = strconv.ParseInt(string(c.value), 16, 64); err != nil {
				return fmt.Errorf("%s at %d: %w", c.key, c.rev, err)
			}
		}
	}
	return nil
}

// publish judges what a publish or a withdrawal was answered that names a lane. BUSY, and any error
// but OUTCOME_UNKNOWN, say only what is not so far: an earlier copy may still come.
func (v *verdicts) publish(a answer, f *facts) {
	id := publishID{a.Lock, a.Lane, a.Number}
	is := f.publishes[id]
	switch a.Reason {
	case ok:
		switch {
		case is == nil:
			v.accuse(a, "published, and it was not")
		case is.version != a.Version:
			v.accuse(a, "published under %v, and it was under %v", a.Version, is.version)
		case !slices.Equal(is.operations, operationsOf(a.Lock, a.Data, a.Operations)):
			v.accuse(a, "published, and something else was: %.200q", fmt.Sprint(is.operations))
		}
	case withdrawn:
		if !f.withdrawn[id] {
			v.accuse(a, "withdrawn, and it was not")
		}
	case busy:
		if a.Got != 0 && f.sections[sectionID{a.Lock, a.Got}] == nil {
			v.accuse(a, "busy, for a holder that never was")
		}
	case "OUTCOME_UNKNOWN":
		if f.highest[publishID{lock: a.Lock, lane: a.Lane}] <= a.Number && f.forgotten <= a.Born {
			v.accuse(a, "unknown, and neither is a later one of its lane known nor anything forgotten")
		}
	}
}

// publishByTag judges what a publish came to by the SDK, or by dlm append. Its errors are final, as
// long as the network delivers a message once that was sent once.
func (v *verdicts) publishByTag(a answer, e *epoch, tagged map[said][]*readable) {
	all := tagged[said{a.Lock, a.Data}]
	switch {
	case a.Reason != ok && len(all) > 0 && !e.doubled(a):
		v.accuse(a, "refused, and published at %v", all[0].version)
	case a.Reason == ok && len(all) == 0:
		v.accuse(a, "published, and it is not")
	case a.Reason == ok && a.Version != version{} && all[0].version != a.Version:
		v.accuse(a, "published under %v, and it is under %v", a.Version, all[0].version)
	}
}

// publishOrder judges what clients of the SDK have published, each one publish after the other to a
// lock. One is sent when the one before was answered, or given up; so that comes first, or never.
func (v *verdicts) publishOrder(answers []answer, tagged map[said][]*readable) {
	type by struct{ client, lock string }
	last := map[by]*readable{}
	for _, a := range answers {
		if a.Client == "" || len(tagged[said{a.Lock, a.Data}]) == 0 {
			continue
		}
		is, who := tagged[said{a.Lock, a.Data}][0], by{a.Client, a.Lock}
		if before := last[who]; before != nil && before.compare(is.version) >= 0 {
			v.accuse(a, "published under %v, and what was sent before it under %v", is.version, before.version)
		}
		last[who] = is
	}
}

// tagged are the sections that say a tag. Each is there once, however it came to be published.
func (v *verdicts) tagged(f *facts) map[said][]*readable {
	all := map[said][]*readable{}
	for _, s := range f.readable() {
		if s.tag == "" {
			continue
		}
		id := said{s.lock, s.tag}
		if all[id] = append(all[id], s); len(all[id]) == 2 {
			v.untrue = append(v.untrue, accusation{
				checker: byTransitions, lock: s.lock, at: s.seen,
				text: fmt.Sprintf("%s of %s is published under %v, and under %v", s.tag, s.lock, all[id][0].version, s.version),
			})
		}
	}
	return all
}
