package bench

import (
	"math/rand/v2"
	"slices"
)

// resamples is how many samples an interval is made of.
const resamples = 10_000

// interval returns the 95 % bootstrap interval of the median of some values, by percentiles: as
// many values are drawn from them, with replacement, and their median taken, many times. Of these
// medians 2.5 % lie below the interval, and as many above. The draws begin at a fixed seed, so that
// the same values always have the same interval, in whichever order they are.
func interval(all []float64) (low, high float64) {
	itself := func(f float64) float64 { return f }
	all = slices.Sorted(slices.Values(all))
	draw := rand.New(rand.NewPCG(1, 2))
	sample, medians := make([]float64, len(all)), make([]float64, resamples)
	for i := range medians {
		for j := range sample {
			sample[j] = all[draw.IntN(len(all))]
		}
		medians[i] = middle(sample, itself)
	}
	slices.Sort(medians)
	const tail = resamples / 40 // 2.5 %
	return medians[tail], medians[resamples-1-tail]
}
