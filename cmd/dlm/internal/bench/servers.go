package bench

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
)

// userHZ is the unit of CPU times in /proc: a constant of Linux, whatever the kernel's own clock.
const userHZ = 100

// servers looks at the processes of dlm's servers for one slice, by /proc.
type servers struct {
	pids []int
	cpu  float64 // at the start of the clock, then what was used while it ran
	err  error   // the first
}

// newServers refuses processes that cannot be looked at. The peak of their memory counts from here
// on, where the system lets one process say so for another.
func newServers(pids []int) (*servers, error) {
	s := &servers{pids: pids}
	for _, pid := range pids {
		_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
	}
	if _, err := s.memory("VmHWM"); err != nil {
		return nil, err
	}
	_, err := s.cpuSeconds()
	return s, err
}

// clock measures the CPU time that is used while the clock runs.
func (s *servers) clock(started func(*load.Meter)) load.Clock {
	return load.Clock{Start: func(m *load.Meter) { s.start(); started(m) }, Stop: s.stop}
}

func (s *servers) start() { s.cpu = s.now() }
func (s *servers) stop()  { s.cpu = s.now() - s.cpu }

func (s *servers) now() float64 {
	cpu, err := s.cpuSeconds()
	s.err = errors.Join(s.err, err)
	return cpu
}

// fill puts what was found into a row.
func (s *servers) fill(row *load.Row) error {
	row.ServerCPU = s.cpu
	peak, err := s.memory("VmHWM")
	row.ServerPeak = peak
	return errors.Join(s.err, err)
}

// resident is the memory of all of them, in bytes; 0 without any.
func (s *servers) resident() int64 {
	bytes, err := s.memory("VmRSS")
	s.err = errors.Join(s.err, err)
	return bytes
}

// memory sums up one line of /proc/PID/status, in bytes.
func (s *servers) memory(line string) (int64, error) {
	var sum int64
	for _, pid := range s.pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, fmt.Errorf("look at process %d: %w", pid, err)
		}
		_, after, _ := strings.Cut(string(text), "\n"+line+":")
		after, _, _ = strings.Cut(after, "kB")
		kb, err := strconv.ParseInt(strings.TrimSpace(after), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("look at process %d: %s: %w", pid, line, err)
		}
		sum += kb << 10
	}
	return sum, nil
}

// cpuSeconds is the CPU time that they have used, in user and in kernel mode.
func (s *servers) cpuSeconds() (float64, error) {
	var ticks int64
	for _, pid := range s.pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, fmt.Errorf("look at process %d: %w", pid, err)
		}
		// The second field is the program's name in parentheses, in which anything may be.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		const utime, stime = 11, 12 // counted from the third
		if len(fields) <= stime {
			return 0, fmt.Errorf("look at process %d: %d fields in stat", pid, len(fields))
		}
		for _, field := range fields[utime : stime+1] {
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("look at process %d: %w", pid, err)
			}
			ticks += n
		}
	}
	return float64(ticks) / userHZ, nil
}
