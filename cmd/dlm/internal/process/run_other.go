//go:build !unix

package process

import (
	"fmt"
	"os"
	"syscall"
)

var errPlatform = fmt.Errorf("%w: there are no process groups on this platform", ErrNotRunnable)

// Tree is not supported here.
type Tree struct{}

// Prepare fails.
func Prepare(string, *os.File, *os.File, *os.File) (*Tree, error) { return nil, errPlatform }

// Run fails.
func (t *Tree) Run(Lease, Command, *Signals, Options) (Result, error) { return Result{}, errPlatform }

// Close does nothing.
func (t *Tree) Close() error { return nil }

// Mark is empty.
func (t *Tree) Mark() string { return "" }

// Afterwards fails.
func (t *Tree) Afterwards([]byte) error { return errPlatform }

// Helper fails.
func Helper(string, func([]byte)) int { return 1 }

// Propagate does nothing.
func Propagate(syscall.Signal) {}

func endingSignals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }

func caughtEarly() []os.Signal { return nil }

// Stop does nothing: a process cannot be stopped.
func Stop() {}
