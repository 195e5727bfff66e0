package main

import (
	"fmt"
	"maps"
	"slices"
	"sync"
)

// effects counts how often a fault was seen to do something, by its name.
type effects struct {
	mu   sync.Mutex
	seen map[string]int
}

func (e *effects) add(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.seen == nil {
		e.seen = map[string]int{}
	}
	e.seen[name]++
}

// reportEffects prints how often each of the faults that can be seen did something and which
// processes ended by themselves. It returns the faults that never did, of those applied often.
func (r *run) reportEffects(counts map[string]int) (idle []string) {
	r.effects.mu.Lock()
	defer r.effects.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(r.effects.seen)) {
		fmt.Fprintf(r.out, "%6d times seen to work: %s\n", r.effects.seen[name], name)
	}
	for _, p := range r.l.processes() {
		if codes := p.itself(); len(codes) > 0 {
			fmt.Fprintf(r.out, "%6d times ended by itself: %s, exit codes %v\n", len(codes), p.name, slices.Compact(slices.Sorted(slices.Values(codes))))
		}
	}
	const often = 5 // some cuts meet no traffic
	for _, f := range visible(r.l) {
		if counts[f.name] >= often && r.effects.seen[f.name] == 0 {
			idle = append(idle, f.name)
		}
	}
	return idle
}

// visible are the faults whose effects are looked for.
func visible(l *layout) []fault {
	return slices.DeleteFunc(apartFaults(l), func(f fault) bool { return f.name == stuttering })
}
