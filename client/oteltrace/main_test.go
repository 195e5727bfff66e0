package oteltrace_test

import (
	"os"
	"testing"

	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// endpoint is a server for all examples.
var endpoint string

func TestMain(m *testing.M) {
	os.Exit(facadetest.Main(m, func(n *facadetest.Node) { endpoint = n.Addr() }))
}
