package main

import "github.com/distributed-lock-manager/dlm/tools/model/search"

// opened is a configuration in which a hole is open: the search must find what it does.
type opened struct {
	id    string // as in docs/protocol.md
	what  string
	model *model
	want  violation
}

func (o opened) run() search.Run {
	closed := *o.model
	closed.open = 0
	closed.heartbeats = closed.heartbeats || o.want == stuck
	return search.Run{
		Name: o.id, What: o.what, Want: o.want.String(), Look: o.model.run().Look, LookClosed: closed.run().Look,
	}
}

// holeRuns returns the holes that the states show. H1 is about names alone: see names.go.
func holeRuns() []opened {
	one := func(calls string, f budget) *model { return &model{scripts: []script{{0, calls}}, faults: f} }
	two := func(calls string, f budget) *model {
		return &model{scripts: []script{{0, calls}, {1, calls}}, faults: f}
	}
	other := func(first, second string, f budget) *model {
		return &model{scripts: []script{{0, first}, {1, second}}, faults: f}
	}
	three := &model{scripts: []script{{0, "AR"}, {1, "AR"}, {2, "AR"}}}
	atOnce := func(m *model) *model {
		m.foldAtOnce = true
		return m
	}
	beating := func(m *model) *model {
		m.heartbeats, m.progress = true, true
		return m
	}
	batching := func(m *model) *model {
		m.batches = true
		return m
	}
	silent := func(m *model) *model {
		m.progress = true
		return m
	}
	duplicate, duplicates := budget{duplicates: 1}, budget{duplicates: 2}
	return []opened{
		{
			"H2a", "a commit keeps the token, and a fold deletes the record: a late append is staged again",
			atOnce(one("AaCaR", duplicates)).with(commitKeepsToken), unreadable,
		},
		{
			"H2b", "a commit keeps the token: a late repeat of it publishes what is not published yet",
			atOnce(one("AaCaR", duplicates)).with(commitLeavesTombs), unreadable,
		},
		{
			"H3", "an ending repeated after the session's end is answered by the session alone",
			one("AaR", budget{duplicates: 1, expiries: 1}).with(truthBySession), untrue,
		},
		{
			"H4a", "a sweep does not compare that the section is not held",
			one("AaR", budget{}).with(sweepHeld), unreadable,
		},
		{
			"H4b", "a sweep does not compare that the section is not published",
			one("AaR", duplicate).with(sweepPublished), unreadable,
		},
		{
			"H4c", "a sweep does not compare that a record is there still",
			one("AaR", duplicate).with(sweepFolded), untrue,
		},
		{
			"H5a", "acquire trusts its mirror",
			two("AR", budget{}).with(acquireByMirror), holderWaits,
		},
		{
			"H5b", "acquire without a wait trusts its mirror",
			(&model{scripts: []script{{0, "AR"}, {1, "AR"}, {2, "TR"}}}).with(tryByMirror), overtaken,
		},
		{
			"H5c", "waited/ is dropped while a mirror shows no queue",
			two("AR", budget{}).with(forgetByMirror), holderWaits,
		},
		{
			"H5d", "the lock is handed to a waiter that the watch has not told of",
			three.with(ownWaiterUnseen), overtaken,
		},
		{
			"H5e", "promote does not compare that the lock is free",
			two("AR", budget{}).with(promoteByMirror), grantedWhileHeld,
		},
		{
			"H6a", "an eviction leaves no note",
			one("AR", budget{evictions: 1}).with(evictWithoutNote), untrue,
		},
		{
			"H6b", "neither a discard nor the sweep after it leaves a note, and nobody asks what was",
			one("AadR", budget{}).with(truthByWord, discardWithoutNote, sweepWithoutNote), untrue,
		},
		{
			"H6c", "a sweep leaves no note, and nobody asks what was",
			one("AaR", budget{duplicates: 1, expiries: 1}).with(truthByWord, sweepWithoutNote), untrue,
		},
		{
			"H6d", "a note is forgotten, and neither the horizon says so, nor does anybody ask what was",
			one("AR", budget{evictions: 1, forgets: 1}).with(truthByWord, forgetWithoutHorizon), untrue,
		},
		{
			"H7", "it is neither compared when the session began, nor asked what was",
			one("AR", budget{expiries: 1, rebirths: 1}).with(truthByWord, truthBySessionID), untrue,
		},
		{
			"H8a", "a fold does not compare the head",
			two("AaR", budget{}).with(foldWithoutHead), unreadable,
		},
		{
			"H8b", "a fold does not compare the marker",
			one("AaR", budget{}).with(foldWithoutMarker), unreadable,
		},
		{
			"H9", "a heartbeat does not say how far its client's requests go",
			beating(one("AR", budget{})).with(heartbeatWithoutNumber), liveHoldEnded,
		},
		{
			"H10", "no heartbeat ends what a late acquire was granted",
			silent(one("AR", duplicate)), stuck,
		},
		{
			"H11", "the token is all that an ending compares",
			(&model{scripts: []script{{0, "AaR"}, {1, "x"}}}).with(guardByToken), changedByAnother,
		},
		{
			"H12", "what etcd refuses for one session is answered to all of the batch",
			batching(two("AR", budget{expiries: 1})).with(refusalForAll), refusedForAnother,
		},
		{
			"H13", "the marker is put if something is staged",
			batching(one("AaR", budget{})).with(markerByLooking), unreadable,
		},
		{
			"H14a", "etcd is full, what was discarded leaves no evidence, and nobody asks what was",
			one("AadR", budget{fills: 1}).with(truthByWord, fullDropsEvidence), untrue,
		},
		{
			"H14b", "etcd is full, and no ending does without a put",
			silent(one("AaD", budget{fills: 1, cancels: 1})).with(fullNeedsPut), stuck,
		},
		{
			"H15a", "that it appended is taken for evidence: all appends were refused, the session ends, a release is told success",
			one("AaR", budget{expiries: 1, fills: 1}).with(truthByWord), untrue,
		},
		{
			"H15b", "the same: an append never arrived, etcd is full, a repeated discard is told that it came too late",
			one("AuD", budget{duplicates: 1, fills: 1}).with(truthByWord), untrue,
		},
		{
			"H15c", "the same: an append never arrived, the session ends, a discard is told that it came too late",
			one("AuD", budget{expiries: 1}).with(truthByWord), untrue,
		},
		{
			"H15d", "the marker does not say whose it is",
			other("AaR", "x", budget{}).with(markerOfAnybody), untrue,
		},
		{
			"H15e", "notes are read as they are now, and this one is forgotten",
			one("AR", budget{evictions: 1, forgets: 1}).with(noteAsOfNow), untrue,
		},
		{
			"H15f", "the session is read as it is now, and a second one has its id",
			one("AR", budget{expiries: 1, rebirths: 1}).with(sessionAsOfNow), untrue,
		},
		{
			"H15g", "a credential that was handed out is no append",
			one("AbR", budget{}).with(credentialIsNoAppend), unreadable,
		},
		{
			"H15h", "what was is read at T only",
			one("AR", budget{duplicates: 1, compactions: 1}).with(readAtToken), untrue,
		},
		{
			"H15i", "a lock's key that was deleted by hand is taken for the holder's own ending",
			one("AuD", budget{hands: 1}).with(handIsOwn), untrue,
		},
		{
			"H15j", "history that is gone is taken for one in which nothing was",
			one("AR", budget{duplicates: 1, compactions: 1}).with(goneIsNever), untrue,
		},
		{
			"H15k", "an ending does not name the last record: a restore has lost it, and the rest is published",
			one("AaaR", budget{restores: 1}).with(lastIsNotNamed), unreadable,
		},
		{
			"H15l", "a token that was never granted is answered by the session alone",
			other("AR", "y", budget{}).with(truthByWord), untrue,
		},
		{
			"H15m", "an ending names one last record: it was appended after a restore, which has lost an earlier one",
			one("AaaR", budget{restores: 1}).with(oneLastIsNamed), unreadable,
		},
		{
			"B1", "a grant shares a batch with a repeat that takes a place",
			batching(one("AR", budget{})).with(grantBesidePlace), holderWaits,
		},
		{
			"B2", "a cancel shares a batch with the hand-over to its waiter",
			batching(two("AR", budget{})).with(cancelBesideHandOver), untrue,
		},
	}
}
