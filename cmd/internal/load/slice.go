package load

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// The workloads. An operation is a cycle, a try, or a record.
const (
	Own    = "own"    // cycles, each client on a lock of its own
	One    = "one"    // cycles, all clients on one lock
	Try    = "try"    // tries, all clients on one lock
	Mixed  = "mixed"  // of ten operations six own cycles, two on a lock that 16 clients share, two tries of that one
	Append = "append" // records in sections, each client in a file of its own
	// Publish: sections of one record, each published in one call, of one lock, each client in a
	// file of its own.
	Publish = "publish"
)

// What the workloads Append and Publish append.
const (
	RecordSize     = 256 // bytes
	SectionRecords = 10  // of Append
)

// sharers is how many clients share a lock in the workload Mixed.
const sharers = 16

// Cycles lists the workloads that need nothing but locks.
func Cycles() []string { return []string{Own, One, Try, Mixed} }

// Records lists the workloads that need a system that keeps records.
func Records() []string { return []string{Append, Publish} }

// Slice says what is to be measured.
type Slice struct {
	Workload string
	Clients  int
	Warmup   time.Duration
	Duration time.Duration
	Overlap  int // how many records of its section a client appends at once; 0: 1
}

// Check refuses what cannot be measured.
func (s Slice) Check() error {
	switch {
	case !slices.Contains(Records(), s.Workload) && !slices.Contains(Cycles(), s.Workload):
		return fmt.Errorf("no workload %q", s.Workload)
	case s.Clients < 1:
		return fmt.Errorf("%d clients, want at least 1", s.Clients)
	case s.Duration <= 0:
		return fmt.Errorf("a duration of %v, want more than 0s", s.Duration)
	case s.Warmup < 0:
		return fmt.Errorf("a warm-up of %v, want at least 0s", s.Warmup)
	}
	return nil
}

// Prefix is a fresh prefix for names: what an earlier slice left behind must not matter.
func Prefix() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return "bench/" + hex.EncodeToString(b[:])
}
