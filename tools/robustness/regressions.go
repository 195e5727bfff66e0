package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// regression is a run that has once found a fault of the product.
type regression struct {
	layout string
	seed   uint64
	last   time.Duration
	found  string // what it was
}

// runRegressions runs all of a file once more, until one finds something.
func (o options) runRegressions(ctx context.Context) (code int) {
	text, err := os.ReadFile(o.regressions)
	if err != nil {
		fmt.Fprintln(o.out, err)
		return 2
	}
	all, err := parseRegressions(string(text))
	if err != nil {
		fmt.Fprintf(o.out, "%s: %v\n", o.regressions, err)
		return 64
	}
	for _, r := range all {
		fmt.Fprintln(o.out, "once found:", r.found)
		o.layout, o.seed, o.last = r.layout, r.seed, r.last
		if code := o.run(ctx); code != 0 {
			return code
		}
	}
	return 0
}

// parseRegressions reads lines of a layout, a seed, how long, and what was found; those that begin
// with # are for people.
func parseRegressions(text string) (all []regression, err error) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 4 {
			return nil, fmt.Errorf("line %d: a layout, a seed, how long, and what it has found", number)
		}
		r := regression{layout: fields[0], found: strings.Join(fields[3:], " ")}
		if !slices.Contains(layouts(), r.layout) {
			return nil, fmt.Errorf("line %d: no layout %q", number, r.layout)
		}
		if r.seed, err = strconv.ParseUint(fields[1], 10, 64); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if r.last, err = time.ParseDuration(fields[2]); err != nil || r.last <= 0 {
			return nil, fmt.Errorf("line %d: %q is no time to break things", number, fields[2])
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is nothing to run in it")
	}
	return all, nil
}

// args are the flags that make this very run, which may be one of several.
func (o options) args() []string {
	args := []string{
		"-layout", o.layout, "-for", o.last.String(), "-seed", fmt.Sprint(o.seed), "-restores", fmt.Sprint(o.restores),
	}
	if !o.netns {
		args = append(args, "-netns=false")
	}
	if o.upgradeFrom != "" {
		args = append(args, "-upgrade-from", o.upgradeFrom)
	}
	return args
}
