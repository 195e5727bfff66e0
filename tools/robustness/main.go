package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/client"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		if err := work(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "plain" {
		if err := plain(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.StringVar(&o.layout, "layout", "embedded", "embedded: three servers with an etcd each; external: three of etcd, and two servers; `secured`: as embedded, with certificates and a policy")
	flag.DurationVar(&o.last, "for", 10*time.Minute, "how long to break things")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of the faults and the workers; the interleaving is not repeated")
	flag.IntVar(&o.restores, "restores", 2, "how often the cluster is restored from a snapshot; at most once in each minute")
	flag.BoolVar(&o.mutants, "mutants", false, "instead: break a rule of the servers at a time, and report which checker finds it")
	flag.StringVar(&o.only, "only", "", "`names` of mutants, by commas; quick: those that are found within seconds; empty: all")
	flag.StringVar(&o.keep, "keep", "", "`directory` for logs and histories; empty: a temporary one, kept if the run fails")
	flag.StringVar(&o.seeds, "seeds", "", "instead of -layout and -seed: run all layouts with each of these, such as 1,4,10-20")
	flag.StringVar(&o.regressions, "regressions", "", "instead: the runs of a `file`, which have once found something, a line each")
	flag.StringVar(&o.results, "results", "", "`file` that results are added to; with -seeds, what is in it is not run again")
	flag.StringVar(&o.upgradeFrom, "upgrade-from", "", "`commit` whose servers the run begins with; they are replaced one after the other by those of this version, and back")
	flag.BoolVar(&o.netns, "netns", true, "cut networks and fill disks, where that can be had: root on Linux, in namespaces of their own")
	flag.Parse()
	if flag.NArg() > 0 || !o.goTogether() {
		fmt.Fprintln(os.Stderr, "no arguments, a time to break things, one of -mutants, -seeds and -regressions, "+
			"-only with -mutants alone, -upgrade-from without, and -seeds with -results")
		os.Exit(64)
	}
	o.out = os.Stdout
	if dir := os.Getenv(apartEnv); dir != "" {
		os.Exit(o.inside(dir))
	}
	if o.mutants {
		os.Exit(o.inDir(o.runMutants))
	}
	if o.regressions != "" {
		os.Exit(o.runRegressions(context.Background()))
	}
	if o.seeds != "" {
		os.Exit(o.series(context.Background()))
	}
	os.Exit(o.run(context.Background()))
}

type options struct {
	layout   string
	last     time.Duration
	seed     uint64
	restores int
	mutants  bool
	only     string
	keep     string
	seeds    string
	results  string
	netns    bool
	out      io.Writer

	upgradeFrom string
	regressions string
}

// goTogether reports whether the flags can be meant.
func (o options) goTogether() bool {
	instead := 0 // of one run
	for _, other := range []bool{o.mutants, o.seeds != "", o.regressions != ""} {
		if other {
			instead++
		}
	}
	return o.last > 0 && o.restores >= 0 && instead <= 1 && (o.only == "" || o.mutants) &&
		(o.upgradeFrom == "" || !o.mutants) && (o.seeds == "" || o.results != "")
}

// run is one run.
type run struct {
	l        *layout
	rand     *rand.Rand
	truth    *truth
	watching *watching
	h        *history // of the run's own calls
	workers  []*process
	starting sync.Mutex
	effects  effects // of faults that can be seen to work
	started  int
	upgraded bool // servers are of this version, and were of an earlier one
	out      io.Writer
}

const workers = 3 // processes

// layouts are the names of those that there are.
func layouts() []string { return []string{"embedded", "external", "secured"} }

// run returns the exit code: see the package comment.
func (o options) run(ctx context.Context) int {
	o.restores = min(o.restores, max(1, int(o.last/time.Minute)))
	fmt.Fprintf(o.out, "%s, %v, seed %d\n", o.layout, o.last, o.seed)
	return o.ended(o.inDir(func(dir string) (int, error) { return o.in(ctx, dir) }))
}

// ended says how a run that has failed is made again, and returns its exit code.
func (o options) ended(code int) int {
	if code != 0 {
		fmt.Fprintln(o.out, "once more: go run ./tools/robustness", strings.Join(o.args(), " "))
	}
	return code
}

// inDir does something in the directory for logs and histories, and returns the exit code.
func (o options) inDir(do func(dir string) (int, error)) int {
	dir, keep := o.keep, o.keep != ""
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "dlm-robustness-"); err != nil {
			fmt.Fprintln(o.out, err)
			return 2
		}
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		fmt.Fprintln(o.out, err)
		return 2
	}
	code, err := do(dir)
	if err != nil {
		fmt.Fprintln(o.out, err)
	}
	if keep || code != 0 {
		fmt.Fprintln(o.out, "logs and histories are in", dir)
	} else {
		_ = os.RemoveAll(dir)
	}
	return code
}

func (o options) in(ctx context.Context, dir string) (code int, err error) {
	bin, err := programsIn(dir)
	if err != nil {
		return 2, err
	}
	if o.upgradeFrom != "" {
		bin.earlier = bin.dlm + "-earlier"
	}
	untraced := canTrace()
	l := &layout{dir: dir, bin: bin, lossy: o.layout != "secured", traced: untraced == nil}
	if os.Getenv(apartEnv) != "" { // they have been built
		if l.net, err = newNetwork(); err != nil {
			return 2, err
		}
	} else {
		if err := bin.build(o.layout == "external"); err != nil {
			return 2, err
		}
		if o.upgradeFrom == "" {
			fmt.Fprintf(o.out, "without %s: no -upgrade-from\n", upgraded)
		} else if err := bin.buildEarlier(o.upgradeFrom); err != nil {
			return 2, err
		}
		if o.canBeApart(untraced) {
			return o.again(dir)
		}
	}
	switch o.layout {
	case "embedded":
		err = embedded(l)
	case "secured":
		if l.secured, err = secure(bin.dlm, dir); err == nil {
			err = embedded(l, l.secured.flags()...)
		}
	case "external":
		err = external(l, members)
	default:
		err = fmt.Errorf("no layout %q", o.layout)
	}
	if err != nil {
		return 2, err
	}
	r, err := o.start(l)
	if err != nil {
		l.close()
		return 2, err
	}
	defer r.close()
	counts, err := r.breakThings(ctx, o.last, o.restores)
	r.endWorkers()
	if err != nil {
		return 2, err
	}
	v, sections, err := r.judge(ctx)
	if err != nil {
		return 2, err
	}
	code = r.report(v, counts, sections)
	if code != 2 {
		err = keepResult(o.results, result{
			Layout: o.layout, Seed: o.seed, Last: o.last.String(), UpgradeFrom: o.upgradeFrom,
			Faults: counts, Answers: v.answers, Judged: v.checked, Sections: sections, Untrue: len(v.untrue),
		})
		if err != nil {
			return 2, err
		}
	}
	if code == 1 {
		if err := r.picture(v, fmt.Sprintf("%s, seed %d", o.layout, o.seed)); err != nil {
			return code, err
		}
	}
	return code, nil
}

// picture draws what is untrue into the directory of the run.
func (r *run) picture(v *verdicts, title string) error {
	answers, err := readHistories(r.l.dir)
	if err != nil {
		return err
	}
	path := filepath.Join(r.l.dir, "untrue.html")
	if err := picture(path, title, v, answers, r.truth.soFar()); err != nil {
		return err
	}
	fmt.Fprintln(r.out, "what happened is drawn in", path)
	return nil
}

// start starts a layout's processes, the workers, and the watch that sees what really happens.
func (o options) start(l *layout) (*run, error) {
	if err := l.up(); err != nil {
		return nil, err
	}
	r := &run{l: l, rand: rand.New(rand.NewPCG(o.seed, 0)), truth: newTruth(), out: o.out}
	var err error
	if r.h, err = newHistory(filepath.Join(l.dir, "run.history")); err != nil {
		return nil, err
	}
	r.watching = r.watch()
	for i := range workers {
		w := &process{name: workerName(i), log: filepath.Join(l.dir, fmt.Sprint("worker", i, ".log")), env: l.env}
		r.workers = append(r.workers, w)
		if err := r.startWorker(w); err != nil {
			r.watching.stop()
			return nil, err
		}
	}
	return r, nil
}

func (r *run) endWorkers() {
	for _, w := range r.workers {
		w.input.Close()
		w.end(0)
	}
}

func (r *run) close() {
	r.watching.stop()
	r.l.close()
}

// startWorker starts a worker process with a history of its own.
func (r *run) startWorker(w *process) error {
	r.starting.Lock()
	defer r.starting.Unlock()
	r.started++
	w.args = []string{
		r.l.bin.worker, "worker", "-dir", r.l.dir, "-name", fmt.Sprint("worker", r.started), "-seed", fmt.Sprint(r.rand.Uint64()),
		"-endpoints", strings.Join(r.l.endpoints(), ","), "-dlm", r.l.bin.dlm,
	}
	if r.l.secured != nil {
		w.args = append(w.args, "-certs", r.l.secured.certs, "-as", w.name)
	}
	return w.start()
}

// What is counted besides faults.
const (
	paired  = "two at once"
	forgot  = "publishes forgotten"
	notMade = "(not made) "
)

// breakThings makes one fault after the other, and often two at once, with a pause between them,
// and restores in equal steps. After each, what became of old publishes is forgotten.
func (r *run) breakThings(ctx context.Context, last time.Duration, restores int) (counts map[string]int, err error) {
	counts = map[string]int{}
	all := faults(r.l)
	began := time.Now()
	enough := func() bool { // a fault may take longer than a short run
		few := made(counts) < leastFaults || tooFewUpgrades(r.l, counts)
		return time.Since(began) >= last && (!few || time.Since(began) > 3*last)
	}
	for restored := 0; !enough(); {
		pause(ctx, time.Duration(r.rand.IntN(2500))*time.Millisecond)
		for _, w := range r.workers {
			if !w.running() {
				return counts, fmt.Errorf("%s ended by itself", w.name)
			}
		}
		if restored < restores && time.Since(began) > last*time.Duration(restored+1)/time.Duration(restores+1) {
			restored++
			counts["restored"]++
			if err := r.restore(ctx); err != nil {
				return counts, fmt.Errorf("restore: %w", err)
			}
			continue
		}
		chosen := []fault{choose(r.rand, all)}
		if due := upgradeDue(r.l, counts, time.Since(began), last); len(due) > 0 {
			chosen = due
		}
		if other := choose(r.rand, all); other.name != chosen[0].name && r.rand.IntN(2) == 0 {
			chosen = append(chosen, other)
			counts[paired]++
		}
		if err := r.inflict(ctx, chosen, counts); err != nil {
			return counts, err
		}
		if err := r.disarm(ctx); err != nil { // one that was raised late
			return counts, err
		}
		switch err := r.forget(ctx); { // it takes no time, and harms nobody
		case err == nil:
			counts[forgot]++
		case !errors.Is(err, errNotNow):
			return counts, err
		}
	}
	return counts, nil
}

// made is how many faults have been made.
func made(counts map[string]int) (n int) {
	for name, count := range counts {
		if name != paired && name != forgot && !strings.HasPrefix(name, notMade) {
			n += count
		}
	}
	return n
}

// inflict makes faults at once, and counts those that could be made.
func (r *run) inflict(ctx context.Context, chosen []fault, counts map[string]int) error {
	errs := make([]error, len(chosen))
	var making sync.WaitGroup
	for i, f := range chosen {
		rnd := rand.New(rand.NewPCG(r.rand.Uint64(), 0))
		making.Go(func() { errs[i] = f.do(ctx, r, rnd) })
	}
	making.Wait()
	for i, f := range chosen {
		switch err := errs[i]; {
		case errors.Is(err, errNotNow):
			counts[notMade+f.name]++
		case err != nil:
			return fmt.Errorf("%s: %w", f.name, err)
		default:
			counts[f.name]++
		}
	}
	return nil
}

// watching is a watch that goes on until it is stopped.
type watching struct {
	etcd   *clientv3.Client
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

func (r *run) watch() *watching {
	w := &watching{done: make(chan struct{})}
	var ctx context.Context
	ctx, w.cancel = context.WithCancel(context.Background())
	if w.etcd, w.err = r.l.client(); w.err != nil {
		close(w.done)
		return w
	}
	go func() {
		defer close(w.done)
		r.truth.watch(ctx, w.etcd)
	}()
	return w
}

func (w *watching) stop() {
	w.cancel()
	<-w.done
	if w.etcd != nil {
		_ = w.etcd.Close()
	}
}

// settled is how long the cluster is given to end all sessions, and to fold and sweep all sections.
const settled = 90 * time.Second

// judge waits until all is at rest, and judges. It also returns how many sections there were since
// the last restore.
func (r *run) judge(ctx context.Context) (v *verdicts, sections int, err error) {
	if err := r.l.up(); err != nil {
		return nil, 0, err
	}
	c, err := r.l.open(time.Minute)
	if err != nil {
		return nil, 0, err
	}
	defer c.Close()
	resting, cancel := context.WithTimeout(ctx, settled)
	defer cancel()
	files, left := r.atRest(resting, c)
	ctx, cancel = context.WithTimeout(ctx, settled)
	defer cancel()
	if v, err = r.judgeNow(ctx, left == nil, orderTimeout); err != nil {
		return nil, 0, errors.Join(err, left)
	}
	if left != nil {
		v.untrue = append(v.untrue, accusation{checker: byRest, text: left.Error()})
	} else if v.last != nil {
		v.files(v.last, files)
		v.liveFiles(v.last, files)
	}
	if v.last != nil {
		sections = len(v.last.sections)
	}
	return v, sections, nil
}

// atRest waits until everybody has gone, and returns what is in the files then. The error is what
// is left, or why it could not be seen.
func (r *run) atRest(ctx context.Context, c *client.Client) (files map[fileID]string, err error) {
	if err := free(ctx, c); err != nil {
		return nil, err
	}
	files = map[fileID]string{}
	for _, lock := range lockNames() {
		for _, name := range fileNames(lock) {
			text, err := readWhole(ctx, c, r.h, lock, name)
			if err != nil {
				return nil, fmt.Errorf("read %s of %s: %w", name, lock, err)
			}
			files[fileID{lock, name}] = string(text)
		}
	}
	for i := range lifeLocks {
		lock := fmt.Sprint("life", i)
		for _, name := range fileNames(lock) {
			text, there, err := readLife(ctx, c, r.h, lock, name)
			if err != nil {
				return nil, fmt.Errorf("read %s of %s: %w", name, lock, err)
			}
			if there {
				files[fileID{lock, name}] = string(text)
			}
		}
	}
	return files, r.nothingLeft(ctx)
}

// judgeNow judges all answers up to now, and looks for an order of each lock's for so long at most.
func (r *run) judgeNow(ctx context.Context, over bool, ordering time.Duration) (*verdicts, error) {
	answers, err := readHistories(r.l.dir)
	if err != nil {
		return nil, err
	}
	// Everything up to here is seen when something after it is.
	put, err := r.watching.etcd.Put(ctx, prefix+"~robustness", "")
	if err != nil {
		return nil, err
	}
	if err := r.truth.await(ctx, put.Header.Revision); err != nil {
		return nil, err
	}
	epochs := r.truth.soFar()
	v := judge(answers, epochs, over)
	if v.last != nil {
		if err := v.trees(answers, epochs, r.l.dir); err != nil {
			return nil, err
		}
	}
	return v, v.order(answers, epochs, ordering, filepath.Join(r.l.dir, "order.html"))
}

// nothingLeft waits until etcd has nothing of sessions that have ended, and of sections that are
// over: neither places nor records, markers nor bundles, and nothing that can go of files.
func (r *run) nothingLeft(ctx context.Context) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		left := ""
		for _, family := range []string{"queue/", "staged/", "commits/", "bundles/", "garbage/", "sessions/"} {
			resp, err := r.watching.etcd.Get(ctx, prefix+family, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithLimit(1))
			switch {
			case err != nil: // as while a member is on its way back
				left = fmt.Sprintf("whether anything under %s (%v)", family, err)
			case len(resp.Kvs) > 0:
				left = string(resp.Kvs[0].Key)
			}
		}
		if left == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s stays, and nobody is there any more", left)
		case <-tick.C:
		}
	}
}

// free waits until nobody holds a lock or waits for one: what the workers have left ends with their
// sessions.
func free(ctx context.Context, c *client.Client) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		list, err := c.List(ctx, "")
		if err == nil && len(list) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not all locks became free: %v, %w", list, err)
		case <-tick.C:
		}
	}
}

// least is what a run must have seen to prove anything.
const (
	leastAnswers = 300
	leastFaults  = 2
	leastLinks   = 5
	leastPieces  = 20 // of files that have lives
	leastInACall = 20 // sections that were published in one call, by servers that do so
)

func (r *run) report(v *verdicts, counts map[string]int, sections int) (code int) {
	broken := made(counts)
	printCounts(r.out, counts)
	printCounts(r.out, v.answers)
	fmt.Fprintf(r.out, "%d faults, %d answers judged, %d sections since the last restore, %d untrue\n", broken, v.checked, sections, len(v.untrue))
	fmt.Fprintf(r.out, "%d sections were published in one call, %d of them in turn\n", v.inOneCall, v.inTurn)
	fmt.Fprintf(r.out, "%d sections were published in runs, and %d answers are of what is published on a condition\n", v.inRuns, v.onConditions)
	fmt.Fprintf(r.out, "%d publications and reads put in order\n", v.ordered)
	fmt.Fprintf(r.out, "%d writes below dlm lock, %d of them refused by their token\n", v.written, v.refusedWrites)
	fmt.Fprintf(r.out, "%d reads and pieces of files that have lives\n", v.pieces)
	fmt.Fprintf(r.out, "%d links of a chain, each by who had read those before\n", v.linked)
	for _, void := range v.void {
		fmt.Fprintln(r.out, "VOID", void)
	}
	for i, a := range v.untrue {
		if i == 50 {
			fmt.Fprintf(r.out, "and %d more\n", len(v.untrue)-i)
			break
		}
		fmt.Fprintf(r.out, "UNTRUE (%s) %s\n", a.checker, a.text)
	}
	idle := r.reportEffects(counts)
	switch {
	case len(v.untrue) > 0:
		return 1
	case len(idle) > 0:
		fmt.Fprintln(r.out, "never seen to do anything:", strings.Join(idle, ", "))
		return 2
	case v.checked < leastAnswers || broken < leastFaults || v.linked < leastLinks || v.pieces < leastPieces && r.l.bin.earlier == "" ||
		v.inOneCall < leastInACall && r.l.bin.earlier == "" || tooFewUpgrades(r.l, counts):
		fmt.Fprintln(r.out, "too little happened to prove anything")
		return 2
	case v.unordered > v.ordered:
		fmt.Fprintln(r.out, "too little has an order that could be found")
		return 2
	}
	return 0
}
