package scenarios_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
	"github.com/distributed-lock-manager/dlm/tools/faultproxy"
	"github.com/distributed-lock-manager/dlm/tools/scenarios/original"
)

// Sections of the coursework's clients, a thousand in `make scenarios`, with a tenth of the
// requests lost, a tenth of the replies, and a tenth delivered twice: the file has exactly what was
// acknowledged, each section in one piece. A seed is a schedule of faults; that of the goroutines
// is not reproducible.
func TestCycles(t *testing.T) {
	t.Parallel()
	const workers, each = 20, cycles
	node := facadetest.Start(t, facadetest.WithCoursework(time.Minute, time.Minute))
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	var counts faultproxy.Counts
	var running sync.WaitGroup
	for w := range workers {
		running.Go(func() {
			proxy, err := faultproxy.Start(node.Addr())
			if err != nil {
				t.Error(err)
				return
			}
			defer proxy.Close()
			// Most of what is lost takes the connection along: silence costs all others the time
			// that it lasts.
			proxy.SetRates(faultproxy.Rates{Requests: 0.1, Replies: 0.1, Twice: 0.1, Breaks: 0.95}, uint64(w)+1)
			c, err := original.Open(t.Context(), original.Config{
				Servers: []string{proxy.Addr()},
				Timeout: 250 * time.Millisecond,
				Pause:   2 * time.Millisecond,
				Ask:     20 * time.Millisecond,
				Beat:    time.Second,
			})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for i := range each {
				text := fmt.Sprintf("%d.%d ", w, i)
				err := c.Append(t.Context(), "file_7", []byte(text+"a\n")) // and acquires
				if err == nil {
					err = c.Append(t.Context(), "file_7", []byte(text+"b\n"))
				}
				if err == nil {
					err = c.Release(t.Context())
				}
				if err != nil {
					t.Errorf("section %s: %v", text, err)
					return
				}
				mu.Lock()
				acknowledged[text+"a\n"+text+"b\n"] = true
				mu.Unlock()
			}
			did := proxy.Counts()
			mu.Lock()
			counts.Lost += did.Lost
			counts.Doubled += did.Doubled
			mu.Unlock()
		})
	}
	running.Wait()

	reader, err := client.New(node.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	b, err := reader.Read(t.Context(), oneLock, "file_7")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(b), "\n")
	lines = lines[:len(lines)-1]
	if len(lines) != 2*len(acknowledged) || len(acknowledged) != workers*each {
		t.Fatalf("%d lines of %d sections, want %d sections", len(lines), len(acknowledged), workers*each)
	}
	for i := 0; i < len(lines); i += 2 {
		section := lines[i] + lines[i+1]
		if !acknowledged[section] {
			t.Fatalf("a torn, doubled or unacknowledged section: %q", section)
		}
		delete(acknowledged, section)
	}
	if counts.Lost < workers*each/2 || counts.Doubled < workers*each/4 {
		t.Errorf("only %d messages lost and %d doubled", counts.Lost, counts.Doubled)
	}
	t.Logf("%d messages lost, %d doubled", counts.Lost, counts.Doubled)
}
