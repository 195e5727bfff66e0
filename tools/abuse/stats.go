package main

import (
	"slices"
	"time"
)

// cycle is one lock and unlock of the honest client's.
type cycle struct {
	ended time.Time
	took  time.Duration
	err   string // empty: none
}

// underWay returns what the cycles that were under way in a time took, sorted.
func underWay(cycles []cycle, from, to time.Time) (took []time.Duration) {
	for _, c := range cycles {
		if c.ended.After(from) && c.ended.Add(-c.took).Before(to) {
			took = append(took, c.took)
		}
	}
	slices.Sort(took)
	return took
}

// percentile returns a percentile of what is sorted, 0 of nothing.
func percentile(sorted []time.Duration, part float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(part*float64(len(sorted)-1))]
}

// longestGap returns the longest time, from one moment to another, in which no cycle ended well.
func longestGap(cycles []cycle, from, to time.Time) time.Duration {
	longest, last := time.Duration(0), from
	for _, c := range cycles {
		if c.err == "" && c.ended.After(last) && c.ended.Before(to) {
			longest, last = max(longest, c.ended.Sub(last)), c.ended
		}
	}
	return max(longest, to.Sub(last))
}
