package load

// Row is one line of the result, and what the program that measures other systems prints. Latencies
// are microseconds.
type Row struct {
	System      string  `json:"system"`
	Workload    string  `json:"workload"`
	Clients     int     `json:"clients"`
	Connections int     `json:"connections"`
	OpsPerS     float64 `json:"ops_per_s"`
	P50         int64   `json:"p50_us"`
	P99         int64   `json:"p99_us"`
	Max         int64   `json:"max_us"`
	Seconds     float64 `json:"seconds"` // how long the clock ran
	Ops         int64   `json:"ops"`
	Runs        int     `json:"runs,omitempty"` // how many slices the row is the median of

	// Known of a server whose process could be looked at.

	ServerCPU       float64 `json:"server_cpu_s,omitempty"`            // seconds, while the clock ran
	ServerPeak      int64   `json:"server_peak_bytes,omitempty"`       // resident memory
	ServerPerClient float64 `json:"server_bytes_per_client,omitempty"` // what its resident memory grew by for each session or waiter

	// Of a system that was measured beside another: its figure divided by the other's, pair by
	// pair, their median, and the 95 % interval of that.

	Against   string    `json:"against,omitempty"`
	Ratio     float64   `json:"ops_ratio,omitempty"`
	RatioLow  float64   `json:"ops_ratio_low,omitempty"`
	RatioHigh float64   `json:"ops_ratio_high,omitempty"`
	Ratios    []float64 `json:"ops_ratios,omitempty"`
	P50Ratio  float64   `json:"p50_ratio,omitempty"`
	P50Ratios []float64 `json:"p50_ratios,omitempty"`
}

// Reaches reports whether the ratio may be as high as the bar: whether its interval ends at the bar
// or above. It does not show that the ratio is as high: a wide interval reaches a lot.
func (r Row) Reaches(bar float64) bool { return r.RatioHigh >= bar }
