package main

import (
	"slices"
	"time"
)

// kind is what happened to a section.
type kind int

const (
	began        kind = iota // it said that it holds the lock
	read                     // it has read both halves
	wrote                    // the store has replaced a half
	refused                  // a write was refused
	acknowledged             // it has ended, and all was answered with success
	gaveUp                   // it has ended by itself, as its lock was lost
	failed                   // it has ended in another way
)

// event is something that happened to a section, in the order of its lock's history.
type event struct {
	kind    kind
	section int
	half    int      // that was written, or is not
	seen    [2][]int // that was read
	at      time.Time
}

// hit is a fault that hit a holder.
type hit struct {
	fault   string
	section int
	at      time.Time
}

// history is all that happened under one lock.
type history struct {
	own    bool // dlm's own files: there are no events of writes
	events []event
	hits   []hit
	final  [2][]int // the halves in the end, in their own order
}

// verdict is what a history says: see the package comment.
type verdict struct {
	acknowledged, lost, torn, accepted, refused, gaveUp int

	waits  []time.Duration // from each fault to the next begin
	faults map[string]int
}

func (v *verdict) add(other verdict) {
	v.acknowledged += other.acknowledged
	v.lost += other.lost
	v.torn += other.torn
	v.accepted += other.accepted
	v.refused += other.refused
	v.gaveUp += other.gaveUp
	v.waits = append(v.waits, other.waits...)
	if v.faults == nil {
		v.faults = map[string]int{}
	}
	for fault, n := range other.faults {
		v.faults[fault] += n
	}
}

func judge(h history) verdict {
	v := verdict{faults: map[string]int{}}
	torn := map[int]bool{}
	latest := 0 // the latest section that has read or written
	for _, e := range h.events {
		switch e.kind {
		case read:
			for _, n := range unpaired(e.seen) {
				if n < e.section {
					torn[n] = true
				}
			}
			latest = max(latest, e.section)
		case wrote:
			if e.section < latest {
				v.accepted++
			}
			latest = max(latest, e.section)
		case refused:
			if e.section < latest {
				v.refused++
			}
		case acknowledged:
			v.acknowledged++
			if !slices.Contains(h.final[0], e.section) || !slices.Contains(h.final[1], e.section) {
				v.lost++
			}
		case gaveUp:
			v.gaveUp++
		}
	}
	for _, n := range unpaired(h.final) {
		torn[n] = true
	}
	v.torn = len(torn)
	if h.own {
		v.accepted = late(h)
	}
	for _, f := range h.hits {
		v.faults[f.fault]++
		for _, e := range h.events {
			if e.kind == began && e.section > f.section && e.at.After(f.at) {
				v.waits = append(v.waits, e.at.Sub(f.at))
				break
			}
		}
	}
	return v
}

// unpaired are the elements that are in one half only.
func unpaired(halves [2][]int) (list []int) {
	for i, half := range halves {
		for _, n := range half {
			if !slices.Contains(halves[1-i], n) {
				list = append(list, n)
			}
		}
	}
	return list
}

// late counts the elements that came into a half after a later section had read it, or had come
// into it.
func late(h history) (count int) {
	for i, half := range h.final {
		for at, n := range half {
			overtaken := slices.ContainsFunc(half[:at], func(m int) bool { return m > n }) ||
				slices.ContainsFunc(h.events, func(e event) bool {
					return e.kind == read && e.section > n && !slices.Contains(e.seen[i], n)
				})
			if overtaken {
				count++
			}
		}
	}
	return count
}
