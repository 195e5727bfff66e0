package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/distributed-lock-manager/dlm/cmd/internal/heap"
	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
)

// connectTimeout bounds the search for a server.
const connectTimeout = 10 * time.Second

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintf(stderr, "dlm-bench-peers: %v\n", err)
		return 64
	}
	heap.Roomy(load.Heap)
	row, err := p.measure(ctx)
	if err == nil {
		err = json.NewEncoder(stdout).Encode(row)
	}
	if err != nil {
		fmt.Fprintf(stderr, "dlm-bench-peers: %s: %v\n", p.system, err)
		return 1
	}
	return 0
}

// peer is what is to be measured.
type peer struct {
	system, endpoint string
	connections      int
	slice            load.Slice
}

// endpoints is where each system listens by itself.
func endpoints() map[string]string {
	return map[string]string{
		"redis":     "127.0.0.1:6379",
		"zookeeper": "127.0.0.1:2181",
		"postgres":  "postgres://127.0.0.1:5432/postgres",
	}
}

func parse(args []string, stderr io.Writer) (peer, error) {
	var p peer
	flags := flag.NewFlagSet("dlm-bench-peers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&p.system, "system", "", "redis, zookeeper or postgres")
	flags.StringVar(&p.endpoint, "endpoint", "", "host:port, or for postgres a URL (default: the system's usual port on this machine)")
	flags.StringVar(&p.slice.Workload, "workload", load.Own, fmt.Sprintf("one of %q", load.Cycles()))
	flags.IntVar(&p.slice.Clients, "clients", 1, "how many clients")
	flags.IntVar(&p.connections, "connections", 8, "how many connections they share, where the system allows it")
	flags.DurationVar(&p.slice.Warmup, "warmup", time.Second, "how long the load runs before the clock does")
	flags.DurationVar(&p.slice.Duration, "duration", 5*time.Second, "how long the clock runs")
	if err := flags.Parse(args); err != nil {
		return p, err
	}
	usual, ok := endpoints()[p.system]
	switch {
	case flags.NArg() > 0:
		return p, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case !ok:
		return p, fmt.Errorf("no system %q", p.system)
	case p.connections < 1:
		return p, fmt.Errorf("%d connections, want at least 1", p.connections)
	case !slices.Contains(load.Cycles(), p.slice.Workload):
		return p, fmt.Errorf("no workload %q", p.slice.Workload)
	}
	if p.endpoint == "" {
		p.endpoint = usual
	}
	return p, p.slice.Check()
}

// measure measures one slice.
func (p peer) measure(ctx context.Context) (row load.Row, err error) {
	sys, err := p.open(ctx)
	if err != nil {
		return load.Row{}, err
	}
	defer func() { err = errors.Join(err, sys.Close()) }()
	row, err = load.Run(ctx, p.slice, sys, load.Clock{})
	row.System = p.system
	return row, err
}

func (p peer) open(ctx context.Context) (load.System, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	switch p.system {
	case "redis":
		return openRedis(ctx, p.endpoint, p.slice.Clients, p.connections)
	case "zookeeper":
		return openZooKeeper(ctx, p.endpoint, p.slice.Clients, p.connections)
	}
	return openPostgres(ctx, p.endpoint)
}
