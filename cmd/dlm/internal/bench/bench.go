package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/internal/dial"
)

// The workloads that package load does not know.
const (
	Idle    = "idle"    // sessions that do nothing but stay alive; clients are sessions
	Waiters = "waiters" // a queue that builds up and is drained; clients are waiters
)

// What dlm can be measured against.
const (
	Etcd      = "etcd"
	Redis     = "redis"
	ZooKeeper = "zookeeper"
	Postgres  = "postgres"
	DLM       = "dlm" // servers of another build
)

// What the rows of dlm are called, and those of another build of it.
const (
	own   = "dlm"
	other = "other-dlm"
)

// ErrBelowBar says that a ratio's interval does not reach the bar.
var ErrBelowBar = errors.New("below the bar")

// Workloads lists all workloads.
func Workloads() []string {
	return slices.Concat(load.Cycles(), load.Records(), []string{Idle, Waiters})
}

// Rivals lists what dlm can be measured against.
func Rivals() []string { return []string{Etcd, Redis, ZooKeeper, Postgres, DLM} }

// Config says what is measured.
type Config struct {
	Endpoints      []string // dlm's servers; the connections are spread over them
	ConnectTimeout time.Duration
	Way            dial.Config // by which they are reached
	Workloads      []string
	Clients        []int
	Connections    int           // at most as many as clients are used
	TTL            time.Duration // of the sessions
	Warmup         time.Duration
	Duration       time.Duration
	Runs           int
	Overlap        int // records that a client appends at once

	Against       string   // empty: nothing
	EtcdEndpoints []string // of etcd's own client port
	Peer          Peer     // of the others
	Builds        Builds   // of two builds of dlm
	Bar           float64  // what the ratios' intervals are to reach; 0: nothing

	ServerPIDs []int // processes of dlm's servers on this machine; none: they are not looked at
}

// Check refuses what cannot be measured, with all faults at once.
func (c Config) Check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	for _, w := range c.Workloads {
		if !slices.Contains(Workloads(), w) {
			fault("no workload %q; there are %q", w, Workloads())
		}
		if c.Against == "" || c.Against == DLM {
			continue
		}
		if slices.Contains(load.Records(), w) && c.Against != Etcd {
			fault("%s keeps no records to compare with the workload %q", c.Against, w)
		}
		if slices.Contains([]string{Idle, Waiters}, w) {
			fault("the workload %q has no counterpart in %s", w, c.Against)
		}
	}
	for _, n := range c.Clients {
		if n < 1 {
			fault("%d clients, want at least 1", n)
		}
	}
	if len(c.Workloads) == 0 || len(c.Clients) == 0 {
		fault("no workload, or no number of clients")
	}
	if c.Connections < 1 {
		fault("%d connections, want at least 1", c.Connections)
	}
	if c.TTL < etcdstore.MinTTL {
		fault("a TTL of %v, want at least %v", c.TTL, etcdstore.MinTTL)
	}
	if c.Runs < 1 {
		fault("%d runs, want at least 1", c.Runs)
	}
	if c.Overlap < 1 {
		fault("an overlap of %d, want at least 1", c.Overlap)
	}
	if c.Duration <= 0 || c.Warmup < 0 {
		fault("a duration of %v and a warm-up of %v, want more than 0s and at least 0s", c.Duration, c.Warmup)
	}
	if c.Against != "" && !slices.Contains(Rivals(), c.Against) {
		fault("cannot measure against %q, only against one of %q", c.Against, Rivals())
	}
	if c.Against == Etcd && len(c.EtcdEndpoints) == 0 {
		fault("no endpoint of etcd")
	}
	if c.Against == DLM && c.Builds == nil {
		fault("no other build of dlm")
	}
	if c.Bar < 0 || c.Bar > 0 && c.Against == "" {
		fault("a bar of %v: want one above 0, and something to measure against", c.Bar)
	}
	return errors.Join(faults...)
}

// Watcher is told how the measurement goes on. Its methods are called one after another.
type Watcher interface {
	// Slice begins: of a system, the nth run of so many. meter fills once the clock runs; nil while
	// it cannot be seen.
	Slice(system, workload string, clients, run int)
	Meter(m *load.Meter)
	// Rows are the medians of one workload with one number of clients: dlm's, then the other
	// system's, if there is one.
	Rows(rows []load.Row) error
}

// Run measures. Errors: those of Check, those of a system, that of ctx; and, when all is measured,
// ErrBelowBar.
func Run(ctx context.Context, cfg Config, w Watcher) error {
	if err := cfg.Check(); err != nil {
		return err
	}
	if _, err := newServers(cfg.ServerPIDs); err != nil {
		return err
	}
	var below []error
	for _, workload := range cfg.Workloads {
		for _, clients := range cfg.Clients {
			rows, err := cfg.pairs(ctx, workload, clients, w)
			if err != nil {
				return fmt.Errorf("%s with --clients %d: %w", workload, clients, err)
			}
			if err := w.Rows(rows); err != nil {
				return err
			}
			if r := rows[0]; !r.Reaches(cfg.Bar) {
				below = append(below, fmt.Errorf("%s with %d clients is %w: at most %.3f of %s, not %v",
					workload, clients, ErrBelowBar, r.RatioHigh, r.Against, cfg.Bar))
			}
		}
	}
	return errors.Join(below...)
}

// pairs measures dlm and the other system in turn.
func (c Config) pairs(ctx context.Context, workload string, clients int, w Watcher) ([]load.Row, error) {
	slice := load.Slice{Workload: workload, Clients: clients, Warmup: c.Warmup, Duration: c.Duration, Overlap: c.Overlap}
	measured := map[string][]load.Row{}
	for n := range c.Runs {
		if err := c.run(ctx, n, slice, w, measured); err != nil {
			return nil, err
		}
	}
	rows := []load.Row{median(measured[own])}
	if c.Against != "" {
		theirs := measured[c.rival()]
		rows = append(rows, median(theirs))
		compare(&rows[0], measured[own], theirs)
	}
	return rows, nil
}

// run is the nth run: it measures each system once.
func (c Config) run(ctx context.Context, n int, slice load.Slice, w Watcher, measured map[string][]load.Row) (err error) {
	order := c.order(n)
	configs := map[string]Config{own: c, c.rival(): c}
	if c.Against == DLM {
		servers, stop, err := c.Builds(ctx, order[0] == other)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
		configs[order[0]], configs[order[1]] = c.on(servers[0]), c.on(servers[1])
	}
	for _, system := range order {
		w.Slice(system, slice.Workload, slice.Clients, n+1)
		row, err := configs[system].measure(ctx, system, slice, w)
		if err != nil {
			return fmt.Errorf("%s: %w", system, err)
		}
		row.System = system
		measured[system] = append(measured[system], row)
	}
	return nil
}

// on is what measures one server.
func (c Config) on(s Server) Config {
	c.Endpoints, c.Way, c.ServerPIDs = []string{s.Endpoint}, s.Way, nil
	if s.PID != 0 {
		c.ServerPIDs = []int{s.PID}
	}
	return c
}

// order is which systems the nth run measures, from 0, the first one first. Another system follows
// dlm. Of two builds each is first in every other run, so that neither is favoured by what becomes
// slower or faster all the time, or by being first.
func (c Config) order(n int) []string {
	switch {
	case c.Against == "":
		return []string{own}
	case c.Against == DLM && n%2 == 1:
		return []string{other, own}
	}
	return []string{own, c.rival()}
}

// rival is what the rows of the other system are called.
func (c Config) rival() string {
	if c.Against == DLM {
		return other
	}
	return c.Against
}

// measure measures a system once.
func (c Config) measure(ctx context.Context, system string, s load.Slice, w Watcher) (load.Row, error) {
	switch system {
	case own, other:
		return c.slice(ctx, s, w)
	case Etcd:
		return c.etcdSlice(ctx, s, w)
	}
	return c.Peer.slice(ctx, system, c.Connections, s)
}

// slice measures dlm once.
func (c Config) slice(ctx context.Context, s load.Slice, w Watcher) (load.Row, error) {
	servers, err := newServers(c.ServerPIDs)
	if err != nil {
		return load.Row{}, err
	}
	var row load.Row
	switch s.Workload {
	case Idle:
		row, err = c.idle(ctx, s, servers, w)
	case Waiters:
		row, err = c.waiters(ctx, s, servers, w)
	default:
		row, err = c.looped(ctx, s, servers, w)
	}
	if err == nil {
		err = servers.fill(&row)
	}
	return row, err
}

func (c Config) looped(ctx context.Context, s load.Slice, servers *servers, w Watcher) (row load.Row, err error) {
	sys, err := c.open(s.Clients)
	if err != nil {
		return load.Row{}, err
	}
	defer func() { err = errors.Join(err, sys.Close()) }()
	return load.Run(ctx, s, sys, servers.clock(w.Meter))
}

// etcdSlice measures etcd's mutex once.
func (c Config) etcdSlice(ctx context.Context, s load.Slice, w Watcher) (row load.Row, err error) {
	servers, err := newServers(c.ServerPIDs)
	if err != nil {
		return load.Row{}, err
	}
	sys, err := newEtcd(ctx, c.EtcdEndpoints, min(c.Connections, s.Clients), c.TTL, c.ConnectTimeout)
	if err != nil {
		return load.Row{}, err
	}
	defer func() { err = errors.Join(err, sys.Close()) }()
	if row, err = load.Run(ctx, s, sys, servers.clock(w.Meter)); err == nil {
		err = servers.fill(&row)
	}
	return row, err
}

// client makes the ith of the clients that share the load. Each prefers another server.
func (c Config) client(i int) (*client.Client, error) {
	at := i % len(c.Endpoints)
	return client.Open(client.Config{
		Endpoints:      append(slices.Clone(c.Endpoints[at:]), c.Endpoints[:at]...),
		TTL:            c.TTL,
		ConnectTimeout: c.ConnectTimeout,
		TLS:            c.Way.TLS,
		BearerFile:     c.Way.BearerFile,
		Proxy:          c.Way.Proxy,
		Label:          "dlm bench",
	})
}
