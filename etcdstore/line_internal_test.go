package etcdstore

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// A line has the order of a list that is sorted anew each time, and knows every position in it.
func TestLine(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	var l line
	var want []*mirrorWaiter
	for i := range 3000 {
		if n := len(want); n > 0 && random.IntN(n+400) < n {
			k := random.IntN(n)
			l.remove(want[k])
			want = slices.Delete(want, k, k+1)
		} else {
			a := acquisition{"l", hex16(int64(random.IntN(5))), fmt.Sprint(i)}
			w := &mirrorWaiter{acquisition: a, created: int64(i - random.IntN(20))}
			at, _ := slices.BinarySearchFunc(want, w, func(a, b *mirrorWaiter) int {
				if a.before(b) {
					return -1
				}
				return 1
			})
			l.insert(w)
			want = slices.Insert(want, at, w)
		}
		if i%50 > 0 {
			continue
		}
		var got []*mirrorWaiter
		l.all(func(w *mirrorWaiter) bool {
			got = append(got, w)
			return true
		})
		if !slices.Equal(got, want) || l.len() != len(want) {
			t.Fatalf("seed %d: after %d steps %d in another order than %d", seed, i, l.len(), len(want))
		}
		for k, w := range want {
			if got := l.position(w); got != k+1 {
				t.Fatalf("seed %d: after %d steps the position of %d is %d", seed, i, k+1, got)
			}
		}
	}
}

// Thousands may ask for their position at once, and none of them counts from the front.
func TestPlaces(t *testing.T) {
	t.Parallel()
	const waiters = 100_000
	m := newMirror(keysOf(""), func(string) {}, nil, nil)
	var of []acquisition
	for i := range waiters {
		a := acquisition{"l", hex16(int64(i + 1)), "1"}
		of = append(of, a)
		m.own(change{key: m.keys.waiter(a), rev: int64(i/500 + 1), created: int64(i/500 + 1), waiter: &waiterValue{}})
	}
	for i, a := range of {
		if position, length := m.place(a); position != i+1 || length != waiters {
			t.Fatalf("place of %d = %d, %d", i+1, position, length)
		}
	}
	if d := m.locks["l"].queue.root.depth(); d > 100 { // some 40, with 17 as the least there can be
		t.Errorf("a position takes up to %d steps", d)
	}
}

func (w *mirrorWaiter) depth() int {
	if w == nil {
		return 0
	}
	return 1 + max(w.left.depth(), w.right.depth())
}
