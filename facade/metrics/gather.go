package metrics

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// fresh is how long an answer counts as new: however many ask, all is gathered no more often.
const fresh = 250 * time.Millisecond

// Gatherer returns what /metrics shows: the server's own metrics, and what others in this process
// have registered by default: Go's, and etcd's if it runs in this process. If it does not, its
// metrics are there all the same, of a member that does nothing, and are left out.
//
// The names of the two parts have nothing in common, so that no metric comes twice.
func (m *Metrics) Gatherer(etcd bool) prometheus.Gatherer {
	others := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := prometheus.DefaultGatherer.Gather()
		if !etcd {
			families = slices.DeleteFunc(families, func(f *dto.MetricFamily) bool {
				return !strings.HasPrefix(f.GetName(), "go_") && !strings.HasPrefix(f.GetName(), "process_")
			})
		}
		return families, err
	})
	return &once{from: prometheus.Gatherers{m.own, others}}
}

// once gathers for whoever asks, no more often than fresh.
type once struct {
	from prometheus.Gatherer

	mu       sync.Mutex
	at       time.Time
	families []*dto.MetricFamily
	err      error
}

func (o *once) Gather() ([]*dto.MetricFamily, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.at) >= fresh {
		o.families, o.err = o.from.Gather()
		o.at = time.Now()
	}
	return o.families, o.err
}
