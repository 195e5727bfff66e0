package life

import (
	"testing"

	"github.com/distributed-lock-manager/dlm/tools/model/searchtest"
)

// The rules hold in every state of the small configurations.
func TestProtocol(t *testing.T) { searchtest.Hold(t, Closed(false)) }

// Each rule is needed: without it the search finds the harm.
func TestHoles(t *testing.T) { searchtest.DoHarm(t, Holes(), 25) }
