package told

import (
	"testing"

	"github.com/distributed-lock-manager/dlm/tools/model/searchtest"
)

// The rules hold in every state of the small configurations, and a client always learns what became
// of its hold.
func TestProtocol(t *testing.T) { searchtest.Hold(t, Closed(false)) }

// Each rule is needed: without it the search finds the harm.
func TestHoles(t *testing.T) { searchtest.DoHarm(t, Holes(), 0) }

// What is known to be wrong still is, so that whoever mends it moves it to the holes.
func TestGaps(t *testing.T) { searchtest.DoHarm(t, Gaps(), 0) }
