package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
)

// Bars.
const (
	longest    = time.Second     // without a cycle's end
	victimTTL  = 2 * time.Second // of the holder that is killed
	passedOn   = victimTTL + 2*time.Second
	settles    = 30 * time.Second // until the memory is given back
	aboveIdle  = 32 << 20         // what may be kept of it, beside twice what there was
	logBytes   = 2 << 20
	terminates = 20 * time.Second // the server's drain, and something
	looks      = 5 * time.Second  // for a new client to find what it wants
)

// runner runs floods, one after the other.
type runner struct {
	options
	dir     string
	binary  string
	control *server
}

// build builds the server.
func build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "dlm")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/distributed-lock-manager/dlm/cmd/dlm").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
}

// measured is a row of the table.
type measured struct {
	flood         flood
	outcome       outcome
	p50, p99, gap time.Duration
	control       time.Duration // its p50
	failures      int           // cycles that failed
	idle, peak    int64
	after         int64 // 0: it was not waited for
	logged        int64
	passedOn      time.Duration // of a killed holder's lock; 0: nobody was killed
	faults        []string      // what else is wrong
}

// one runs one flood against a server of its own, and then the control. An error says that it could
// not be run.
func (r *runner) one(ctx context.Context, f flood) (m measured, err error) {
	m.flood = f
	s, err := startServer(ctx, r.binary, r.dir, f.files, r.server)
	if err != nil {
		return m, err
	}
	defer s.discard()
	h, err := beginHonest(s.addr)
	defer h.process.kill()
	if err != nil {
		return m, err
	}
	if err := h.warm(ctx, 50); err != nil {
		return m, fmt.Errorf("%w\n%s", err, s.lastLines())
	}
	lasts := r.lasts
	if !r.short {
		lasts = max(lasts, f.least)
	}
	quiet := time.Now()
	pause(ctx, 200*time.Millisecond)
	if f.same {
		pause(ctx, lasts)
	}
	if m.idle, err = r.control.memory(); err != nil {
		return m, err
	}
	s.peak.Store(0)
	logged := s.logged()
	began, ended, err := r.flood(ctx, s, lasts, &m)
	if err != nil {
		return m, err
	}
	if f.same {
		pause(ctx, lasts)
	}
	r.look(ctx, s, &m)
	last := time.Now()
	m.logged, m.peak = s.logged()-logged, s.peak.Load()
	cycles := h.all()
	during := underWay(cycles, began, ended)
	m.p50, m.p99, m.gap = percentile(during, 0.5), percentile(during, 0.99), longestGap(cycles, began, last)
	for _, c := range cycles {
		if c.err != "" && c.ended.After(began) {
			m.failures++
		}
	}
	if f.same {
		m.control = percentile(slices.Sorted(slices.Values(append(underWay(cycles, quiet, began), underWay(cycles, ended, last)...))), 0.5)
	}
	h.process.quit(ctx)
	if s.running() {
		if err := s.terminate(ctx, terminates); err != nil {
			m.faults = append(m.faults, fmt.Sprintf("SIGTERM: %v", err))
		}
	}
	if !f.same {
		if m.control, err = r.beside(ctx, float64(m.outcome.CPU)/float64(max(1, m.outcome.Lasted)), r.lasts/2); err != nil {
			return m, err
		}
	}
	return m, ctx.Err()
}

// flood runs the flood's process, and returns when it began to flood and until when that counts.
func (r *runner) flood(ctx context.Context, s *server, lasts time.Duration, m *measured) (began, ended time.Time, err error) {
	p := &process{name: "the flood"}
	lines, read := toLines(2)
	args := self("flood", "-name", m.flood.name, "-addr", s.addr, "-for", lasts.String(), fmt.Sprintf("-short=%v", r.short))
	if err := p.start(meek(args), nil, read, "GOMAXPROCS=1"); err != nil {
		return began, ended, err
	}
	defer p.kill()
	if _, err := says(ctx, p, lines, preparing+10*time.Second); err != nil {
		if s.running() {
			return began, ended, err
		}
		m.faults = append(m.faults, "it did not live through the preparation")
		return time.Now(), time.Now(), nil
	}
	var v *victim
	if m.flood.death {
		if v, err = newVictim(ctx, s.addr); err != nil {
			return began, ended, err
		}
		defer v.bury()
	}
	began = time.Now()
	if _, err := fmt.Fprintln(p.input, "flood"); err != nil {
		return began, ended, err
	}
	said, err := says(ctx, p, lines, lasts+20*time.Second)
	switch {
	case ctx.Err() != nil:
		return began, ended, ctx.Err()
	case err == nil:
		err = json.Unmarshal([]byte(said), &m.outcome)
	case !s.running(): // it may have noticed
		err = nil
	}
	if err != nil {
		return began, ended, err
	}
	ended = time.Now().Add(m.flood.after)
	if v != nil {
		if m.passedOn, err = v.die(ctx); err != nil {
			m.faults = append(m.faults, err.Error())
		}
	}
	_ = p.wait(ctx, 10*time.Second)
	pause(ctx, time.Until(ended))
	return began, ended, nil
}

// look looks at what the flood has left: whether the server lives, whether it still serves, and its
// memory.
func (r *runner) look(ctx context.Context, s *server, m *measured) {
	if s.running() {
		if err := fresh(ctx, s.addr); err != nil {
			m.faults = append(m.faults, err.Error())
		}
	}
	for began := time.Now(); s.running() && !r.short; pause(ctx, 100*time.Millisecond) {
		m.after, _ = s.memory() // it may just end
		if m.after <= 2*m.idle+aboveIdle || time.Since(began) > settles || ctx.Err() != nil {
			break
		}
	}
	switch {
	case s.running():
	case s.tooLarge.Load():
		m.faults = append(m.faults, "killed, for it took more than 3 GB")
	default:
		m.faults = append(m.faults, "the server ended")
		fmt.Fprintf(r.err, "the end of the server's log: %s\n", s.lastLines())
	}
}

// fresh has a new client lock, and a new watch see it.
func fresh(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*looks)
	defer cancel()
	c, err := client.Open(client.Config{Endpoints: []string{addr}, Label: "fresh", ConnectTimeout: looks})
	if err != nil {
		return err
	}
	defer c.Close()
	const lock = "fresh/lock"
	seen, watched := make(chan struct{}), make(chan struct{})
	watching, stop := context.WithCancel(ctx)
	go func() {
		defer close(watched)
		for e, err := range c.Watch(watching, "fresh/") {
			if err != nil {
				return
			}
			if !e.GetInitial() {
				close(seen)
				return
			}
		}
	}()
	defer func() { stop(); <-watched }()
	var failed error
	locked := false
	for began := time.Now(); time.Since(began) < looks; pause(ctx, 50*time.Millisecond) {
		select {
		case <-seen:
			return nil
		default:
		}
		lctx, end := context.WithTimeout(ctx, looks)
		err := c.Do(lctx, lock, func(context.Context, *client.Lock) error { return nil })
		end()
		locked, failed = locked || err == nil, errors.Join(failed, err)
	}
	if !locked {
		return fmt.Errorf("a new client could not lock within %v: %w", looks, failed)
	}
	return fmt.Errorf("a new watch saw no change within %v", looks)
}

// begin starts the control, and has it serve for so long that it has what a server keeps of memory.
func (r *runner) begin(ctx context.Context) (err error) {
	if r.control, err = startServer(ctx, r.binary, r.dir, 0, r.server); err != nil {
		return err
	}
	h, err := beginHonest(r.control.addr)
	defer h.process.kill()
	if err != nil {
		return err
	}
	defer h.process.quit(ctx)
	return h.warm(ctx, 2000)
}

// beside returns the p50 of an honest client beside a process that burns so much of a processor.
func (r *runner) beside(ctx context.Context, part float64, lasts time.Duration) (time.Duration, error) {
	h, err := beginHonest(r.control.addr)
	defer h.process.kill()
	if err != nil {
		return 0, err
	}
	b := &process{name: "the burning process"}
	_, read := toLines(0)
	if err := b.start(meek(self("burn", "-part", fmt.Sprint(min(part, 1)))), nil, read, "GOMAXPROCS=1"); err != nil {
		return 0, err
	}
	defer b.kill()
	defer h.process.quit(ctx) // who is killed keeps its lock for a while
	if err := h.warm(ctx, 50); err != nil {
		return 0, err
	}
	began := time.Now()
	pause(ctx, lasts)
	return percentile(underWay(h.all(), began, time.Now()), 0.5), ctx.Err()
}

// victim is an honest holder that is going to be killed, and the one that waits for its lock.
type victim struct {
	process *process
	next    *client.Client
	cancel  context.CancelFunc
	granted chan error
}

func newVictim(ctx context.Context, addr string) (*victim, error) {
	const lock = "victim/lock"
	v := &victim{process: &process{name: "the holder"}, granted: make(chan error, 1)}
	lines, read := toLines(1)
	if err := v.process.start(self("hold", "-addr", addr, "-lock", lock), nil, read); err != nil {
		return nil, err
	}
	_, err := says(ctx, v.process, lines, 20*time.Second)
	if err == nil {
		v.next, err = client.Open(client.Config{Endpoints: []string{addr}, Label: "next"})
	}
	if err != nil {
		v.process.kill()
		return nil, err
	}
	ctx, v.cancel = context.WithCancel(ctx)
	go func() {
		_, err := v.next.Lock(ctx, lock)
		v.granted <- err
	}()
	return v, nil
}

// die kills the holder, and returns how long its lock took to be passed on.
func (v *victim) die(ctx context.Context) (time.Duration, error) {
	select {
	case err := <-v.granted:
		return 0, errors.Join(errors.New("the holder lost its lock while it lived"), err)
	default:
	}
	began := time.Now()
	v.process.kill()
	const most = 30 * time.Second
	select {
	case err := <-v.granted:
		return time.Since(began), err
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(most):
		return most, nil
	}
}

func (v *victim) bury() {
	v.cancel()
	v.process.kill()
	_ = v.next.Close()
}

// removeAll removes what a run has written.
func (r *runner) removeAll() {
	if r.control != nil {
		r.control.discard()
	}
	_ = os.RemoveAll(r.dir)
}
