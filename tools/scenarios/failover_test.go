//go:build scenarios

package scenarios_test

import (
	"flag"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/tools/scenarios/original"
)

var long = flag.Bool("long", false, "let clients look for another server after 32 s, as the coursework's do, and not after 1 s")

// A client of the coursework whose server is killed looks for another one after a long while, and
// still finds its hold there.
func TestHoldSurvivesTheLookForAnotherServer(t *testing.T) {
	const ttl = 60 * time.Second
	servers := processes(3, ttl)(t).(*fleet)
	cfg := original.Config{Servers: servers.addrs(), Pause: 100 * time.Millisecond, Look: time.Second}
	if *long {
		cfg = original.Config{Servers: servers.addrs()}
	}
	c, err := original.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Append(t.Context(), "file_0", []byte("a")); err != nil {
		t.Fatal(err)
	}
	version := c.Version()
	servers.kill(0)
	began := time.Now()
	if err := c.AppendAtOnce(t.Context(), "file_0", []byte("b")); err != nil {
		t.Errorf("after the failover: %v", err)
	}
	t.Logf("appended again %.1f s after its server was killed", time.Since(began).Seconds())
	if holder, err := c.Holder(t.Context()); err != nil || holder != c.ID() {
		t.Errorf("holder %d, %v, want %d", holder, err, c.ID())
	}
	if err := c.Acquire(t.Context()); err != nil || c.Version() != version {
		t.Errorf("version %d, %v, was %d", c.Version(), err, version)
	}
	if err := c.Release(t.Context()); err != nil {
		t.Error(err)
	}
	reader, err := client.New(servers.addrs()[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if b, err := reader.Read(t.Context(), oneLock, "file_0"); err != nil || string(b) != "ab" {
		t.Errorf("file_0 has %q, %v", b, err)
	}
}
