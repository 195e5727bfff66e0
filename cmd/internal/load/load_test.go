package load_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// system is a lock service in memory.
type system struct {
	mu     sync.Mutex
	locks  map[string]chan struct{}
	files  map[string][]byte
	opened atomic.Int64
	closed atomic.Int64
	fail   error         // of every cycle
	spoil  func(*[]byte) // changes what is read
}

func newSystem() *system {
	return &system{locks: map[string]chan struct{}{}, files: map[string][]byte{}}
}

func (s *system) lock(name string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.locks[name] == nil {
		s.locks[name] = make(chan struct{}, 1)
	}
	return s.locks[name]
}

func (s *system) Client(context.Context, int) (load.Client, error) {
	s.opened.Add(1)
	return &testClient{s}, nil
}

func (s *system) Connections() int { return 3 }
func (s *system) Close() error     { return nil }

type testClient struct{ *system }

func (c *testClient) Cycle(_, wait context.Context, lock string) error {
	if c.fail != nil {
		return c.fail
	}
	l := c.lock(lock)
	select {
	case l <- struct{}{}:
		<-l
		return nil
	case <-wait.Done():
		return wait.Err()
	}
}

func (c *testClient) Try(_ context.Context, lock string) error {
	l := c.lock(lock)
	select {
	case l <- struct{}{}:
		<-l
	default:
	}
	return nil
}

func (c *testClient) Append(_ context.Context, s *load.Section) error {
	return s.Each(func(record []byte) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.files[s.Lock+"/"+s.File] = append(c.files[s.Lock+"/"+s.File], record...)
		return nil
	})
}

func (c *testClient) Publish(_ context.Context, lock, file string, record []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.files[lock+"/"+file] = append(c.files[lock+"/"+file], record...)
	return nil
}

func (c *testClient) Read(_ context.Context, lock, file string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	data := c.files[lock+"/"+file]
	if c.spoil != nil {
		c.spoil(&data)
	}
	return data, nil
}

func (c *testClient) Close() error {
	c.closed.Add(1)
	return nil
}

func slice(workload string) load.Slice {
	return load.Slice{Workload: workload, Clients: 20, Warmup: 20 * time.Millisecond, Duration: 50 * time.Millisecond, Overlap: 1}
}

func TestWorkloads(t *testing.T) {
	for _, workload := range append(load.Cycles(), load.Records()...) {
		t.Run(workload, func(t *testing.T) {
			sys := newSystem()
			var calls []string
			row, err := load.Run(t.Context(), slice(workload), sys, load.Clock{
				Start: func(m *load.Meter) { calls = append(calls, fmt.Sprint("start ", m != nil)) },
				Stop:  func() { calls = append(calls, "stop") },
			})
			if err != nil {
				t.Fatal(err)
			}
			if row.Workload != workload || row.Clients != 20 || row.Connections != 3 {
				t.Errorf("row %+v", row)
			}
			if row.Ops <= 0 || row.OpsPerS <= 0 || row.Seconds <= 0 || row.P50 > row.P99 || row.P99 > row.Max {
				t.Errorf("row %+v", row)
			}
			if row.Ops%load.SectionRecords != 0 && workload == load.Append {
				t.Errorf("%d records, want whole sections", row.Ops)
			}
			if got := strings.Join(calls, ", "); got != "start true, stop" {
				t.Errorf("clock: %s", got)
			}
			if sys.opened.Load() != 20 || sys.closed.Load() != 20 {
				t.Errorf("%d clients opened, %d closed, want 20", sys.opened.Load(), sys.closed.Load())
			}
		})
	}
}

func TestWhatIsCutOffDoesNotCount(t *testing.T) {
	sys := newSystem()
	s := slice(load.One)
	s.Warmup = 0
	row, err := load.Run(t.Context(), s, held{sys}, load.Clock{})
	if err != nil {
		t.Fatal(err)
	}
	if row.Ops != 0 || row.OpsPerS != 0 || row.P50 != 0 {
		t.Errorf("operations that never ended count: %+v", row)
	}
	if row.Max <= 0 {
		t.Errorf("the longest latency is %d us, want that of what was cut off", row.Max)
	}
}

// held is a system all of whose locks somebody else holds.
type held struct{ *system }

func (h held) Client(context.Context, int) (load.Client, error) { return heldClient(h), nil }

type heldClient struct{ *system }

func (heldClient) Cycle(_, wait context.Context, _ string) error {
	<-wait.Done()
	return wait.Err()
}

func (heldClient) Try(context.Context, string) error { return nil }

func TestErrors(t *testing.T) {
	broken := errors.New("broken")
	sys := newSystem()
	sys.fail = broken
	if _, err := load.Run(t.Context(), slice(load.Own), sys, load.Clock{}); !errors.Is(err, broken) {
		t.Errorf("a system that fails: %v", err)
	}
	if sys.closed.Load() != 20 {
		t.Errorf("%d clients closed, want 20", sys.closed.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := load.Run(ctx, slice(load.Try), newSystem(), load.Clock{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that ended: %v", err)
	}
	for _, workload := range load.Records() {
		if _, err := load.Run(t.Context(), slice(workload), held{newSystem()}, load.Clock{}); err == nil {
			t.Errorf("%s to a system without records: no error", workload)
		}
	}
	for _, bad := range []func(*load.Slice){
		func(s *load.Slice) { s.Workload = "other" },
		func(s *load.Slice) { s.Clients = 0 },
		func(s *load.Slice) { s.Duration = 0 },
		func(s *load.Slice) { s.Warmup = -1 },
	} {
		s := slice(load.Own)
		bad(&s)
		if _, err := load.Run(t.Context(), s, newSystem(), load.Clock{}); err == nil {
			t.Errorf("%+v: no error", s)
		}
	}
}

func TestFilesAreChecked(t *testing.T) {
	for name, spoil := range map[string]func(*[]byte){
		"short":   func(b *[]byte) { *b = (*b)[:len(*b)-1] },
		"torn":    func(b *[]byte) { *b = (*b)[load.RecordSize:] },
		"twice":   func(b *[]byte) { copy((*b)[load.RecordSize:], (*b)[:load.RecordSize]) },
		"changed": func(b *[]byte) { (*b)[100]++ },
	} {
		for _, workload := range load.Records() {
			t.Run(workload+"/"+name, func(t *testing.T) {
				sys := newSystem()
				sys.spoil = spoil
				if _, err := load.Run(t.Context(), slice(workload), sys, load.Clock{}); err == nil {
					t.Error("no error")
				}
			})
		}
	}
	t.Run("overlap", func(t *testing.T) {
		s := slice(load.Append)
		s.Overlap = load.SectionRecords
		if _, err := load.Run(t.Context(), s, newSystem(), load.Clock{}); err != nil {
			t.Error(err)
		}
	})
}

func TestMeter(t *testing.T) {
	m := load.NewMeter()
	for i := range 100 {
		m.Add(time.Duration(i+1) * time.Millisecond)
	}
	m.Cut(time.Second)
	row := m.Row(2 * time.Second)
	if row.Ops != 100 || m.Count() != 100 || row.OpsPerS != 50 || row.Seconds != 2 {
		t.Errorf("row %+v", row)
	}
	// To three digits.
	if row.P50 < 50_000 || row.P50 > 50_100 || row.P99 < 99_000 || row.P99 > 99_200 || row.Max != 1_000_000 {
		t.Errorf("row %+v", row)
	}
}

func TestReaches(t *testing.T) {
	for _, test := range []struct {
		low, high, bar float64
		want           bool
	}{
		{0.98, 1.01, 0.97, true},
		{0.93, 0.99, 0.97, true}, // it is not shown to be slower
		{0.93, 0.97, 0.97, true}, // the bar belongs to what reaches it
		{0.93, 0.969, 0.97, false},
		{0, 0, 0, true}, // no bar
	} {
		row := load.Row{Ratio: (test.low + test.high) / 2, RatioLow: test.low, RatioHigh: test.high}
		if got := row.Reaches(test.bar); got != test.want {
			t.Errorf("%v to %v reaches %v: %v, want %v", test.low, test.high, test.bar, got, test.want)
		}
	}
}
