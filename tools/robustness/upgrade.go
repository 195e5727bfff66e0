package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// A run may begin with servers of an earlier version, which are replaced one after the other by
// those of this one, and later back again, as docs/upgrading.md says: within a format, and while no
// feature is switched on, which a run never does, both go together.

// upgraded is the fault that does either.
const upgraded = "servers upgraded in turn, or back"

// leastUpgrades is how often it is made in a run that has an earlier version: there and back.
const leastUpgrades = 2

// buildEarlier builds the servers of a commit.
func (p programs) buildEarlier(commit string) error {
	root, err := moduleDir()
	if err != nil {
		return err
	}
	out, err := filepath.Abs(p.earlier)
	if err != nil {
		return err
	}
	source, err := os.MkdirTemp(filepath.Dir(out), "earlier-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(source)
	archive := filepath.Join(source, "source.tar")
	for _, line := range [][]string{
		{"git", "-C", root, "archive", "--output", archive, commit},
		{"tar", "-x", "-f", archive, "-C", source},
		{"go", "-C", source, "build", "-buildvcs=false", "-ldflags", "-X main.version=" + commit, "-o", out, "./cmd/dlm"},
	} {
		if _, err := command(line...); err != nil {
			return err
		}
	}
	return nil
}

// first is what servers begin with.
func (p programs) first() string {
	if p.earlier != "" {
		return p.earlier
	}
	return p.dlm
}

// upgrades are the faults that change versions, where there are two.
func upgrades(l *layout) []fault {
	if l.bin.earlier == "" {
		return nil
	}
	return []fault{{upgraded, 2, func(ctx context.Context, r *run, rnd *rand.Rand) error {
		from, to := r.l.bin.earlier, r.l.bin.dlm
		if r.upgraded {
			from, to = to, from
		}
		r.upgraded = !r.upgraded
		for _, p := range r.l.servers {
			if !p.swap(from, to) {
				return fmt.Errorf("%s is not %s", p.name, from)
			}
			p.end(syscall.SIGTERM)
			if err := r.l.up(); err != nil {
				return err
			}
			pause(ctx, time.Duration(rnd.IntN(2000))*time.Millisecond) // both go on together
		}
		return nil
	}}}
}

// upgradeDue is the fault that changes versions, if it is its time: in equal steps.
func upgradeDue(l *layout, counts map[string]int, elapsed, last time.Duration) (list []fault) {
	if n := counts[upgraded]; n < leastUpgrades && elapsed > last*time.Duration(n+1)/(leastUpgrades+1) {
		return upgrades(l)
	}
	return nil
}

// tooFewUpgrades reports whether a run that has two versions has not gone there and back yet.
func tooFewUpgrades(l *layout, counts map[string]int) bool {
	return l.bin.earlier != "" && counts[upgraded] < leastUpgrades
}

// swap has a process be another binary when it starts again. It reports whether it was the one that
// is to be replaced.
func (p *process) swap(from, to string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.args, from)
	if i >= 0 {
		p.args[i] = to
	}
	return i >= 0
}
