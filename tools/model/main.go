package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run looks at the holes, and at the closed protocol in small and large configurations, and returns
// the exit status: 1 if a hole was not found, or an invariant does not hold.
func run(args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("model", flag.ContinueOnError)
	flags.SetOutput(errs)
	limit := flags.Int("limit", 3_000_000, "the most states of one configuration; some 700 bytes of memory each")
	walks := flags.Int("walks", 10_000, "walks at random through what is too large to search")
	seed := flags.Uint64("seed", 1, "of these walks")
	only := flags.String("only", "", "only what has this in its name")
	stories := flags.Bool("stories", false, "tell of each hole how it does harm")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	t := table{out: out, stories: *stories}

	t.head("hole, opened on purpose")
	if named("H1", *only) {
		t.names()
	}
	for _, h := range holeRuns() {
		if named(h.id, *only) {
			t.row(h.id, h.model.search(*limit), h.want, h.what)
		}
	}
	t.head("known gap")
	for _, g := range gapRuns() {
		if named(g.id, *only) {
			t.row(g.id, g.model.search(*limit), g.want, g.what)
		}
	}
	t.head("the protocol as it is")
	for _, m := range append(small(), large()...) {
		if named(m.name, *only) {
			t.row(m.name, m.search(*limit), holds, "")
		}
	}
	for _, m := range huge() {
		if named(m.name, *only) {
			t.row(m.name, m.wander(*walks, 120, *seed), holds, "")
		}
	}
	if t.wrong > 0 {
		fmt.Fprintf(out, "\n%d of %d are not as they should be\n", t.wrong, t.rows)
		return 1
	}
	if t.rows == 0 {
		fmt.Fprintln(out, "nothing has that in its name")
		return 2
	}
	return 0
}

func named(name, part string) bool { return strings.Contains(name, part) }

// table is what is printed, a row as soon as it is known.
type table struct {
	out         io.Writer
	stories     bool
	title       string // of the rows to come; empty: printed
	rows, wrong int
}

const columns = "%-52s %9s %6s %8s  %s\n"

// head begins a part of the table, which is printed if it has rows.
func (t *table) head(title string) { t.title = title }

func (t *table) line(name, states, depth, seconds, verdict string) {
	if t.title != "" {
		if t.rows > 0 {
			fmt.Fprintln(t.out)
		}
		fmt.Fprintf(t.out, columns, t.title, "states", "depth", "seconds", "verdict")
		t.title = ""
	}
	t.rows++
	fmt.Fprintf(t.out, columns, name, states, depth, seconds, verdict)
}

// row is what came of one search: of the hole that was open in it, or of the protocol.
func (t *table) row(name string, r result, want violation, hole string) {
	verdict := r.verdict()
	if want != holds {
		verdict = fmt.Sprintf("found, %s: %s", want, hole)
	}
	if r.broken != want {
		t.wrong++
		verdict = fmt.Sprintf("WRONG: %s; want: %s", r.verdict(), want)
	}
	t.line(name, strconv.Itoa(r.states), strconv.Itoa(r.depth), fmt.Sprintf("%.1f", r.took.Seconds()), verdict)
	if len(r.trace) > 0 && (t.stories || r.broken != want) {
		fmt.Fprintf(t.out, "    %s:\n%s\n", r.broken.harm(), r.story())
	}
}

// names is the row of hole H1.
func (t *table) names() {
	verdict := "found, without the second /: " + namesCollide("/")
	if namesCollide("/") == "" {
		t.wrong++
		verdict = "WRONG: no two keys meet"
	}
	if with := namesCollide("//"); with != "" {
		t.wrong++
		verdict = "WRONG: even so, " + with
	}
	t.line("H1", "", "", "", verdict)
}
