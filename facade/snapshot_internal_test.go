package facade

import (
	"testing"
	"time"
)

func TestLeisure(t *testing.T) {
	for bytes, want := range map[int]time.Duration{
		0: 30 * time.Second, 1 << 20: 31 * time.Second, 16 << 30: 30*time.Second + 16*1024*time.Second,
	} {
		if got := leisure(bytes); got != want {
			t.Errorf("%d bytes may take %v, want %v", bytes, got, want)
		}
	}
}
