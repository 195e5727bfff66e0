package told

import "github.com/distributed-lock-manager/dlm/tools/model/search"

const (
	untrueOfHold    = "a client is told that it has lost what it holds"
	untrueOfRelease = "a client is told that it has lost what its own release published"
	untold          = "a client is never told that it has lost its hold"
)

func (m *model) look(limit int) search.Report {
	return search.Machine[state, step]{
		Start: m.start(), Steps: m.steps,
		Broken: func(s *state) bool { return s.harm != none },
		Served: (*state).served,
	}.Search(limit).Report(func(s *state, stuck bool) string {
		switch {
		case stuck:
			return untold
		case s.harm == published:
			return untrueOfRelease
		}
		return untrueOfHold
	})
}

// opened is a configuration in which a hole is open.
type opened struct {
	id, what string
	model    model
	want     string
}

func holes() []opened {
	listed := budget{evictions: 1, commits: 1, moves: 1, relists: 1}
	evicted := budget{evictions: 1, commits: 1, moves: 1}
	with := func(h hole, b budget) model { return model{open: h, left: b} }
	late := budget{evictions: 1, lates: 1}
	return []opened{
		{"H17a", "a loss decides over an answer that is on its way", with(lossDecides, evicted), untrueOfRelease},
		{"H17b", "a loss that comes beside a commit is dropped", with(lossBesideCommit, evicted), untold},
		{"H17c", "a loss names the token that the mirror showed", model{open: lossNamesToken, known: true, left: listed}, untold},
		{"H17d", "a server reads the states for a heartbeat, and then registers the stream", with(readsThenRegisters, evicted), untold},
		{"H17e", "a loss that comes before the grant's answer is dropped", with(lossBeforeGrant, evicted), untold},
		{"H17f", "a server does not tell what it ended itself, by an eviction", with(ownEvictionUntold, evicted), untold},
		{"H17g", "a release that is given up is a loss, if one was told", with(givenUpIsLost, evicted), untrueOfRelease},
		{"H17h", "of what a heartbeat says that is held, the token is not compared", model{open: beatsCompareNoToken, beats: true, left: late}, untold},
		{"H17i", "a loss is not compared with the token", model{open: lossComparesNothing, beats: true, left: late}, untrueOfHold},
		{"H17j", "a mirror that lists anew tells nothing", with(listsInSilence, budget{evictions: 1, commits: 1, relists: 1}), untold},
		{"H17k", "a server's own change hides what was granted before it", with(grantBehindOwn, evicted), untold},
	}
}

func gaps() []opened {
	return []opened{{
		"G1", "a client moves to a server whose mirror is behind its grant, and lists anew after its end",
		model{left: budget{evictions: 1, moves: 1, relists: 1}}, untold,
	}}
}

func (o opened) run() search.Run {
	return search.Run{Name: o.id, What: o.what, Want: o.want, Look: o.model.look}
}

// Gaps returns the runs of what the rules as they are get wrong.
func Gaps() (runs []search.Run) {
	for _, g := range gaps() {
		runs = append(runs, g.run())
	}
	return runs
}

// Holes returns the runs in which a rule is left out.
func Holes() (runs []search.Run) {
	for _, h := range holes() {
		run, shut := h.run(), h.model
		shut.open = closed
		run.LookClosed = shut.look
		runs = append(runs, run)
	}
	return runs
}

func small() []model {
	return []model{
		{name: "told: without heartbeats", left: budget{evictions: 1, others: 1, commits: 1, moves: 1}},
		{name: "told: listings", left: budget{evictions: 1, commits: 1, relists: 1}},
		{name: "told: listings and moves", beats: true, left: budget{evictions: 1, moves: 1, relists: 1}},
		{name: "told: acquires that come late", beats: true, left: budget{evictions: 1, relists: 1, lates: 1}},
	}
}

func large() []model {
	return []model{
		{name: "told: without heartbeats, more of all", left: budget{evictions: 1, others: 1, commits: 2, moves: 2}},
		{name: "told: acquires that come late, and moves", beats: true, left: budget{evictions: 1, moves: 1, lates: 1}},
		{name: "told: acquires that come late, and commits", beats: true, left: budget{evictions: 1, commits: 1, moves: 1, relists: 1, lates: 1}},
	}
}

func (m *model) asRun() search.Run { return search.Run{Name: m.name, Look: m.look} }

// Closed returns the runs of the rules as they are, which hold; of the large ones too, if asked
// for.
func Closed(all bool) []search.Run { return search.Runs(small(), large(), all, (*model).asRun) }
