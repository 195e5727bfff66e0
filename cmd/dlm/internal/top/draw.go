package top

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/uniseg"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/internal/text"
)

// margins are the lines that are not the table's: the state, the headings, and the keys.
const margins = 3

// gap is between two columns, in cells.
const gap = 2

// draw draws everything.
func (v *view) draw(now time.Time) {
	width, height := v.screen.Size()
	s := newPage(width, height)
	v.screen.HideCursor()
	bold, reverse := tcell.StyleDefault.Bold(true), tcell.StyleDefault.Reverse(true)
	s.put(0, 0, width, v.state(), bold)
	if v.looked != "" {
		v.drawLock(s)
	} else {
		v.drawTable(s, now, bold, reverse)
	}
	if height > 1 {
		end := s.put(0, height-1, width, v.prompt(), reverse)
		if v.mode == filtering || v.mode == reasoning {
			v.screen.ShowCursor(min(end, width-1), height-1)
		}
	}
	s.show(v.screen)
}

// state is the first line.
func (v *view) state() string {
	waiting := 0
	for _, l := range v.shown {
		waiting += int(l.GetQueueLength())
	}
	parts := []string{"dlm top"}
	if v.known {
		parts = append(parts, fmt.Sprintf("%d locks, %d waiting, by %s", len(v.shown), waiting, v.order))
		if v.filter != "" {
			parts = append(parts, fmt.Sprintf("of %d those with %q", len(v.all), v.filter))
		}
	} else {
		parts = append(parts, "asking for the locks")
	}
	switch owed := v.feed.owed(); {
	case owed > patience:
		parts = append(parts, fmt.Sprintf("NO ANSWER FOR %s: reconnecting", span(owed)))
	case v.err != nil && !errors.Is(v.err, client.ErrUnavailable):
		parts = append(parts, v.err.Error())
	}
	return strings.Join(parts, " · ")
}

// prompt is the last line.
func (v *view) prompt() string {
	switch {
	case v.mode == filtering:
		return "filter by name, holder or identity (Enter, or Esc for none): " + v.typed
	case v.mode == reasoning:
		return v.consequence() + ". Why? " + v.typed
	case v.mode == deciding:
		return v.consequence() + fmt.Sprintf(", because %q. Do it? y/n", v.typed)
	case v.message != "":
		return v.message
	case v.mode == looking:
		return "Esc back  e evict  arrows scroll  ^C quit"
	}
	return "q quit  / filter  s sort  Enter look  e evict  arrows move"
}

// consequence says what an eviction does.
func (v *view) consequence() string {
	what := ""
	if n := v.victim.GetStagedRecords(); n > 0 {
		what = fmt.Sprintf(", and undo %d staged records", n)
	}
	return fmt.Sprintf("evict %s from %s, token %d%s", holder(v.victim), v.victim.GetName(), v.victim.GetHolder().GetToken(), what)
}

func (v *view) drawLock(s *page) {
	lines := v.lines()
	room := max(s.height-margins, 1)
	v.scroll = max(min(v.scroll, len(lines)-room), 0)
	for i, line := range lines[v.scroll:min(len(lines), v.scroll+room)] {
		s.put(0, i+2, s.width, line, tcell.StyleDefault)
	}
}

func (v *view) drawTable(s *page, now time.Time, bold, reverse tcell.Style) {
	fitting := fit(columns(), s.width)
	row := func(y int, style tcell.Style, cell func(column) string) {
		x := 0
		for _, c := range fitting {
			what := visible(cell(c))
			if pad := c.width - uniseg.StringWidth(what); c.right && pad > 0 {
				what = strings.Repeat(" ", pad) + what
			}
			s.put(x, y, c.width, what, style)
			x += c.width + gap
		}
	}
	row(1, bold, func(c column) string { return c.title })
	room := max(s.height-margins, 0)
	at := max(v.position(), 0)
	v.first = max(min(v.first, at, len(v.shown)-room), at-room+1, 0)
	for i, l := range v.shown[min(v.first, len(v.shown)):min(len(v.shown), v.first+room)] {
		style := tcell.StyleDefault
		if l.GetName() == v.selected {
			style = reverse
		}
		row(i+2, style, func(c column) string { return c.cell(l, now) })
	}
}

// fit leaves columns out until the others fit, and gives what room is left to those that grow.
func fit(all []column, width int) []column {
	used := func() (n int) {
		for _, c := range all {
			n += c.width + gap
		}
		return n - gap
	}
	for len(all) > 1 && used() > width {
		last := slices.MaxFunc(all, func(a, b column) int { return a.rank - b.rank })
		all = slices.DeleteFunc(all, func(c column) bool { return c.rank == last.rank })
	}
	var growing []*column
	for i := range all {
		if all[i].grows {
			growing = append(growing, &all[i])
		}
	}
	spare := width - used()
	for i, c := range growing { // the name has half of it
		part := spare / max(min(2, len(growing)-i), 1)
		c.width = max(c.width+part, 1)
		spare -= part
	}
	return all
}

// page is what is to be on the screen. A screen that is cleared and drawn anew sends all of it to
// the terminal again, and not what has changed.
type page struct {
	width, height int
	cells         []cell // line by line
}

// cell is a character, as people know it, on as many cells as it takes.
type cell struct {
	text  string // empty: a blank
	style tcell.Style
	width int
}

func newPage(width, height int) *page {
	return &page{width, height, make([]cell, width*height)}
}

func (p *page) set(x, y int, c cell) {
	if x >= 0 && x < p.width && y >= 0 && y < p.height {
		p.cells[y*p.width+x] = c
	}
}

// show brings the page to the screen.
func (p *page) show(s tcell.Screen) {
	for y := range p.height {
		for x := 0; x < p.width; {
			c := p.cells[y*p.width+x]
			if c.text == "" {
				c = cell{" ", c.style, 1}
			}
			s.Put(x, y, c.text, c.style)
			x += c.width
		}
	}
	s.Show()
}

// put draws a text into so many cells of a line, and returns where it ended. What does not fit is
// cut, and ends with an ellipsis.
func (p *page) put(x, y, width int, what string, style tcell.Style) (end int) {
	what, end = visible(what), x+width
	cut := uniseg.StringWidth(what) > width
	for what != "" && x < end {
		if cut && x == end-1 {
			p.set(x, y, cell{"…", style, 1})
			return end
		}
		cluster, _, cells, _ := uniseg.FirstGraphemeClusterInString(what, -1)
		limit := end
		if cut {
			limit--
		}
		if x+cells > limit { // a wide one at the edge
			p.set(x, y, cell{"…", style, 1})
			return end
		}
		if cells > 0 { // else it has nothing to stand on
			p.set(x, y, cell{cluster, style, cells})
		}
		what, x = what[len(cluster):], x+cells
	}
	return x
}

// visible is a text with all that cannot be seen replaced: servers escape what they send, but it is
// not known here that they do.
func visible(what string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text.Escape(what))
}
