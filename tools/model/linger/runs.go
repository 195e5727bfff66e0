package linger

import "github.com/distributed-lock-manager/dlm/tools/model/search"

const (
	lost       = "a client that was told that it is attached loses its session"
	unnoticed  = "nobody ever notices that the client is dead"
	firstBeats = 3
)

func (m *model) look(limit int) search.Report {
	return search.Machine[state, step]{
		Start: m.start(), Steps: m.steps,
		Broken: func(s *state) bool { return s.broken },
		Served: (*state).noticed,
	}.Search(limit).Report(func(_ *state, stuck bool) string {
		if stuck {
			return unnoticed
		}
		return lost
	})
}

func (m *model) run() search.Run { return search.Run{Name: m.name, Look: m.look} }

// opened is a configuration in which a hole is open.
type opened struct {
	id, what string
	model    model
	want     string
}

func holes() []opened {
	beats := budget{beats: firstBeats}
	with := func(h hole) model { return model{open: h, left: beats} }
	alone := func(h hole) model { return model{open: h, left: beats, alone: true} }
	return []opened{
		{"H16a", "it is looked whether the session was attached elsewhere, and then its lease is revoked", with(looksThenRevokes), lost},
		{"H16b", "any stream counts that carried a call of the session", with(anyStreamCounts), lost},
		{"H16c", "attachments have no order", with(withoutNumber), lost},
		{"H16d", "a heartbeat outside any stream attaches to nothing", alone(aloneAttachesNothing), lost},
		{"H16e", "a stream that was closed before it is attached begins no linger", with(closedBefore), unnoticed},
		{"H16f", "of several streams the first to answer is used under its own number", model{open: keepsNumber, races: true, left: beats}, lost},
		{"H16g", "a heartbeat outside any stream has the number of a stream", alone(sharesNumber), lost},
		{"H16h", "a server remembers for the session when it was attached, not for the stream", with(keptBySession), lost},
		{"H16i", "attaching does not compare what was read", with(attachWithoutCompare), lost},
		{"H16j", "a client counts on an answer that does not say that it is attached", model{open: lowerCounts, left: budget{beats: firstBeats, fills: 1}}, lost},
		{"H16k", "a stream that its server ends counts as closed", model{open: ownEndCounts, left: budget{beats: firstBeats, drains: 1}}, lost},
		{"H16l", "that etcd did not answer a put is taken for that it did not put", model{open: putUnheard, left: budget{beats: firstBeats, lost: 1}}, unnoticed},
	}
}

// Holes returns the runs in which a rule is left out.
func Holes() (runs []search.Run) {
	for _, h := range holes() {
		closed := h.model
		closed.open = none
		runs = append(runs, search.Run{Name: h.id, What: h.what, Want: h.want, Look: h.model.look, LookClosed: closed.look})
	}
	return runs
}

func small() []model {
	return []model{
		{name: "linger: a stream after the other", left: budget{beats: 4, lost: 1}},
		{name: "linger: with heartbeats outside any stream", alone: true, left: budget{beats: 3}},
		{name: "linger: several streams at once", races: true, left: budget{beats: 3}},
		{name: "linger: etcd is full", left: budget{beats: 3, fills: 1}},
		{name: "linger: a server ends a stream, one crashes", left: budget{beats: 2, drains: 1, crashes: 1}},
	}
}

func large() []model {
	return []model{
		{name: "linger: several at once, and outside any stream", races: true, alone: true, left: budget{beats: 3}},
		{name: "linger: every fault", left: budget{beats: 3, fills: 1, drains: 1, crashes: 1, lost: 1}},
		{name: "linger: outside any stream, every fault", alone: true, left: budget{beats: 2, fills: 1, drains: 1, crashes: 1, lost: 1}},
	}
}

// Closed returns the runs of the rules as they are, which hold; of the large ones too, if asked
// for.
func Closed(all bool) []search.Run { return search.Runs(small(), large(), all, (*model).run) }
