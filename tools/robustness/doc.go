// Robustness runs real servers, breaks them at random, and checks every answer that clients got
// against what really happened.
//
//	go run ./tools/robustness -layout embedded -for 10m -seed 1
//	go run ./tools/robustness -layout external -for 10m
//	go run ./tools/robustness -layout secured -for 10m
//	go run ./tools/robustness -regressions tools/robustness/testdata/seeds
//	go run ./tools/robustness -layout embedded -upgrade-from REV
//	go run ./tools/robustness -seeds 1-10 -for 5m -results results.jsonl
//	go run ./tools/robustness -mutants
//
// A run starts the servers of a layout and worker processes, which take locks, append, end their
// sections in every way, repeat calls through other servers, late and twice, and write down each
// answer (history.go). Some append what follows on what they have read (chain.go). Some publish
// sections in one call, on conditions and in turn, and repeat and withdraw these (publisher.go).
// Some of the files are replaced, removed and cut as well (operations.go), while others read them
// in pieces and follow them (lives_worker.go). Some run dlm lock (trees.go), or are the
// coursework's (coursework.go), or only wait, or begin sessions and drop them (workloads.go).
// Meanwhile processes are killed, stopped and restarted, connections cut, holders evicted, and the
// cluster is restored from a snapshot (faults.go); etcd loses its leader, its quorum, its space and
// its history (faults_etcd.go), and what became of publishes, as after days (forgetting.go);
// messages are lost, doubled and held back (faults_messages.go), certificates and policies changed
// (secured.go), networks cut (cuts.go), and disks filled, slowed and lost (disk.go). Half of the
// time two are at once. What really happened is what a watch of all of etcd's keys says (truth.go);
// of the servers' own code it uses nothing, and knows only the keys, as docs/protocol.md lists
// them.
//
// Then every answer is judged (judge.go): success was answered only for what happened, a definite
// refusal only for what did not, and whose outcome was called unknown is counted; what was answered
// to publishes, by what each of their records says (publishes.go), and by what their conditions ask
// about (conditions.go). Each change of what etcd has is held against what may follow on what
// (transitions.go, transitions_publishes.go, transitions_lives.go), and each read of a file against
// what was published by then (content.go), or in which life it was (lives.go). By themselves, with
// little of that watch, the histories have to have an order that explains them (order.go,
// order_publishes.go). In the end every file has to hold the published sections, whole, in order,
// and nothing else, and nothing may be left of who has gone.
//
// With -upgrade-from the servers are those of a commit at first, and are replaced by those of this
// version, and back (upgrade.go). With -regressions the runs of a file are made once more
// (regressions.go). With -mutants the rules of docs/protocol.md are broken one by one (mutants.go),
// in binaries of their own, to see that a checker finds each (hunt.go).
//
// The exit code is 0 if all answers were true, 1 if one was not, 2 if the run proves nothing: too
// few calls or faults, etcd could not be watched, a fault never did anything, or the order of most
// calls was not found in time.
package main
