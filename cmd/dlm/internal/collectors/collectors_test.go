package collectors_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	_ "go.etcd.io/etcd/server/v3/embed"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/collectors"
)

// What etcd's server has registered while it was initialised waited, and is there once it is asked
// for.
func TestEtcd(t *testing.T) {
	t.Parallel()
	r, ok := prometheus.DefaultRegisterer.(*collectors.Registry)
	if !ok {
		t.Fatalf("the default registerer is a %T", prometheus.DefaultRegisterer)
	}
	if n := r.Waiting(); n < 100 {
		t.Errorf("%d collectors wait, want etcd's", n)
	}
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"go_", "process_", "etcd_server_", "etcd_mvcc_", "etcd_disk_"} {
		if !slices.ContainsFunc(families, func(f *dto.MetricFamily) bool { return strings.HasPrefix(f.GetName(), prefix) }) {
			t.Errorf("there are no metrics %s*", prefix)
		}
	}
	if n := r.Waiting(); n != 0 {
		t.Errorf("%d collectors wait after they were asked for", n)
	}
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	under := prometheus.NewRegistry()
	r := collectors.New(under, under)
	gauge := func(name string) prometheus.Gauge { return prometheus.NewGauge(prometheus.GaugeOpts{Name: name}) }
	one, two, three := gauge("one"), gauge("two"), gauge("three")
	count := func(from prometheus.Gatherer) int {
		t.Helper()
		families, err := from.Gather()
		if err != nil {
			t.Fatal(err)
		}
		return len(families)
	}

	r.MustRegister(one, two)
	if n := count(under); n != 0 {
		t.Errorf("%d registered at once", n)
	}
	if n := count(r); n != 2 {
		t.Errorf("%d gathered, want 2", n)
	}
	r.MustRegister(three)
	if err := r.Register(gauge("three")); !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
		t.Errorf("one that waits, registered again: %v", err)
	}
	r.MustRegister(gauge("four"))
	if !r.Unregister(two) || r.Unregister(two) {
		t.Error("Unregister does not say whether there was one")
	}
	if n := count(r); n != 3 {
		t.Errorf("%d gathered, want one, three, four", n)
	}

	r.MustRegister(one)
	defer func() {
		if recover() == nil {
			t.Error("no panic though one is registered twice")
		}
	}()
	_, _ = r.Gather()
}
