package search

import (
	"fmt"
	"strings"
	"time"
)

// Run is one search: of a machine in which a hole was opened on purpose, or of one that is closed.
type Run struct {
	Name string // a hole's id as in docs/protocol.md, or what is looked at
	What string // of a hole: what is left out
	Want string // the harm that is to be found; empty: none
	Look func(limit int) Report

	// LookClosed is the search of the same machine with the hole closed; nil: there is none.
	LookClosed func(limit int) Report
}

// Runs returns the run of each model, of the large ones too if all are asked for.
func Runs[M any](small, large []M, all bool, run func(*M) Run) (runs []Run) {
	models := small
	if all {
		models = append(models, large...)
	}
	for i := range models {
		runs = append(runs, run(&models[i]))
	}
	return runs
}

// Report is what a run came to.
type Report struct {
	States   int
	Depth    int
	Complete bool
	Took     time.Duration
	Harm     string // empty: none was found
	Story    []string
}

// Verdict is a report in a few words.
func (r Report) Verdict() string {
	switch {
	case r.Harm != "":
		return r.Harm
	case r.Complete:
		return "holds, every state"
	}
	return "holds so far"
}

// Told is the story with a step in each line.
func (r Report) Told() string { return "    " + strings.Join(r.Story, "\n    ") }

// Report returns a result as a report. harm says what a broken state, or one from which nobody can
// be served, comes to.
func (r Result[S, E]) Report(harm func(s *S, stuck bool) string) Report {
	p := Report{States: r.States, Depth: r.Depth, Complete: r.Complete, Took: r.Took}
	if r.Broken || r.Stuck {
		p.Harm = harm(&r.End, r.Stuck)
		for _, e := range r.Story {
			p.Story = append(p.Story, fmt.Sprint(e))
		}
	}
	return p
}
