package main_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
)

var heldAtScrape = flag.Int("held", 1000, "how many locks are held while TestScrape and TestStatusOfMany look: what is promised is so for 100000")

// What a scrape may take, and may have a server's memory grow by.
const (
	scrapeTime   = 100 * time.Millisecond
	scrapeMemory = 50 << 20
)

// What "dlm status" of them may take.
const statusTime = time.Second

// holdMany has a server's locks held until the test ends, by one client for each ten thousand.
func holdMany(t *testing.T, addr string, n int) {
	t.Helper()
	const each = 10_000 // of a client
	var holding sync.WaitGroup
	for first := 0; first < n; first += each {
		c, err := client.Open(client.Config{Endpoints: []string{addr}, TTL: 5 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		todo := make(chan int)
		for range 64 {
			holding.Go(func() {
				for i := range todo {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					if _, err := c.Lock(ctx, fmt.Sprintf("held/%d/%d", i%3, i)); err != nil {
						t.Error(err)
					}
					cancel()
				}
			})
		}
		for i := first; i < min(first+each, n); i++ {
			todo <- i
		}
		close(todo)
		holding.Wait()
	}
}

// A scrape costs little however many locks are held.
func TestScrape(t *testing.T) {
	s := ownServer(t, "--admin-listen", "127.0.0.1:0", "--metrics-prefixes", "held/1,held/2", "--limits-sessions", "1000000")
	url := adminURL(t, s, "http") + "/metrics"
	holdMany(t, s.addr, *heldAtScrape)
	before, known := residentOf(s.cmd.Process.Pid)
	var longest time.Duration
	var most int64
	scraper := &http.Client{Timeout: patience}
	defer scraper.CloseIdleConnections()
	for range 10 {
		began := time.Now()
		_, page := get(t, scraper, url)
		longest = max(longest, time.Since(began))
		if now, _ := residentOf(s.cmd.Process.Pid); now > most {
			most = now
		}
		var held int
		for _, line := range strings.Split(page, "\n") {
			var n int
			if _, err := fmt.Sscanf(line[strings.LastIndex(line, " ")+1:], "%d", &n); err == nil && strings.HasPrefix(line, "dlm_locks_held{") {
				held += n
			}
		}
		if held != *heldAtScrape {
			t.Fatalf("%d locks are held, want %d", held, *heldAtScrape)
		}
		<-time.After(300 * time.Millisecond) // until what is shown is gathered anew
	}
	t.Logf("with %d locks held: the longest of 10 scrapes took %v, and memory grew from %d MiB by %d MiB", *heldAtScrape, longest.Round(time.Millisecond), before>>20, (most-before)>>20)
	bound := scrapeTime
	if !*punctual {
		bound *= 20 // other tests run as well
	}
	if longest > bound {
		t.Errorf("a scrape took %v, want at most %v", longest, bound)
	}
	if known && most-before > scrapeMemory {
		t.Errorf("memory grew by %d MiB, want at most %d MiB", (most-before)>>20, scrapeMemory>>20)
	}
}

// residentOf is how much memory a process has; false: that is not known here.
func residentOf(pid int) (bytes int64, known bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, false
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0, false
	}
	return resident * int64(os.Getpagesize()), true
}

// Whoever asks who holds what is told soon, all of it, and as of one revision.
func TestStatusOfMany(t *testing.T) {
	s := ownServer(t, "--limits-sessions", "1000000")
	holdMany(t, s.addr, *heldAtScrape)
	bound := statusTime
	if !*punctual {
		bound *= 20 // other tests run as well
	}
	for _, form := range [][]string{{"status"}, {"status", "--json"}} {
		var took []time.Duration
		locks := 0
		for range 3 {
			began := time.Now()
			out := must(t, command(t, s.addr, dlmPath, form...))
			took = append(took, time.Since(began))
			locks = strings.Count(out, "held/")
		}
		slices.Sort(took)
		t.Logf("%s of %d locks took %v", strings.Join(form, " "), locks, took)
		if locks != *heldAtScrape {
			t.Errorf("%s names %d locks, want %d", strings.Join(form, " "), locks, *heldAtScrape)
		}
		if took[1] > bound {
			t.Errorf("%s took %v in the middle, want at most %v", strings.Join(form, " "), took[1], bound)
		}
	}
}
