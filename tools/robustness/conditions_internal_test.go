package main

import (
	"encoding/json"
	"testing"
	"time"
)

// What is published on a condition, and what is told of one that does not hold. Of lock c, log has
// 7 bytes after the first publish, and 21 after the second; notes has 7 then.
func TestJudgeConditions(t *testing.T) {
	t.Parallel()
	first, second := version{40, 1}, version{40, 2}
	size := func(n int64) *condition { return &condition{Files: []fileCondition{{File: "log", Size: &n}}} }
	absent := func(file string) *condition { return &condition{Files: []fileCondition{{File: file, Absent: true}}} }
	is := func(file string, v version) *condition {
		return &condition{Files: []fileCondition{{File: file, Version: v}}}
	}
	lock := func(v version) *condition { return &condition{Lock: &v} }
	say := func(lane string, number uint64, reason string, c *condition) answer {
		a := answer{
			Call: callPublish, Lock: "c", Lane: lane, Number: number, Born: 1, Reason: reason, If: c,
			Data: "px", Operations: 1, Asked: time.Unix(50, 0), Answered: time.Unix(51, 0),
		}
		if a.Version = first; lane == laneB {
			a.Data, a.Operations, a.Version = "py", 3, second
		}
		return a
	}
	refused := func(c *condition) answer { return say(laneA, 9, conflict, c) }
	before := func(a answer) answer {
		a.Asked, a.Answered = time.Unix(30, 0), time.Unix(35, 0)
		return a
	}
	told := func(a answer, now lockNow) answer {
		a.Now = &now
		return a
	}
	both := lockNow{second, map[string]fileNow{"log": {second, 21}, "notes": {second, 7}}}
	for name, test := range map[string]struct {
		answer answer
		untrue bool
	}{
		"to an absent file":                {say(laneA, 3, ok, absent("log")), false},
		"to an empty file":                 {say(laneA, 3, ok, size(0)), false},
		"to a lock with nothing":           {say(laneA, 3, ok, lock(version{})), false},
		"to what comes of itself":          {say(laneA, 3, ok, is("log", first)), true},
		"to what comes of itself, unknown": {say(laneA, 3, indeterminate, is("log", first)), true},
		"to the lock's first":              {say(laneB, 1, ok, lock(first)), false},
		"to the file's first":              {say(laneB, 1, ok, is("log", first)), false},
		"to the first's size":              {say(laneB, 1, ok, size(7)), false},
		"to another file, absent":          {say(laneB, 1, ok, absent("notes")), false},
		"to the file, absent":              {say(laneB, 1, ok, absent("log")), true},
		"to nothing, after the first":      {say(laneB, 1, ok, size(0)), true},
		"to the lock, after the first":     {say(laneB, 1, ok, lock(version{})), true},
		"by the SDK": {
			answer{Call: callPublish, Lock: "c", Data: "px", Version: first, If: size(0), Asked: time.Unix(50, 0), Answered: time.Unix(51, 0)}, false,
		},
		"by the SDK, and false": {
			answer{Call: callPublish, Lock: "c", Data: "px", Version: first, If: size(7), Asked: time.Unix(50, 0), Answered: time.Unix(51, 0)}, true,
		},
		"a conflict":                         {refused(is("log", first)), false},
		"a conflict, by what was before":     {refused(is("log", second)), true},
		"a conflict, when that was so":       {before(refused(is("log", second))), false},
		"a conflict with what is there":      {refused(absent("log")), false},
		"a conflict with what never was":     {refused(absent("other")), true},
		"a conflict with a size":             {refused(size(20)), false},
		"a conflict with the size":           {refused(size(21)), true},
		"a conflict with the lock's version": {refused(lock(second)), true},
		"a conflict, and told":               {told(refused(lock(first)), both), false},
		"a conflict, and told of a file":     {told(refused(size(7)), both), false},
		"a conflict, and told what was":      {told(refused(size(0)), lockNow{first, map[string]fileNow{"log": {first, 7}}}), true},
		"a conflict, and told nothing":       {told(refused(size(7)), lockNow{}), true},
		"a conflict, before it came to be":   {before(say(laneB, 1, conflict, size(7))), false},
		"a conflict of versions before that": {before(say(laneB, 1, conflict, lock(first))), true},
		"a conflict, and it was made":        {say(laneA, 3, conflict, size(0)), true},
		"its session had ended":              {say(laneA, 9, "SESSION_EXPIRED", nil), false},
		"its session had ended, and it is":   {say(laneA, 3, "SESSION_EXPIRED", nil), true},
		"a session of it had ended": {
			with(say(laneA, 3, "SESSION_EXPIRED", nil), func(a *answer) { a.Roams = true }), false,
		},
	} {
		b, err := json.Marshal(test.answer) // as a worker writes it
		if err != nil {
			t.Fatal(err)
		}
		var read answer
		if err := json.Unmarshal(b, &read); err != nil {
			t.Fatal(err)
		}
		v := judge([]answer{read}, []*epoch{publishedPast()}, true)
		if len(v.untrue) > 0 != test.untrue {
			t.Errorf("%s: got %v; want any: %t", name, v.untrue, test.untrue)
		}
	}
}
