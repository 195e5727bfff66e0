package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/bench"
	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/process"
	"github.com/distributed-lock-manager/dlm/cmd/internal/heap"
	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
)

// benchCommand is `dlm bench`.
type benchCommand struct {
	*streams
	conn   connection
	cfg    bench.Config
	builds []string // ours and theirs
	dir    string   // for their data
	secure bool     // ours
	watch  bool     // ours
	asJSON bool
}

func newBench(s *streams) *cobra.Command {
	b := &benchCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "bench [flags]",
		Short: "Measure a server under load",
		Long: `Measure a server under closed-loop load: so many clients, each of which begins an operation when its last one has
ended. The locks and files are new ones under "bench/". The files stay, so use a server whose data can be thrown away.

Workloads:
  own      acquire and release, each client a lock of its own
  one      acquire and release, all clients the same lock
  try      acquire and release the same lock if it is free, go on if not
  mixed    60% own; 20% one and 20% try on a lock that 16 clients share
  append   records of 256 bytes, in sections of 10, each client to a file of its own;
           at the end all files are read back and checked while the clock runs
  publish  sections of one record of 256 bytes, each published in one call, all clients to one
           lock, each to a file of its own; read back and checked as with append
  idle     sessions that do nothing but stay alive; --clients is how many
  waiters  a queue on one lock that builds up and is drained; --clients is how many wait

With --against, each slice on dlm is followed by the same slice on the other system, and the ratios are those of such
pairs, with the 95 % interval of their median. For etcd these are the mutex of its own client and, for append and
publish, plain puts; a server with embedded etcd opens the port for it with cluster.client-listen. Redis, ZooKeeper and
PostgreSQL are measured by the program dlm-bench-peers, which must be beside this one or on the PATH.

With --against dlm, a build of dlm is measured beside another one, by this program: for each pair a server of either is
started, with an embedded etcd and fresh data, and by turns one and the other is first. --endpoints is of no use then.
Neither build may be this program's own file, whose code a server would have in common with the load. With --secure the
first of them knows its clients by TLS, and has a policy of 1,000 rules. With --watched its metrics are scraped each
second, and a web page of it is open.

docs/benchmarks.md says what the columns are, and what was measured.`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return b.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&b.cfg.Workloads, "workload", []string{"own", "one"}, "what to do, separated by commas")
	flags.IntSliceVar(&b.cfg.Clients, "clients", []int{1, 16, 128}, "how many clients, separated by commas: each is measured")
	flags.IntVar(&b.cfg.Connections, "connections", 8, "how many connections the clients share; a client has one at most")
	flags.DurationVar(&b.cfg.TTL, "ttl", 30*time.Second, "TTL of the sessions; idle ones are renewed each third of it")
	flags.DurationVar(&b.cfg.Duration, "duration", 5*time.Second, "how long the clock runs in one slice")
	flags.DurationVar(&b.cfg.Warmup, "warmup", time.Second, "how long the load runs before the clock does")
	flags.IntVar(&b.cfg.Runs, "runs", 5, "how many slices, whose medians are printed")
	flags.IntVar(&b.cfg.Overlap, "overlap", 1, "append: how many records of its section a client appends at once")
	flags.StringVar(&b.cfg.Against, "against", "", "what to measure beside it: "+strings.Join(bench.Rivals(), ", "))
	flags.StringSliceVar(&b.cfg.EtcdEndpoints, "etcd-endpoints", []string{"127.0.0.1:2379"},
		"etcd client ports, separated by commas")
	flags.StringSliceVar(&b.builds, "builds", nil, "two builds of dlm, as NEW,OLD: programs in files of their own")
	flags.BoolVar(&b.secure, "secure", false, "the first of these has client certificates, made for it, and a policy of 1,000 rules")
	flags.BoolVar(&b.watch, "watched", false, "the first of these is scraped each second, and has a page open")
	flags.StringVar(&b.dir, "data-dir", "", "where the servers of these keep their data (default: where temporary files are)")
	flags.StringVar(&b.cfg.Peer.Endpoint, "peer-endpoint", "",
		"where the other system listens, a host:port or for PostgreSQL a URL (default: its usual port on this machine)")
	flags.Float64Var(&b.cfg.Bar, "bar", 0, "fail if a ratio's 95 % interval ends below this, say 0.97; 0: never")
	flags.IntSliceVar(&b.cfg.ServerPIDs, "server-pid", nil,
		"process ids of the servers if they run on this machine, to print what they use")
	flags.BoolVar(&b.asJSON, "json", false, "print JSON, one object a row")
	b.conn.flags(cmd)
	return cmd
}

func (b *benchCommand) run(ctx context.Context) error {
	heap.Roomy(load.Heap)
	conn, err := b.conn.config(b.cfg.TTL, "")
	if err != nil {
		return err
	}
	b.cfg.Endpoints, b.cfg.ConnectTimeout, b.cfg.Way = conn.Endpoints, conn.ConnectTimeout, direct(conn)
	if len(b.builds) == 2 {
		programs := bench.Programs{Ours: b.builds[0], Theirs: b.builds[1], Secure: b.secure, Watched: b.watch, Dir: b.dir, Stderr: b.err}
		b.cfg.Builds = programs.Start
	}
	if b.secure && (b.cfg.Builds == nil || b.cfg.Against != bench.DLM) {
		return usagef("--secure is for --against dlm with --builds")
	}
	if b.watch && (b.cfg.Builds == nil || b.cfg.Against != bench.DLM || b.secure) {
		return usagef("--watched is for --against dlm with --builds, and not together with --secure")
	}
	if err := b.cfg.Check(); err != nil {
		return usagef("%v", err)
	}
	switch b.cfg.Against {
	case bench.Redis, bench.ZooKeeper, bench.Postgres:
		program, err := bench.FindPeers()
		if err != nil {
			return err
		}
		b.cfg.Peer.Program, b.cfg.Peer.Stderr = program, b.err
	}
	signals := process.Catch()
	defer signals.Release()
	ctx, stop := signals.Context(ctx)
	defer stop()
	// A second signal stops it at once.
	defer context.AfterFunc(ctx, signals.Release)()

	report := newBenchReport(b.streams, b.asJSON, b.cfg.Bar)
	err = bench.Run(ctx, b.cfg, report)
	return orSignal(ctx, errors.Join(err, report.close()))
}
