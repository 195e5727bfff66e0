package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/distributed-lock-manager/dlm/tools/model/life"
	"github.com/distributed-lock-manager/dlm/tools/model/linger"
	"github.com/distributed-lock-manager/dlm/tools/model/publish"
	"github.com/distributed-lock-manager/dlm/tools/model/search"
	"github.com/distributed-lock-manager/dlm/tools/model/told"
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
	t := table{out: out, stories: *stories, limit: *limit}

	t.head("hole, opened on purpose")
	if named("H1", *only) {
		t.names()
	}
	var holes, closed []search.Run
	for _, h := range holeRuns() {
		holes = append(holes, h.run())
	}
	holes = append(holes, linger.Holes()...)
	holes = append(holes, told.Holes()...)
	for _, m := range append(small(), large()...) {
		closed = append(closed, m.run())
	}
	t.rows(holes, *only)
	t.head("known gap")
	t.rows(told.Gaps(), *only)
	t.head("the protocol as it is")
	closed = append(closed, linger.Closed(true)...)
	t.rows(append(closed, told.Closed(true)...), *only)
	for _, m := range huge() {
		if named(m.name, *only) {
			t.row(search.Run{Name: m.name}, m.wander(*walks, 120, *seed).report())
		}
	}
	t.head("hole of what is designed")
	t.rows(slices.Concat(publish.Holes(), life.Holes()), *only)
	t.head("what is designed, and not built")
	t.rows(slices.Concat(publish.Closed(true), life.Closed(true)), *only)
	if t.wrong > 0 {
		fmt.Fprintf(out, "\n%d of %d are not as they should be\n", t.wrong, t.count)
		return 1
	}
	if t.count == 0 {
		fmt.Fprintln(out, "nothing has that in its name")
		return 2
	}
	return 0
}

func named(name, part string) bool { return strings.Contains(name, part) }

// table is what is printed, a row as soon as it is known.
type table struct {
	out          io.Writer
	stories      bool
	limit        int
	title        string // of the rows to come; empty: printed
	count, wrong int    // of rows
}

const columns = "%-52s %9s %6s %8s  %s\n"

// head begins a part of the table, which is printed if it has rows.
func (t *table) head(title string) { t.title = title }

func (t *table) line(name, states, depth, seconds, verdict string) {
	if t.title != "" {
		if t.count > 0 {
			fmt.Fprintln(t.out)
		}
		fmt.Fprintf(t.out, columns, t.title, "states", "depth", "seconds", "verdict")
		t.title = ""
	}
	t.count++
	fmt.Fprintf(t.out, columns, name, states, depth, seconds, verdict)
}

// rows has a row for each run that has a part in its name.
func (t *table) rows(runs []search.Run, part string) {
	for _, r := range runs {
		if named(r.Name, part) {
			t.row(r, r.Look(t.limit))
		}
	}
}

// row is what came of one run.
func (t *table) row(of search.Run, r search.Report) {
	verdict := r.Verdict()
	if of.Want != "" {
		verdict = fmt.Sprintf("found, %s: %s", of.Want, of.What)
	}
	if r.Harm != of.Want {
		t.wrong++
		verdict = fmt.Sprintf("WRONG: %s; want: %s", r.Verdict(), cmp.Or(of.Want, "no harm"))
	}
	t.line(of.Name, strconv.Itoa(r.States), strconv.Itoa(r.Depth), fmt.Sprintf("%.1f", r.Took.Seconds()), verdict)
	if len(r.Story) > 0 && (t.stories || r.Harm != of.Want) {
		fmt.Fprintf(t.out, "    %s:\n%s\n", r.Harm, r.Told())
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
