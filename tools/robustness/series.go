package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// result is what one run has come to. A series of runs keeps them in a file, a line each.
type result struct {
	Layout   string         `json:"layout"`
	Seed     uint64         `json:"seed"`
	Last     string         `json:"for"`
	Faults   map[string]int `json:"faults"`
	Answers  map[string]int `json:"answers"` // by call and reason
	Judged   int            `json:"judged"`
	Sections int            `json:"sections"` // since the last restore
	Untrue   int            `json:"untrue"`

	UpgradeFrom string `json:"upgradeFrom,omitempty"` // a commit; empty: servers are of one version
}

func (r result) is(o options) bool {
	return r.Layout == o.layout && r.Seed == o.seed && r.Last == o.last.String() && r.UpgradeFrom == o.upgradeFrom
}

// series runs every layout with each of the seeds, but for what is in the file of results already,
// and prints the sum of the file. It stops at a run that has found something, whose seed is then
// worth keeping.
func (o options) series(ctx context.Context) int {
	seeds, err := parseSeeds(o.seeds)
	if err != nil {
		fmt.Fprintln(o.out, err)
		return 64
	}
	for _, o.seed = range seeds {
		for _, o.layout = range layouts() {
			done, err := readResults(o.results)
			if err != nil {
				fmt.Fprintln(o.out, err)
				return 2
			}
			if slices.ContainsFunc(done, func(r result) bool { return r.is(o) }) {
				continue
			}
			if code := o.run(ctx); code != 0 {
				return code
			}
		}
	}
	all, err := readResults(o.results)
	if err != nil {
		fmt.Fprintln(o.out, err)
		return 2
	}
	summarize(o.out, all)
	return 0
}

// parseSeeds is a list such as 1,4,10-20.
func parseSeeds(list string) (seeds []uint64, err error) {
	for _, part := range strings.Split(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 64)
		to, err2 := strconv.ParseUint(last, 10, 64)
		if err := errors.Join(err, err2); err != nil {
			return nil, fmt.Errorf("seeds are a list such as 1,4,10-20: %w", err)
		}
		if to < from || to-from >= 10_000 {
			return nil, fmt.Errorf("%s is no range of seeds, of which there may be 10,000", part)
		}
		for seed := from; seed <= to; seed++ {
			seeds = append(seeds, seed)
		}
	}
	return seeds, nil
}

// keepResult adds a result to a file; path empty: nowhere.
func keepResult(path string, r result) error {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(json.NewEncoder(f).Encode(r), f.Close())
}

func readResults(path string) (all []result, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// summarize prints what a series has come to. Nothing untrue of n answers means that, with 95 %
// confidence, fewer than 3/n of them are.
func summarize(out io.Writer, all []result) {
	var t result
	t.Faults, t.Answers = map[string]int{}, map[string]int{}
	for _, r := range all {
		add(t.Faults, r.Faults)
		add(t.Answers, r.Answers)
		t.Judged, t.Sections, t.Untrue = t.Judged+r.Judged, t.Sections+r.Sections, t.Untrue+r.Untrue
	}
	fmt.Fprintf(out, "%d runs\n", len(all))
	printCounts(out, t.Faults)
	printCounts(out, t.Answers)
	refused := t.Answers["append LOCK_EXPIRED"] + t.Answers["commit LOCK_EXPIRED"] + t.Answers["release LOCK_EXPIRED"]
	fmt.Fprintf(out, "%d acknowledged, %d refused as late, %d answers judged, %d sections, %d untrue", t.acknowledged(), refused, t.Judged, t.Sections, t.Untrue)
	if t.Untrue == 0 && t.Judged > 0 {
		fmt.Fprintf(out, ", so fewer than %.1g of them", 3/float64(t.Judged))
	}
	fmt.Fprintln(out)
}

// acknowledged is how many calls were answered with success.
func (r result) acknowledged() (n int) {
	for name, count := range r.Answers {
		if strings.HasSuffix(name, " OK") {
			n += count
		}
	}
	return n
}

func add(to, counts map[string]int) {
	for name, n := range counts {
		to[name] += n
	}
}

func printCounts(out io.Writer, counts map[string]int) {
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(out, "%6d %s\n", counts[name], name)
	}
}
