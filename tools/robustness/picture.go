package main

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"os"
	"slices"
	"time"
)

// picture writes what happened around the first accusations as a page that needs nothing but
// itself: for each, the lock's sessions as lanes, with the sections that they held and the calls
// that they made.
func picture(path, title string, v *verdicts, answers []answer, epochs []*epoch) error {
	page := struct {
		Title   string
		Figures []figure
		More    int
	}{Title: title}
	for _, a := range v.untrue {
		if len(page.Figures) == mostFigures {
			page.More++
			continue
		}
		page.Figures = append(page.Figures, figureOf(a, answers, epochs))
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = template.Must(template.New("").Parse(pictureHTML)).Execute(f, page)
	return cmp.Or(err, f.Close())
}

const (
	mostFigures = 10
	around      = 2 * time.Second // before and after what is accused
	width       = 1200            // of a figure, in pixels
	laneHeight  = 36
)

// figure is what happened around one accusation.
type figure struct {
	Text, Checker, Lock string
	Height              int
	Lanes               []lane
	Marks               []mark // the moment itself
	Ticks               []mark // every half second
}

// lane is one session's.
type lane struct {
	Name     string
	Y        int
	Sections []bar
	Calls    []bar
}

type bar struct {
	X, Width float64
	Class    string
	Text     string
}

type mark struct {
	X    float64
	Text string
}

// figureOf draws one accusation. What is of no lock, or of no moment, has its text alone.
func figureOf(a accusation, answers []answer, epochs []*epoch) figure {
	fig := figure{Text: a.text, Checker: a.checker, Lock: a.lock}
	if a.lock == "" || a.at.IsZero() {
		return fig
	}
	from, to := a.at.Add(-around), a.at.Add(around)
	x := func(t time.Time) float64 {
		return width * min(max(float64(t.Sub(from))/float64(to.Sub(from)), 0), 1)
	}
	between := func(began, ended time.Time, class, text string) (bar, bool) {
		if began.After(to) || ended.Before(from) {
			return bar{}, false
		}
		return bar{x(began), max(x(ended)-x(began), 2), class, text}, true
	}
	lanes := map[string]*lane{}
	of := func(session string) *lane {
		if lanes[session] == nil {
			lanes[session] = &lane{Name: session}
		}
		return lanes[session]
	}
	owners := map[int64]string{} // token → session
	for _, h := range sectionsOf(epochs, a.at, a.lock) {
		owners[h.token] = h.session
		if b, seen := between(h.from, h.to, h.fate, fmt.Sprintf("token %d: %s", h.token, h.fate)); seen {
			of(h.session).Sections = append(of(h.session).Sections, b)
		}
	}
	for _, c := range answers {
		if c.Lock != a.lock {
			continue
		}
		session := cmp.Or(c.Session, owners[cmp.Or(c.Token, c.Got)], "?")
		class := "call"
		switch {
		case a.answer != nil && c == *a.answer:
			class = "accused"
		case c.Reason == indeterminate:
			class = "unknown"
		case c.Reason != ok:
			class = "refused"
		}
		if b, seen := between(c.Asked, c.Answered, class, c.String()); seen {
			of(session).Calls = append(of(session).Calls, b)
		}
	}
	for i, name := range slices.Sorted(maps.Keys(lanes)) {
		lanes[name].Y = i * laneHeight
		fig.Lanes = append(fig.Lanes, *lanes[name])
	}
	fig.Height = len(lanes) * laneHeight
	fig.Marks = []mark{{x(a.at), a.at.Format("15:04:05.000")}}
	for t := from.Truncate(500 * time.Millisecond).Add(500 * time.Millisecond); t.Before(to); t = t.Add(500 * time.Millisecond) {
		fig.Ticks = append(fig.Ticks, mark{x(t), t.Format("05.0")})
	}
	return fig
}

// holding is one section as it is drawn.
type holding struct {
	session  string
	token    int64
	from, to time.Time
	fate     string
}

// sectionsOf are the sections of a lock in the epoch of a moment, as far as they are possible.
func sectionsOf(epochs []*epoch, at time.Time, lock string) (all []holding) {
	var e *epoch
	for _, one := range epochs {
		if e == nil || !one.from.After(at) {
			e = one
		}
	}
	if e == nil {
		return nil
	}
	f, _ := e.facts() // what is impossible is the accusation
	for id, s := range f.sections {
		if id.lock != lock {
			continue
		}
		h := holding{s.session, s.token, s.began, s.ended, "released"}
		switch {
		case s.end == 0:
			h.fate, h.to = "held", at.Add(around)
		case s.marked:
			h.fate = "published"
		case s.noted:
			h.fate = "undone"
		case s.expired:
			h.fate = "expired"
		}
		all = append(all, h)
	}
	for _, p := range f.published {
		if p.lock == lock {
			all = append(all, holding{"in one call", p.Token, p.seen, p.seen, "published"})
		}
	}
	slices.SortFunc(all, func(a, b holding) int { return cmp.Compare(a.token, b.token) })
	return all
}

const pictureHTML = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{.Title}}</title>
<style>
body { font: 14px/1.4 sans-serif; margin: 2em; color: #222 }
pre { white-space: pre-wrap; background: #f4f4f4; padding: .6em }
svg { display: block; overflow: visible; margin: 1.5em 0 2.5em 11em }
text { font: 11px monospace; fill: #444 }
.name { text-anchor: end }
.published { fill: #4a9d5f } .released { fill: #9cc9a8 } .undone { fill: #d98a3d } .expired { fill: #b9a3cf } .held { fill: #5b8fd1 }
.call { fill: #333 } .refused { fill: #d98a3d } .unknown { fill: #aaa } .accused { fill: #d0021b }
.key span { padding: .1em .6em; margin-right: .6em; color: #fff }
</style>
<h1>{{.Title}}</h1>
<p class="key">Sections:
<span style="background:#4a9d5f">published</span><span style="background:#9cc9a8">released, empty</span><span style="background:#d98a3d">undone</span>
<span style="background:#b9a3cf">session ended</span><span style="background:#5b8fd1">held</span>
Calls, from when they were asked to when they were answered:
<span style="background:#333">success</span><span style="background:#d98a3d">refused</span><span style="background:#aaa">unknown</span>
<span style="background:#d0021b">untrue</span> Each bar says more when it is pointed at.</p>
{{range .Figures}}<section>
<h2>{{.Checker}}{{with .Lock}}: {{.}}{{end}}</h2>
<pre>{{.Text}}</pre>
{{if .Lanes}}<svg width="1200" height="{{.Height}}">
{{range .Ticks}}<line x1="{{.X}}" x2="{{.X}}" y1="0" y2="100%" stroke="#ddd"/><text x="{{.X}}" y="-4">{{.Text}}</text>{{end}}
{{range .Lanes}}<svg y="{{.Y}}">
<text class="name" x="-8" y="14">{{.Name}}</text><line x1="0" x2="1200" y1="30" y2="30" stroke="#eee"/>
{{range .Sections}}<rect class="{{.Class}}" x="{{.X}}" y="0" width="{{.Width}}" height="12"><title>{{.Text}}</title></rect>{{end}}
{{range .Calls}}<rect class="{{.Class}}" x="{{.X}}" y="15" width="{{.Width}}" height="8"><title>{{.Text}}</title></rect>{{end}}
</svg>{{end}}
{{range .Marks}}<line x1="{{.X}}" x2="{{.X}}" y1="0" y2="100%" stroke="#d0021b" stroke-dasharray="3"/><text x="{{.X}}" y="-16">{{.Text}}</text>{{end}}
</svg>{{end}}
</section>{{end}}
{{with .More}}<p>and {{.}} more</p>{{end}}
</html>
`
