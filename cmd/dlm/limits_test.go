package main

import (
	"log/slog"
	"testing"

	"github.com/distributed-lock-manager/dlm/config"
	"github.com/distributed-lock-manager/dlm/facade"
)

func TestConnectionsFor(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		wanted int
		files  uint64
		want   int
	}{{10_000, 1 << 20, 10_000}, {10_000, 10_129, 10_000}, {10_000, 10_128, 10_000}, {10_000, 1024, 896}, {100, 300, 100}, {1000, 300, 172}, {1000, 64, 32}, {5, 1, 1}} {
		if got := connectionsFor(test.wanted, test.files); got != test.want {
			t.Errorf("%d connections and %d files: %d, want %d", test.wanted, test.files, got, test.want)
		}
	}
}

// A server of this binary that is told of no limits has those of the package.
func TestDefaultLimits(t *testing.T) {
	t.Parallel()
	got, want := facadeLimits(config.Default().Limits, slog.New(slog.DiscardHandler)), facade.DefaultLimits()
	got.Connections = want.Connections // by what this machine allows
	if got != want {
		t.Errorf("configured: %+v, the package's: %+v", got, want)
	}
}
