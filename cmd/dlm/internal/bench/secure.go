package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/devcerts"
	"github.com/distributed-lock-manager/dlm/internal/dial"
)

// How long the certificates of a run last, and how many rules its policy has.
const (
	secureFor   = 24 * time.Hour
	policyRules = 1000
)

// loadClient is the name of who makes the load.
const loadClient = "bench"

// secure makes, in a directory of its own, what a server needs to know its clients by certificates
// and to ask a policy what they may do: the server's flags, and the way by which it is reached.
func secure(dir string) (flags []string, way dial.Config, err error) {
	authority, err := devcerts.Open(dir)
	if err != nil {
		return nil, way, err
	}
	if err := authority.IssueServer(nil, secureFor); err != nil {
		return nil, way, err
	}
	if err := authority.IssueClient(loadClient, secureFor); err != nil {
		return nil, way, err
	}
	if way.TLS, err = client.TLSFromFiles(authority.Cert("ca"), authority.Cert(loadClient), authority.Key(loadClient)); err != nil {
		return nil, way, err
	}
	policy := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(policy, []byte(securePolicy()), 0o600); err != nil {
		return nil, way, err
	}
	return []string{
		"--tls-cert", authority.Cert(devcerts.Server), "--tls-key", authority.Key(devcerts.Server),
		"--tls-client-ca", authority.Cert("ca"), "--auth-policy", policy,
	}, way, nil
}

// securePolicy is a policy of which one rule lets the load use its locks, all of which are below
// bench. Nine in ten of the others match the load's identity as well; they are about other locks
// there.
func securePolicy() string {
	var text strings.Builder
	rule := func(identity, lock string) {
		fmt.Fprintf(&text, "  - {identity: 'spiffe:spiffe://%s', locks: [%s], allow: [acquire, append, read, inspect]}\n", identity, lock)
	}
	text.WriteString("rules:\n")
	rule("dlm.test/"+loadClient, "bench")
	for i := 1; i < policyRules; i++ {
		identity, lock := "dlm.test/*", fmt.Sprintf("bench/job-%d", i)
		if i%2 == 0 {
			lock = fmt.Sprintf("bench/team-%d/job-%d", i%50, i)
		}
		if i%10 == 0 {
			identity = "example.org/*"
		}
		rule(identity, lock)
	}
	return text.String()
}
