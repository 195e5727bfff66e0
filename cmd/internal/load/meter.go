package load

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is the longest latency that is told apart.
const longest = 10 * time.Minute

// Meter collects latencies. It is safe for concurrent use.
type Meter struct {
	mu   sync.Mutex
	hist *hdrhistogram.Histogram
	max  time.Duration // of what was cut off, too
}

// NewMeter makes an empty meter.
func NewMeter() *Meter {
	return &Meter{hist: hdrhistogram.New(1, longest.Microseconds(), 3)}
}

// Add records one operation.
func (m *Meter) Add(took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.max = max(m.max, took)
	// What is out of its range is brought into it, so that it never fails.
	_ = m.hist.RecordValue(min(max(took, time.Microsecond), longest).Microseconds())
}

// Cut notes an operation that had taken so long when it was cut off.
func (m *Meter) Cut(after time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.max = max(m.max, after)
}

// Count is how many operations were recorded.
func (m *Meter) Count() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.hist.TotalCount()
}

// Row is the row of one slice in which the clock ran so long.
func (m *Meter) Row(elapsed time.Duration) Row {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := Row{
		Seconds: elapsed.Seconds(),
		Ops:     m.hist.TotalCount(),
		// The histogram rounds up.
		P50: min(m.hist.ValueAtQuantile(50), m.max.Microseconds()),
		P99: min(m.hist.ValueAtQuantile(99), m.max.Microseconds()),
		Max: m.max.Microseconds(),
	}
	if elapsed > 0 {
		r.OpsPerS = float64(r.Ops) / elapsed.Seconds()
	}
	return r
}
