package facade_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/distributed-lock-manager/dlm/internal/await"
)

func TestMain(m *testing.M) {
	await.AtATime(6) // most tests wait until a lease or a bound ends
	goleak.VerifyTestMain(m)
}
