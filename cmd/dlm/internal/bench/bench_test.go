package bench_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/bench"
	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watcher keeps what it is told.
type watcher struct {
	slices []string
	meters int
	rows   []load.Row
}

func (w *watcher) Slice(system, workload string, clients, run int) {
	w.slices = append(w.slices, fmt.Sprintf("%s %s %d %d", system, workload, clients, run))
}
func (w *watcher) Meter(*load.Meter) { w.meters++ }
func (w *watcher) Rows(rows []load.Row) error {
	w.rows = append(w.rows, rows...)
	return nil
}

func config(endpoints ...string) bench.Config {
	return bench.Config{
		Endpoints:      endpoints,
		ConnectTimeout: 10 * time.Second,
		Workloads:      []string{load.Own},
		Clients:        []int{3},
		Connections:    2,
		TTL:            10 * time.Second,
		Duration:       200 * time.Millisecond,
		Runs:           1,
		Overlap:        1,
	}
}

// measured runs a measurement, again if a busy machine let nothing end in one of its short slices.
func measured(t *testing.T, cfg bench.Config) (w watcher) {
	t.Helper()
	for range 10 {
		w = watcher{}
		if err := bench.Run(t.Context(), cfg, &w); err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(w.rows, func(r load.Row) bool { return r.Ops == 0 }) {
			break
		}
	}
	return w
}

func TestEveryWorkload(t *testing.T) {
	node := facadetest.Start(t, facadetest.WithFacades(2))
	for _, workload := range slices.Concat(load.Cycles(), load.Records(), []string{bench.Waiters}) {
		t.Run(workload, func(t *testing.T) {
			cfg := config(node.Addrs()...)
			cfg.Workloads = []string{workload}
			cfg.ServerPIDs = pids(t)
			w := measured(t, cfg)
			if len(w.rows) != 1 || w.meters != 1 {
				t.Fatalf("%d rows, %d meters, want one of each", len(w.rows), w.meters)
			}
			r := w.rows[0]
			if r.System != "dlm" || r.Workload != workload || r.Clients != 3 || r.Connections != 2 || r.Runs != 1 {
				t.Errorf("row %+v", r)
			}
			if r.Ops == 0 || r.P99 == 0 || r.Max < r.P50 {
				t.Errorf("nothing was measured: %+v", r)
			}
			if (r.ServerPeak > 0) != (len(cfg.ServerPIDs) > 0) {
				t.Errorf("peak of the server's memory: %d", r.ServerPeak)
			}
		})
	}
}

func TestIdle(t *testing.T) {
	node := facadetest.Start(t)
	cfg := config(node.Addr())
	cfg.Workloads, cfg.Clients, cfg.TTL = []string{bench.Idle}, []int{101}, 2*time.Second
	w := measured(t, cfg)
	if r := w.rows[0]; r.System != "dlm" || r.Clients != 101 || r.Connections != 2 || r.Ops == 0 {
		t.Errorf("row %+v", r)
	}
	left, err := node.Etcd().Get(t.Context(), "/dlm/sessions/", clientv3.WithPrefix())
	if err != nil || left.Count != 0 {
		t.Errorf("%d sessions were not closed, %v", left.Count, err)
	}
}

func TestInterrupted(t *testing.T) {
	node := facadetest.Start(t)
	for _, workload := range bench.Workloads() {
		cfg := config(node.Addr())
		cfg.Workloads, cfg.Duration = []string{workload}, time.Hour
		ctx, cancel := context.WithCancel(t.Context())
		err := bench.Run(ctx, cfg, interrupter{&watcher{}, cancel})
		cancel()
		// A drain may be over before it notices.
		if !errors.Is(err, context.Canceled) && workload != bench.Waiters {
			t.Errorf("%s: %v", workload, err)
		}
	}
}

// interrupter ends the measurement when its clock runs.
type interrupter struct {
	*watcher
	cancel context.CancelFunc
}

func (i interrupter) Meter(*load.Meter) { i.cancel() }

// pids is this process, where it can be looked at.
func pids(t *testing.T) []int {
	t.Helper()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return nil
	}
	return []int{os.Getpid()}
}

func TestAgainstEtcd(t *testing.T) {
	node := facadetest.Start(t)
	// The ratio means nothing here: this etcd is not dlm's.
	rival, err := embedded.Start(t.Context(), embedded.Config{
		DataDir: t.TempDir(), ClientListen: "127.0.0.1:0", UnsafeNoFsync: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rival.Close() })
	cfg := config(node.Addr())
	cfg.Workloads = append(load.Cycles(), load.Records()...)
	cfg.Runs, cfg.Duration = 2, 100*time.Millisecond
	cfg.Against, cfg.EtcdEndpoints = bench.Etcd, []string{rival.ClientAddr()}
	w := measured(t, cfg)
	if got, want := strings.Join(w.slices[:4], ", "), "dlm own 3 1, etcd own 3 1, dlm own 3 2, etcd own 3 2"; got != want {
		t.Errorf("slices %s, want %s", got, want)
	}
	if len(w.rows) != 2*len(cfg.Workloads) {
		t.Fatalf("%d rows", len(w.rows))
	}
	for i := 0; i < len(w.rows); i += 2 {
		ours, theirs := w.rows[i], w.rows[i+1]
		if ours.System != "dlm" || theirs.System != bench.Etcd || theirs.Ops == 0 || theirs.Runs != 2 || theirs.Connections != 2 {
			t.Errorf("rows %+v, %+v", ours, theirs)
		}
		if ours.Against != bench.Etcd || len(ours.Ratios) != 2 || len(ours.P50Ratios) != 2 || theirs.Against != "" {
			t.Errorf("ratios of %+v, %+v", ours, theirs)
		}
		if want := (ours.Ratios[0] + ours.Ratios[1]) / 2; ours.Ratio != want {
			t.Errorf("ratio %v, want the median %v of %v", ours.Ratio, want, ours.Ratios)
		}
	}
	left, err := rival.Client().Get(t.Context(), "/dlm-bench/", clientv3.WithPrefix())
	if err != nil || left.Count != 0 {
		t.Errorf("%d keys are left in etcd, %v", left.Count, err)
	}
}

func TestAgainstAnotherBuild(t *testing.T) {
	node, rival := facadetest.Start(t), facadetest.Start(t)
	cfg := config(node.Addr())
	cfg.Against = bench.DLM
	var started, stopped int
	cfg.Builds = func(_ context.Context, theirsFirst bool) (servers [2]bench.Server, stop func() error, err error) {
		if theirsFirst != (started%2 == 1) {
			t.Errorf("run %d: theirs is first: %v", started, theirsFirst)
		}
		servers = [2]bench.Server{{Endpoint: node.Addr()}, {Endpoint: rival.Addr()}}
		if theirsFirst {
			slices.Reverse(servers[:])
		}
		started++
		return servers, func() error { stopped++; return nil }, nil
	}
	cfg.Workloads, cfg.Duration, cfg.Runs = []string{load.Own, load.Append}, 100*time.Millisecond, 2
	w := measured(t, cfg)
	if started%4 != 0 || stopped != started {
		t.Errorf("servers started %d times and stopped %d times, want each anew for every run", started, stopped)
	}
	if got, want := strings.Join(w.slices[:4], ", "),
		"dlm own 3 1, other-dlm own 3 1, other-dlm own 3 2, dlm own 3 2"; got != want {
		t.Errorf("slices %s, want %s", got, want)
	}
	for i := 0; i < len(w.rows); i += 2 {
		ours, theirs := w.rows[i], w.rows[i+1]
		if theirs.System != ours.Against || theirs.Runs != 2 || len(ours.Ratios) != 2 {
			t.Errorf("rows %+v, %+v", ours, theirs)
		}
		if ours.RatioLow > ours.Ratio || ours.Ratio > ours.RatioHigh {
			t.Errorf("ratio %v outside of %v to %v", ours.Ratio, ours.RatioLow, ours.RatioHigh)
		}
	}
	for _, node := range []*facadetest.Node{node, rival} {
		files, err := node.Etcd().Get(t.Context(), "/dlm/files/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil || files.Count == 0 {
			t.Errorf("no files, %v: nothing was appended there", err)
		}
	}
}

func TestBar(t *testing.T) {
	node := facadetest.Start(t)
	cfg := config(node.Addr())
	cfg.Against, cfg.Builds, cfg.Bar = bench.DLM, nobody(bench.Server{Endpoint: node.Addr()}, nil), 1e9
	cfg.Clients, cfg.Duration = []int{1, 2}, 50*time.Millisecond
	var w watcher
	err := bench.Run(t.Context(), cfg, &w)
	if !errors.Is(err, bench.ErrBelowBar) || !strings.Contains(err.Error(), "own with 1 clients") || !strings.Contains(err.Error(), "own with 2 clients") {
		t.Errorf("%v, want both below the bar", err)
	}
	if len(w.rows) != 4 {
		t.Errorf("%d rows, want all four", len(w.rows))
	}
}

// nobody starts no server: whatever is measured is the same one.
func nobody(s bench.Server, err error) bench.Builds {
	return func(context.Context, bool) ([2]bench.Server, func() error, error) {
		return [2]bench.Server{s, s}, func() error { return nil }, err
	}
}

func TestBuildsFail(t *testing.T) {
	cfg, broken := config("127.0.0.1:1"), errors.New("broken")
	cfg.Against, cfg.Builds = bench.DLM, nobody(bench.Server{}, broken)
	if err := bench.Run(t.Context(), cfg, &watcher{}); !errors.Is(err, broken) {
		t.Errorf("servers that do not start: %v", err)
	}
	dir := t.TempDir()
	silent := filepath.Join(dir, "silent")
	if err := os.WriteFile(silent, []byte("#!/bin/sh\necho hello\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{silent, filepath.Join(dir, "nothing")} {
		p := bench.Programs{Ours: program, Theirs: program, Dir: dir, Stderr: t.Output()}
		if _, _, err := p.Start(t.Context(), false); err == nil {
			t.Errorf("%s: no error", program)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "dlm-bench.*")); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAgainstAProgram(t *testing.T) {
	node := facadetest.Start(t)
	program := filepath.Join(t.TempDir(), "peers")
	script := func(text string) {
		t.Helper()
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cfg := config(node.Addr())
	cfg.Against, cfg.Peer = bench.Redis, bench.Peer{Program: program, Endpoint: "there:1", Stderr: t.Output()}
	script(`[ "$*" = "--system redis --endpoint there:1 --workload own --clients 3 --connections 2 --warmup 0s --duration 200ms" ] || exit 9
echo '{"workload":"own","clients":3,"connections":7,"ops_per_s":10,"p50_us":5,"p99_us":6,"max_us":7,"seconds":0.2,"ops":2}'`)
	var w watcher
	if err := bench.Run(t.Context(), cfg, &w); err != nil {
		t.Fatal(err)
	}
	r := w.rows[1]
	if r.System != bench.Redis || r.Connections != 7 || r.OpsPerS != 10 || w.rows[0].Ratio != w.rows[0].OpsPerS/10 {
		t.Errorf("rows %+v", w.rows)
	}
	for _, broken := range []string{"echo no row", "exit 1"} {
		script(broken)
		if err := bench.Run(t.Context(), cfg, &w); err == nil {
			t.Errorf("%s: no error", broken)
		}
	}
	t.Setenv("PATH", filepath.Dir(program))
	if _, err := bench.FindPeers(); !errors.Is(err, bench.ErrNoPeers) {
		t.Errorf("without the program: %v", err)
	}
	beside := filepath.Join(filepath.Dir(program), "dlm-bench-peers")
	if err := os.Rename(program, beside); err != nil {
		t.Fatal(err)
	}
	if path, err := bench.FindPeers(); path != beside {
		t.Errorf("on the PATH: %s, %v", path, err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for name, change := range map[string]func(*bench.Config){
		"workload":         func(c *bench.Config) { c.Workloads = []string{"own", "other"} },
		"no workload":      func(c *bench.Config) { c.Workloads = nil },
		"clients":          func(c *bench.Config) { c.Clients = []int{1, 0} },
		"no clients":       func(c *bench.Config) { c.Clients = nil },
		"connections":      func(c *bench.Config) { c.Connections = 0 },
		"ttl":              func(c *bench.Config) { c.TTL = time.Second },
		"duration":         func(c *bench.Config) { c.Duration = 0 },
		"warm-up":          func(c *bench.Config) { c.Warmup = -1 },
		"runs":             func(c *bench.Config) { c.Runs = 0 },
		"overlap":          func(c *bench.Config) { c.Overlap = 0 },
		"rival":            func(c *bench.Config) { c.Against = "other" },
		"etcd nowhere":     func(c *bench.Config) { c.Against = bench.Etcd },
		"redis' records":   func(c *bench.Config) { c.Against, c.Workloads = bench.Redis, []string{load.Append} },
		"redis' publishes": func(c *bench.Config) { c.Against, c.Workloads = bench.Redis, []string{load.Publish} },
		"redis' sessions":  func(c *bench.Config) { c.Against, c.Workloads = bench.Redis, []string{bench.Idle} },
		"dlm nowhere":      func(c *bench.Config) { c.Against = bench.DLM },
		"bar":              func(c *bench.Config) { c.Against, c.Builds, c.Bar = bench.DLM, nobody(bench.Server{}, nil), -1 },
		"bar alone":        func(c *bench.Config) { c.Bar = 1 },
		"process":          func(c *bench.Config) { c.ServerPIDs = []int{-1} },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config("127.0.0.1:1")
			change(&cfg)
			if err := bench.Run(t.Context(), cfg, &watcher{}); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nowhere := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, workload := range []string{load.Own, bench.Idle, bench.Waiters} {
		cfg := config(nowhere)
		cfg.Workloads, cfg.ConnectTimeout = []string{workload}, 200*time.Millisecond
		if err := bench.Run(t.Context(), cfg, &watcher{}); err == nil {
			t.Errorf("%s: no error", workload)
		}
	}
	node := facadetest.Start(t)
	cfg := config(node.Addr())
	cfg.Against, cfg.EtcdEndpoints, cfg.ConnectTimeout = bench.Etcd, []string{nowhere}, 500*time.Millisecond
	if err := bench.Run(t.Context(), cfg, &watcher{}); err == nil {
		t.Error("etcd: no error")
	}
}

// BenchmarkSlice measures a server in this process, so that a profile shows both sides of the wire.
// An iteration is a slice of a quarter of a second.
func BenchmarkSlice(b *testing.B) {
	node := facadetest.Start(b, facadetest.WithFsync())
	for _, workload := range []string{load.Own, load.One, load.Append} {
		for _, clients := range []int{1, 16, 128} {
			b.Run(fmt.Sprintf("%s/%d", workload, clients), func(b *testing.B) {
				cfg := config(node.Addr())
				cfg.Workloads, cfg.Clients, cfg.Connections = []string{workload}, []int{clients}, 8
				cfg.Duration, cfg.Runs = 250*time.Millisecond, b.N
				var w watcher
				if err := bench.Run(b.Context(), cfg, &w); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(w.rows[0].OpsPerS, "ops/s")
				b.ReportMetric(float64(w.rows[0].P50), "p50-us")
			})
		}
	}
}
