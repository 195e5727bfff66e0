package facade

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/auth"
	"github.com/distributed-lock-manager/dlm/internal/reread"
)

// BenchmarkCheck is what the gate costs a call, with a policy of 1,000 rules that all match the
// caller.
func BenchmarkCheck(b *testing.B) {
	var text strings.Builder
	text.WriteString("rules:\n")
	for i := range 1000 {
		fmt.Fprintf(&text, "  - {identity: 'spiffe:spiffe://example.org/*', locks: [team-%d/jobs/nightly/%d], allow: [acquire, append, read]}\n", i%50, i)
	}
	file := filepath.Join(b.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	policy, err := reread.Open(func() (*auth.Policy, error) { return auth.ParsePolicy([]byte(text.String())) }, func(error) {}, file)
	if err != nil {
		b.Fatal(err)
	}
	cfg := Config{Access: Access{ClientAuth: RequireCertificates, Policy: policy}}
	g := newGate(cfg, newLimiter(cfg))
	now := time.Now()
	c := &call{method: dlmv1.LockService_Acquire_FullMethodName, caller: &caller{identity: "spiffe:spiffe://example.org/a", expires: now.Add(time.Hour)}}
	allowed := &dlmv1.AcquireRequest{Lock: "team-17/jobs/nightly/917/part/1"}
	b.ReportAllocs()
	for b.Loop() {
		if err := g.check(c, allowed, now); err != nil {
			b.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _ = g.check(c, allowed, now) }); n > 0 {
		b.Errorf("%v allocations a call", n)
	}
}
