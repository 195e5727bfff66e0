package main

import (
	"errors"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"
)

func TestStoreChecksTokens(t *testing.T) {
	l := newLane("lock", t.TempDir(), 1, 0, time.Second, false)
	server := httptest.NewServer(&store{lanes: map[string]*lane{"lock": l}})
	defer server.Close()
	do := func(q request, want error) response {
		t.Helper()
		q.Lock = "lock"
		answer, err := ask(t.Context(), server.URL, q)
		if !errors.Is(err, want) {
			t.Fatalf("%s: %v, want %v", q.Op, err, want)
		}
		return answer
	}
	first, second := do(request{Op: opBegin}, nil).Section, do(request{Op: opBegin}, nil).Section
	do(request{Op: opRead, Section: first, Token: 5}, nil)
	do(request{Op: opWrite, Section: first, Token: 5, Set: []int{first}}, nil)
	if got := do(request{Op: opRead, Section: second, Token: 7}, nil).Sets; !reflect.DeepEqual(got, [2][]int{{first}, nil}) {
		t.Errorf("read %v", got)
	}
	// It has only read, and that is enough.
	do(request{Op: opWrite, Section: first, Token: 5, Half: 1, Set: []int{first}}, errRefused)
	do(request{Op: opWrite, Section: second, Token: 7, Set: []int{first, second}}, nil)
	do(request{Op: opWrite, Section: second, Token: 7, Half: 1, Set: []int{second}}, nil)
	do(request{Op: opEnd, Section: second, End: acknowledged}, nil)
	// Who shows none is not checked.
	do(request{Op: opWrite, Section: first, Half: 1, Set: []int{first}}, nil)
	l.end()
	do(request{Op: opBegin}, errOver)

	var err error
	if l.h.final, err = l.sets(); err != nil {
		t.Fatal(err)
	}
	want := verdict{acknowledged: 1, lost: 1, torn: 2, refused: 1, accepted: 1, faults: map[string]int{}}
	if got := judge(l.h); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestScheduleIsTheSeeds(t *testing.T) {
	one, again, other := schedule(1, 10, 3, time.Second), schedule(1, 10, 3, time.Second), schedule(2, 10, 3, time.Second)
	if !reflect.DeepEqual(one, again) || reflect.DeepEqual(one, other) {
		t.Error("another schedule of the same seed, or the same one of another")
	}
	count := map[string]int{}
	for _, faults := range one {
		for _, f := range faults {
			count[f.kind]++
			if f.at <= 0 || f.at >= f.work || f.work > time.Second {
				t.Errorf("%+v", f)
			}
		}
	}
	if !reflect.DeepEqual(count, map[string]int{paused: 10, killed: 10, cutOff: 10}) {
		t.Errorf("%v", count)
	}
}
