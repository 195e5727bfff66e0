package audit_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/distributed-lock-manager/dlm/facade/audit"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

func TestAFileSystemThatIsFullForAWhile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mount("audit", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skip("no small file system can be made here: ", err)
	}
	defer func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	path, ballast := filepath.Join(dir, "audit"), filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 32<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	l := open(t, path, nil, true, discard)
	const total = 500 // of 100 bytes each, and a little more
	for n := range int64(total) {
		l.Write(audit.Line{Lock: strings.Repeat("x", 20), Token: n + 1})
	}
	await.Eventually(t, patience, "it to be full", func() bool { return errors.Is(l.Ready(), unix.ENOSPC) })
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	await.Eventually(t, patience, "it to be ready", func() bool { return l.Ready() == nil })
	closed(t, l)
	next := int64(1)
	for text := range strings.Lines(read(t, path)) {
		var line line
		if json.Unmarshal([]byte(text), &line) != nil {
			continue // half a line
		}
		if line.Token != next {
			t.Fatalf("%d after %d", line.Token, next-1)
		}
		next++
	}
	if next != total+1 {
		t.Errorf("the last line is %d, want %d", next-1, total)
	}
}
