package bench_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

var (
	pairs = flag.Int("pairs", 2, "how many times TestCLI runs each command")
	bar   = flag.Float64("bar", 0, "the ratio to etcdctl above which TestCLI fails; 0: none")
)

// TestCLI measures what it costs to run `true` under a lock: the time that passes, and the CPU time
// of all processes, by `dlm lock`, and by `etcdctl lock` on the same etcd, whose data is on disk.
// Beside them flock, which needs no server, and `dlm version`, which shows what of it is the start
// of the program. They take turns, so that what else the machine does meets all of them; a ratio is
// the median of those of each turn. `make bench-cli` has it do so 20 times.
func TestCLI(t *testing.T) {
	client := storetest.FreeAddr(t)
	bin, endpoint := serve(t, "--cluster-client-listen", client)
	etcdctl := filepath.Join(t.TempDir(), "etcdctl")
	build := exec.CommandContext(t.Context(), "go", "build", "-modfile", "tools/etcdutl/go.mod", "-o", etcdctl, "go.etcd.io/etcd/etcdctl/v3")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build etcdctl: %v\n%s", err, out)
	}
	commands := []struct {
		name string
		argv []string
	}{
		{"dlm lock", []string{bin, "lock", "--endpoints", endpoint, "cli", "true"}},
		{"etcdctl lock", []string{etcdctl, "lock", "--endpoints", client, "cli", "true"}},
		{"dlm version", []string{bin, "version"}},
	}
	if flock, err := exec.LookPath("flock"); err == nil {
		commands = append(commands, struct {
			name string
			argv []string
		}{"flock", []string{flock, filepath.Join(t.TempDir(), "lock"), "true"}})
	}
	wall, cpu := map[string][]time.Duration{}, map[string][]time.Duration{}
	for range *pairs {
		for _, c := range commands {
			w, u := run(t, c.argv)
			wall[c.name], cpu[c.name] = append(wall[c.name], w), append(cpu[c.name], u)
		}
	}
	for _, c := range commands {
		t.Logf("%-14s %v, %v of CPU", c.name, median(wall[c.name]), median(cpu[c.name]))
	}
	for name, took := range map[string]map[string][]time.Duration{"time": wall, "CPU time": cpu} {
		ratios := make([]float64, *pairs)
		for i := range ratios {
			ratios[i] = float64(took["dlm lock"][i]) / float64(took["etcdctl lock"][i])
		}
		ratio := median(ratios)
		t.Logf("dlm lock takes %.2f of the %s that etcdctl lock does", ratio, name)
		if *bar > 0 && ratio > *bar {
			t.Errorf("%s: %.2f, the bar is %.2f", name, ratio, *bar)
		}
	}
}

// run returns how long a command took, and how much CPU time it and its children did.
func run(t *testing.T, argv []string) (wall, cpu time.Duration) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("%q: %v", argv, err)
	}
	return time.Since(began), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

func median[T time.Duration | float64](of []T) T {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
