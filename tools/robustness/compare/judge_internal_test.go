package main

import (
	"reflect"
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	zero := time.Now()
	at := func(seconds int) time.Time { return zero.Add(time.Duration(seconds) * time.Second) }
	set := func(list ...int) []int { return list }
	both := func(list ...int) [2][]int { return [2][]int{list, list} }
	for name, tc := range map[string]struct {
		h    history
		want verdict
	}{
		"one after the other": {
			history{final: both(1, 2), events: []event{
				{kind: began, section: 1}, {kind: read, section: 1}, {kind: wrote, section: 1}, {kind: wrote, section: 1, half: 1},
				{kind: acknowledged, section: 1}, {kind: began, section: 2}, {kind: read, section: 2, seen: both(1)},
				{kind: wrote, section: 2}, {kind: wrote, section: 2, half: 1}, {kind: acknowledged, section: 2},
			}},
			verdict{acknowledged: 2},
		},
		"the first overwrites the second": {
			history{final: both(1), events: []event{
				{kind: read, section: 1}, {kind: read, section: 2}, {kind: wrote, section: 2}, {kind: wrote, section: 2, half: 1},
				{kind: acknowledged, section: 2}, {kind: wrote, section: 1}, {kind: wrote, section: 1, half: 1}, {kind: failed, section: 1},
			}},
			verdict{acknowledged: 1, lost: 1, accepted: 2},
		},
		"after a later one has only read": {
			history{final: both(2), events: []event{
				{kind: read, section: 1}, {kind: read, section: 2}, {kind: wrote, section: 1}, {kind: gaveUp, section: 1},
				{kind: wrote, section: 2}, {kind: wrote, section: 2, half: 1}, {kind: acknowledged, section: 2},
			}},
			verdict{acknowledged: 1, accepted: 1, gaveUp: 1},
		},
		"refused": {
			history{final: both(2), events: []event{
				{kind: read, section: 1}, {kind: read, section: 2}, {kind: refused, section: 1}, {kind: failed, section: 1},
				{kind: wrote, section: 2}, {kind: wrote, section: 2, half: 1}, {kind: acknowledged, section: 2}, {kind: refused, section: 2},
			}},
			verdict{acknowledged: 1, refused: 1},
		},
		"one half of an acknowledged one is gone": {
			history{final: [2][]int{set(1), set()}, events: []event{{kind: acknowledged, section: 1}}},
			verdict{acknowledged: 1, lost: 1, torn: 1},
		},
		"torn for a later reader, and mended": {
			history{final: both(1, 2), events: []event{{kind: read, section: 2, seen: [2][]int{set(1), set()}}}},
			verdict{torn: 1},
		},
		"torn for a later reader, and in the end": {
			history{final: [2][]int{set(), set(1, 3)}, events: []event{{kind: read, section: 2, seen: [2][]int{set(), set(1)}}}},
			verdict{torn: 2},
		},
		"half of a later one, seen by an earlier one": {
			history{final: both(1, 2), events: []event{{kind: read, section: 1, seen: [2][]int{set(2), set()}}}},
			verdict{},
		},
		"own files in order": {
			history{own: true, final: both(1, 3), events: []event{
				{kind: read, section: 1}, {kind: read, section: 2, seen: both(1)}, {kind: read, section: 3, seen: both(1)}, {kind: refused, section: 2},
			}},
			verdict{refused: 1},
		},
		"own files, published after a later one has read": {
			history{own: true, final: both(1), events: []event{{kind: read, section: 2}}},
			verdict{accepted: 2},
		},
		"own files, published after a later one": {
			history{own: true, final: [2][]int{set(2, 1), set(1, 2)}},
			verdict{accepted: 1},
		},
		"waits": {
			history{
				hits: []hit{{"killed", 1, at(10)}, {"paused", 2, at(20)}, {"paused", 3, at(30)}},
				events: []event{
					{kind: began, section: 1, at: at(9)}, {kind: began, section: 2, at: at(12)}, {kind: began, section: 3, at: at(25)},
				},
			},
			verdict{waits: []time.Duration{2 * time.Second, 5 * time.Second}, faults: map[string]int{"killed": 1, "paused": 2}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.want.faults == nil {
				tc.want.faults = map[string]int{}
			}
			if got := judge(tc.h); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}
