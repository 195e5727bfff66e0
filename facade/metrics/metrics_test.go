package metrics_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc/codes"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/facade"
	"github.com/distributed-lock-manager/dlm/facade/metrics"
)

// gathered returns the values of a server's own metrics, by their names and labels.
func gathered(t *testing.T, m *metrics.Metrics) map[string]float64 {
	t.Helper()
	families, err := m.Gatherer(false).Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, s := range f.GetMetric() {
			if f.GetType() == dto.MetricType_HISTOGRAM {
				values[series(f.GetName(), s)] = float64(s.GetHistogram().GetSampleCount())
			} else {
				values[series(f.GetName(), s)] = s.GetCounter().GetValue() + s.GetGauge().GetValue()
			}
		}
	}
	return values
}

func series(name string, s *dto.Metric) string {
	var labels []string
	for _, l := range s.GetLabel() {
		labels = append(labels, l.GetName()+"="+l.GetValue())
	}
	return name + "{" + strings.Join(labels, ",") + "}"
}

// A lock counts under the longest prefix that is listed, by whole segments, and never under its own
// name.
func TestPrefixes(t *testing.T) {
	m := metrics.New(metrics.Config{Prefixes: []string{"jobs", "jobs/nightly", "a/b/c"}})
	for _, lock := range []string{
		"jobs", "jobs/x", "jobs/nightly", "jobs/nightly/a/b", "jobs2", "jobs/nightly2", "a/b", "a/b/c/d", "a", "", "/", "//", "jobs/", `x"{}` + "\n\xff", strings.Repeat("x/", 1000),
	} {
		m.Granted(lock)
	}
	got := gathered(t, m)
	for name, want := range map[string]float64{"prefix=": 8, "prefix=jobs": 4, "prefix=jobs/nightly": 2, "prefix=a/b/c": 1} {
		if n := got["dlm_grants_total{"+name+"}"]; n != want {
			t.Errorf("%s has %v grants, want %v", name, n, want)
		}
	}
}

func TestWhatHappensIsCounted(t *testing.T) {
	m := metrics.New(metrics.Config{})
	for how := etcdstore.EndReleased; how <= etcdstore.EndElsewhere; how++ {
		m.HoldEnded("l", how, time.Second)
	}
	m.HoldEnded("l", etcdstore.EndReleased, -1) // of which it is not known how long it was
	m.SessionEnded(etcdstore.EndExpired)
	for outcome := range etcdstore.Cancelled + 1 {
		m.Acquired("l", outcome, time.Second)
	}
	for outcome := range etcdstore.Withdrawn + 1 {
		m.PublishEnded("l", outcome)
	}
	m.PublishEnded("l", etcdstore.Published)
	m.HandedOver(time.Millisecond)
	m.Committed(7, time.Millisecond, nil)
	m.Committed(7, time.Millisecond, errors.New("no"))
	m.Called(facade.Called{Method: "/dlm.v1.LockService/Acquire", Code: codes.FailedPrecondition, Stale: "SESSION_EXPIRED", Lasts: true})
	m.Called(facade.Called{Method: "/dlm.v1.LockService/Release", Took: time.Second})
	m.Called(facade.Called{Method: "/of/whoever", Code: codes.Unimplemented})
	m.Called(facade.Called{Method: "/dlm.v1.LockService/Release", Code: 4711})
	m.Refused("waiters")
	m.Refused("PERMISSION_DENIED")
	got := gathered(t, m)
	for name, want := range map[string]float64{
		"dlm_hold_seconds{outcome=released,prefix=}": 1, "dlm_hold_seconds{outcome=discarded,prefix=}": 1,
		"dlm_hold_seconds{outcome=evicted,prefix=}": 3, "dlm_hold_seconds{outcome=lost,prefix=}": 4,
		"dlm_losses_total{reason=evicted}": 1, "dlm_losses_total{reason=deadline}": 1, "dlm_losses_total{reason=abandoned}": 1,
		"dlm_losses_total{reason=closed}": 1, "dlm_losses_total{reason=elsewhere}": 1, "dlm_losses_total{reason=released}": 0,
		"dlm_evictions_total{reason=evicted}": 1, "dlm_evictions_total{reason=deadline}": 1,
		"dlm_sessions_ended_total{reason=expired}": 1, "dlm_sessions_ended_total{reason=closed}": 0,
		"dlm_wait_seconds{outcome=granted,prefix=}": 1, "dlm_wait_seconds{outcome=failed,prefix=}": 1,
		"dlm_publishes_total{outcome=published,prefix=}": 2, "dlm_publishes_total{outcome=busy,prefix=}": 1,
		"dlm_publishes_total{outcome=withdrawn,prefix=}": 1, "dlm_publishes_total{outcome=failed,prefix=}": 1,
		"dlm_handover_seconds{}": 1, "dlm_commit_seconds{}": 2, "dlm_batch_transactions{}": 2, "dlm_commit_failures_total{}": 1,
		"dlm_calls_total{code=FailedPrecondition,method=dlm.v1.LockService/Acquire}": 1,
		"dlm_calls_total{code=Unknown,method=dlm.v1.LockService/Release}":            1,
		"dlm_calls_total{code=Unimplemented,method=unknown}":                         1,
		"dlm_call_seconds{method=dlm.v1.LockService/Acquire}":                        0,
		"dlm_call_seconds{method=dlm.v1.LockService/Release}":                        2,
		"dlm_refused_stale_total{reason=SESSION_EXPIRED}":                            1,
		"dlm_limit_refusals_total{limit=waiters}":                                    1,
		"dlm_auth_refusals_total{reason=PERMISSION_DENIED}":                          1,
		"dlm_quorum{}": 0, "dlm_serving{}": 0,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if _, shown := got["dlm_losses_total{reason=released}"]; shown {
		t.Error("a release is shown among the losses")
	}
}

// What every grant and every call does must leave nothing to be collected.
func TestCountingAllocatesNothing(t *testing.T) {
	m := metrics.New(metrics.Config{Prefixes: []string{"jobs", "jobs/nightly"}})
	for name, f := range map[string]func(){
		"an acquire":  func() { m.Acquired("jobs/nightly/a", etcdstore.Granted, time.Second) },
		"a grant":     func() { m.Granted("jobs/nightly/a") },
		"a publish":   func() { m.PublishEnded("jobs/nightly/a", etcdstore.Published) },
		"a hand-over": func() { m.HandedOver(time.Second) },
		"a release":   func() { m.HoldEnded("other/b", etcdstore.EndReleased, time.Second) },
		"a batch":     func() { m.Committed(3, time.Second, nil) },
		"a call":      func() { m.Called(facade.Called{Method: "/dlm.v1.LockService/Release", Took: time.Second}) },
		"a stranger":  func() { m.Called(facade.Called{Method: "/x/y", Code: codes.Unimplemented}) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func BenchmarkCounting(b *testing.B) {
	m := metrics.New(metrics.Config{Prefixes: []string{"jobs", "jobs/nightly"}})
	b.ReportAllocs()
	for b.Loop() { // what a lock that is taken and released costs
		m.Acquired("jobs/nightly/a", etcdstore.Granted, time.Second)
		m.Granted("jobs/nightly/a")
		m.HoldEnded("jobs/nightly/a", etcdstore.EndReleased, time.Second)
		m.Called(facade.Called{Method: "/dlm.v1.LockService/Acquire", Took: time.Second})
		m.Called(facade.Called{Method: "/dlm.v1.LockService/Release", Took: time.Second})
	}
}

// Nobody's metric comes twice, and of an etcd that does not run here none comes at all.
func TestEtcdsOwn(t *testing.T) {
	has := func(g prometheus.Gatherer, prefix string) bool {
		families, err := g.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if strings.HasPrefix(f.GetName(), prefix) {
				return true
			}
		}
		return false
	}
	prometheus.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "etcd_of_this_test"}))
	m := metrics.New(metrics.Config{})
	for prefix, want := range map[string]bool{"etcd_": true, "go_": true, "process_": true, "dlm_": true} {
		if has(m.Gatherer(true), prefix) != want {
			t.Errorf("with etcd, %s: %v", prefix, !want)
		}
	}
	for prefix, want := range map[string]bool{"etcd_": false, "go_": true, "process_": true, "dlm_": true} {
		if has(m.Gatherer(false), prefix) != want {
			t.Errorf("without etcd, %s: %v", prefix, !want)
		}
	}
}

// Scrapes in quick succession are answered from one.
func TestFloodOfScrapes(t *testing.T) {
	m, asked := metrics.New(metrics.Config{}), 0
	m.Watch(metrics.Sources{Serving: func() bool {
		asked++
		return true
	}})
	g := m.Gatherer(false)
	began := time.Now()
	for range 1000 {
		if _, err := g.Gather(); err != nil {
			t.Fatal(err)
		}
	}
	if most := 2 + int(time.Since(began)/(200*time.Millisecond)); asked > most {
		t.Errorf("1000 scrapes have asked %d times, want at most %d", asked, most)
	}
}
