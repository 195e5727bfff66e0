package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// Store is what is asked how things are: the methods of an etcdstore.Store.
type Store interface {
	Gauges(classes int, classOf func(lock string) int) etcdstore.Gauges
	Faults() etcdstore.Faults
}

// Sources are who is asked how things are, by each scrape.
type Sources struct {
	Store        Store                               // nil: it is not open yet
	Serving      func() bool                         // whether the server is ready
	Stale        func() (certificates, policy error) // as facade.Server's; nil: nobody knows yet
	HighWater    func() int64                        // of an embedded etcd; nil: there is none
	Certificates func() (ends map[string]time.Time)  // by their use; nil: there are none
}

// Watch has scrapes ask others than before.
func (m *Metrics) Watch(s Sources) { m.watched.Store(&s) }

// state are the metrics that are asked for by each scrape.
type state struct {
	m     *Metrics
	build prometheus.Metric

	held, waiters, oldestWait, oldestHold, sessions, silent, staged, watchers      *prometheus.Desc
	expiry, stale                                                                  *prometheus.Desc
	quorum, serving, revision, highWater, lag, pending, folds, sweeps, panics, bad *prometheus.Desc
	unfolded, publishes                                                            *prometheus.Desc
	quota, file, used, ratio, alarm                                                *prometheus.Desc
}

func newState(m *Metrics, cfg Config) *state {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &state{
		m: m,
		build: prometheus.MustNewConstMetric(desc("dlm_build_info", "Always 1: the labels say what runs.", "version", "revision", "goversion"),
			prometheus.GaugeValue, 1, cfg.Version, cfg.Revision, cfg.GoVersion),
		held:       desc("dlm_locks_held", "Locks that are held.", "prefix"),
		waiters:    desc("dlm_waiters", "Places in queues.", "prefix"),
		oldestWait: desc("dlm_oldest_wait_seconds", "How long the one has waited that has waited longest.", "prefix"),
		oldestHold: desc("dlm_oldest_hold_seconds", "How long the lock is held that is held longest.", "prefix"),
		sessions:   desc("dlm_sessions", "Sessions that live."),
		silent:     desc("dlm_silent_holders", "Sessions that hold something and have not been heard of for half of their TTL."),
		staged:     desc("dlm_staged_bytes", "Bytes of records in open sections."),
		watchers:   desc("dlm_watchers", "Watches and tails."),
		expiry:     desc("dlm_certificate_expiry_timestamp_seconds", "When the certificate ends that the server shows.", "use"),
		stale:      desc("dlm_files_stale", "Whether what is in files cannot be used, and what was in them before counts.", "of"),
		quorum:     desc("dlm_quorum", "Whether etcd can commit."),
		serving:    desc("dlm_serving", "Whether the server is ready."),
		revision:   desc("dlm_revision", "The highest revision that etcd has shown."),
		highWater:  desc("dlm_high_water_revision", "The revision above which this member has handed out none."),
		lag:        desc("dlm_mirror_lag_revisions", "How far this server's own changes are ahead of what etcd's watch has told it."),
		pending:    desc("dlm_pending_transactions", "Transactions that wait for the next commit."),
		folds:      desc("dlm_folds_pending", "Locks with published sections that are still to be put into files."),
		sweeps:     desc("dlm_sweeps_pending", "Sections that were undone and whose records are still to be deleted."),
		unfolded:   desc("dlm_sections_unfolded", "Sections that were published in one call and are still to be put into files."),
		publishes:  desc("dlm_publishes_waiting", "Publishes that wait until what was published before them is in files."),
		panics:     desc("dlm_background_panics_total", "Faults in the server's own work that it went on after."),
		bad:        desc("dlm_malformed_keys", "Keys in etcd that no server wrote, or not like this, and that were met."),
		quota:      desc("dlm_space_quota_bytes", "Etcd's quota."),
		file:       desc("dlm_space_file_bytes", "The size of the fullest member's file."),
		used:       desc("dlm_space_used_bytes", "What of it is in use."),
		ratio:      desc("dlm_space_ratio", "How full etcd is, from 0 to 1."),
		alarm:      desc("dlm_space_alarm", "Whether etcd's own alarm is raised."),
	}
}

// Describe sends what there may be.
func (s *state) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		s.build.Desc(), s.held, s.waiters, s.oldestWait, s.oldestHold, s.sessions, s.silent, s.staged, s.watchers, s.expiry, s.stale, s.quorum,
		s.serving, s.revision, s.highWater, s.lag, s.pending, s.folds, s.sweeps, s.unfolded,
		s.publishes, s.panics, s.bad, s.quota, s.file, s.used, s.ratio, s.alarm,
	} {
		ch <- d
	}
}

// Collect sends what is.
func (s *state) Collect(ch chan<- prometheus.Metric) {
	ch <- s.build
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	var from Sources
	if w := s.m.watched.Load(); w != nil {
		from = *w
	}
	gauge(s.serving, number(from.Serving != nil && from.Serving()))
	if from.Certificates != nil {
		for use, end := range from.Certificates() {
			gauge(s.expiry, float64(end.Unix()), use)
		}
	}
	if from.HighWater != nil {
		gauge(s.highWater, float64(from.HighWater()))
	}
	if from.Stale != nil {
		certificates, policy := from.Stale()
		gauge(s.stale, number(certificates != nil), "certificates")
		gauge(s.stale, number(policy != nil), "policy")
	}
	if from.Store == nil {
		gauge(s.quorum, 0)
		return
	}
	classes := s.m.classes
	g, faults := from.Store.Gauges(len(classes.names), classes.of), from.Store.Faults()
	for i, prefix := range classes.names {
		c := g.Classes[i]
		gauge(s.held, float64(c.Held), prefix)
		gauge(s.waiters, float64(c.Waiters), prefix)
		gauge(s.oldestWait, c.OldestWait.Seconds(), prefix)
		gauge(s.oldestHold, c.OldestHold.Seconds(), prefix)
	}
	gauge(s.sessions, float64(g.Sessions))
	gauge(s.silent, float64(g.SilentHolders))
	gauge(s.staged, float64(g.StagedBytes))
	gauge(s.watchers, float64(g.Watchers))
	gauge(s.quorum, number(g.Quorum))
	gauge(s.revision, float64(g.Revision))
	gauge(s.lag, float64(g.Lag))
	gauge(s.pending, float64(g.Pending))
	gauge(s.folds, float64(g.Folds))
	gauge(s.sweeps, float64(g.Sweeps))
	gauge(s.unfolded, float64(g.Unfolded))
	gauge(s.publishes, float64(g.Publishes))
	gauge(s.bad, float64(faults.Malformed))
	ch <- prometheus.MustNewConstMetric(s.panics, prometheus.CounterValue, float64(faults.Panics))
	gauge(s.quota, float64(g.Space.Quota))
	gauge(s.file, float64(g.Space.File))
	gauge(s.used, float64(g.Space.Used))
	gauge(s.ratio, g.Space.Ratio)
	gauge(s.alarm, number(g.Space.Alarm))
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
