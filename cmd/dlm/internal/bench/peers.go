package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
)

// peersProgram measures the systems whose clients are not linked into dlm.
const peersProgram = "dlm-bench-peers"

// peersGrace is how long the program may take to end when it was asked to.
const peersGrace = 10 * time.Second

// ErrNoPeers says that the program that measures other systems is not there, and how it is built.
var ErrNoPeers = errors.New(peersProgram + " is neither beside this program nor on the PATH; " +
	"build it in dlm's source: cd cmd/" + peersProgram + " && go build -o DIR/ . with the directory of dlm as DIR")

// Peer is how another system is measured.
type Peer struct {
	Program  string    // path of dlm-bench-peers
	Endpoint string    // where the system listens; empty: its usual port on this machine
	Stderr   io.Writer // what the program says besides its row
}

// FindPeers looks for dlm-bench-peers beside this program, then on the PATH. Errors: ErrNoPeers.
func FindPeers() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), peersProgram)
		if path, err := exec.LookPath(beside); err == nil {
			return path, nil
		}
	}
	if path, err := exec.LookPath(peersProgram); err == nil {
		return path, nil
	}
	return "", ErrNoPeers
}

// slice measures another system once.
func (p Peer) slice(ctx context.Context, system string, connections int, s load.Slice) (load.Row, error) {
	cmd := exec.CommandContext(ctx, p.Program,
		"--system", system,
		"--endpoint", p.Endpoint,
		"--workload", s.Workload,
		"--clients", strconv.Itoa(s.Clients),
		"--connections", strconv.Itoa(connections),
		"--warmup", s.Warmup.String(),
		"--duration", s.Duration.String(),
	)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = peersGrace
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, p.Stderr
	if err := cmd.Run(); err != nil {
		return load.Row{}, fmt.Errorf("%s: %w", peersProgram, err)
	}
	var row load.Row
	if err := json.Unmarshal(out.Bytes(), &row); err != nil {
		return load.Row{}, fmt.Errorf("%s printed no row: %w", peersProgram, err)
	}
	return row, nil
}
