package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	lockservice "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
)

// Config is what metrics are made of.
type Config struct {
	Prefixes                     []string // of lock names, that have a number of their own
	Version, Revision, GoVersion string   // of this build
}

// Metrics are a server's. They can be used before the server is there, see Watch.
type Metrics struct {
	classes classes
	own     *prometheus.Registry
	watched atomic.Pointer[Sources]

	grants                     []prometheus.Counter // by class
	publishes                  [][]prometheus.Counter
	waits                      [][]prometheus.Observer
	holds                      [][]prometheus.Observer
	losses, evictions, parted  []prometheus.Counter // by etcdstore.End
	handover, commits, batches prometheus.Observer
	failures                   prometheus.Counter
	stale, limits, auth        *prometheus.CounterVec
	methods                    map[string]*method
	unknown                    *method
	calls                      *prometheus.CounterVec
	took                       *prometheus.HistogramVec
}

var _ etcdstore.Observer = (*Metrics)(nil)

// method is what is counted of one method. What is not there is made when it is needed first.
type method struct {
	name  string
	took  atomic.Pointer[prometheus.Observer]
	codes [codes.Unauthenticated + 1]atomic.Pointer[prometheus.Counter]
}

// New returns metrics of which nothing has happened yet.
func New(cfg Config) *Metrics {
	m := &Metrics{classes: newClasses(cfg.Prefixes), own: prometheus.NewRegistry(), methods: map[string]*method{}}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.own.MustRegister(v)
		return v
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		m.own.MustRegister(v)
		return v
	}
	grants := counter("dlm_grants_total", "Grants of locks, hand-overs included.", "prefix")
	publishes := counter("dlm_publishes_total", "Publishes of sections in one call, by what came of them.", "prefix", "outcome")
	waits := histogram("dlm_wait_seconds", "How long acquires took, by what came of them.", long(), "prefix", "outcome")
	holds := histogram("dlm_hold_seconds", "How long locks were held, by how that ended.", long(), "prefix", "outcome")
	for _, prefix := range m.classes.names {
		m.grants = append(m.grants, grants.WithLabelValues(prefix))
		counts := make([]prometheus.Counter, etcdstore.Conflict+1)
		for outcome := range counts {
			counts[outcome] = publishes.WithLabelValues(prefix, publishText(etcdstore.PublishOutcome(outcome)))
		}
		m.publishes = append(m.publishes, counts)
		of := make([]prometheus.Observer, etcdstore.Cancelled+1)
		for outcome := range of {
			of[outcome] = waits.WithLabelValues(prefix, outcomeText(etcdstore.Outcome(outcome)))
		}
		m.waits = append(m.waits, of)
		of = make([]prometheus.Observer, etcdstore.EndElsewhere+1)
		for _, how := range ends() {
			of[how] = holds.WithLabelValues(prefix, holdText(how))
		}
		m.holds = append(m.holds, of)
	}
	losses := counter("dlm_losses_total", "Holds that were taken away, or that ended with their session.", "reason")
	evictions := counter("dlm_evictions_total", "Holds that were taken away.", "reason")
	parted := counter("dlm_sessions_ended_total", "Sessions that ended, by why.", "reason")
	m.losses, m.evictions, m.parted = make([]prometheus.Counter, etcdstore.EndElsewhere+1), make([]prometheus.Counter, etcdstore.EndElsewhere+1),
		make([]prometheus.Counter, etcdstore.EndElsewhere+1)
	for _, how := range ends() {
		switch how {
		case etcdstore.EndClosed, etcdstore.EndLingered, etcdstore.EndRevoked, etcdstore.EndExpired, etcdstore.EndElsewhere:
			m.parted[how] = parted.WithLabelValues(how.String())
			m.losses[how] = losses.WithLabelValues(how.String())
		case etcdstore.EndEvicted, etcdstore.EndDeadline, etcdstore.EndAbandoned:
			m.evictions[how] = evictions.WithLabelValues(how.String())
			m.losses[how] = losses.WithLabelValues(how.String())
		}
	}
	m.handover = histogram("dlm_handover_seconds", "From when the end of a section was asked for until it had passed the lock on.", short()).WithLabelValues()
	m.commits = histogram("dlm_commit_seconds", "How long etcd took to commit a batch of transactions.", short()).WithLabelValues()
	m.batches = histogram("dlm_batch_transactions", "How many transactions shared a commit.", prometheus.ExponentialBuckets(1, 2, 13)).WithLabelValues()
	m.failures = counter("dlm_commit_failures_total", "Commits that etcd did not answer, or refused.").WithLabelValues()
	m.stale = counter("dlm_refused_stale_total", "Calls under a token or a session that is not valid any more.", "reason")
	m.limits = counter("dlm_limit_refusals_total", "Calls and connections that were refused by a limit.", "limit")
	m.auth = counter("dlm_auth_refusals_total", "Calls that were refused for who made them.", "reason")
	for _, reason := range []string{"LOCK_EXPIRED", "SESSION_EXPIRED", "OUTCOME_UNKNOWN"} {
		m.stale.WithLabelValues(reason)
	}
	for _, reason := range []string{unauthenticated, denied} {
		m.auth.WithLabelValues(reason)
	}
	m.limits.WithLabelValues("calls") // or nothing would show that there is such a metric
	m.calls = counter("dlm_calls_total", "Calls that have ended.", "method", "code")
	m.took = histogram("dlm_call_seconds", "How long calls took that do not wait.", short(), "method")
	for _, service := range []grpc.ServiceDesc{
		dlmv1.LockService_ServiceDesc, lockservice.LockService_ServiceDesc, healthpb.Health_ServiceDesc,
		reflectionpb.ServerReflection_ServiceDesc, reflectionv1alpha.ServerReflection_ServiceDesc,
	} {
		for _, desc := range service.Methods {
			m.methods["/"+service.ServiceName+"/"+desc.MethodName] = &method{name: service.ServiceName + "/" + desc.MethodName}
		}
		for _, desc := range service.Streams {
			m.methods["/"+service.ServiceName+"/"+desc.StreamName] = &method{name: service.ServiceName + "/" + desc.StreamName}
		}
	}
	m.unknown = &method{name: "unknown"}
	m.calls.WithLabelValues(m.unknown.name, codes.Unimplemented.String())
	m.took.WithLabelValues(m.unknown.name)
	m.own.MustRegister(newState(m, cfg))
	return m
}

// The whys of Refused that are about who calls.
const (
	unauthenticated = "UNAUTHENTICATED"
	denied          = "PERMISSION_DENIED"
)

// short are the buckets of what etcd, or the network, takes.
func short() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
}

// long are those of what people's work takes.
func long() []float64 {
	return []float64{.001, .01, .1, .5, 1, 5, 15, 60, 300, 900, 3600, 14400, 86400}
}

func ends() (all []etcdstore.End) {
	for how := etcdstore.EndReleased; how <= etcdstore.EndElsewhere; how++ {
		all = append(all, how)
	}
	return all
}

func outcomeText(o etcdstore.Outcome) string {
	switch o {
	case etcdstore.Granted:
		return "granted"
	case etcdstore.Busy:
		return "busy"
	case etcdstore.Cancelled:
		return "cancelled"
	}
	return "failed"
}

func publishText(o etcdstore.PublishOutcome) string {
	switch o {
	case etcdstore.Published:
		return "published"
	case etcdstore.Occupied:
		return "busy"
	case etcdstore.Withdrawn:
		return "withdrawn"
	case etcdstore.Conflict:
		return "conflict"
	}
	return "failed"
}

// holdText is an end in a few words: why it was, other metrics say.
func holdText(how etcdstore.End) string {
	switch how {
	case etcdstore.EndReleased, etcdstore.EndDiscarded:
		return how.String()
	case etcdstore.EndEvicted, etcdstore.EndDeadline, etcdstore.EndAbandoned:
		return "evicted"
	}
	return "lost"
}

// Acquired counts an acquire.
func (m *Metrics) Acquired(lock string, outcome etcdstore.Outcome, took time.Duration) {
	m.waits[m.classes.of(lock)][outcome].Observe(took.Seconds())
}

// PublishEnded counts a publish.
func (m *Metrics) PublishEnded(lock string, outcome etcdstore.PublishOutcome) {
	m.publishes[m.classes.of(lock)][outcome].Inc()
}

// Granted counts a grant.
func (m *Metrics) Granted(lock string) { m.grants[m.classes.of(lock)].Inc() }

// HandedOver counts a hand-over.
func (m *Metrics) HandedOver(took time.Duration) { m.handover.Observe(took.Seconds()) }

// HoldEnded counts the end of a hold.
func (m *Metrics) HoldEnded(lock string, how etcdstore.End, held time.Duration) {
	if held >= 0 && how != etcdstore.EndElsewhere {
		m.holds[m.classes.of(lock)][how].Observe(held.Seconds())
	}
	for _, counts := range [][]prometheus.Counter{m.losses, m.evictions} {
		if counts[how] != nil {
			counts[how].Inc()
		}
	}
}

// SessionEnded counts the end of a session.
func (m *Metrics) SessionEnded(how etcdstore.End) { m.parted[how].Inc() }

// Committed counts a batch.
func (m *Metrics) Committed(transactions int, took time.Duration, err error) {
	m.commits.Observe(took.Seconds())
	m.batches.Observe(float64(transactions))
	if err != nil {
		m.failures.Inc()
	}
}

// Called counts a call that has ended.
func (m *Metrics) Called(c facade.Called) {
	of := m.methods[c.Method]
	if of == nil {
		of = m.unknown
	}
	m.count(of, c.Code)
	if !c.Lasts {
		m.time(of, c.Took)
	}
	if c.Stale != "" {
		m.stale.WithLabelValues(c.Stale).Inc()
	}
}

func (m *Metrics) count(of *method, code codes.Code) {
	if int(code) >= len(of.codes) { // of a later gRPC
		code = codes.Unknown
	}
	at := &of.codes[code]
	counter := at.Load()
	if counter == nil {
		c := m.calls.WithLabelValues(of.name, code.String())
		counter = &c
		at.Store(counter)
	}
	(*counter).Inc()
}

func (m *Metrics) time(of *method, took time.Duration) {
	observer := of.took.Load()
	if observer == nil {
		o := m.took.WithLabelValues(of.name)
		observer = &o
		of.took.Store(observer)
	}
	(*observer).Observe(took.Seconds())
}

// Refused counts what was refused: by a limit, by its name, or because of who asks.
func (m *Metrics) Refused(why string) {
	switch why {
	case unauthenticated, denied:
		m.auth.WithLabelValues(why).Inc()
	default:
		m.limits.WithLabelValues(why).Inc()
	}
}
