package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	laneA = "0000000000000000000000000000000a"
	laneB = "0000000000000000000000000000000b"
	laneC = "0000000000000000000000000000000c"
)

// bundle is the put of a section in one call, at a revision, in a slot.
func bundle(rev int64, lock string, slot int, operations ...operation) change {
	var b []byte
	for _, o := range operations {
		data := o.with()
		b = append(b, o.target()...)
		b = binary.AppendUvarint(b, uint64(len(data)))
		b = append(b, data...)
	}
	key := fmt.Sprintf("bundles/%s//00000000000000ff.%08x", lock, slot)
	return change{rev: rev, created: rev, key: key, value: b, seen: time.Unix(rev, 0)}
}

// target is what an operation does, and to which file, as etcd has it; with is what it does that
// with.
func (o operation) target() (b []byte) {
	if o.kind != appending {
		b = []byte{0, byte(o.kind)}
	}
	return append(binary.AppendUvarint(b, uint64(len(o.file))), o.file...)
}

func (o operation) with() []byte {
	if o.kind == cutting {
		return binary.AppendUvarint(nil, uint64(o.offset))
	}
	return []byte(o.text)
}

func applied(rev int64, lock, lane string, number uint64, says string) change {
	return change{
		rev: rev, key: fmt.Sprintf("applied/%s//%s", lock, lane), value: fmt.Appendf(nil, "%016x%s", number, says), seen: time.Unix(rev, 0),
	}
}

func latest(rev int64, lock string) change { return change{rev: rev, key: "latest/" + lock} }

// inOneCall is a publish as etcd has it: the first of its revision.
func inOneCall(rev int64, lock, lane string, number uint64, tag string, many int) []change {
	return []change{bundle(rev, lock, 0, operationsOf(lock, tag, many)...), applied(rev, lock, lane, number, `{"n":1,"at":5}`), latest(rev, lock)}
}

// place is a place in a lock's queue that somebody takes.
func place(rev int64, lock, acquisition string) change {
	return change{rev: rev, created: rev, key: "queue/" + lock + "//" + acquisition, value: []byte("{}"), seen: time.Unix(rev, 0)}
}

// deletion is a key that is deleted.
func deletion(rev int64, key string) change {
	return change{rev: rev, key: key, deleted: true, seen: time.Unix(rev, 0)}
}

// inTurn is a publish that takes the next place in lock c's queue, is handed the lock at a
// revision, and is finished at the next.
func inTurn(rev int64, lane string, number uint64, tag string, many int) []change {
	all := []change{
		place(rev-1, "c", alice+".9"),
		{rev: rev, key: "locks/c", value: []byte(alice + ".9\x00{}"), lease: 0xaa, seen: time.Unix(rev, 0)}, deletion(rev, "queue/c//"+alice+".9"),
	}
	for n, o := range operationsOf("c", tag, many) {
		key, value := fmt.Sprintf("staged/c//%016x/publish.%d", rev, n), append([]byte{byte(n + 1), byte(len(o.file))}, o.file+o.text...)
		all = append(all, change{rev: rev + 1, key: key, value: value, seen: time.Unix(rev+1, 0)})
	}
	return append(all,
		change{rev: rev + 1, key: fmt.Sprintf("commits/c//%016x", rev), value: []byte(alice), seen: time.Unix(rev+1, 0)},
		applied(rev+1, "c", lane, number, fmt.Sprintf(`{"token":%d,"at":5}`, rev)), latest(rev+1, "c"), deletion(rev+1, "locks/c"))
}

// grownTo is what a fold puts of a file that was not there: its head and its only chunk.
func grownTo(rev int64, lock, file string, life, is version, text string) []change {
	head := headValue{Size: int64(len(text)), Token: is.Token, N: is.N, Life: life.Token, LifeN: life.N}
	value, err := json.Marshal(head)
	if err != nil {
		panic(err)
	}
	return []change{
		{rev: rev, key: fmt.Sprintf("chunks/%s//%s//%016x", lock, file, 0), value: []byte(text), seen: time.Unix(rev, 0)},
		{rev: rev, key: "files/" + lock + "//" + file, value: value, seen: time.Unix(rev, 0)},
	}
}

// leavingOut is the changes but those of keys that begin with one of some words.
func leavingOut(changes []change, begin ...string) (rest []change) {
	for _, c := range changes {
		if !slices.ContainsFunc(begin, func(b string) bool { return strings.HasPrefix(c.key, b) }) {
			rest = append(rest, c)
		}
	}
	return rest
}

// publishedPast is past, and then two publishes to lock c at one revision; after each another one
// of its lane is withdrawn.
func publishedPast() *epoch {
	e := past()
	e.changes = append(e.changes, inOneCall(40, "c", laneA, 3, "px", 1)...)
	e.changes = append(e.changes,
		bundle(40, "c", 1, operationsOf("c", "py", 3)...), applied(40, "c", laneB, 1, `{"n":2,"at":5}`),
		applied(41, "c", laneA, 4, `{"withdrawn":true,"at":5}`), applied(42, "c", laneB, 2, `{"withdrawn":true,"at":5}`))
	return e
}

func TestJudgePublish(t *testing.T) {
	t.Parallel()
	const unknown = "OUTCOME_UNKNOWN"
	raw := func(call, lane string, number uint64, reason string, is version) answer {
		tags := map[string]string{laneA: "px", laneB: "py", laneC: "pw"}
		return answer{
			Call: call, Lock: "c", Lane: lane, Number: number, Born: 1, Reason: reason, Version: is, Data: tags[lane],
			Operations: map[string]int{laneA: 1, laneB: 3, laneC: 3}[lane], Answered: time.Unix(100, 0),
		}
	}
	byTag := func(call, tag, reason string, is version) answer {
		return answer{Call: call, Lock: "c", Reason: reason, Version: is, Data: tag, Operations: 1, Answered: time.Unix(100, 0)}
	}
	first, second := version{40, 1}, version{40, 2}
	for name, test := range map[string]struct {
		answer answer
		untrue bool
	}{
		"published":                        {raw(callPublish, laneA, 3, ok, first), false},
		"published, the second":            {raw(callPublish, laneB, 1, ok, second), false},
		"published, by the withdrawal":     {raw(callWithdraw, laneB, 1, ok, second), false},
		"under another's version":          {raw(callPublish, laneA, 3, ok, second), true},
		"without a version":                {raw(callPublish, laneA, 3, ok, version{}), true},
		"another number":                   {raw(callPublish, laneA, 2, ok, first), true},
		"something else":                   {with(raw(callPublish, laneA, 3, ok, first), func(a *answer) { a.Operations = 2 }), true},
		"withdrawn":                        {raw(callWithdraw, laneA, 4, withdrawn, version{}), false},
		"withdrawn, and told the publish":  {raw(callPublish, laneA, 4, withdrawn, version{}), false},
		"published, and said withdrawn":    {raw(callWithdraw, laneA, 3, withdrawn, version{}), true},
		"withdrawn, and said published":    {raw(callPublish, laneA, 4, ok, version{41, 1}), true},
		"never withdrawn":                  {raw(callWithdraw, laneA, 5, withdrawn, version{}), true},
		"superseded":                       {raw(callPublish, laneA, 2, unknown, version{}), false},
		"superseded, and published":        {raw(callPublish, laneA, 3, unknown, version{}), false},
		"superseded by nothing":            {raw(callPublish, laneA, 4, unknown, version{}), true},
		"no space, and published":          {raw(callPublish, laneA, 3, "NO_SPACE", version{}), false}, // by an earlier copy
		"busy":                             {raw(callPublish, laneA, 9, busy, version{}), false},
		"busy for a holder":                {with(raw(callPublish, laneA, 9, busy, version{}), func(a *answer) { a.Got = 30 }), false},
		"busy for nobody":                  {with(raw(callPublish, laneA, 9, busy, version{}), func(a *answer) { a.Got = 29 }), true},
		"in turn":                          {raw(callPublish, laneC, 6, ok, version{45, 0}), false},
		"in turn, and under the note's":    {raw(callPublish, laneC, 6, ok, version{46, 0}), true},
		"in turn, and something else":      {with(raw(callPublish, laneC, 6, ok, version{45, 0}), func(a *answer) { a.Operations = 2 }), true},
		"in turn, and said withdrawn":      {raw(callWithdraw, laneC, 6, withdrawn, version{}), true},
		"by the SDK, in turn":              {byTag(callPublish, "pw", ok, version{45, 0}), false},
		"by the SDK":                       {byTag(callPublish, "px", ok, first), false},
		"by the SDK, under another's":      {byTag(callPublish, "px", ok, second), true},
		"by the SDK, and lost":             {byTag(callPublish, "pz", ok, first), true},
		"refused to the SDK":               {byTag(callPublish, "pz", busy, version{}), false},
		"refused to the SDK, and there":    {byTag(callPublish, "px", busy, version{}), true},
		"not sent by the SDK, and there":   {byTag(callPublish, "px", notSent, version{}), true},
		"unknown to the SDK, and there":    {byTag(callPublish, "px", unasked, version{}), false},
		"by dlm append":                    {byTag(callDlmAppend, "px", ok, version{}), false},
		"by dlm append, and lost":          {byTag(callDlmAppend, "pz", ok, version{}), true},
		"by dlm append, which has failed":  {byTag(callDlmAppend, "px", indeterminate, version{}), false},
		"published, and not judged at all": {raw(callPublish, laneA, 9, indeterminate, version{}), false},
	} {
		e := publishedPast()
		e.changes = append(e.changes, inTurn(45, laneC, 6, "pw", 3)...)
		v := judge([]answer{test.answer}, []*epoch{e}, true)
		if got := len(v.untrue) > 0; got != test.untrue {
			t.Errorf("%s: got %v; want any: %t", name, v.untrue, test.untrue)
		}
	}
}

// What was refused while the network doubled messages may come all the same.
func TestJudgeDoubledPublish(t *testing.T) {
	t.Parallel()
	refused := answer{
		Call: callPublish, Lock: "c", Data: "px", Operations: 1, Reason: busy, Asked: time.Unix(100, 0), Answered: time.Unix(101, 0),
	}
	for name, test := range map[string]struct {
		doubling span
		untrue   bool
	}{
		"never":      {span{}, true},
		"before":     {span{time.Unix(90, 0), time.Unix(99, 0)}, true},
		"afterwards": {span{from: time.Unix(102, 0)}, true},
		"meanwhile":  {span{time.Unix(90, 0), time.Unix(101, 0)}, false},
		"still":      {span{from: time.Unix(100, 0)}, false},
	} {
		e := publishedPast()
		if test.doubling != (span{}) {
			e.doubling = []span{test.doubling}
		}
		if v := judge([]answer{refused}, []*epoch{e}, true); len(v.untrue) > 0 != test.untrue {
			t.Errorf("doubled %s: got %v; want any: %t", name, v.untrue, test.untrue)
		}
	}
}

// What a client of the SDK has sent later is published later.
func TestPublishOrder(t *testing.T) {
	t.Parallel()
	say := func(tag, client string, at int64) answer {
		return answer{Call: callPublish, Lock: "c", Data: tag, Reason: unasked, Client: client, Answered: time.Unix(at, 0)}
	}
	for name, test := range map[string]struct {
		answers []answer
		untrue  bool
	}{
		"in order":        {[]answer{say("px", "one", 50), say("py", "one", 60)}, false},
		"out of order":    {[]answer{say("py", "one", 50), say("px", "one", 60)}, true},
		"of two":          {[]answer{say("py", "one", 50), say("px", "other", 60)}, false},
		"of which one is": {[]answer{say("py", "one", 50), say("pz", "one", 60)}, false},
	} {
		if v := judge(test.answers, []*epoch{publishedPast()}, true); len(v.untrue) > 0 != test.untrue {
			t.Errorf("%s: got %v; want any: %t", name, v.untrue, test.untrue)
		}
	}
}

// What may not follow on what is found, and what may is not.
func TestTransitionsOfPublishes(t *testing.T) {
	t.Parallel()
	waits := change{rev: 50, created: 50, key: "queue/c//" + alice + ".9"}
	enters := with(waits, func(c *change) { c.rev, c.created = 51, 51 })
	// Two who wait, and a run of both; it is preceded by what is right by itself.
	behind := place(51, "c", alice+".10")
	run := slices.Concat(
		[]change{waits, behind, deletion(52, waits.key), deletion(52, behind.key)}, inOneCall(52, "c", laneA, 5, "pz", 1),
		[]change{bundle(52, "c", 1, operationsOf("c", "pw", 1)...), applied(52, "c", laneB, 3, `{"n":2,"at":5}`)})
	folded := func(rev int64, says string) change { return change{rev: rev, key: "folded/c", value: []byte(says)} }
	turn := inTurn(51, laneA, 5, "pz", 3)
	hold := change{rev: 51, key: "locks/c", value: []byte(alice + ".9\x00{}"), lease: 0xaa}
	next := inOneCall(51, "c", laneA, 5, "pz", 1)
	fold := func(rev int64, slot int) change {
		return with(bundle(rev, "c", slot), func(c *change) { c.created, c.deleted, c.value = 0, true, nil })
	}
	one, two := taggedRecord("c", "px", 0), taggedRecord("c", "py", 0)+taggedRecord("c", "py", 1)
	log := func(is version, text string) []change { return grownTo(51, "c", "log", version{40, 1}, is, text) }
	notes := grownTo(51, "c", "notes", version{40, 2}, version{40, 2}, taggedRecord("c", "py", 2))
	both := slices.Clip(append(log(version{40, 2}, one+two), notes...))
	told := change{rev: 45, key: "cluster/features", value: []byte(`{"on":["bare","publish"]}`)}
	marker := change{rev: 51, key: fmt.Sprintf("commits/b//%016x", 23), value: []byte(alice)}
	first := change{key: fmt.Sprintf("commits/b//%016x", 22)} // which is there
	freed := change{rev: 51, key: "locks/b", deleted: true}
	forgotten := func(rev int64, upTo string) change { return change{rev: rev, key: "forgotten", value: []byte(upTo)} }
	drops := change{rev: 51, key: "applied/c//" + laneA, deleted: true}
	for name, test := range map[string]struct {
		changes []change
		wrong   bool
	}{
		"published":                       {next, false},
		"in a lane of its own":            {inOneCall(51, "c", laneA+"0", 1, "pz", 1), false},
		"in a lane of another lock":       {inOneCall(51, "a", laneA, 1, "pz", 1), false},
		"of nothing":                      {append([]change{bundle(51, "c", 0)}, next[1:]...), false},
		"of nothing, without a bundle":    {next[1:], true},
		"without a note":                  {[]change{next[0], next[2]}, true},
		"with a note of another":          {[]change{next[0], applied(51, "c", laneA, 5, `{"n":2,"at":5}`), next[2]}, true},
		"without latest":                  {next[:2], true},
		"the same number":                 {inOneCall(51, "c", laneA, 3, "pz", 1), true},
		"a lower number":                  {inOneCall(51, "c", laneA, 2, "pz", 1), true},
		"a number that was withdrawn":     {inOneCall(51, "c", laneA, 4, "pz", 1), true},
		"withdrawn though published":      {[]change{applied(51, "c", laneA, 3, `{"withdrawn":true,"at":5}`)}, true},
		"said by two":                     {inOneCall(51, "c", laneA, 5, "px", 1), true},
		"over another one":                {[]change{with(next[0], func(c *change) { c.created = 40 }), next[1], next[2]}, true},
		"under one version":               {slices.Concat(next, []change{applied(51, "c", laneB, 3, `{"n":1,"at":5}`)}), true},
		"while it is held":                {inOneCall(51, "b", laneA, 1, "pz", 1), true},
		"past who waits":                  {append([]change{waits}, next...), true},
		"as somebody takes a place":       {append([]change{enters}, next...), false},
		"as it is granted":                {append([]change{hold}, next...), true},
		"as it is released":               {slices.Concat([]change{freed}, inOneCall(51, "b", laneA, 1, "pz", 1)), true},
		"in a run":                        {run, false},
		"in a run, with one left behind":  {append([]change{place(51, "c", alice+".11")}, run...), false},
		"in a run, as one leaves":         {slices.Concat([]change{place(51, "c", alice+".11")}, run, []change{deletion(52, "queue/c//"+alice+".11")}), false},
		"in a run past one":               {append([]change{place(49, "c", alice+".8")}, run...), true},
		"in a run with more than waited":  {leavingOut(run, behind.key), true},
		"in a run that leaves its place":  {slices.DeleteFunc(slices.Clone(run), func(c change) bool { return c.deleted && c.key == behind.key }), true},
		"in a run that grants":            {append([]change{with(hold, func(c *change) { c.rev = 52 })}, run...), true},
		"in turn":                         {turn, false},
		"in turn, of nothing":             {leavingOut(turn, "staged/"), false},
		"in turn without latest":          {append([]change{told}, leavingOut(turn, "latest/")...), true},
		"in turn without a marker":        {leavingOut(turn, "commits/"), true},
		"in turn, and not passed on":      {turn[:len(turn)-1], true},
		"in turn under another's token":   {append(leavingOut(turn, "applied/"), applied(52, "c", laneA, 5, `{"token":50,"at":5}`)), true},
		"in turn, the same number":        {inTurn(51, laneA, 3, "pz", 3), true},
		"in turn, said by two":            {inTurn(51, laneA, 5, "px", 1), true},
		"in turn, with a note too late":   {append(leavingOut(turn, "applied/"), applied(53, "c", laneA, 5, `{"token":51,"at":5}`)), true},
		"folded":                          {append(both, fold(51, 0), fold(51, 1), folded(51, `{"token":40,"n":2}`)), false},
		"folded, the first":               {append(log(version{40, 1}, one), fold(51, 0), folded(51, `{"token":40,"n":1}`)), false},
		"folded, and not said":            {append(log(version{40, 1}, one), fold(51, 0)), true},
		"folded, and more is said":        {append(log(version{40, 1}, one), fold(51, 0), folded(51, `{"token":40,"n":2}`)), true},
		"folded, and less is said":        {append(both, fold(51, 0), fold(51, 1), folded(51, `{"token":40,"n":1}`)), true},
		"said to be folded, and is not":   {[]change{folded(51, `{"token":40,"n":1}`)}, true},
		"what is folded is deleted":       {append(log(version{40, 1}, one), fold(51, 0), folded(51, `{"token":40,"n":1}`), deletion(52, "folded/c")), true},
		"what is folded is malformed":     {append(log(version{40, 1}, one), fold(51, 0), folded(51, `x`)), true},
		"a marker is folded, and said":    {[]change{told, deletion(51, first.key), {rev: 51, key: "folded/b", value: []byte(`{"token":22}`)}}, false},
		"a marker is folded, and no more": {[]change{told, deletion(51, first.key)}, true},
		"folded, the second":              {append(both, fold(51, 1)), true},
		"folded without a head":           {append(log(version{40, 2}, one+two), fold(51, 0), fold(51, 1), folded(51, `{"token":40,"n":2}`)), true},
		"folded, and the head is behind":  {slices.Concat(log(version{40, 1}, one), notes, []change{fold(51, 0), fold(51, 1), folded(51, `{"token":40,"n":2}`)}), true},
		"the second of two is folded":     {[]change{marker, freed, with(marker, func(c *change) { c.rev, c.deleted = 52, true })}, true},
		"the first of two is folded":      {[]change{marker, freed, deletion(52, first.key)}, false},
		"released without latest":         {[]change{told, marker, freed}, true},
		"released with latest":            {[]change{told, marker, freed, latest(51, "b")}, false},
		"released by an earlier version":  {[]change{marker, freed}, false},
		"a note is dropped":               {[]change{forgotten(51, "0000000000000029"), drops}, false},
		"a note is dropped, and not said": {[]change{drops}, true},
		"a note is dropped, and too low":  {[]change{forgotten(51, "0000000000000028"), drops}, true},
		"what is forgotten falls":         {[]change{forgotten(51, "0000000000000029"), forgotten(52, "0000000000000028")}, true},
		"what is forgotten is deleted":    {[]change{with(forgotten(51, ""), func(c *change) { c.deleted = true })}, true},
		"a number after it was dropped":   {append([]change{forgotten(50, "0000000000000029"), with(drops, func(c *change) { c.rev = 50 })}, inOneCall(51, "c", laneA, 3, "pz", 1)...), true},
	} {
		e := publishedPast()
		e.changes = append(e.changes, test.changes...)
		if v := judge(nil, []*epoch{e}, true); len(v.untrue) > 0 != test.wrong {
			t.Errorf("%s: got %v; want any: %t", name, v.untrue, test.wrong)
		}
	}
}

// What cannot be read is found.
func TestMalformedPublishes(t *testing.T) {
	t.Parallel()
	whole := inOneCall(51, "c", laneA, 5, "pz", 1)
	for name, c := range map[string]change{
		"half an operation":   with(whole[0], func(c *change) { c.value = c.value[:len(c.value)-1] }),
		"no slot":             with(whole[0], func(c *change) { c.key = "bundles/c//00000000000000ff" }),
		"a short note":        with(whole[1], func(c *change) { c.value = c.value[:9] }),
		"a note without more": with(whole[1], func(c *change) { c.value = c.value[:16] }),
		"forgotten":           {rev: 51, key: "forgotten", value: []byte("x")},
	} {
		e := publishedPast()
		e.changes = append(e.changes, c)
		if _, err := e.facts(); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// Reads have publishes in their place, and say which was the last.
func TestReadsOfPublishes(t *testing.T) {
	t.Parallel()
	first, second := taggedRecord("c", "px", 0), taggedRecord("c", "py", 0)+taggedRecord("c", "py", 1)
	publish := answer{Call: callPublish, Lock: "c", Data: "py", Operations: 3, Asked: time.Unix(50, 0), Answered: time.Unix(60, 0)}
	for name, test := range map[string]struct {
		text            string
		is              version
		asked, answered int64
		untrue          bool
	}{
		"both":                      {first + second, version{40, 2}, 61, 65, false},
		"both, of no version":       {first + second, version{}, 61, 65, false},
		"both, of the first's":      {first + second, version{40, 1}, 61, 65, true},
		"both, before it was asked": {first + second, version{40, 2}, 41, 45, true},
		"one, before":               {first, version{40, 1}, 41, 65, false},
		"one, afterwards":           {first, version{40, 1}, 61, 65, true},
		"the other way round":       {second + first, version{40, 2}, 61, 65, true},
		"nothing, of a version":     {"", version{40, 1}, 41, 45, true},
		"in part":                   {first + taggedRecord("c", "py", 0), version{40, 2}, 61, 65, true},
	} {
		read := answer{
			Call: callRead, Lock: "c", File: "log", Version: test.is, Asked: time.Unix(test.asked, 0), Answered: time.Unix(test.answered, 0),
			Got: int64(len(test.text)), Sum: crc32.ChecksumIEEE([]byte(test.text)),
		}
		withdraws := with(publish, func(a *answer) {
			a.Call, a.Lane, a.Number, a.Version = callWithdraw, laneB, 1, version{40, 2}
			a.Asked, a.Answered = time.Unix(70, 0), time.Unix(71, 0)
		})
		v := judge([]answer{read, with(publish, func(a *answer) { a.Version = version{40, 2} }), withdraws}, []*epoch{publishedPast()}, true)
		if len(v.untrue) > 0 != test.untrue {
			t.Errorf("%s: got %v; want any: %t", name, v.untrue, test.untrue)
		}
	}
}

// A restore undoes publishes, and what was withdrawn.
func TestRestoredPublishes(t *testing.T) {
	t.Parallel()
	tr := newTruth()
	tr.epochs[0].changes = publishedPast().changes
	tr.epochs[0].from = time.Unix(0, 0)
	tr.restore(39, 1000)
	tr.epochs[1].from = time.Unix(200, 0)
	tr.epochs[1].changes = append(tr.epochs[1].changes, inOneCall(1001, "c", laneA, 3, "px", 1)...)
	say := func(at, token int64) answer {
		return answer{
			Call: callPublish, Lock: "c", Lane: laneA, Number: 3, Data: "px", Operations: 1, Version: version{token, 1}, Answered: time.Unix(at, 0),
		}
	}
	for name, test := range map[string]struct {
		answer answer
		untrue bool
	}{
		"before":                    {say(100, 40), false},
		"afterwards":                {say(300, 1001), false},
		"what was before":           {say(300, 40), true},
		"what was after":            {say(100, 1001), true},
		"withdrawn before":          {with(say(100, 0), func(a *answer) { a.Number, a.Reason = 4, withdrawn }), false},
		"withdrawn, and not undone": {with(say(300, 0), func(a *answer) { a.Number, a.Reason = 4, withdrawn }), true},
	} {
		if v := judge([]answer{test.answer}, tr.soFar(), true); len(v.untrue) > 0 != test.untrue {
			t.Errorf("%s: got %v; want any: %t", name, v.untrue, test.untrue)
		}
	}
}

// Publishes are put in order by the versions that clients were told, or else by those that etcd
// has.
func TestOrderOfPublishes(t *testing.T) {
	t.Parallel()
	x, y := taggedRecord("a", "px", 0), taggedRecord("a", "py", 0)
	publish := func(h told, asked, answered int64, tag string, is version, reason string) told {
		return h.call(asked, answered, answer{Call: callPublish, Data: tag, Operations: 1, Version: is, Reason: reason})
	}
	both := publish(publish(nil, 1, 5, "px", version{20, 1}, ok), 1, 5, "py", version{20, 2}, ok)
	doubtful := publish(publish(nil, 1, 5, "px", version{}, indeterminate), 6, 9, "py", version{20, 2}, ok)
	for name, test := range map[string]struct {
		history told
		etcd    []change
		untrue  bool
	}{
		"in order":                  {both.read(6, 7, "log", x+y), nil, false},
		"out of order":              {both.read(6, 7, "log", y+x), nil, true},
		"lost":                      {both.read(6, 7, "log", x), nil, true},
		"beside a section":          {publish(told{}.section(1, 5, 20, 1, ok), 6, 9, "px", version{30, 1}, ok).read(10, 11, "log", record("a", 20, 0)+x), nil, false},
		"before its own token":      {publish(told{}.section(1, 5, 20, 1, ok), 6, 9, "px", version{10, 1}, ok), nil, true},
		"unknown, and there":        {doubtful.read(10, 11, "log", x+y), inOneCall(15, "a", laneA, 1, "px", 1), false},
		"unknown, and not read":     {doubtful.read(10, 11, "log", y), nil, false},
		"unknown, and later":        {doubtful.read(10, 11, "log", y).read(12, 13, "log", y+x), inOneCall(25, "a", laneA, 1, "px", 1), false},
		"unknown, and misplaced":    {doubtful.read(10, 11, "log", y+x), inOneCall(15, "a", laneA, 1, "px", 1), true},
		"of nobody, and read":       {both.read(6, 7, "log", taggedRecord("a", "pz", 0)+x+y), inOneCall(15, "a", laneA, 1, "pz", 1), false},
		"of nobody, not even etcd":  {both.read(6, 7, "log", taggedRecord("a", "pz", 0)+x+y), nil, true},
		"by dlm append, and lost":   {told{}.call(1, 2, answer{Call: callDlmAppend, Data: "pz", Operations: 1}).read(3, 4, "log", ""), inOneCall(15, "a", laneA, 1, "pz", 1), true},
		"by dlm append, which died": {told{}.call(1, 2, answer{Call: callDlmAppend, Data: "pz", Reason: indeterminate}).read(3, 4, "log", ""), inOneCall(15, "a", laneA, 1, "pz", 1), false},
	} {
		e := &epoch{from: moment(0), changes: test.etcd}
		f, err := e.facts()
		if err != nil {
			t.Fatal(err)
		}
		v := &verdicts{facts: []*facts{f}}
		if err := v.order(test.history, []*epoch{e}, time.Minute, t.TempDir()+"/order.html"); err != nil {
			t.Fatal(err)
		}
		if len(v.untrue) > 0 != test.untrue {
			t.Errorf("%s: got %v; want any: %t", name, v.untrue, test.untrue)
		}
	}
}
