package load

// Row is one line of the result, and what the program that measures other systems prints. Latencies are microseconds.
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

	// Of a system that was measured beside another: its figure divided by the other's, pair by pair, and their median.

	Against   string    `json:"against,omitempty"`
	Ratio     float64   `json:"ops_ratio,omitempty"`
	Ratios    []float64 `json:"ops_ratios,omitempty"`
	P50Ratio  float64   `json:"p50_ratio,omitempty"`
	P50Ratios []float64 `json:"p50_ratios,omitempty"`
}
