package bench

import (
	"slices"

	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
)

// median is the row of several slices: the medians, and of the longest latency and the peak the
// highest.
func median(rows []load.Row) load.Row {
	m := rows[0]
	m.Runs = len(rows)
	m.OpsPerS = middle(rows, func(r load.Row) float64 { return r.OpsPerS })
	m.P50 = int64(middle(rows, func(r load.Row) float64 { return float64(r.P50) }))
	m.P99 = int64(middle(rows, func(r load.Row) float64 { return float64(r.P99) }))
	m.Seconds = middle(rows, func(r load.Row) float64 { return r.Seconds })
	m.Ops = int64(middle(rows, func(r load.Row) float64 { return float64(r.Ops) }))
	m.ServerCPU = middle(rows, func(r load.Row) float64 { return r.ServerCPU })
	m.ServerPerClient = middle(rows, func(r load.Row) float64 { return r.ServerPerClient })
	for _, r := range rows {
		m.Max = max(m.Max, r.Max)
		m.ServerPeak = max(m.ServerPeak, r.ServerPeak)
	}
	return m
}

// compare notes in row what dlm's slices are, divided by the other system's of the same pairs.
func compare(row *load.Row, ours, theirs []load.Row) {
	row.Against = theirs[0].System
	for i := range ours {
		row.Ratios = append(row.Ratios, quotient(ours[i].OpsPerS, theirs[i].OpsPerS))
		row.P50Ratios = append(row.P50Ratios, quotient(float64(ours[i].P50), float64(theirs[i].P50)))
	}
	itself := func(f float64) float64 { return f }
	row.Ratio, row.P50Ratio = middle(row.Ratios, itself), middle(row.P50Ratios, itself)
	row.RatioLow, row.RatioHigh = interval(row.Ratios)
}

// quotient is 0 where there is none: a slice in which nothing ended.
func quotient(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// middle is the median of what f says of each.
func middle[T any](all []T, f func(T) float64) float64 {
	var sorted []float64
	for _, one := range all {
		sorted = append(sorted, f(one))
	}
	slices.Sort(sorted)
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
