package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		if err := runWorker(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	o := options{out: os.Stdout}
	flag.IntVar(&o.faults, "faults", least, "how many faults of each kind hit each subject")
	flag.Uint64Var(&o.seed, "seed", 1, "of the faults and of how long sections work; the interleaving is not repeated")
	flag.StringVar(&o.only, "only", "", "`part` of the names of the subjects that are tried; empty: all are")
	flag.DurationVar(&o.work, "work", 2*time.Second, "how long a section works at most")
	flag.BoolVar(&o.markdown, "markdown", false, "print the table as Markdown")
	flag.Parse()
	if flag.NArg() > 0 || o.faults < 1 || o.work < 100*time.Millisecond {
		fmt.Fprintln(os.Stderr, "no arguments, at least one fault and 100 ms of work")
		os.Exit(64)
	}
	os.Exit(o.compare(context.Background()))
}

type options struct {
	faults   int
	seed     uint64
	only     string
	work     time.Duration
	markdown bool
	out      io.Writer
}

const (
	lanes   = 3  // locks
	crowd   = 3  // workers of each
	least   = 10 // faults of each kind, or a run proves nothing
	longest = 20 * time.Minute
)

// row is what became of one subject.
type row struct {
	subject subject
	note    string // why there is no verdict, or none that counts
	skipped bool   // as it is not installed
	void    bool
	verdict verdict
}

// compare returns the exit code: see the package comment.
func (o options) compare(ctx context.Context) int {
	dir, err := os.MkdirTemp("", "dlm-compare-")
	if err == nil {
		err = os.Chmod(dir, 0o711) // one service may run as somebody else
	}
	var b *builds
	if err == nil {
		b, err = newBuilds(ctx, dir)
	}
	if err != nil {
		fmt.Fprintln(o.out, err)
		return 2
	}
	fmt.Fprintf(o.out, "seed %d; %d faults of each kind; %d locks with %d workers each; sections of up to %v; TTL %v\n", o.seed, o.faults, lanes, crowd, o.work, ttl)
	var rows []row
	for i, s := range subjects() {
		if strings.Contains(strings.ToLower(s.name), strings.ToLower(o.only)) {
			rows = append(rows, o.try(ctx, b, filepath.Join(dir, fmt.Sprint(i)), s))
		}
	}
	fmt.Fprintln(o.out)
	if err := o.print(rows); err != nil {
		fmt.Fprintln(o.out, err)
		return 2
	}
	code := 0
	if len(rows) == 0 {
		fmt.Fprintf(o.out, "no subject's name has %q in it\n", o.only)
		code = 2
	}
	for _, r := range rows {
		if r.void {
			code = 2
		}
	}
	if slices.ContainsFunc(rows, row.bad) {
		code = 1
	}
	if code != 0 {
		fmt.Fprintln(o.out, "logs are in", dir)
	} else {
		_ = os.RemoveAll(dir)
	}
	return code
}

// bad reports whether dlm did what it promises not to do.
func (r row) bad() bool {
	v := r.verdict
	return r.subject.dlm && (v.lost > 0 || v.accepted > 0 || r.subject.own && v.torn > 0)
}

// try tries one subject.
func (o options) try(ctx context.Context, b *builds, dir string, s subject) row {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	began := time.Now()
	settings, v, err := o.run(ctx, b, dir, s)
	tried := row{subject: s, verdict: v}
	var why skipped
	switch {
	case errors.As(err, &why):
		tried.note, tried.skipped = why.Error(), true
	case err != nil:
		tried.note, tried.void = "void: "+err.Error(), true
	case v.acknowledged == 0:
		tried.note, tried.void = "void: no section was acknowledged", true
	default:
		for _, kind := range kinds() {
			if n := v.faults[kind]; n < least {
				tried.note, tried.void = fmt.Sprintf("void: %s only %d times", kind, n), true
			}
		}
	}
	fmt.Fprintf(o.out, "\n%s\n", s.name)
	if settings != "" {
		fmt.Fprintf(o.out, "  %s\n  checked before a write: %s\n", settings, s.check)
	}
	if tried.note != "" {
		fmt.Fprintf(o.out, "  %s\n", tried.note)
	}
	fmt.Fprintf(o.out, "  took %v\n", time.Since(began).Round(time.Second))
	return tried
}

// run is what runs for one subject.
type run struct {
	dir, url string
	subject  subject
	service  *service
	workers  map[string]*member
}

// member is a worker, as the run knows it.
type member struct {
	name, lock string
	proxy      *proxy
	process    *process
}

// run runs one subject, and judges.
func (o options) run(ctx context.Context, b *builds, dir string, s subject) (settings string, v verdict, err error) {
	plain := filepath.Join(dir, "store")
	if err := errors.Join(os.Mkdir(dir, 0o711), os.Mkdir(plain, 0o700)); err != nil {
		return "", v, err
	}
	service, err := s.start(b, dir)
	if err != nil {
		return "", v, err
	}
	defer func() { err = errors.Join(err, service.end()) }()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", v, err
	}
	st := &store{lanes: map[string]*lane{}}
	server := &http.Server{Handler: st}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // until it is closed
	defer serving.Wait()
	defer server.Close()
	r := &run{dir: dir, url: "http://" + listener.Addr().String(), subject: s, service: service, workers: map[string]*member{}}
	var list []*lane
	for i := range lanes {
		l := newLane(fmt.Sprint("lock-", i), plain, o.seed, i, o.work, s.own)
		list = append(list, l)
		st.lanes[l.name] = l
	}
	defer r.close()
	for _, l := range list {
		for i := range crowd {
			p, err := newProxy(service.addr)
			if err != nil {
				return "", v, err
			}
			m := &member{name: fmt.Sprint(l.name, "-worker-", i), lock: l.name, proxy: p}
			r.workers[m.name] = m
			if err := r.start(m); err != nil {
				return "", v, err
			}
		}
	}
	failures := make([]error, lanes)
	var playing sync.WaitGroup
	for i, faults := range schedule(o.seed, o.faults, lanes, o.work) {
		playing.Go(func() { failures[i] = r.play(ctx, list[i], faults) })
	}
	playing.Wait()
	for _, l := range list {
		l.end()
	}
	failures = append(failures, r.finish())
	r.close()
	for _, l := range list {
		h, err := r.ended(ctx, l)
		failures = append(failures, err)
		v.add(judge(h))
	}
	return service.settings, v, errors.Join(failures...)
}

// ended is a lane's history, with the set as it is in the end.
func (r *run) ended(ctx context.Context, l *lane) (h history, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h = l.h
	if !h.own {
		h.final, err = l.sets()
		return h, err
	}
	c, err := client.Open(client.Config{Endpoints: []string{r.service.addr}})
	if err != nil {
		return h, err
	}
	defer c.Close()
	h.final, err = readOwn(ctx, c, l.name)
	return h, err
}

// start starts a worker's process.
func (r *run) start(m *member) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	m.process, err = launch(filepath.Join(r.dir, m.name+".log"), nil, self, "worker", "-subject", r.subject.name, "-lock", m.lock,
		"-name", m.name, "-store", r.url, "-service", m.proxy.addr())
	return err
}

// finish waits until the workers have seen that the run is over. All that was stopped goes on by
// now, so what they were about to write is written.
func (r *run) finish() (err error) {
	deadline := time.Now().Add(patience)
	for _, m := range r.workers {
		if !m.process.await(time.Until(deadline)) {
			err = errors.Join(err, fmt.Errorf("%s did not end", m.name))
		} else if m.process.err != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", m.name, m.process.err))
		}
	}
	return err
}

// close ends what there is of the workers. A repeat changes nothing.
func (r *run) close() {
	for _, m := range r.workers {
		if m.process != nil {
			m.process.end(syscall.SIGKILL)
		}
		m.proxy.close()
	}
}

// print prints the table.
func (o options) print(rows []row) error {
	table := [][]string{{"lock", "acknowledged", "lost", "torn", "stale accepted", "stale refused", "given up", "unavailable, median / worst", "paused / killed / cut off"}}
	for _, r := range rows {
		v := r.verdict
		cells := []string{r.subject.name}
		for _, n := range []int{v.acknowledged, v.lost, v.torn, v.accepted, v.refused, v.gaveUp} {
			cells = append(cells, fmt.Sprint(n))
		}
		cells = append(cells, waits(v.waits), fmt.Sprintf("%d / %d / %d", v.faults[paused], v.faults[killed], v.faults[cutOff]))
		if r.note != "" {
			note, _, _ := strings.Cut(r.note, "\n")
			cells[0] += " (" + note + ")"
		}
		if r.skipped {
			for i := range cells[1:] {
				cells[1+i] = "-"
			}
		}
		table = append(table, cells)
	}
	if o.markdown {
		rule := []string{"---"}
		for range table[0][1:] {
			rule = append(rule, "---:")
		}
		for _, cells := range slices.Insert(table, 1, rule) {
			if _, err := fmt.Fprintf(o.out, "| %s |\n", strings.Join(cells, " | ")); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(o.out, 0, 0, 2, ' ', 0)
	for _, cells := range table {
		if _, err := fmt.Fprintln(w, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return w.Flush()
}

// waits is the median and the worst.
func waits(list []time.Duration) string {
	if len(list) == 0 {
		return "-"
	}
	sorted := slices.Sorted(slices.Values(list))
	return fmt.Sprintf("%.1f s / %.1f s", sorted[len(sorted)/2].Seconds(), sorted[len(sorted)-1].Seconds())
}
