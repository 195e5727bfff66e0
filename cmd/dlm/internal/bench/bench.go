package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
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
)

const own = "dlm"

// minTTL is what a server grants.
const minTTL = 2 * time.Second

// Workloads lists all workloads.
func Workloads() []string { return append(load.Cycles(), load.Append, Idle, Waiters) }

// Rivals lists what dlm can be measured against.
func Rivals() []string { return []string{Etcd, Redis, ZooKeeper, Postgres} }

// Config says what is measured.
type Config struct {
	Endpoints      []string // dlm's servers; the connections are spread over them
	ConnectTimeout time.Duration
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
		if w == load.Append && c.Against != "" && c.Against != Etcd {
			fault("%s keeps no records to compare with the workload %q", c.Against, w)
		}
		if slices.Contains([]string{Idle, Waiters}, w) && c.Against != "" {
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
	if c.TTL < minTTL {
		fault("a TTL of %v, want at least %v", c.TTL, minTTL)
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
	return errors.Join(faults...)
}

// Watcher is told how the measurement goes on. Its methods are called one after another.
type Watcher interface {
	// Slice begins: of a system, the nth run of so many. meter fills once the clock runs; nil while it cannot be seen.
	Slice(system, workload string, clients, run int)
	Meter(m *load.Meter)
	// Rows are the medians of one workload with one number of clients: dlm's, then the other system's, if there is one.
	Rows(rows []load.Row) error
}

// Run measures. Errors: those of Check, those of a system, and that of ctx.
func Run(ctx context.Context, cfg Config, w Watcher) error {
	if err := cfg.Check(); err != nil {
		return err
	}
	if _, err := newServers(cfg.ServerPIDs); err != nil {
		return err
	}
	for _, workload := range cfg.Workloads {
		for _, clients := range cfg.Clients {
			rows, err := cfg.pairs(ctx, workload, clients, w)
			if err != nil {
				return fmt.Errorf("%s with --clients %d: %w", workload, clients, err)
			}
			if err := w.Rows(rows); err != nil {
				return err
			}
		}
	}
	return nil
}

// pairs measures dlm and the other system in turn.
func (c Config) pairs(ctx context.Context, workload string, clients int, w Watcher) ([]load.Row, error) {
	var ours, theirs []load.Row
	slice := load.Slice{Workload: workload, Clients: clients, Warmup: c.Warmup, Duration: c.Duration, Overlap: c.Overlap}
	for n := range c.Runs {
		w.Slice(own, workload, clients, n+1)
		row, err := c.slice(ctx, slice, w)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", own, err)
		}
		row.System = own
		ours = append(ours, row)
		if c.Against == "" {
			continue
		}
		w.Slice(c.Against, workload, clients, n+1)
		row, err = c.rival(ctx, slice, w)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Against, err)
		}
		row.System = c.Against
		theirs = append(theirs, row)
	}
	rows := []load.Row{median(ours)}
	if c.Against != "" {
		rows = append(rows, median(theirs))
		compare(&rows[0], ours, theirs)
	}
	return rows, nil
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

// rival measures the other system once.
func (c Config) rival(ctx context.Context, s load.Slice, w Watcher) (row load.Row, err error) {
	if c.Against != Etcd {
		return c.Peer.slice(ctx, c.Against, c.Connections, s)
	}
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
		Label:          "dlm bench",
	})
}
