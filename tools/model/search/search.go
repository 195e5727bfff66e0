package search

import (
	"hash/maphash"
	"slices"
	"time"
)

// Machine is what is searched. A state S has no pointers: comparing two is comparing bytes. An E
// tells what one step is.
type Machine[S comparable, E any] struct {
	Start S
	// Steps calls yield with each step that can be taken from a state, and the state after it.
	Steps func(s *S, yield func(E, *S))
	// Broken reports whether a state breaks an invariant.
	Broken func(s *S) bool
	// Served reports whether everybody has what it is to have. From each state such a one must be
	// reachable. nil: that is not looked at.
	Served func(s *S) bool
}

// Result is what a search came to.
type Result[S comparable, E any] struct {
	States   int
	Depth    int
	Complete bool // every state was seen
	Broken   bool // End breaks an invariant
	Stuck    bool // from End nobody can be served
	End      S
	Story    []E // how it comes to End
	Took     time.Duration
}

// found is a state that was seen: from where, and by which step.
type found[E any] struct {
	from int32
	by   E
}

// Search looks at all states, or at as many as limit allows.
func (m Machine[S, E]) Search(limit int) (r Result[S, E]) {
	began := time.Now()
	defer func() { r.Took = time.Since(began) }()
	one, two := maphash.MakeSeed(), maphash.MakeSeed()
	type digest [2]uint64
	key := func(s *S) digest { return digest{maphash.Comparable(one, *s), maphash.Comparable(two, *s)} }

	ids := map[digest]int32{key(&m.Start): 0}
	all := []found[E]{{from: -1}}
	layer, layerIDs := []S{m.Start}, []int32{0}
	var edges [][2]int32 // to, from
	var served []int32
	for len(layer) > 0 && len(all) < limit {
		var next []S
		var nextIDs []int32
		for i := range layer {
			if m.Served != nil && m.Served(&layer[i]) {
				served = append(served, layerIDs[i])
			}
			m.Steps(&layer[i], func(e E, n *S) {
				if r.Broken {
					return
				}
				k := key(n)
				id, seen := ids[k]
				if !seen {
					id = int32(len(all))
					ids[k] = id
					all = append(all, found[E]{layerIDs[i], e})
					next = append(next, *n)
					nextIDs = append(nextIDs, id)
				}
				if m.Broken(n) {
					r.Broken, r.End, r.Story = true, *n, append(story(all, layerIDs[i]), e)
				}
				if m.Served != nil {
					edges = append(edges, [2]int32{id, layerIDs[i]})
				}
			})
			if r.Broken {
				r.States, r.Depth = len(all), r.Depth+1
				return r
			}
		}
		layer, layerIDs = next, nextIDs
		r.Depth++
	}
	r.States, r.Complete = len(all), len(layer) == 0
	if m.Served != nil && r.Complete {
		if id := firstStuck(len(all), edges, served); id >= 0 {
			r.Stuck, r.Story = true, story(all, id)
		}
	}
	return r
}

// firstStuck returns a state from which none can be reached in which all are served; -1: there is
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
func story[E any](all []found[E], id int32) (steps []E) {
	for ; id > 0; id = all[id].from {
		steps = append(steps, all[id].by)
	}
	slices.Reverse(steps)
	return steps
}
