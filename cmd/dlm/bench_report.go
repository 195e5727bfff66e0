package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
)

// progressEvery is how often the progress is shown anew.
const progressEvery = 250 * time.Millisecond

// clearLine moves a terminal's cursor to the beginning of its line and clears the line.
const clearLine = "\r\x1b[K"

// benchReport prints the rows of a benchmark, JSON at once and a table at the end, and on a
// terminal its progress.
type benchReport struct {
	*streams
	asJSON bool
	bar    float64 // what the ratios are to reach; 0: nothing
	rows   []load.Row

	mu    sync.Mutex
	what  string      // the slice that runs; empty: none
	meter *load.Meter // nil: its clock does not run, or it cannot be seen
	since time.Time   // when it was first seen

	stop    chan struct{}
	showing sync.WaitGroup
}

func newBenchReport(s *streams, asJSON bool, bar float64) *benchReport {
	r := &benchReport{streams: s, asJSON: asJSON, bar: bar, stop: make(chan struct{})}
	if term.IsTerminal(int(s.err.Fd())) {
		r.showing.Go(r.show)
	}
	return r
}

// Slice notes what runs now.
func (r *benchReport) Slice(system, workload string, clients, slice int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.what, r.meter = fmt.Sprintf("%s, %s, %d clients, run %d", system, workload, clients, slice), nil
}

// Meter notes that the clock of the slice runs.
func (r *benchReport) Meter(m *load.Meter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.meter, r.since = m, time.Now()
}

// Rows takes rows that are ready.
func (r *benchReport) Rows(rows []load.Row) error {
	if !r.asJSON {
		r.rows = append(r.rows, rows...)
		return nil
	}
	for _, row := range rows {
		if err := json.NewEncoder(r.out).Encode(row); err != nil {
			return err
		}
	}
	return nil
}

// close ends the progress and prints the tables of what was measured, even if that is not all.
func (r *benchReport) close() error {
	close(r.stop)
	r.showing.Wait()
	if len(r.rows) == 0 {
		return nil
	}
	if err := writeTable(r.out, benchTable(r.rows)); err != nil {
		return err
	}
	ratios := ratioTable(r.rows, r.bar)
	if len(ratios) == 1 {
		return nil
	}
	if _, err := fmt.Fprintln(r.out); err != nil {
		return err
	}
	return writeTable(r.out, ratios)
}

// show shows the progress until the report is closed.
func (r *benchReport) show() {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			fmt.Fprint(r.err, clearLine+r.progress())
		case <-r.stop:
			fmt.Fprint(r.err, clearLine)
			return
		}
	}
}

func (r *benchReport) progress() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.meter == nil {
		return r.what
	}
	ran := time.Since(r.since)
	return fmt.Sprintf("%s: %.0f/s for %.1f s", r.what, float64(r.meter.Count())/max(ran.Seconds(), 0.001), ran.Seconds())
}

// benchTable leaves out the columns of which nothing is known.
func benchTable(rows []load.Row) [][]string {
	var cpu, perClient bool
	for _, r := range rows {
		cpu = cpu || r.ServerPeak > 0
		perClient = perClient || r.ServerPerClient > 0
	}
	head := []string{"SYSTEM", "WORKLOAD", "CLIENTS", "CONNECTIONS", "OPS/S", "P50 MS", "P99 MS", "MAX MS"}
	if cpu {
		head = append(head, "SERVER CPU S", "OF S", "SERVER PEAK MB")
	}
	if perClient {
		head = append(head, "SERVER BYTES/CLIENT")
	}
	table := [][]string{head}
	for _, r := range rows {
		line := []string{
			r.System, r.Workload, strconv.Itoa(r.Clients), strconv.Itoa(r.Connections), decimal(r.OpsPerS, 0),
			decimal(float64(r.P50)/1e3, 2), decimal(float64(r.P99)/1e3, 2), decimal(float64(r.Max)/1e3, 2),
		}
		if cpu {
			line = append(line, known(r.ServerPeak > 0, decimal(r.ServerCPU, 2)), decimal(r.Seconds, 1),
				known(r.ServerPeak > 0, decimal(float64(r.ServerPeak)/1e6, 1)))
		}
		if perClient {
			line = append(line, known(r.ServerPerClient > 0, decimal(r.ServerPerClient, 0)))
		}
		table = append(table, line)
	}
	return table
}

// ratioTable shows what was measured in pairs.
func ratioTable(rows []load.Row, bar float64) [][]string {
	head := []string{"RATIO", "WORKLOAD", "CLIENTS", "OPS/S", "95 % FROM", "TO"}
	if bar > 0 {
		head = append(head, "REACHES "+strconv.FormatFloat(bar, 'g', -1, 64))
	}
	table := [][]string{append(head, "P50", "OPS/S PAIR BY PAIR", "P50 PAIR BY PAIR")}
	for _, r := range rows {
		if r.Against == "" {
			continue
		}
		line := []string{
			r.System + "/" + r.Against, r.Workload, strconv.Itoa(r.Clients),
			decimal(r.Ratio, 3), decimal(r.RatioLow, 3), decimal(r.RatioHigh, 3),
		}
		if bar > 0 {
			reaches := "no"
			if r.Reaches(bar) {
				reaches = "yes"
			}
			line = append(line, reaches)
		}
		table = append(table, append(line, decimal(r.P50Ratio, 3), decimals(r.Ratios), decimals(r.P50Ratios)))
	}
	return table
}

func decimal(f float64, places int) string { return strconv.FormatFloat(f, 'f', places, 64) }

func decimals(all []float64) string {
	var texts []string
	for _, f := range all {
		texts = append(texts, decimal(f, 2))
	}
	return strings.Join(texts, " ")
}

func known(is bool, text string) string {
	if !is {
		return "-"
	}
	return text
}
