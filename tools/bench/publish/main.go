package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime/pprof"
	"slices"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "publish:", err)
		os.Exit(1)
	}
}

// row is one line of the table: what is measured, and beside what.
type row struct {
	name, what, unit string
	ours, theirs     string  // slices
	bar              float64 // 0: none
	most             bool    // the ratio is to be at most the bar, not at least
}

func rows() []row {
	perSecond, ms := "sections/s", "ms"
	return []row{
		{"locked", "128 publish to one lock / lock, append, unlock", perSecond, "publish", "append", 15, false},
		{"mutex", "128 publish to one lock / etcd's mutex around a put", perSecond, "publish", "mutex", 30, false},
		{"redis", "128 publish to one lock / Redis' RPUSH to one list, appendfsync always", perSecond, "publish", pushes, 0, false},
		{"shared", "64 publish to own files of one lock / put", perSecond, "shared", "puts", 0.9, false},
		{"own", "64 publish to own locks / put", perSecond, "own", "puts", 0.9, false},
		{"single", "one publishes, p50 / puts", ms, "publish1", "put1", 1, true},
		{"chain", "one publishes on the version before / etcd's STM", perSecond, "chain", "stm", 1.2, false},
		{"process", "dlm append / etcdctl put", ms, ours, theirs, 1.25, true},
	}
}

// measured is what one slice came to, in its row's unit.
type measured struct {
	value         float64
	before, after float64 // unfolded bundles, after five seconds and at the end
	err           error
}

// run is the program.
func run(ctx context.Context, args []string, out, errs io.Writer) (err error) {
	b := &bench{}
	flags := flag.NewFlagSet("publish", flag.ContinueOnError)
	flags.SetOutput(errs)
	rounds := flags.Int("rounds", 5, "how many rounds")
	flags.DurationVar(&b.lasts, "for", 5*time.Second, "how long a slice lasts")
	flags.DurationVar(&b.long, "long", 30*time.Second, "how long a slice of shared and own lasts")
	runs := flags.Int("runs", 30, "how many processes are run of either kind, in all rounds together")
	only := flags.String("only", "", "the rows whose names match this `regexp`")
	short := flags.Bool("short", false, "one round, slices of a second")
	profile := flags.String("cpuprofile", "", "write a CPU profile of the clients to this `file`")
	flags.Usage = func() {
		fmt.Fprintln(errs, "Usage: publish [flags] [-- flags of dlm server]\n\n`go doc ./tools/bench/publish` says what is measured.")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *short {
		*rounds, *runs, b.lasts, b.long = 1, 6, time.Second, time.Second
	}
	names, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	b.runs = max(1, *runs / *rounds)
	_, missing := exec.LookPath(redisProgram)
	table := slices.DeleteFunc(rows(), func(r row) bool {
		if names.MatchString(r.name) && r.theirs == pushes && missing != nil {
			fmt.Fprintf(errs, "%s is left out: there is no %s on the PATH\n", r.name, redisProgram)
			return true
		}
		return !names.MatchString(r.name)
	})
	if *rounds < 1 || b.lasts <= 0 || b.long <= 0 || len(table) == 0 {
		return errors.New("want at least a round, a row, and some time")
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	remove, err := b.build(ctx, slices.ContainsFunc(table, func(r row) bool { return r.theirs == theirs }))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	all := map[string][]measured{}
	for i := range *rounds {
		if err := b.round(ctx, i, flags.Args(), table, all, errs); err != nil {
			return fmt.Errorf("round %d: %w", i+1, err)
		}
	}
	b.print(out, table, all)
	return nil
}

// round measures each slice that the table needs once, with a server of its own.
func (b *bench) round(ctx context.Context, n int, args []string, table []row, all map[string][]measured, errs io.Writer) (err error) {
	stop, err := b.serve(ctx, args, errs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	var names []string
	for _, r := range table {
		for _, name := range []string{r.ours, r.theirs} {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if n%2 == 1 {
		slices.Reverse(names)
	}
	got := map[string]measured{}
	for _, name := range names {
		if _, along := got[name]; along {
			continue
		}
		some, err := b.slice(ctx, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		maps.Copy(got, some)
		for of, m := range some {
			fmt.Fprintf(errs, "round %d  %-12s %10.2f\n", n+1, of, m.value)
			all[of] = append(all[of], m)
		}
	}
	return nil
}

// print prints the table of what was measured.
func (b *bench) print(out io.Writer, table []row, all map[string][]measured) {
	fmt.Fprintln(out, "| | what | dlm | beside | unit | ratio | of the rounds | bar | |\n|---|---|--:|--:|---|--:|---|--:|---|")
	value := func(m measured) float64 { return m.value }
	for _, r := range table {
		ours, theirs := all[r.ours], all[r.theirs]
		ratios := make([]float64, len(ours))
		for i := range ratios {
			ratios[i] = ours[i].value / theirs[i].value
		}
		ratio, bar, met := median(ratios, func(f float64) float64 { return f }), fmt.Sprintf("≥ %g", r.bar), "met"
		if r.most {
			bar = fmt.Sprintf("≤ %g", r.bar)
		}
		switch {
		case r.bar == 0:
			bar, met = "", ""
		case ratio < r.bar != r.most && ratio != r.bar:
			met = "MISSED"
		}
		fmt.Fprintf(out, "| %s | %s | %.2f | %.2f | %s | %.2f | %.2f–%.2f | %s | %s |\n", r.name, r.what, median(ours, value),
			median(theirs, value), r.unit, ratio, slices.Min(ratios), slices.Max(ratios), bar, met)
	}
	for _, name := range []string{"shared", "own"} {
		for i, m := range all[name] {
			said := "the fold keeps up"
			if m.after > m.before+longClients {
				said = "THE FOLD FALLS BEHIND"
			}
			fmt.Fprintf(out, "\n%s, round %d: %.0f bundles unfolded after %v, %.0f at the end: %s", name, i+1, m.before, b.settled(), m.after, said)
		}
	}
	fmt.Fprintln(out)
}

// median is the middle one of some values, by a number of each.
func median[T any](of []T, number func(T) float64) float64 {
	var numbers []float64
	for _, v := range of {
		numbers = append(numbers, number(v))
	}
	slices.Sort(numbers)
	return numbers[len(numbers)/2]
}
