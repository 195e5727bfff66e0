package publish

import "github.com/distributed-lock-manager/dlm/tools/model/search"

func (m *model) look(limit int) search.Report {
	x := search.Machine[state, step]{
		Start: m.start(), Steps: m.steps,
		Broken: func(s *state) bool { return s.broken != harmless },
	}
	if m.progress {
		x.Served = (*state).served
	}
	return x.Search(limit).Report(func(s *state, isStuck bool) string {
		if isStuck {
			return stuck.String()
		}
		return s.broken.String()
	})
}

// opened is a configuration in which a hole is open.
type opened struct {
	id, what string
	model    model
	want     harm
}

// lanes gives each client a lane of its own.
func lanes(calls ...string) (scripts []script) {
	for lane, c := range calls {
		scripts = append(scripts, script{int8(lane), c})
	}
	return scripts
}

// twoSessions sends the same publish under two sessions.
func twoSessions() []script { return []script{{0, "P"}, {0, "P"}} }

func holes() []opened {
	one := func(h hole, calls string, b budget) model { return model{scripts: lanes(calls), left: b, open: h} }
	return []opened{
		{"P1", "a fold drops the note with the bundle", one(foldTakesNote, "P", budget{duplicates: 1}), twice},
		{"P2a", "a note is forgotten by a clock alone", one(forgottenNotCompared, "P", budget{duplicates: 1, forgets: 1}), twice},
		{"P2b", "born is believed, though the server has not heard of that revision", one(bornIsBelieved, "P", budget{duplicates: 1, forgets: 1}), twice},
		{"P2c", "without born each server takes what it has seen itself", one(bornIsFilledIn, "P", budget{duplicates: 1, forgets: 1}), twice},
		{"P2d", "forgotten begins again at 0, when a server makes it anew", one(forgottenBeginsAgain, "P", budget{duplicates: 1, forgets: 1, crashes: 1}), twice},
		{"P3", "a place is taken without a look at the id", model{scripts: lanes("Q", "AL"), left: budget{duplicates: 1}, open: placeWithoutFresh}, parked},
		{"P4", "the session is not compared", model{scripts: lanes("P", "AL"), left: budget{duplicates: 1, expiries: 1}, open: sessionNotCompared}, untrue},
		{"P5", "BUSY is taken to be final", model{scripts: lanes("B", "AL"), left: budget{duplicates: 1}, open: busyIsFinal}, untrue},
		{"P6", "a run takes places past somebody else's", model{scripts: lanes("AL", "Q"), open: runPastOthers}, overtaken},
		{"P7a", "a run shares a transaction with a grant to the next", model{scripts: lanes("AL", "Q"), open: runAndGrant}, sharedToken},
		{"P7b", "a publish shares a transaction with an acquire", model{scripts: lanes("AL", "B"), batches: true, open: publishBesideAcquire}, sharedToken},
		{"P8", "a version is the token alone", model{scripts: lanes("BC", "B"), conditions: true, batches: true, open: versionIsToken}, notMet},
		{"P9", "that there was no latest/L is taken to mean that there was none since", model{scripts: lanes("C", "N"), conditions: true, left: budget{forgets: 1}, open: latestForgotten}, notMet},
		{"P10", "a condition shares a transaction with a publish that it is about", model{scripts: lanes("C", "B"), conditions: true, batches: true, open: conditionBesidePublish}, notMet},
		{"P11", "a server's counter begins again when it starts again", model{scripts: lanes("B", "B"), left: budget{crashes: 1}, open: counterBeginsAgain}, outOfOrder},
		{"P12", "what a server has folded through is when it wrote, not when it read", model{scripts: lanes("B", "B"), inSteps: true, reads: true, open: throughAtWrite}, missed},
		{"P13", "SESSION_EXPIRED is final, though it was sent under another session as well", model{scripts: twoSessions(), left: budget{expiries: 1}, open: sessionsEndIsFinal}, untrue},
		{"P15a", "CONFLICT is told for a condition that an earlier delivery has made false", model{scripts: lanes("C"), conditions: true, left: budget{duplicates: 1}, open: conflictWithoutNote}, untrue},
		{"P15b", "CONFLICT is told by what the server knew before the publish was sent", model{scripts: lanes("VC", "B"), conditions: true, open: conflictByKnown}, untrue},
		{"P15c", "a placed publish is refused for a condition that an earlier delivery has made false", model{scripts: []script{{0, "D"}, {0, "D"}}, conditions: true, open: refuseWithoutFresh}, untrue},
		{"P16", "a run takes a place of the lane that it, or what it is part of, publishes for already", model{scripts: []script{{0, "Q"}, {0, "Q"}}, open: runTakesLaneTwice}, twice},
		{"P17", "a lock's version is that of its heads: a section without operations leaves none", model{scripts: lanes("BC", "N"), conditions: true, open: versionByHeads}, notMet},
		{"P18", "CONFLICT is final for who expects no version: latest/L is forgotten", model{scripts: lanes("C", "N"), conditions: true, left: budget{duplicates: 1, forgets: 1}, open: noVersionIsFinal}, untrue},
		{"P14a", "waited/ is not compared", model{scripts: lanes("AL", "AL", "B"), open: waitedNotCompared}, overtaken},
		{"P14b", "it is not compared that nobody holds the lock", model{scripts: lanes("AR", "B"), open: lockNotCompared}, outOfOrder},
	}
}

// Holes returns the runs in which a rule is left out.
func Holes() (runs []search.Run) {
	for _, h := range holes() {
		shut := h.model
		shut.open = closed
		runs = append(runs, search.Run{Name: h.id, What: h.what, Want: h.want.String(), Look: h.model.look, LookClosed: shut.look})
	}
	return runs
}

func small() []model {
	return []model{
		{name: "publish: one, every fault", scripts: lanes("P"), progress: true, inSteps: true, reads: true, left: budget{2, 1, 1, 1, 1}},
		{name: "publish: busy, withdrawn, a holder", scripts: lanes("BW", "AL"), progress: true, left: budget{duplicates: 1, forgets: 1}},
		{name: "publish: busy, the lane's next, a holder", scripts: lanes("BP", "AR"), progress: true, left: budget{duplicates: 1}},
		{name: "publish: two together, every fault", scripts: lanes("P", "B"), progress: true, inSteps: true, batches: true, left: budget{1, 1, 0, 1, 0}},
		{name: "publish: the same under two sessions", scripts: twoSessions(), progress: true, left: budget{duplicates: 2, expiries: 1, forgets: 1}},
		{name: "publish: the same under two sessions, withdrawn", scripts: []script{{0, "PW"}, {0, "BW"}}, progress: true, left: budget{duplicates: 2, expiries: 1, forgets: 1}},
		{name: "publish: on a condition, and one without", scripts: lanes("VC", "N"), progress: true, conditions: true, batches: true, left: budget{duplicates: 1, forgets: 2}},
		{name: "publish: after its own version, and one without", scripts: lanes("BC", "B"), progress: true, conditions: true, batches: true, left: budget{duplicates: 1, forgets: 1}},
		{name: "publish: on a condition, and a holder", scripts: lanes("VC", "AR"), progress: true, conditions: true, left: budget{forgets: 1}},
		{name: "publish: one that waits, every fault", scripts: lanes("Q"), progress: true, left: budget{2, 1, 1, 1, 1}},
		{name: "publish: one that waits, a holder", scripts: lanes("Q", "AR"), progress: true, left: budget{expiries: 1}},
		{name: "publish: two that wait", scripts: lanes("Q", "Q"), progress: true, batches: true, left: budget{duplicates: 1}},
	}
}

func large() []model {
	return []model{
		{name: "publish: busy, withdrawn, a holder, more faults", scripts: lanes("BW", "AL"), progress: true, left: budget{2, 1, 0, 1, 0}},
		{name: "publish: busy, the lane's next, a holder, more faults", scripts: lanes("BP", "AR"), progress: true, left: budget{2, 0, 0, 1, 0}},
		{name: "publish: three numbers of a lane, and a holder", scripts: lanes("BPW", "AR"), progress: true, left: budget{1, 0, 0, 1, 0}},
		{name: "publish: two holders", scripts: lanes("AR", "AL", "P"), progress: true},
		{name: "publish: two on a condition", scripts: lanes("VC", "VC"), progress: true, conditions: true, left: budget{duplicates: 1, forgets: 2}},
		{name: "publish: on a condition, and a holder, more faults", scripts: lanes("VCW", "AR"), progress: true, conditions: true, left: budget{duplicates: 1, forgets: 1}},
		{name: "publish: the same on a condition from two", scripts: []script{{0, "C"}, {0, "C"}, {1, "BC"}}, progress: true, conditions: true, left: budget{duplicates: 1, forgets: 1}},
		{name: "publish: one that waits, a holder, more faults", scripts: lanes("Q", "AR"), progress: true, left: budget{duplicates: 1, expiries: 1, evictions: 1}},
		{name: "publish: two that wait, and a holder", scripts: lanes("Q", "Q", "AL"), progress: true, left: budget{}},
		{name: "publish: one that waits, two holders", scripts: lanes("Q", "AR", "AL"), progress: true, left: budget{}},
		{name: "publish: one that waits, withdrawn, a holder", scripts: lanes("QW", "AL"), progress: true, left: budget{duplicates: 1, forgets: 1}},
		{name: "publish: on a condition, and wait, a holder", scripts: lanes("D", "AR", "B"), progress: true, conditions: true},
		{name: "publish: the same, waiting under two sessions", scripts: []script{{0, "Q"}, {0, "Q"}}, progress: true, left: budget{1, 1, 1, 1, 0}},
		{name: "publish: the same on a condition, waiting under two", scripts: []script{{0, "D"}, {0, "D"}}, progress: true, conditions: true, left: budget{evictions: 1, expiries: 1}},
		{name: "publish: one that waits, withdrawn, another one", scripts: lanes("QW", "Q"), progress: true, left: budget{1, 1, 0, 1, 0}},
		{name: "publish: two on a condition, waiting", scripts: lanes("D", "D"), progress: true, conditions: true, left: budget{expiries: 1}},
		{name: "publish: two numbers under two sessions, one waiting", scripts: []script{{0, "BQ"}, {0, "BQ"}}, progress: true, left: budget{1, 1, 0, 1, 0}},
		{name: "publish: one that waits, after its own version", scripts: lanes("Q", "BC"), progress: true, conditions: true, batches: true, left: budget{1, 1, 0, 1, 0}},
		{name: "publish: a holder and two together", scripts: lanes("AR", "P", "B"), progress: true, batches: true},
	}
}

func (m *model) asRun() search.Run { return search.Run{Name: m.name, Look: m.look} }

// Closed returns the runs of the rules as they are, which hold; of the large ones too, if asked
// for.
func Closed(all bool) []search.Run { return search.Runs(small(), large(), all, (*model).asRun) }
