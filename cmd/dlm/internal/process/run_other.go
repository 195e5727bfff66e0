//go:build !unix

package process

import (
	"fmt"
	"os"
	"syscall"
)

var errPlatform = fmt.Errorf("%w: there are no process groups on this platform", ErrNotRunnable)

// Group is not supported here.
type Group struct{}

// Prepare fails.
func Prepare(string, *os.File, *os.File, *os.File) (*Group, error) { return nil, errPlatform }

// Run fails.
func (g *Group) Run(Lease, Command, *Signals) (Result, error) { return Result{}, errPlatform }

// Close does nothing.
func (g *Group) Close() error { return nil }

// Afterwards fails.
func (g *Group) Afterwards([]byte) error { return errPlatform }

// Helper fails.
func Helper(string, func([]byte)) int { return 1 }

// Propagate does nothing.
func Propagate(syscall.Signal) {}

func endingSignals() []os.Signal { return []os.Signal{os.Interrupt, syscall.SIGTERM} }
