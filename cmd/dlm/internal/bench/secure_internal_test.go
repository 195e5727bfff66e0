package bench

import (
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
	"github.com/distributed-lock-manager/dlm/facade/auth"
)

// The load may use its own locks by one rule, and has most of the others matched and passed over.
func TestSecurePolicy(t *testing.T) {
	text := securePolicy()
	p, err := auth.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(text, "identity:"); n != policyRules {
		t.Errorf("%d rules, want %d", n, policyRules)
	}
	own := p.For("spiffe:spiffe://dlm.test/" + loadClient)
	for _, verb := range []auth.Verb{auth.Acquire, auth.Append, auth.Read, auth.Inspect} {
		if !own.Allows(verb, load.Prefix()+"/own/1") || own.Allows(verb, "other") {
			t.Errorf("%v: not allowed as it should be", verb)
		}
	}
	another := p.For("spiffe:spiffe://dlm.test/another")
	if !another.Allows(auth.Acquire, "bench/job-1") || !another.Allows(auth.Acquire, "bench/team-2/job-2") || another.Allows(auth.Acquire, "bench/x") {
		t.Error("the other rules are not about locks beside the load's")
	}
}
