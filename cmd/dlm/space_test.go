package main_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// Space that files have used up comes back once they are removed or cut: as much fits in once more,
// by nothing but what docs/operations.md says.
func TestSpaceComesBack(t *testing.T) {
	t.Parallel()
	s := ownServer(t, "--cluster-quota", "16777216")
	c, err := client.New(s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	record := []byte(strings.Repeat("0123456789abcdef", 8<<10)) // 128 KiB
	appends := func() error {
		_, err := c.Publish(t.Context(), "full", client.Append("file", record))
		if err != nil && !errors.Is(err, client.ErrNoSpace) {
			t.Fatalf("Publish: %v", err)
		}
		return err
	}
	makesRoom := func(args ...string) { // which takes a little room itself
		await.Eventually(t, patience, fmt.Sprint(args), func() bool {
			r := run(t, command(t, s.addr, dlmPath, args...))
			if r.code != 0 && !strings.Contains(r.err, "no space") {
				t.Fatalf("%q: exit code %d, %s", args, r.code, r.err)
			}
			return r.code == 0
		})
	}
	// What has just gone in is there twice for a while: it is full once nothing more goes in.
	first, last, tick := 0, time.Now(), time.NewTicker(100*time.Millisecond)
	defer tick.Stop()
	for time.Since(last) < 15*time.Second {
		for appends() == nil {
			first, last = first+1, time.Now()
		}
		<-tick.C
	}
	makesRoom("rm", "full", "file")
	again := 0
	await.Eventually(t, 4*patience, "as much room as before", func() bool {
		for appends() == nil {
			again++
		}
		return again >= first*9/10
	})
	t.Logf("%d records of 128 KiB went in, and once they were removed %d", first, again)
	if first < 20 {
		t.Errorf("only %d records of 128 KiB went in", first)
	}
	makesRoom("cut", "full", "file", "--before", strconv.Itoa(again*len(record)))
	await.Eventually(t, 2*patience, "room after a cut", func() bool { return appends() == nil })
	if got := must(t, command(t, s.addr, dlmPath, "cat", "full", "file")); got != string(record) {
		t.Errorf("after a cut the file has %d bytes; want %d", len(got), len(record))
	}
}
