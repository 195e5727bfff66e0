package main

// small returns the configurations that the tests look at: every state of each.
func small() []*model {
	return []*model{
		{
			name: "one section", scripts: []script{{0, "AaR"}},
			faults: budget{duplicates: 1, expiries: 1, evictions: 1, crashes: 1}, heartbeats: true, progress: true,
		},
		{
			name: "a commit", scripts: []script{{0, "AaCaR"}},
			faults: budget{duplicates: 1, expiries: 1, evictions: 1}, heartbeats: true, progress: true, foldAtOnce: true,
		},
		{
			name: "a commit of nothing", scripts: []script{{0, "ACR"}},
			faults: budget{duplicates: 1, expiries: 1, evictions: 1, rebirths: 1}, heartbeats: true, progress: true,
		},
		{
			name: "a discard", scripts: []script{{0, "AaD"}},
			faults: budget{duplicates: 2, expiries: 1, evictions: 1, crashes: 1}, heartbeats: true, progress: true,
		},
		{
			name: "a discard unheard, then a release", scripts: []script{{0, "AadR"}},
			faults: budget{duplicates: 1, expiries: 1, evictions: 1}, heartbeats: true, progress: true,
		},
		{
			name: "an append of which nothing is known, a discard", scripts: []script{{0, "AuD"}},
			faults: budget{duplicates: 2, evictions: 1, crashes: 1}, heartbeats: true, progress: true,
		},
		{
			name: "a second life of the session", scripts: []script{{0, "AR"}},
			faults: budget{duplicates: 2, expiries: 1, evictions: 1, rebirths: 1}, heartbeats: true, progress: true,
		},
		{
			name: "notes forgotten", scripts: []script{{0, "AaR"}},
			faults: budget{duplicates: 1, expiries: 1, evictions: 1, forgets: 1}, heartbeats: true, progress: true,
		},
		{
			name: "no data, history dropped", scripts: []script{{0, "AR"}},
			faults:     budget{duplicates: 1, expiries: 1, evictions: 1, forgets: 1, compactions: 1},
			heartbeats: true, progress: true,
		},
		{
			name: "a section, history dropped", scripts: []script{{0, "AaR"}},
			faults:     budget{duplicates: 1, expiries: 1, compactions: 1},
			heartbeats: true, progress: true, foldAtOnce: true,
		},
		{
			name: "a lock's key deleted by hand", scripts: []script{{0, "AaR"}},
			faults:     budget{duplicates: 1, forgets: 1, hands: 1},
			heartbeats: true, progress: true, foldAtOnce: true,
		},
		{
			name: "a commit of nothing, history dropped", scripts: []script{{0, "ACR"}},
			faults:     budget{duplicates: 1, evictions: 1, forgets: 1, compactions: 1},
			heartbeats: true, progress: true,
		},
		{
			name: "a discard, history dropped", scripts: []script{{0, "AuD"}},
			faults:     budget{duplicates: 1, expiries: 1, compactions: 1},
			heartbeats: true, progress: true, foldAtOnce: true,
		},
		{
			name: "another process appends", scripts: []script{{0, "AbR"}},
			faults: budget{duplicates: 1, expiries: 1, evictions: 1}, heartbeats: true, progress: true, foldAtOnce: true,
		},
		{
			name: "records restored without the last", scripts: []script{{0, "AaaR"}},
			faults: budget{expiries: 1, evictions: 1, restores: 1}, heartbeats: true, progress: true, foldAtOnce: true,
		},
		{
			name: "another session has a token that was never granted", scripts: []script{{0, "AR"}, {1, "y"}},
			faults: budget{duplicates: 1, expiries: 1, compactions: 1}, heartbeats: true,
		},
		{
			name: "etcd full for good", scripts: []script{{0, "AaD"}},
			faults: budget{cancels: 1, fills: 1}, heartbeats: true, progress: true,
		},
		{
			name: "etcd full, and more", scripts: []script{{0, "AadR"}},
			faults: budget{duplicates: 1, expiries: 1, evictions: 1, fills: 1, empties: 1}, heartbeats: true,
		},
		{
			name: "etcd full for a while", scripts: []script{{0, "AaR"}, {1, "AR"}},
			faults: budget{fills: 1, empties: 1, expiries: 1}, heartbeats: true, progress: true, foldAtOnce: true,
		},
		{
			name: "two sessions, no data", scripts: []script{{0, "AR"}, {1, "AR"}},
			faults: budget{duplicates: 1, expiries: 1}, heartbeats: true, progress: true,
		},
		{
			name: "two sections", scripts: []script{{0, "AaR"}, {1, "AaR"}},
			faults: budget{duplicates: 1}, heartbeats: true, progress: true, foldAtOnce: true,
		},
		{
			name: "two sections, both servers fold", scripts: []script{{0, "AaR"}, {1, "AaR"}},
			progress: true,
		},
		{
			name: "two of one session, one gives up", scripts: []script{{0, "AR"}, {0, "AR"}},
			faults: budget{duplicates: 1, cancels: 1}, heartbeats: true, progress: true,
		},
		{
			name: "three sessions, no data", scripts: []script{{0, "AR"}, {1, "AR"}, {2, "AR"}},
			progress: true,
		},
		{name: "two wait, one tries", scripts: []script{{0, "AR"}, {1, "AR"}, {2, "TR"}}},
		{
			name: "another session has the token", scripts: []script{{0, "AaR"}, {1, "x"}},
			faults: budget{duplicates: 1, evictions: 1}, heartbeats: true,
		},
		{
			name: "batches of two sections", scripts: []script{{0, "AaR"}, {1, "AaR"}},
			batches: true, foldAtOnce: true,
		},
		{
			name: "batches beside an ended session", scripts: []script{{0, "AaR"}, {1, "AR"}},
			faults: budget{expiries: 1}, batches: true, foldAtOnce: true,
		},
	}
}

// large returns configurations for which there is time now and then.
func large() []*model {
	two := func(a, b string) []script { return []script{{0, a}, {1, b}} }
	three := func(a, b, c string) []script { return []script{{0, a}, {1, b}, {2, c}} }
	return []*model{
		{
			name: "one section, more faults", scripts: []script{{0, "AaR"}},
			faults: budget{duplicates: 3, expiries: 1, evictions: 1, crashes: 1}, heartbeats: true, progress: true,
		},
		{
			name: "a discard unheard, more faults", scripts: []script{{0, "AadR"}},
			faults: budget{duplicates: 2, expiries: 1, evictions: 1, crashes: 1}, heartbeats: true, progress: true,
		},
		{
			name: "batches of two sections, an eviction", scripts: two("AaR", "AaR"),
			faults: budget{evictions: 1}, batches: true, foldAtOnce: true,
		},
		{
			name: "a commit, more faults", scripts: []script{{0, "AaCaR"}},
			faults: budget{duplicates: 2, expiries: 1, evictions: 1, crashes: 1}, heartbeats: true, progress: true,
		},
		{
			name: "two sections, more faults", scripts: two("AaR", "AaR"),
			faults: budget{duplicates: 2, expiries: 1}, heartbeats: true, progress: true, foldAtOnce: true,
		},
		{
			name: "two sections, an eviction and a crash", scripts: two("AaR", "AaR"),
			faults: budget{duplicates: 1, evictions: 1, crashes: 1}, heartbeats: true, progress: true, foldAtOnce: true,
		},
		{
			name: "two sections, both servers fold, a duplicate", scripts: two("AaR", "AaR"),
			faults: budget{duplicates: 1}, heartbeats: true, progress: true,
		},
		{
			name: "two sections, notes forgotten", scripts: two("AaR", "AaR"),
			faults: budget{duplicates: 1, expiries: 1, forgets: 1}, heartbeats: true, progress: true, foldAtOnce: true,
		},
		{
			name: "two sections, notes forgotten, an eviction", scripts: two("AaR", "AaR"),
			faults: budget{duplicates: 1, expiries: 1, evictions: 1, forgets: 1}, heartbeats: true, foldAtOnce: true,
		},
		{
			name: "two sections of one session, one gives up", scripts: []script{{0, "AaR"}, {0, "AaR"}},
			faults: budget{duplicates: 1, expiries: 1, cancels: 1}, heartbeats: true, progress: true, foldAtOnce: true,
		},
		{
			name: "a commit and a discard", scripts: two("AaCR", "AaD"),
			faults: budget{duplicates: 1, expiries: 1}, heartbeats: true, progress: true, foldAtOnce: true,
		},
		{
			name: "a discard and a release, etcd full for a while", scripts: two("AaD", "AaR"),
			faults: budget{duplicates: 1, expiries: 1, fills: 1, empties: 1}, heartbeats: true, progress: true, foldAtOnce: true,
		},
		{
			name: "a section, a waiter, a try", scripts: three("AaR", "AR", "TR"),
			faults: budget{duplicates: 1}, heartbeats: true, foldAtOnce: true,
		},
		{
			name: "three sessions, no data, a duplicate", scripts: three("AR", "AR", "AR"),
			faults: budget{duplicates: 1}, heartbeats: true, progress: true,
		},
		{
			name: "three sessions, no data, one expires", scripts: three("AR", "AR", "AR"),
			faults: budget{expiries: 1}, heartbeats: true, progress: true,
		},
		{
			name: "three sessions, no data, a duplicate, one expires", scripts: three("AR", "AR", "AR"),
			faults: budget{duplicates: 1, expiries: 1}, heartbeats: true,
		},
		{
			name: "three of two sessions, an eviction, one gives up", scripts: []script{{0, "AR"}, {1, "AR"}, {1, "AR"}},
			faults: budget{evictions: 1, cancels: 1}, heartbeats: true,
		},
		{
			name: "no data, history dropped, more faults", scripts: []script{{0, "AR"}},
			faults:     budget{duplicates: 1, expiries: 1, evictions: 1, forgets: 1, compactions: 2, hands: 1},
			heartbeats: true, progress: true,
		},
		{
			name: "a section, history dropped, more faults", scripts: []script{{0, "AaR"}},
			faults:     budget{duplicates: 1, expiries: 1, evictions: 1, forgets: 1, compactions: 1},
			heartbeats: true, progress: true, foldAtOnce: true,
		},
		{
			name: "a commit, history dropped", scripts: []script{{0, "AaCaR"}},
			faults:     budget{duplicates: 1, evictions: 1, forgets: 1, compactions: 1},
			heartbeats: true, progress: true, foldAtOnce: true,
		},
		{
			name: "a discard, history dropped, more faults", scripts: []script{{0, "AuD"}},
			faults:     budget{duplicates: 1, expiries: 1, evictions: 1, forgets: 1, compactions: 1, hands: 1},
			heartbeats: true, progress: true, foldAtOnce: true,
		},
		{
			name: "a discard unheard, then a release, history dropped", scripts: []script{{0, "AadR"}},
			faults:     budget{duplicates: 1, evictions: 1, compactions: 1, fills: 1},
			heartbeats: true, foldAtOnce: true,
		},
		{
			name: "another process appends, history dropped", scripts: []script{{0, "AbR"}},
			faults: budget{duplicates: 1, expiries: 1, evictions: 1, compactions: 1}, heartbeats: true, progress: true, foldAtOnce: true,
		},
		{
			name: "two sessions, one has the other's token, history dropped", scripts: two("AR", "Ax"),
			faults: budget{duplicates: 1, expiries: 1, compactions: 1}, heartbeats: true,
		},
		{name: "batches of three", scripts: three("AaR", "AR", "AR"), batches: true, foldAtOnce: true},
		{
			name: "batches, with faults", scripts: two("AaCR", "AaD"),
			faults: budget{expiries: 1}, heartbeats: true, batches: true, foldAtOnce: true,
		},
	}
}

// huge returns what can only be walked through at random.
func huge() []*model {
	return []*model{
		{name: "walks: three of two sessions, every fault", scripts: []script{{0, "AaCaR"}, {1, "AaaR"}, {1, "AadR"}}, faults: budget{
			duplicates: 6, expiries: 2, evictions: 2, crashes: 2, cancels: 1, forgets: 1, fills: 1, empties: 1, compactions: 3, hands: 1,
		}, heartbeats: true},
		{name: "walks: a credential, another's token", scripts: []script{{0, "AabCR"}, {1, "AaDx"}, {1, "AabaR"}}, faults: budget{
			duplicates: 6, expiries: 2, evictions: 2, crashes: 2, forgets: 2, fills: 1, empties: 1, compactions: 3,
		}, heartbeats: true},
		{name: "walks: three sessions, batches", scripts: []script{{0, "AaCR"}, {1, "AaD"}, {2, "TaR"}}, faults: budget{
			duplicates: 4, expiries: 1, evictions: 1, crashes: 1,
		}, heartbeats: true, batches: true},
	}
}
