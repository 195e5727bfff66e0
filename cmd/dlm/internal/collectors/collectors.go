package collectors

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

//nolint:gochecknoinits // what it is before is initialisation
func init() {
	r := New(prometheus.DefaultRegisterer, prometheus.DefaultGatherer)
	prometheus.DefaultRegisterer, prometheus.DefaultGatherer = r, r
}

// Registry is a registry some of whose collectors wait. It is safe for concurrent use.
type Registry struct {
	to   prometheus.Registerer
	from prometheus.Gatherer

	mu      sync.Mutex
	waiting []prometheus.Collector
}

// New makes a registry of another one's two sides.
func New(to prometheus.Registerer, from prometheus.Gatherer) *Registry {
	return &Registry{to: to, from: from}
}

// MustRegister registers collectors at the next call of another method, which is what panics if
// they cannot be.
func (r *Registry) MustRegister(collectors ...prometheus.Collector) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, collectors...)
}

// Register registers a collector.
func (r *Registry) Register(collector prometheus.Collector) error {
	r.settle()
	return r.to.Register(collector)
}

// Unregister undoes a registration, and says whether there was one.
func (r *Registry) Unregister(collector prometheus.Collector) bool {
	r.settle()
	return r.to.Unregister(collector)
}

// Gather has the metrics of all collectors.
func (r *Registry) Gather() ([]*dto.MetricFamily, error) {
	r.settle()
	return r.from.Gather()
}

// settle registers those that wait.
func (r *Registry) settle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	waiting := r.waiting
	r.waiting = nil
	r.to.MustRegister(waiting...)
}
