package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/process"
)

// lockCommand is `dlm lock`.
type lockCommand struct {
	*streams
	connection
	acquisition
	ttl time.Duration
}

func newLock(s *streams) *cobra.Command {
	l := &lockCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "lock [flags] LOCK [--] COMMAND [ARG...]",
		Short: "Run a command while holding a lock",
		Long: `Run COMMAND while holding LOCK. Flags end at LOCK, so that COMMAND's own need no "--". No shell is involved.

Standard input, output and the terminal are COMMAND's. It runs in a process group of its own; signals are passed on to
it, and the whole group is killed if dlm dies, or before the lock could pass to somebody else. If the lock is taken away,
as by "dlm evict", the group is ended at once. What COMMAND leaves running in its group when it exits is ended before the
lock is given back.

Inside, "dlm append" of the same lock writes under the lock already held; those appends are published if COMMAND exits
0, and dropped otherwise. COMMAND's environment has DLM_LOCK, DLM_TOKEN, DLM_SESSION (a secret: whoever has it can
append), DLM_ENDPOINTS, DLM_PROXY, and DLM_HELD, the locks held by this and the enclosing calls.

Exit code: COMMAND's own, 126 if it cannot be run, 127 if it is not found, 128+N if it died of signal N, 64 usage, 69 no
server answered before the lock was held, 70 the lock was lost while COMMAND ran, whatever its own code was, 75 (or -E
CODE) the lock was not acquired. With 70 nothing was published, or dlm says that this is not known.`,
		Example: `  dlm lock nightly ./backup.sh
  dlm lock -n deploy sh -c 'make && make install'
  dlm lock -w 30s orders sh -c 'date | dlm append orders log'`,
		Args: arguments(2, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := l.check(cmd); err != nil {
				return err
			}
			if l.ttl == 0 {
				return usagef("--ttl is 0s, must be above")
			}
			return l.run(cmd.Context(), args[0], args[1:])
		},
	}
	cmd.Flags().SetInterspersed(false)
	l.connection.flags(cmd)
	l.acquisition.flags(cmd)
	cmd.Flags().DurationVar(&l.ttl, "ttl", client.DefaultTTL, "how long the lock outlives a dlm that was stopped or cut off, 2s to 10m")
	return cmd
}

func (l *lockCommand) run(ctx context.Context, name string, argv []string) (err error) {
	if argv[0] == "--" { // Flags ended at LOCK, so this is still here.
		argv = argv[1:]
	}
	if len(argv) == 0 || argv[0] == "" {
		return usagef("no command to run under lock %q", name)
	}
	if slices.Contains(heldLocks(), name) {
		return usagef("lock %q is already held by an enclosing dlm lock: waiting for it would never end", name)
	}
	path, err := process.Find(argv[0])
	if err != nil {
		return err
	}
	l.linger = lingerOf(l.ttl)
	cfg, err := l.config(l.ttl, l.label)
	if err != nil {
		return err
	}
	c, err := client.Open(cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	group, err := process.Prepare(helperArg, l.in, l.out, l.err)
	if err != nil {
		return err
	}
	defer group.Close()
	signals := process.Catch()
	defer signals.Release()

	held, err := l.wait(ctx, c, name, signals)
	if err != nil {
		return err
	}
	lease := process.Lease{Context: held.Context(), Expiry: held.Expiry, Margin: held.Margin}
	command := process.Command{Path: path, Args: argv, Env: childEnv(os.Environ(), cfg, held)}
	if err := group.Afterwards(bequest(cfg, held.Credential())); err != nil {
		abandon(held)
		return err
	}
	result, err := group.Run(lease, command, signals)
	switch {
	case err != nil:
		abandon(held)
		return err
	case result.Lost:
		return fmt.Errorf("%w: %q: the command was ended and nothing published: %w", errLost, name, loss(held))
	case result.Code != 0:
		if lostUnnoticed(c, held) {
			return fmt.Errorf("%w: %q: the command failed with code %d, and nothing was published", errLost, name, result.Code)
		}
		abandon(held)
		if result.Interrupted != 0 {
			return silent{exitError{code: result.Code, err: &interrupted{result.Interrupted}}}
		}
		return exitWith(result.Code)
	}
	return publish(held)
}

// wait acquires the lock, unless a signal comes first.
func (l *lockCommand) wait(ctx context.Context, c *client.Client, name string, signals *process.Signals) (*client.Lock, error) {
	ctx, stop := signals.Context(ctx)
	held, err := l.acquire(ctx, c, name, l.streams)
	stop()
	if signalled := orSignal(ctx, nil); signalled != nil {
		if err == nil {
			abandon(held)
		}
		return nil, signalled
	}
	return held, err
}

// lostUnnoticed reports whether a server says that a lock is not held any more. A command that has
// failed ends with a discard, which succeeds in any case and does not tell. If no server can be
// asked, nothing is known of a loss.
func lostUnnoticed(c *client.Client, l *client.Lock) bool {
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	state, err := c.Inspect(ctx, l.Name())
	if err != nil {
		return errors.Is(err, client.ErrLockNotFound)
	}
	return state.GetHolder().GetToken() != l.Token()
}

// loss is why a lock is not held any more.
func loss(l *client.Lock) error {
	if cause := context.Cause(l.Context()); cause != nil {
		return cause
	}
	return errors.New("its lease may have ended while this process was stopped")
}
