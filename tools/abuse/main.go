package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

func main() {
	os.Exit(play(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// play is one of the parts that this program plays, the table if none is named.
func play(args []string, in io.Reader, out, errs io.Writer) int {
	if len(args) > 0 {
		switch args[0] {
		case "flood":
			return exitOf(flooding(args[1:], in, out))
		case "honest":
			return exitOf(beingHonest(args[1:], in, out))
		case "hold":
			return exitOf(holding(args[1:], in, out))
		case "burn":
			return exitOf(burning(args[1:], in))
		}
	}
	o := options{out: out, err: errs}
	flags := flag.NewFlagSet("abuse", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.BoolVar(&o.short, "short", false, "the worst of each kind, within a minute; with -only: whatever that names, small")
	flags.DurationVar(&o.lasts, "for", 0, "how long each flood lasts; 0: 5 s, in the short form 1 s")
	only := flags.String("only", "", "floods whose names match this `regexp`")
	flags.BoolVar(&o.report, "report", false, "only tell: exit with 0 whatever is unmet")
	flags.BoolVar(&o.times, "times", true, "times count; else what is unmet by time alone is told and fails nothing, as on a machine that others use, too")
	flags.IntVar(&o.again, "again", 1, "how often a flood that is unmet by time alone is measured again")
	budget := flags.Int64("budget", 128, "of the server for requests and answers under way, in `MiB`")
	list := flags.Bool("list", false, "list the floods")
	flags.Usage = func() {
		fmt.Fprintln(errs, "Usage: abuse [flags] [-- flags of dlm server]\n\nFloods servers; `go doc ./tools/abuse` says how.")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return 2
	}
	names, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(errs, err)
		return 2
	}
	if o.lasts == 0 {
		if o.lasts = 5 * time.Second; o.short {
			o.lasts = time.Second
		}
	}
	o.budget, o.server = *budget*mebibyte, flags.Args()
	for _, f := range floods() {
		if names.MatchString(f.name) && (f.short || !o.short || *only != "") {
			o.floods = append(o.floods, f)
		}
	}
	if len(o.floods) == 0 {
		fmt.Fprintf(errs, "no flood's name matches %q; see -list\n", *only)
		return 2
	}
	if *list {
		for _, f := range o.floods {
			fmt.Fprintf(out, "%-20s %s\n", f.name, f.says)
		}
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(len(o.floods)+1)*5*time.Minute)
	defer cancel()
	return o.run(ctx)
}

// options are a run's.
type options struct {
	floods []flood
	short  bool
	lasts  time.Duration // each flood
	report bool
	times  bool
	again  int
	budget int64
	server []string // further arguments of each server
	out    io.Writer
	err    io.Writer
}

// run returns the exit code: see the package comment.
func (o options) run(ctx context.Context) int {
	unmet, err := o.table(ctx)
	switch {
	case err != nil:
		fmt.Fprintln(o.err, "abuse:", err)
		return 2
	case unmet > 0 && !o.report:
		return 1
	}
	return 0
}

// table measures every flood and returns how many rows are unmet.
func (o options) table(ctx context.Context) (unmet int, err error) {
	base := os.Getenv("BENCH_DIR")
	if base == "" {
		base = "/var/tmp"
	}
	r := &runner{options: o}
	if r.dir, err = os.MkdirTemp(base, "dlm-abuse."); err != nil {
		return 0, err
	}
	defer r.removeAll()
	if r.binary, err = build(ctx, r.dir); err != nil {
		return 0, err
	}
	if err := r.begin(ctx); err != nil {
		return 0, err
	}
	fmt.Fprintf(o.out, "%d floods of %v; times in ms, memory in MiB (RssAnon), log in KiB, cpu of the flood in s\n\n%s\n", len(o.floods), o.lasts, header)
	for _, f := range o.floods {
		m, err := r.one(ctx, f)
		for i := 0; err == nil && i < o.again && m.again(o.budget); i++ {
			fmt.Fprintf(o.out, "%v  once more: %s\n", m, m.verdict(o.budget))
			m, err = r.one(ctx, f)
		}
		if ctx.Err() != nil {
			return unmet, fmt.Errorf("%s: %w", f.name, ctx.Err())
		}
		if err != nil { // the others may be told still
			m.faults = append(m.faults, "not run to its end: "+err.Error())
		}
		fmt.Fprintf(o.out, "%v  %s\n", m, m.verdict(o.budget))
		if len(m.unmet(o.budget)) > 0 && (o.times || !m.again(o.budget)) {
			unmet++
		}
	}
	fmt.Fprintf(o.out, "\n%d of %d unmet\n", unmet, len(o.floods))
	return unmet, nil
}
