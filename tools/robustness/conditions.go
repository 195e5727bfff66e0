package main

import (
	"maps"
	"slices"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// condition is what has to hold when a section is published. nil always does.
type condition struct {
	Lock  *version        `json:"lock,omitempty"`
	Files []fileCondition `json:"files,omitempty"`
}

// fileCondition asks for one of them.
type fileCondition struct {
	File    string  `json:"file"`
	Version version `json:"version,omitzero"`
	Absent  bool    `json:"absent,omitempty"`
	Size    *int64  `json:"size,omitempty"`
}

// ofVersions reports whether the condition, once it is false, is so for good: versions do not come
// back.
func (c *condition) ofVersions() bool {
	return !slices.ContainsFunc(c.Files, func(f fileCondition) bool { return f.Version == version{} })
}

// message is the condition as the API has it; nil if there is none.
func (c *condition) message() *client.Condition {
	if c == nil {
		return nil
	}
	m := &client.Condition{}
	if c.Lock != nil {
		m.Lock = c.Lock.message()
	}
	for _, f := range c.Files {
		switch {
		case f.Size != nil:
			m.Files = append(m.Files, client.SizeIs(f.File, *f.Size))
		case f.Absent:
			m.Files = append(m.Files, client.VersionIs(f.File, nil))
		default:
			m.Files = append(m.Files, client.VersionIs(f.File, f.Version.message()))
		}
	}
	return m
}

func (v version) message() *dlmv1.Version { return &dlmv1.Version{Token: v.Token, N: v.N} }

// lockNow is what conditions ask about, as it is at a moment.
type lockNow struct {
	Version version            `json:"version,omitzero"` // that was published last; zero: nothing was
	Files   map[string]fileNow `json:"files,omitempty"`  // those that are there
}

type fileNow struct {
	Version version `json:"version"`
	Size    int64   `json:"size"`
}

// toldOf is what a conflict was answered with.
func toldOf(v *dlmv1.Version, files []*client.File) *lockNow {
	now := &lockNow{Version: versionOf(v), Files: map[string]fileNow{}}
	for _, f := range files {
		now.Files[f.GetName()] = fileNow{versionOf(f.GetVersion()), f.GetSize()}
	}
	return now
}

func (now lockNow) meets(c *condition) bool {
	if c.Lock != nil && *c.Lock != now.Version {
		return false
	}
	for _, f := range c.Files {
		is, there := now.Files[f.File]
		switch {
		case f.Absent && there, f.Version != version{} && f.Version != is.Version, f.Size != nil && *f.Size != is.Size:
			return false
		}
	}
	return true
}

// after is what is so after some operations of a section.
func (now lockNow) after(operations []operation, by version) lockNow {
	next := lockNow{by, maps.Clone(now.Files)}
	if next.Files == nil {
		next.Files = map[string]fileNow{}
	}
	for _, o := range operations {
		is, there := next.Files[o.file]
		switch {
		case o.kind == appending:
			next.Files[o.file] = fileNow{by, is.Size + int64(len(o.text))}
		case o.kind == replacing:
			next.Files[o.file] = fileNow{by, int64(len(o.text))}
		case o.kind == removing:
			delete(next.Files, o.file)
		case there: // what is cut off counts
			next.Files[o.file] = fileNow{by, is.Size}
		}
	}
	return next
}

// says reports whether this is what a conflict of a condition is answered with.
func (now lockNow) says(c *condition, told lockNow) bool {
	if c.Lock != nil && told.Version != now.Version {
		return false
	}
	return !slices.ContainsFunc(c.Files, func(f fileCondition) bool { return told.Files[f.File] != now.Files[f.File] })
}

// lockState is what a lock is from one publication to the next.
type lockState struct {
	lockNow
	of    *readable // after which it is so; nil: nothing was published
	until time.Time // it was over then, for certain; zero: it is not
}

// states are those that each lock has had, one after the other.
func (f *facts) states() map[string][]lockState {
	all := map[string][]lockState{}
	for _, s := range f.inOrder() {
		states := all[s.lock]
		if states == nil {
			states = []lockState{{}}
		}
		before := &states[len(states)-1]
		before.until = s.seen
		all[s.lock] = append(states, lockState{lockNow: before.after(s.operations, s.version), of: s})
	}
	return all
}

// conditions judges what publishes with conditions came to, whatever they were answered: those that
// are published were so while their condition held, and a conflict is told of one that was false.
func (v *verdicts) conditions(answers []answer, e *epoch, until time.Time, f *facts, tagged map[said][]*readable, ends endings) {
	states := f.states()
	for _, a := range answers {
		if a.If == nil || a.Asked.Before(e.from) || !a.Answered.Before(until) {
			continue
		}
		of := states[a.Lock]
		if of == nil {
			of = []lockState{{}}
		}
		is, seen := version{}, time.Time{} // that it was published
		if p := f.publishes[publishID{a.Lock, a.Lane, a.Number}]; p != nil {
			is, seen = p.version, p.seen
		} else if all := tagged[said{a.Lock, a.Data}]; a.Lane == "" && len(all) > 0 {
			is, seen = all[0].version, all[0].seen
		}
		i, found := slices.BinarySearchFunc(of, is, func(s lockState, is version) int { return s.Version.compare(is) })
		if is != (version{}) && found {
			v.onConditions++
		}
		if is != (version{}) && found && !of[i-1].meets(a.If) {
			v.accuse(a, "published under %v, and its condition did not hold: the lock was %+v", is, of[i-1].lockNow)
		}
		if a.Reason != conflict {
			continue
		}
		switch {
		case is == version{}:
		case seen.Before(a.Asked):
			v.accuse(a, "a conflict, and it was published under %v before", is)
		case a.If.ofVersions():
			v.accuse(a, "a conflict of versions, and it is published under %v", is)
		}
		if !slices.ContainsFunc(of, func(s lockState) bool { return s.explains(a, ends) }) {
			v.accuse(a, "a conflict, and the condition held, or the lock never was as it was told")
		}
	}
}

// explains reports whether a conflict may have been told of a state.
func (s lockState) explains(a answer, ends endings) bool {
	if !s.until.IsZero() && s.until.Before(a.Asked) || s.meets(a.If) || a.Now != nil && !s.says(a.If, *a.Now) {
		return false
	}
	if s.of == nil {
		return true
	}
	t, known := ends.of(s.of.lock, publication{version: s.of.version, tag: s.of.tag})
	return !known || !t.first.After(a.Answered)
}

// expired judges publishes that were answered that their session had ended. Those that were sent
// under that session alone are never published.
func (v *verdicts) expired(answers []answer, e *epoch, until time.Time, f *facts) {
	for _, a := range answers {
		if a.Reason != "SESSION_EXPIRED" || a.Call != callPublish || a.Roams || a.Asked.Before(e.from) || !a.Answered.Before(until) {
			continue
		}
		if is := f.publishes[publishID{a.Lock, a.Lane, a.Number}]; a.Lane != "" && is != nil {
			v.accuse(a, "ruled out by the end of its session, and published under %v", is.version)
		}
	}
}
