package main

import (
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
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

func (r result) verdict() string {
	switch {
	case r.broken != holds:
		return r.broken.String() + ", " + r.broken.harm()
	case r.complete:
		return "holds, every state"
	}
	return "holds so far"
}

func (r result) story() string {
	lines := make([]string, len(r.trace))
	swapped := false
	for i, e := range r.trace {
		swapped, e.swaps = swapped != e.swaps, swapped
		if e.swaps && e.server > 0 {
			e.server = servers + 1 - e.server
		}
		lines[i] = "    " + e.String()
	}
	return strings.Join(lines, "\n")
}

// searched is a state that was found: from where, and by which step.
type searched struct {
	from int32
	by   step
}

// search looks at every state that can be reached, breadth first, so that the first violation has
// the shortest story; or at as many as limit allows.
func (m *model) search(limit int) (r result) {
	began := time.Now()
	defer func() { r.took = time.Since(began) }()
	one, two := maphash.MakeSeed(), maphash.MakeSeed()
	type digest [2]uint64
	key := func(s *state) digest { return digest{maphash.Comparable(one, *s), maphash.Comparable(two, *s)} }

	first := m.start()
	m.canonical(&first)
	ids := map[digest]int32{key(&first): 0}
	found := []searched{{from: -1}}
	layer, layerIDs := []state{first}, []int32{0}
	var edges [][2]int32 // to, from
	var served []int32
	for len(layer) > 0 && len(found) < limit {
		var next []state
		var nextIDs []int32
		for i := range layer {
			if m.progress && layer[i].served() {
				served = append(served, layerIDs[i])
			}
			m.steps(&layer[i], func(e step, n *state) {
				if r.broken != holds {
					return
				}
				k := key(n)
				id, seen := ids[k]
				if !seen {
					id = int32(len(found))
					ids[k] = id
					found = append(found, searched{layerIDs[i], e})
					next = append(next, *n)
					nextIDs = append(nextIDs, id)
				}
				if n.broken != holds {
					r.broken, r.trace = n.broken, append(story(found, layerIDs[i]), e)
				}
				if m.progress {
					edges = append(edges, [2]int32{id, layerIDs[i]})
				}
			})
			if r.broken != holds {
				r.states, r.depth = len(found), r.depth+1
				return r
			}
		}
		layer, layerIDs = next, nextIDs
		r.depth++
	}
	r.states, r.complete = len(found), len(layer) == 0
	if m.progress && r.complete {
		if id := firstStuck(len(found), edges, served); id >= 0 {
			r.broken, r.trace = stuck, story(found, id)
		}
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

// firstStuck returns a state from which none in which all are served can be reached; -1: there is
// none.
func firstStuck(n int, edges [][2]int32, served []int32) int32 {
	begin := make([]int32, n+1)
	for _, e := range edges {
		begin[e[0]+1]++
	}
	for i := range n {
		begin[i+1] += begin[i]
	}
	from, at := make([]int32, len(edges)), slices.Clone(begin)
	for _, e := range edges {
		from[at[e[0]]] = e[1]
		at[e[0]]++
	}
	can := make([]bool, n)
	for _, id := range served {
		can[id] = true
	}
	for todo := served; len(todo) > 0; {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, f := range from[begin[id]:begin[id+1]] {
			if !can[f] {
				can[f] = true
				todo = append(todo, f)
			}
		}
	}
	return int32(slices.Index(can, false))
}

// story returns the steps that lead to a state.
func story(found []searched, id int32) (steps []step) {
	for ; id > 0; id = found[id].from {
		steps = append(steps, found[id].by)
	}
	slices.Reverse(steps)
	return steps
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
