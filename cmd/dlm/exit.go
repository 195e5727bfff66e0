package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/process"
	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
)

// The exit codes. `dlm lock` besides exits with its command's own code, and with 128+N if that died
// of signal N; so does every command that was ended by one.
const (
	exitOK          = 0
	exitFailure     = 1   // anything that has no code of its own
	exitUsage       = 64  // wrong arguments, or a name, TTL or label that the server refuses
	exitUnreachable = 69  // no server answered within the connect timeout, or it cannot serve, or not within a limit of its own
	exitLost        = 70  // the lock was lost while it was needed: nothing was published, unless it says that this is not known
	exitNotEnded    = 71  // lock: something that the command has started could not be ended, and may run on without the lock
	exitInUse       = 73  // server: the data directory is another server's
	exitDisk        = 74  // server, snapshot: the disk is full, or cannot be written to
	exitDenied      = 77  // no server knows who this is, or the policy does not allow it
	exitNotAcquired = 75  // the lock is held by somebody else; -E changes it
	exitConflict    = 76  // append: --if-version does not hold
	exitConfig      = 78  // server, config, snapshot: the configuration is wrong, or a server must not run on this data
	exitNotRunnable = 126 // lock: the command is there but cannot be run
	exitNotFound    = 127 // lock: there is no such command
)

// exitCodes returns which error has which code; the first that matches counts.
func exitCodes() []struct {
	err  error
	code int
} {
	return []struct {
		err  error
		code int
	}{
		{errUsage, exitUsage},
		{errConfig, exitConfig},
		{embedded.ErrInUse, exitInUse},
		{embedded.ErrDisk, exitDisk},
		{embedded.ErrRevisionBack, exitConfig},
		{embedded.ErrOtherCluster, exitConfig},
		{embedded.ErrEmptied, exitConfig},
		{embedded.ErrNotAdded, exitConfig},
		{embedded.ErrRemoved, exitConfig},
		{embedded.ErrNotEmpty, exitConfig},
		{embedded.ErrStale, exitConfig},
		{etcdstore.ErrFormatTooNew, exitConfig},
		{etcdstore.ErrPrefixNested, exitConfig},
		{errNotEnded, exitNotEnded}, // before errLost, which it may be as well
		{errLost, exitLost},
		{process.ErrNotFound, exitNotFound},
		{process.ErrNotRunnable, exitNotRunnable},
		{client.ErrLockExpired, exitLost},
		{client.ErrSessionExpired, exitLost},
		{client.ErrOutcomeUnknown, exitLost},
		{client.ErrDataLoss, exitLost},
		{client.ErrUnauthenticated, exitDenied}, // before ErrUnavailable, which it may be as well
		{client.ErrPermissionDenied, exitDenied},
		{client.ErrUnavailable, exitUnreachable},
		{client.ErrBroken, exitUnreachable},
		{client.ErrLimit, exitUnreachable},
		{client.ErrWentBack, exitUnreachable},
		{client.ErrOtherCluster, exitUnreachable},
		{client.ErrInvalidName, exitUsage},
		{client.ErrInvalidTTL, exitUsage},
		{client.ErrInvalidArgument, exitUsage},
		{client.ErrBusy, exitNotAcquired},
		{client.ErrConflict, exitConflict},
	}
}

// Errors that have an exit code of their own.
var (
	errUsage    = errors.New("usage")
	errConfig   = errors.New("configuration")
	errLost     = errors.New("lock lost")
	errNotEnded = errors.New("what the command has started could not be ended")
)

// exitCode is the code that an error ends the process with.
func exitCode(err error) int {
	var coded exitError
	if errors.As(err, &coded) {
		return coded.code
	}
	for _, row := range exitCodes() {
		if errors.Is(err, row.err) {
			return row.code
		}
	}
	return exitFailure
}

// exitError is an error with an exit code of its own, which the table does not know.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return e.err.Error() }
func (e exitError) Unwrap() error { return e.err }

// silent is an error about which everything has been said, or nothing needs to be.
type silent struct{ error }

func (s silent) Unwrap() error { return s.error }

// exitWith ends the process with a code and no word.
func exitWith(code int) error {
	return silent{exitError{code: code, err: fmt.Errorf("exit %d", code)}}
}

// interrupted is the end by a signal that the keyboard sent to the command alone.
type interrupted struct{ signal syscall.Signal }

func (i *interrupted) Error() string { return i.signal.String() }

// usageError is a mistake in the arguments: the message says which, errUsage which exit code.
type usageError struct{ message string }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

func (u usageError) Error() string        { return u.message }
func (u usageError) Is(target error) bool { return target == errUsage }

// orSignal is err, or the end by the signal that ended ctx, about which nobody needs to be told.
func orSignal(ctx context.Context, err error) error {
	var caught process.Caught
	if errors.As(context.Cause(ctx), &caught) {
		return exitWith(caught.Code())
	}
	return err
}

// exitWithMessage is an error with an exit code that is not that of the table.
func exitWithMessage(code int, format string, args ...any) error {
	return exitError{code: code, err: fmt.Errorf(format, args...)}
}

// ended is why ctx ended, if it did, or else err: what a call made of the context's end is of no
// interest.
func ended(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}
