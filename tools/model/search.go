package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/distributed-lock-manager/dlm/tools/model/search"
)

// result is what a search came to.
type result struct {
	states   int
	depth    int
	complete bool // every state was seen
	broken   violation
	trace    []step // how it comes to that
	took     time.Duration
}

// report is the result, with the steps told.
func (r result) report() search.Report {
	p := search.Report{States: r.states, Depth: r.depth, Complete: r.complete, Took: r.took}
	if r.broken == holds {
		return p
	}
	p.Harm = r.broken.String()
	swapped := false
	for _, e := range r.trace {
		swapped, e.swaps = swapped != e.swaps, swapped
		if e.swaps && e.server > 0 {
			e.server = servers + 1 - e.server
		}
		p.Story = append(p.Story, e.String())
	}
	return p
}

func (r result) verdict() string { return r.report().Verdict() }

func (r result) story() string { return r.report().Told() }

// run is the search of a configuration as the table has it.
func (m *model) run() search.Run {
	return search.Run{Name: m.name, Look: func(limit int) search.Report { return m.search(limit).report() }}
}

// search looks at every state that can be reached, or at as many as limit allows.
func (m *model) search(limit int) result {
	machine := search.Machine[state, step]{
		Start: m.start(), Steps: m.steps, Broken: func(s *state) bool { return s.broken != holds },
	}
	m.canonical(&machine.Start)
	if m.progress {
		machine.Served = (*state).served
	}
	f := machine.Search(limit)
	r := result{states: f.States, depth: f.Depth, complete: f.Complete, broken: f.End.broken, trace: f.Story, took: f.Took}
	if f.Stuck {
		r.broken = stuck
	}
	return r
}

// served reports whether everybody has been, and the lock is free.
func (s *state) served() bool {
	for _, c := range s.clients {
		if !c.done() {
			return false
		}
	}
	return s.lock == 0 && s.places == [maxAcquisitions]clock{}
}

// wander takes steps at random, for what is too large to search. seed repeats a run.
func (m *model) wander(walks, length int, seed uint64) (r result) {
	began := time.Now()
	defer func() { r.took = time.Since(began) }()
	rng := rand.New(rand.NewPCG(seed, 0))
	for range walks {
		s := m.start()
		r.trace = r.trace[:0]
		for range length {
			var next []state
			var by []step
			m.steps(&s, func(e step, n *state) {
				next, by = append(next, *n), append(by, e)
			})
			if len(next) == 0 {
				break
			}
			if i := slices.IndexFunc(next, func(n state) bool { return n.broken != holds }); i >= 0 {
				r.broken, r.trace = next[i].broken, append(r.trace, by[i])
				return r
			}
			i := m.choose(rng, by)
			s = next[i]
			r.trace = append(r.trace, by[i])
			r.states++
			r.depth = max(r.depth, len(r.trace))
		}
	}
	r.trace = nil
	return r
}

// choose picks a step: faults seldom, so that they are spread over the walk.
func (m *model) choose(rng *rand.Rand, by []step) int {
	for {
		i := rng.IntN(len(by))
		fault := by[i].server == 0 && by[i].client == 0 || by[i].what == "evict" || strings.HasPrefix(by[i].what, "gives up")
		if !fault || rng.IntN(12) == 0 {
			return i
		}
	}
}
