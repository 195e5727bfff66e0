package main

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	alice = "00000000000000aa"
	bob   = "00000000000000bb"
)

// past is an epoch in which every fate of a section occurs.
func past() *epoch {
	e := &epoch{from: time.Unix(0, 0)}
	put := func(rev int64, key, value string) {
		e.changes = append(e.changes, change{rev: rev, created: rev, key: key, value: []byte(value), seen: time.Unix(rev, 0)})
	}
	del := func(rev int64, key string) {
		e.changes = append(e.changes, change{rev: rev, key: key, deleted: true, seen: time.Unix(rev, 0)})
	}
	hold := func(rev int64, lock, session string, request int, prev int64) {
		put(rev, "locks/"+lock, fmt.Sprintf("%s.%d\x00{\"prev\":%d}", session, request, prev))
		lease, err := strconv.ParseInt(session, 16, 64)
		if err != nil {
			panic(err)
		}
		e.changes[len(e.changes)-1].lease = lease
	}
	under := func(family, lock string, token int64) string { return fmt.Sprintf("%s/%s//%016x", family, lock, token) }
	put(1, "sessions/"+alice, "{}")
	put(2, "sessions/"+bob, "{}")
	// a: published, and handed to bob, who is evicted.
	hold(10, "a", alice, 1, 0)
	put(11, "queue/a//"+bob+".1", "{}")
	put(11, under("staged", "a", 10)+"/2", "\x01\x03log"+record("a", 10, 0))
	hold(12, "a", bob, 1, 0)
	del(12, "queue/a//"+bob+".1")
	put(12, under("commits", "a", 10), alice)
	put(13, under("staged", "a", 12)+"/2", "\x01\x03log"+record("a", 12, 0))
	del(14, "locks/a")
	put(14, under("undone", "a", 12), "{}")
	// b: released with nothing in it; then committed, and held.
	hold(20, "b", alice, 3, 0)
	del(21, "locks/b")
	hold(22, "b", alice, 4, 0)
	hold(23, "b", alice, 4, 22)
	put(23, under("commits", "b", 22), alice)
	// c: its session ends.
	hold(30, "c", bob, 5, 0)
	del(31, "locks/c")
	del(31, "sessions/"+bob)
	return e
}

// Each untrue answer is found, and none that is true.
func TestJudge(t *testing.T) {
	t.Parallel()
	end := func(call, session, lock string, token int64, reason string) answer {
		return answer{Call: call, Session: session, Lock: lock, Token: token, Appended: true, Reason: reason}
	}
	const expired = "LOCK_EXPIRED"
	for _, test := range []struct {
		name   string
		answer answer
		untrue bool
	}{
		{"published", end(callRelease, alice, "a", 10, ok), false},
		{"published, to the SDK", end(callRelease, "", "a", 10, ok), false},
		{"published, and refused", end(callRelease, alice, "a", 10, expired), true},
		{"published, to another", end(callRelease, bob, "a", 10, ok), true},
		{"published, refused to another", end(callRelease, bob, "a", 10, expired), false},
		{"published, and discarded", end(callDiscard, alice, "a", 10, ok), true},
		{"published, and discarded too late", end(callDiscard, alice, "a", 10, published), false},
		{"evicted, and refused", end(callRelease, bob, "a", 12, expired), false},
		{"evicted, and success", end(callRelease, bob, "a", 12, ok), true},
		{"evicted, and committed", end(callCommit, bob, "a", 12, ok), true},
		{"evicted, and discarded", end(callDiscard, bob, "a", 12, ok), false},
		{"evicted, and discarded too late", end(callDiscard, bob, "a", 12, published), true},
		{"evicted, and told so", with(end(callEvict, "", "a", 12, ok), func(a *answer) { a.Got = 12 }), false},
		{"not evicted, and told so", with(end(callEvict, "", "a", 10, ok), func(a *answer) { a.Got = 10 }), true},
		{"empty, and released", end(callRelease, alice, "b", 20, ok), false},
		{"empty, and refused", end(callRelease, alice, "b", 20, expired), true},
		{"empty, and unknown at once", with(end(callRelease, alice, "b", 20, "OUTCOME_UNKNOWN"), func(a *answer) { a.Answered = time.Unix(22, 0) }), true},
		{"empty, and unknown later", with(end(callRelease, alice, "b", 20, "OUTCOME_UNKNOWN"), func(a *answer) { a.Answered = time.Unix(60, 0) }), false},
		{"committed", with(end(callCommit, alice, "b", 22, ok), func(a *answer) { a.Got = 23 }), false},
		{"committed, to another token", with(end(callCommit, alice, "b", 22, ok), func(a *answer) { a.Got = 24 }), true},
		{"committed and lost, and held", end(callCommit, alice, "b", 22, ok), true},
		{"held, and refused", end(callRelease, alice, "b", 23, expired), true},
		{"held, and success", end(callRelease, alice, "b", 23, ok), true},
		{"held, and discarded", end(callDiscard, alice, "b", 23, ok), true},
		{"held, and its data lost", end(callRelease, alice, "b", 23, "DATA_LOSS"), false},
		{"published, and its data lost", end(callRelease, alice, "a", 10, "DATA_LOSS"), true},
		{"expired, and refused", end(callRelease, bob, "c", 30, expired), false},
		{"expired, and success", end(callRelease, bob, "c", 30, ok), true},
		{"never granted, and refused", end(callRelease, bob, "c", 29, expired), false},
		{"never granted, and success", end(callRelease, bob, "c", 29, ok), true},
		{"not known, and not judged", end(callRelease, bob, "c", 30, indeterminate), false},

		{"granted", answer{Call: callAcquire, Session: alice, Lock: "a", Request: "1", Got: 10}, false},
		{"granted to another", answer{Call: callAcquire, Session: bob, Lock: "a", Request: "1", Got: 10}, true},
		{"granted to nobody", answer{Call: callAcquire, Lock: "a", Got: 11}, true},
		{"granted, and busy", answer{Call: callAcquire, Session: alice, Lock: "a", Request: "1", Reason: busy}, true},
		{"not granted, and busy", answer{Call: callAcquire, Session: alice, Lock: "a", Request: "9", Reason: busy}, false},
		{"over, and refused", answer{Call: callAcquire, Session: alice, Lock: "a", Request: "1", Reason: expired}, false},
		{"held for good, and refused", answer{Call: callAcquire, Session: alice, Lock: "b", Request: "4", Reason: expired}, true},

		{"staged", answer{Call: callAppend, Session: alice, Lock: "a", Token: 10, Request: "2", Data: record("a", 10, 0), Got: 11}, false},
		{"staged, at another revision", answer{Call: callAppend, Session: alice, Lock: "a", Token: 10, Request: "2", Data: record("a", 10, 0), Got: 12}, true},
		{"staged, something else", answer{Call: callAppend, Session: alice, Lock: "a", Token: 10, Request: "2", Data: record("a", 10, 1)}, true},
		{"staged, and it is not", answer{Call: callAppend, Session: alice, Lock: "a", Token: 10, Request: "3", Data: record("a", 10, 0)}, true},
		{"staged, by the SDK", answer{Call: callAppend, Lock: "a", Token: 10, Data: record("a", 10, 0)}, false},
		{"refused, and staged", answer{Call: callAppend, Session: bob, Lock: "a", Token: 12, Request: "2", Reason: expired, Sends: 1}, true},
		{"refused as a repeat, and staged", answer{Call: callAppend, Session: bob, Lock: "a", Token: 12, Request: "2", Reason: expired, Sends: 2}, false},
		{"refused", answer{Call: callAppend, Session: bob, Lock: "a", Token: 12, Request: "7", Reason: expired, Sends: 1}, false},

		{"holding", answer{Call: callHeartbeat, Session: bob, Lock: "a", Request: "1", Token: 12, Got: 13, Holding: true}, false},
		{"holding, and not any more", answer{Call: callHeartbeat, Session: bob, Lock: "a", Request: "1", Token: 12, Got: 14, Holding: true}, true},
		{"not holding, and holding", answer{Call: callHeartbeat, Session: bob, Lock: "a", Request: "1", Got: 13}, true},
		{"not holding", answer{Call: callHeartbeat, Session: bob, Lock: "a", Request: "1", Got: 14}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.answer.Answered.IsZero() {
				test.answer.Answered = time.Unix(100, 0)
			}
			v := judge([]answer{test.answer}, []*epoch{past()}, true)
			if got := len(v.untrue) > 0; got != test.untrue {
				t.Errorf("untrue: %v; want any: %t", v.untrue, test.untrue)
			}
		})
	}
}

// What was compacted before a call was answered may be unknown to whoever answers, and nothing else.
func TestJudgeAfterACompaction(t *testing.T) {
	t.Parallel()
	unknown := answer{Call: callRelease, Session: alice, Lock: "b", Token: 20, Reason: "OUTCOME_UNKNOWN", Sends: 2, Answered: time.Unix(24, 0)}
	for _, test := range []struct {
		name   string
		made   compaction
		untrue bool
	}{
		{"of its end", compaction{rev: 21, at: time.Unix(23, 0)}, false},
		{"of less", compaction{rev: 20, at: time.Unix(23, 0)}, true},
		{"afterwards", compaction{rev: 21, at: time.Unix(25, 0)}, true},
	} {
		e := past()
		e.compactions = []compaction{test.made}
		if v := judge([]answer{unknown}, []*epoch{e}, true); len(v.untrue) > 0 != test.untrue {
			t.Errorf("compacted, %s: untrue: %v; want any: %t", test.name, v.untrue, test.untrue)
		}
	}
}

// A client goes by its own clock, and may take its hold for lost before etcd does.
func TestJudgeBeforeItIsOver(t *testing.T) {
	t.Parallel()
	lost := answer{Call: callRelease, Lock: "b", Token: 23, Reason: "LOCK_EXPIRED", Answered: time.Unix(100, 0)}
	for _, over := range []bool{false, true} {
		if v := judge([]answer{lost}, []*epoch{past()}, over); len(v.untrue) > 0 != over {
			t.Errorf("lost by its client, and held (over: %t): got %v; want any: %t", over, v.untrue, over)
		}
	}
}

// An acknowledged append has to be in the section that is published, also after a restore that has
// lost it.
func TestJudgeLostAppend(t *testing.T) {
	t.Parallel()
	staged := answer{Call: callAppend, Session: alice, Lock: "a", Token: 10, Request: "3", Data: record("a", 10, 1), Answered: time.Unix(99, 0)}
	released := answer{Call: callRelease, Session: alice, Lock: "a", Token: 10, Appended: true, Answered: time.Unix(300, 0)}
	first, second := past(), past()
	second.from = time.Unix(200, 0)
	first.changes = slices.Insert(first.changes, 5, change{rev: 11, key: fmt.Sprintf("staged/a//%016x/3", 10), value: []byte("\x02\x03log" + staged.Data)})
	v := judge([]answer{staged, released}, []*epoch{first, second}, true)
	if len(v.untrue) == 0 {
		t.Errorf("got %v; want the release to be untrue: a record of it is lost", v)
	}
	released.Reason = "DATA_LOSS"
	second.changes = slices.DeleteFunc(second.changes, func(c change) bool { return c.rev >= 12 && c.rev < 15 })
	v = judge([]answer{staged, released}, []*epoch{first, second}, true)
	if len(v.untrue) > 0 {
		t.Errorf("got %v; want it to be true that data was lost", v)
	}
}

// What may not follow on what is found, and what may is not.
func TestTransitions(t *testing.T) {
	t.Parallel()
	lease := func(session string) int64 {
		id, err := strconv.ParseInt(session, 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	const carol = "00000000000000cc"
	hold := func(lock, session string, request int) change {
		return change{rev: 41, created: 41, key: "locks/" + lock, value: fmt.Appendf(nil, "%s.%d\x00{}", session, request), lease: lease(session)}
	}
	waits := func(rev int64, lock, session string, request int) change {
		return change{rev: rev, created: rev, key: fmt.Sprintf("queue/%s//%s.%d", lock, session, request), lease: lease(session)}
	}
	leaves := func(lock, session string, request int) change {
		return change{rev: 41, key: fmt.Sprintf("queue/%s//%s.%d", lock, session, request), deleted: true}
	}
	frees := func(lock string) change { return change{rev: 41, key: "locks/" + lock, deleted: true} }
	staged := change{rev: 40, key: fmt.Sprintf("staged/b//%016x/9", 23), value: []byte("\x01\x03log" + record("b", 23, 0))}
	for name, test := range map[string]struct {
		changes []change
		wrong   bool
	}{
		"nothing":                     {nil, false},
		"granted":                     {[]change{hold("c", alice, 9)}, false},
		"granted on another lease":    {[]change{with(hold("c", alice, 9), func(c *change) { c.lease++ })}, true},
		"granted without a lease":     {[]change{with(hold("c", alice, 9), func(c *change) { c.lease = 0 })}, true},
		"granted while held":          {[]change{hold("b", carol, 1)}, true},
		"granted past a waiter":       {[]change{waits(40, "c", alice, 9), hold("c", carol, 1)}, true},
		"granted as the waiter left":  {[]change{waits(40, "c", alice, 9), hold("c", carol, 1), leaves("c", alice, 9)}, false},
		"passed to the first":         {[]change{waits(39, "b", bob, 9), waits(40, "b", carol, 1), hold("b", bob, 9), leaves("b", bob, 9)}, false},
		"passed to the second":        {[]change{waits(39, "b", bob, 9), waits(40, "b", carol, 1), hold("b", carol, 1), leaves("b", carol, 1)}, true},
		"holds and waits":             {[]change{waits(40, "b", alice, 4)}, true},
		"passed, and its place stays": {[]change{waits(40, "b", bob, 9), hold("b", bob, 9)}, true},
		"ended without a word":        {[]change{staged, frees("b")}, true},
		"ended and noted":             {[]change{staged, frees("b"), {rev: 41, key: fmt.Sprintf("undone/b//%016x", 23)}}, false},
		"ended with its session":      {[]change{staged, frees("b"), {rev: 41, key: "sessions/" + alice, deleted: true}}, false},
		"empty, and ended":            {[]change{frees("b")}, false},
		"swept while held":            {[]change{staged, with(staged, func(c *change) { c.rev, c.deleted = 41, true })}, true},
		"recorded twice":              {[]change{staged, with(staged, func(c *change) { c.key += "0" })}, true},
		"swept though published":      {[]change{{rev: 40, key: fmt.Sprintf("staged/a//%016x/2", 10), deleted: true}}, true},
		"folded in part":              {[]change{{rev: 40, key: fmt.Sprintf("commits/a//%016x", 10), deleted: true}}, true},
		"folded": {append(
			grownTo(40, "a", "log", version{Token: 10}, version{Token: 10}, record("a", 10, 0)),
			deletion(40, fmt.Sprintf("commits/a//%016x", 10)), deletion(40, fmt.Sprintf("staged/a//%016x/2", 10)),
		), false},
		"swept": {[]change{{rev: 40, key: fmt.Sprintf("staged/a//%016x/2", 12), deleted: true}}, false},
	} {
		e, v := past(), &verdicts{}
		e.changes = append(e.changes, test.changes...)
		if v.transitions(e, false); len(v.untrue) > 0 != test.wrong {
			t.Errorf("%s: got %v; want any: %t", name, v.untrue, test.wrong)
		}
	}
	for name, test := range map[string]struct {
		full  span
		wrong bool
	}{
		"while etcd has no space":   {span{from: time.Unix(40, 0), to: time.Unix(42, 0)}, false},
		"and etcd has no space yet": {span{from: time.Unix(40, 0)}, false},
		"before etcd has no space":  {span{from: time.Unix(42, 0)}, true},
		"when etcd has space again": {span{from: time.Unix(39, 0), to: time.Unix(40, 0)}, true},
	} {
		e, v := past(), &verdicts{}
		e.tight = []span{test.full}
		e.changes = append(e.changes, staged, with(frees("b"), func(c *change) { c.seen = time.Unix(41, 0) }))
		if v.transitions(e, false); len(v.untrue) > 0 != test.wrong {
			t.Errorf("ended without a word, %s: got %v; want any: %t", name, v.untrue, test.wrong)
		}
	}
}

func with[T any](a T, change func(*T)) T {
	change(&a)
	return a
}

// A read has to be of whole sections, as many as were published.
func TestReads(t *testing.T) {
	t.Parallel()
	f, err := past().facts()
	if err != nil {
		t.Fatal(err)
	}
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	whole, log := record("a", 10, 0), fileID{"a", "log"}
	read := func(text string, asked, answered int64) answer {
		return answer{Call: callRead, Lock: "a", File: "log", Asked: at(asked), Answered: at(answered), Got: int64(len(text)), Sum: crc32.ChecksumIEEE([]byte(text))}
	}
	release := answer{Call: callRelease, Lock: "a", Token: 10, Asked: at(50), Answered: at(60)}
	for name, test := range map[string]struct {
		read   answer
		untrue bool
	}{
		"nothing, before it is published": {read("", 40, 45), false},
		"nothing, meanwhile":              {read("", 55, 65), false},
		"nothing, afterwards":             {read("", 61, 65), true},
		"all, before it is published":     {read(whole, 40, 45), true},
		"all, meanwhile":                  {read(whole, 45, 55), false},
		"all, afterwards":                 {read(whole, 61, 65), false},
		"in part":                         {read(whole[:2], 61, 65), true},
		"something else":                  {read(strings.Repeat("x", len(whole)), 61, 65), true},
		"twice":                           {read(whole+whole, 61, 65), true},
	} {
		v := &verdicts{}
		if v.read(test.read, f.publications()[log], askedEndings([]answer{release}), at(0)); len(v.untrue) > 0 != test.untrue {
			t.Errorf("%s: got %v; want any: %t", name, v.untrue, test.untrue)
		}
	}
}

// What no order of transactions leads to is found in what etcd says.
func TestImpossible(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]change{
		"published after its end":   {rev: 40, key: fmt.Sprintf("commits/c//%016x", 30)},
		"undone, and published":     {rev: 40, key: fmt.Sprintf("undone/a//%016x", 10)},
		"staged after its end":      {rev: 40, key: fmt.Sprintf("staged/c//%016x/9", 30)},
		"staged twice":              {rev: 40, key: fmt.Sprintf("staged/a//%016x/2", 10)},
		"staged in no section":      {rev: 40, key: fmt.Sprintf("staged/a//%016x/2", 11)},
		"undone while it is held":   {rev: 40, key: fmt.Sprintf("undone/b//%016x", 23)},
		"committed by another":      {rev: 40, key: "locks/b", value: []byte(bob + ".9\x00{\"prev\":23}")},
		"committed from another":    {rev: 40, key: "locks/b", value: []byte(alice + ".4\x00{\"prev\":22}")},
		"committed, and held by no": {rev: 40, key: "locks/c", value: []byte(alice + ".4\x00{\"prev\":30}")},
	} {
		e := past()
		e.changes = append(e.changes, c)
		if _, err := e.facts(); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if _, err := past().facts(); err != nil {
		t.Error(err)
	}
}

func TestJudgeFiles(t *testing.T) {
	t.Parallel()
	f, err := past().facts()
	if err != nil {
		t.Fatal(err)
	}
	whole, log := record("a", 10, 0), fileID{"a", "log"}
	for name, test := range map[string]struct {
		files  map[fileID]string
		untrue bool
	}{
		"whole":       {map[fileID]string{log: whole}, false},
		"lost":        {map[fileID]string{}, true},
		"torn":        {map[fileID]string{log: whole[:3]}, true},
		"twice":       {map[fileID]string{log: whole + whole}, true},
		"undone":      {map[fileID]string{log: whole + record("a", 12, 0)}, true},
		"elsewhere":   {map[fileID]string{{"a", "notes"}: whole}, true},
		"from nobody": {map[fileID]string{log: whole, {"c", "log"}: "x"}, true},
	} {
		v := &verdicts{}
		if v.files(f, test.files); len(v.untrue) > 0 != test.untrue {
			t.Errorf("%s: untrue: %v; want any: %t", name, v.untrue, test.untrue)
		}
	}
}

// What a restore has undone was true until then.
func TestRestoredTruth(t *testing.T) {
	t.Parallel()
	tr := newTruth()
	tr.epochs[0].changes = past().changes
	tr.restore(13, 1000)
	f, err := tr.current().facts()
	if err != nil {
		t.Fatal(err)
	}
	if s := f.sections[sectionID{"a", 12}]; s == nil || s.end != 0 || s.noted {
		t.Errorf("got %+v; want the section held again", s)
	}
	if s := f.sections[sectionID{"b", 20}]; s != nil {
		t.Errorf("got %+v; want it never granted", s)
	}
	if tr.rev != 1000 || len(tr.epochs[0].changes) != len(past().changes) {
		t.Errorf("at %d with %d changes before; want 1000, and %d", tr.rev, len(tr.epochs[0].changes), len(past().changes))
	}
	if lines := strings.Count(record("a", 1, 2), "\n"); lines != 1 {
		t.Errorf("a record has %d lines; want one", lines)
	}
}

// That etcd had no space before a restore is known after it, when what the snapshot has is judged
// again.
func TestRestoredSpace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		full   []span
		untrue int
	}{
		"no space":     {[]span{{from: time.Unix(40, 0), to: time.Unix(42, 0)}}, 0},
		"space enough": {nil, 2},
	} {
		tr := newTruth()
		tr.epochs[0].changes = append(past().changes,
			change{rev: 40, created: 40, key: fmt.Sprintf("staged/b//%016x/9", 23), value: []byte("\x01\x03log" + record("b", 23, 0)), seen: time.Unix(40, 0)},
			change{rev: 41, key: "locks/b", deleted: true, seen: time.Unix(41, 0)})
		tr.epochs[0].tight = test.full
		tr.restore(41, 1000)
		if v := judge(nil, tr.soFar(), true); len(v.untrue) != test.untrue {
			t.Errorf("ended without a word, %s: got %v; want %d untrue", name, v.untrue, test.untrue)
		}
	}
}
