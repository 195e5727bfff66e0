package facadetest

import (
	"log/slog"
	"strings"
	"testing"
)

func TestDiscreet(t *testing.T) {
	d := &discreet{}
	log := slog.New(slog.NewTextHandler(d, nil))
	log.Info("call", "session", "0123456789abcdef", "err", "malformed")
	if line := d.found(); line != "" {
		t.Errorf("found %s", line)
	}
	log.Info("call", "session", "0123456789abcdef."+strings.Repeat("0", 32))
	log.Info("call", "session", "ffffffffffffffff."+strings.Repeat("0", 32))
	if line := d.found(); !strings.Contains(line, "0123456789abcdef.") {
		t.Errorf("found %q", line)
	}
	d = &discreet{}
	slog.New(slog.NewTextHandler(d, nil)).Info("made", "value", strings.Repeat("5", 64))
	if line := d.found(); line == "" {
		t.Error("a secret of the cluster was not found")
	}
}
