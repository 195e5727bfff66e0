package main

import (
	"slices"
	"time"
)

// A publish has the version that its client was told. One that nobody was told of has no token by
// which it could be put in order: that alone is taken from the watch. So are its records, of which
// a worker that was killed has written nothing down, and what dlm append has published.

// clientPublish is what the histories tell of one publish.
type clientPublish struct {
	said
	version version
	text    texts
	asked   time.Time // first; zero: nobody says when
	done    *answer   // that it is published; nil: none
}

// clientPublishes are all answers to publishes, by what these say.
type clientPublishes map[said][]answer

func publishesOf(answers []answer) clientPublishes {
	all := clientPublishes{}
	for _, a := range answers {
		switch a.Call {
		case callPublish, callWithdraw, callDlmAppend:
			id := said{a.Lock, a.Data}
			all[id] = append(all[id], a)
		}
	}
	return all
}

// in are the publishes of an epoch: those that were acknowledged in it, and those of which the
// watch alone knows the version. f is nil if that saw something impossible.
func (all clientPublishes) in(e *epoch, until time.Time, f *facts) (list []clientPublish) {
	told := map[said]bool{}
	for id, as := range all {
		p := all.of(id, e, until)
		if p.done == nil || p.done.Version == (version{}) {
			continue
		}
		told[id] = true
		p.version = p.done.Version
		for n, o := range operationsOf(id.lock, id.tag, as[0].Operations) {
			p.text[fileIndex(n)] += o.text
		}
		list = append(list, p)
	}
	if f == nil {
		return list
	}
	for _, s := range f.readable() {
		id := said{s.lock, s.tag}
		if s.tag == "" || told[id] {
			continue
		}
		p := all.of(id, e, until)
		p.version = s.version
		for name, text := range s.texts {
			p.text[max(0, slices.Index(fileNames(s.lock), name))] += text
		}
		list = append(list, p)
	}
	return list
}

// of is when a publish was asked for, and first acknowledged in an epoch.
func (all clientPublishes) of(id said, e *epoch, until time.Time) clientPublish {
	p := clientPublish{said: id}
	for _, a := range all[id] {
		if p.asked.IsZero() || a.Asked.Before(p.asked) {
			p.asked = a.Asked
		}
		if a.Reason == ok && !a.Answered.Before(e.from) && a.Answered.Before(until) && (p.done == nil || a.Answered.Before(p.done.Answered)) {
			p.done = &a
		}
	}
	return p
}

// takePublish takes in a publish.
func (h *lockHistory) takePublish(p clientPublish) {
	one := &step{published: true, version: p.version, may: []texts{p.text}}
	if !p.asked.IsZero() {
		one.called = p.asked.UnixNano()
	}
	if p.done == nil {
		h.doubtful = append(h.doubtful, one)
		return
	}
	one.at, one.returned = *p.done, p.done.Answered.UnixNano()
	h.steps = append(h.steps, one)
}
