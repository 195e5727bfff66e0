package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// hunted is how long a mutant is looked for while it runs; what shows only when all is at rest
// shows after that.
const hunted = 2 * time.Minute

// runMutants runs one mutant after the other, and prints which checker has found it, and when. The
// exit code is 1 if one was not found.
func (o options) runMutants(dir string) (code int, err error) {
	chosen, err := o.chosen()
	if err != nil {
		return 2, err
	}
	bin, err := buildMutants(dir)
	if err != nil {
		return 2, err
	}
	// Without a mutant the same binaries have to be found innocent, or all that follows says
	// nothing.
	chosen = append([]mutant{{rule: "none is broken"}}, chosen...)
	missed := 0
	for _, m := range chosen {
		found, after, err := o.hunt(filepath.Join(dir, "run-"+m.name), bin, m)
		if err != nil {
			return 2, fmt.Errorf("%s: %w", m.name, err)
		}
		switch {
		case m.name == "" && len(found) > 0:
			fmt.Fprintf(o.out, "nothing is broken, and still:\n%s\n", found[0].text)
			return 1, nil
		case m.name == "":
			fmt.Fprintf(o.out, "%-34s %-28s %s\n", "(none)", "-", m.rule)
		case len(found) == 0:
			missed++
			fmt.Fprintf(o.out, "%-34s %-28s %s\n", m.name, "NOT FOUND", m.rule)
		default:
			fmt.Fprintf(o.out, "%-34s %-28s %s\n", m.name, fmt.Sprintf("%s, %.1f s", strings.Join(checkers(found), " "), after.Seconds()), m.rule)
			fmt.Fprintf(o.out, "  %.200s\n", found[0].text)
		}
	}
	fmt.Fprintf(o.out, "%d of %d mutants were found\n", len(chosen)-1-missed, len(chosen)-1)
	if missed > 0 {
		return 1, nil
	}
	return 0, nil
}

// chosen are the mutants that were asked for.
func (o options) chosen() (chosen []mutant, err error) {
	all := mutants()
	if o.only == "" {
		return all, nil
	}
	for _, name := range strings.Split(o.only, ",") {
		before := len(chosen)
		for _, m := range all {
			if m.name == name || name == "quick" && !m.slow {
				chosen = append(chosen, m)
			}
		}
		if len(chosen) == before {
			return nil, fmt.Errorf("no mutant %q", name)
		}
	}
	return chosen, nil
}

// checkers are those that have found something, each once.
func checkers(found []accusation) (names []string) {
	for _, a := range found {
		if !slices.Contains(names, a.checker) {
			names = append(names, a.checker)
		}
	}
	slices.Sort(names)
	return names
}

// buildMutants builds the servers and the workers with all mutants in them.
func buildMutants(dir string) (p programs, err error) {
	root, err := moduleDir()
	if err != nil {
		return p, err
	}
	file, err := overlay(dir, root)
	if err != nil {
		return p, err
	}
	if p, err = programsIn(dir); err != nil {
		return p, err
	}
	p.worker = filepath.Join(dir, "worker-mutants")
	if err := goBuild(p.dlm, module+"/cmd/dlm", "-overlay", file); err != nil {
		return p, err
	}
	if err := goBuild(p.worker, module+"/tools/robustness", "-overlay", file); err != nil {
		return p, err
	}
	return p, p.buildEtcd()
}

// hunt runs a mutant until it is found, with one member of etcd and two servers: what it takes that
// they disagree. It returns what was found, and how long after the workers had begun.
func (o options) hunt(dir string, bin programs, m mutant) (found []accusation, after time.Duration, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, 0, err
	}
	l := &layout{dir: dir, bin: bin, env: []string{mutantEnv + "=" + m.name}}
	if err := external(l, 1); err != nil {
		return nil, 0, err
	}
	r, err := o.start(l)
	if err != nil {
		l.close()
		return nil, 0, err
	}
	r.out = io.Discard
	defer r.close()
	began := time.Now()
	last := hunted
	if m.name == "" {
		last /= 8
	}
	ctx, cancel := context.WithTimeout(context.Background(), last)
	defer cancel()
	broken := make(chan error, 1)
	go func() { broken <- r.annoy(ctx) }()
	found, err = r.judgeMeanwhile(ctx)
	after = time.Since(began)
	cancel()
	if err := <-broken; err != nil {
		return nil, 0, err
	}
	for _, w := range r.workers { // by what it was that found it, or gracefully
		if len(found) > 0 {
			w.end(syscall.SIGKILL)
		}
	}
	if err == nil && len(found) == 0 {
		r.endWorkers()
		var v *verdicts
		if v, _, err = r.judge(context.Background()); err == nil {
			found, after = v.untrue, time.Since(began)
		}
	}
	if err == nil && len(found) > 0 {
		err = r.picture(&verdicts{untrue: found}, m.name)
	}
	return found, after, err
}

// judgeMeanwhile judges again and again what has happened, until something is found or ctx ends.
func (r *run) judgeMeanwhile(ctx context.Context) ([]accusation, error) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, nil
		case <-tick.C:
		}
		v, err := r.judgeNow(ctx, false, 100*time.Millisecond)
		if ctx.Err() != nil {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if len(v.untrue) > 0 {
			return v.untrue, nil
		}
	}
}

// annoy makes faults, by turns, that a hunt needs: short ones, so that much happens between them.
func (r *run) annoy(ctx context.Context) error {
	for i := 0; ctx.Err() == nil; i++ {
		var err error
		if i%2 == 1 {
			for _, p := range r.l.proxies {
				p.cut()
			}
		}
		switch i % 5 {
		case 0, 2:
			err = r.evict(ctx, r.rand)
		case 1:
			if err = r.forget(ctx); errors.Is(err, errNotNow) {
				err = nil
			}
		case 3:
			w := pick(r.rand, r.workers)
			w.signal(syscall.SIGSTOP)
			pause(ctx, 3*time.Second) // longer than the shortest TTL
			w.signal(syscall.SIGCONT)
		case 4:
			w := pick(r.rand, r.workers)
			w.end(syscall.SIGKILL)
			err = r.startWorker(w)
		}
		if err != nil && ctx.Err() == nil {
			return err
		}
		pause(ctx, time.Duration(200+r.rand.IntN(600))*time.Millisecond)
	}
	return nil
}
