package life

import (
	"strings"

	"github.com/distributed-lock-manager/dlm/tools/model/search"
)

func (m model) look(limit int) search.Report {
	m.truths = truthsOf(m.sections)
	return search.Machine[state, step]{
		Start: state{now: 1, left: m.left}, Steps: m.steps,
		Broken: func(s *state) bool { return s.broken != harmless },
	}.Search(limit).Report(func(s *state, _ bool) string { return s.broken.String() })
}

// alone are sections that are published one by one: "a3 c1" is one that appends three units, and
// cuts one off.
func alone(sections ...string) (all []section) {
	for i, x := range sections {
		all = append(all, section{version{int8(i) + 1, 0}, operations(int8(i), x)})
	}
	return all
}

// together are those of one commit, behind others.
func together(before []section, sections ...string) []section {
	token := int8(len(before)) + 1
	for n, x := range sections {
		before = append(before, section{version{token, int8(n) + 1}, operations(int8(len(before)), x)})
	}
	return before
}

func operations(of int8, text string) (all []operation) {
	for i, word := range strings.Fields(text) {
		op := operation{kind: word[0], unit: unit(of)*8 + unit(i) + 1}
		if len(word) > 1 {
			op.units = int8(word[1] - '0')
		}
		all = append(all, op)
	}
	return all
}

// opened is a configuration in which a hole is open.
type opened struct {
	id, what string
	model    model
	want     harm
}

func holes() []opened {
	with := func(h hole, sections []section, b budget) model { return model{sections: sections, left: b, open: h} }
	return []opened{
		{"F1a", "each life begins at position 0", with(positionsComeBack, alone("a3", "r2"), budget{}), unreadable},
		{"F1b", "what a fold never puts is not counted", with(unputIsNotCounted, alone("a1", "a4", "r1", "a2", "a1"), budget{crashes: 1}), unreadable},
		{"F2", "a life is named by the token alone", with(lifeIsToken, together(nil, "r3", "r3"), budget{reads: 1}), mixed},
		{"F3", "a fold of several sections is done in steps", with(mergedInSteps, alone("a1", "a3", "a1"), budget{}), unreadable},
		{"F4", "garbage is put after the fold", with(garbageLater, alone("a2", "r1"), budget{}), leftBehind},
		{"F5", "retention does not compare the head", with(retainWithoutHead, alone("a2", "a1"), budget{retentions: 1}), wrongHead},
		{"F6", "a reader that finds no chunk does not look at the head", with(readOnce, alone("a3", "r1"), budget{reads: 1}), damage},
		{"F8", "a reader does not see that a file was buried, and made again", with(readWithoutMade, alone("a3", "d", "a3"), budget{burials: 1, reads: 1}), mixed},
		{"F9", "a head is buried beside a fold that goes on", with(buryHeadAlone, alone("a3", "d", "a3", "a1", "a2"), budget{burials: 1}), unreadable},
		{"F10", "a step of a large fold compares the head alone, which was buried, and is absent again", with(stepWithoutMarker, alone("a3", "d", "a2"), budget{burials: 1}), leftBehind},
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
		{name: "life: append, replace", sections: alone("a3", "r3"), left: budget{crashes: 1, reads: 1}},
		{name: "life: append, cut, with retention", sections: alone("a3", "c2"), left: budget{crashes: 1, retentions: 1}},
		{name: "life: append, remove, make again", sections: alone("a3", "d", "a1"), left: budget{burials: 1}},
		{name: "life: two replaced in one commit", sections: together(nil, "r3", "r2"), left: budget{crashes: 1, reads: 1}},
	}
}

func large() []model {
	return []model{
		{name: "life: append, replace, append", sections: alone("a3", "r3", "a1"), left: budget{crashes: 1, reads: 1}},
		{name: "life: append, append, cut, with retention", sections: alone("a3", "a2", "c2"), left: budget{crashes: 1, retentions: 1}},
		{name: "life: append, remove, make again, with a reader", sections: alone("a3", "d", "a2"), left: budget{crashes: 1, burials: 1, reads: 1}},
		{name: "life: several operations in a section", sections: alone("a3", "c1 a1 d a3", "a1 r3 c1"), left: budget{crashes: 1}},
		{name: "life: two replaced in one commit, with retention", sections: together(alone("a2"), "r3", "r2"), left: budget{crashes: 1, retentions: 1, reads: 1}},
	}
}

func (m *model) asRun() search.Run { return search.Run{Name: m.name, Look: m.look} }

// Closed returns the runs of the rules as they are, which hold; of the large ones too, if asked
// for.
func Closed(all bool) []search.Run { return search.Runs(small(), large(), all, (*model).asRun) }
