package bench

import (
	"math"
	"slices"
	"testing"

	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
)

func TestInterval(t *testing.T) {
	numbers := func(n int) (all []float64) {
		for i := range n {
			all = append(all, float64(i+1))
		}
		return all
	}
	for _, test := range []struct {
		name      string
		all       []float64
		low, high float64
	}{
		{"one value", []float64{0.98}, 0.98, 0.98},
		{"the same value", slices.Repeat([]float64{1.25}, 20), 1.25, 1.25},
		{"two values", numbers(2), 1, 2},  // their median is 1 in a fourth of all samples
		{"five values", numbers(5), 1, 5}, // 1 in 5.8 %: three of five draws or more
		{"nine values", numbers(9), 2, 8}, // 1 in 0.14 %, 2 or less in 3.0 %
		{"an outlier", append(numbers(20), 1e6), exactLow(21), 22 - exactLow(21)},
		{"many values", numbers(41), exactLow(41), 42 - exactLow(41)},
	} {
		t.Run(test.name, func(t *testing.T) {
			low, high := interval(test.all)
			if low != test.low || high != test.high {
				t.Errorf("%v to %v, want %v to %v", low, high, test.low, test.high)
			}
			slices.Reverse(test.all)
			if l, h := interval(test.all); l != low || h != high {
				t.Errorf("%v to %v, and in another order %v to %v", low, high, l, h)
			}
		})
	}
}

// exactLow is the lower end for the numbers from 1 to an odd n, computed without a draw. The median
// of a sample is at most k if more than half of its n draws are, each of them with probability k/n.
func exactLow(n int) float64 {
	for k := 1; ; k++ {
		p, atMost := float64(k)/float64(n), 0.0
		for half := n/2 + 1; half <= n; half++ {
			ways, _ := math.Lgamma(float64(n + 1))
			a, _ := math.Lgamma(float64(half + 1))
			b, _ := math.Lgamma(float64(n - half + 1))
			atMost += math.Exp(ways-a-b) * math.Pow(p, float64(half)) * math.Pow(1-p, float64(n-half))
		}
		if atMost > 0.025 {
			return float64(k)
		}
	}
}

func TestOrder(t *testing.T) {
	for against, want := range map[string][]string{
		"":    {"dlm", "dlm", "dlm", "dlm"},
		Etcd:  {"dlm", "etcd", "dlm", "etcd", "dlm", "etcd", "dlm", "etcd"},
		Redis: {"dlm", "redis", "dlm", "redis", "dlm", "redis", "dlm", "redis"},
		DLM:   {"dlm", "other-dlm", "other-dlm", "dlm", "dlm", "other-dlm", "other-dlm", "dlm"},
	} {
		var got []string
		for n := range 4 {
			got = append(got, Config{Against: against}.order(n)...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("against %q: %v, want %v", against, got, want)
		}
	}
}

func TestCompareKeepsPairs(t *testing.T) {
	ours, theirs := slicesOf(98, 90, 100), slicesOf(100, 100, 80)
	row := median(ours)
	compare(&row, ours, theirs)
	if want := []float64{0.98, 0.9, 1.25}; !slices.Equal(row.Ratios, want) || row.Ratio != 0.98 {
		t.Errorf("ratios %v, median %v; want %v", row.Ratios, row.Ratio, want)
	}
	if row.RatioLow != 0.9 || row.RatioHigh != 1.25 {
		t.Errorf("interval %v to %v, want that of three values, the lowest to the highest", row.RatioLow, row.RatioHigh)
	}
}

func slicesOf(rates ...float64) (rows []load.Row) {
	for _, r := range rates {
		rows = append(rows, load.Row{System: "s", OpsPerS: r})
	}
	return rows
}
