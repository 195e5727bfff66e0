package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/process"
	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// lockCommand is `dlm lock`.
type lockCommand struct {
	*streams
	connection
	acquisition
	ttl       time.Duration
	killAfter time.Duration
	leftovers process.Leftovers
}

// maxKillAfter bounds --kill-after: it is time in which the next holder may run already.
const maxKillAfter = time.Minute

func newLock(s *streams) *cobra.Command {
	l := &lockCommand{streams: s, leftovers: process.WaitForLeftovers()}
	cmd := &cobra.Command{
		Use:   "lock [flags] LOCK [--] COMMAND [ARG...]",
		Short: "Run a command while holding a lock",
		Long: `Run COMMAND while holding LOCK. Flags end at LOCK, so that COMMAND's own need no "--". No shell is involved.

Standard input, output, all other open files and the terminal are COMMAND's. It runs in a process group of its own, to
which signals are passed on. What it starts is waited for, even if COMMAND itself has ended, and what would run on without
the lock is ended: before the lease can end, at once when the lock is taken away, as by "dlm evict", and when dlm dies. On
Linux that is so of every process that COMMAND has started, whatever it did to leave; elsewhere of its process group. Not
of what it asked of somebody else's daemon (docker, at, systemd-run, a tmux server that ran before), nor, where dlm was
killed by SIGKILL, of other users' processes and of those that have left the group in the last second and cleared their
environment. A SIGTERM is passed on to all of them, and a second one ends them.

--leftovers says what becomes of processes that run on when COMMAND has ended: "wait" for them, with the lock held, and say
so after a second; "wait:DURATION", and end them after that; "kill" them at once, by SIGTERM and 2s later by SIGKILL; or
"leave" them running without the lock.

--max-hold, or the servers' configuration, may give the lock an end, counted from when it was granted. When a fifth of the
time is left, one minute at most, a line on standard error says so; at the end the lock is lost.

Inside, "dlm append" of the same lock writes under the lock already held; those appends are published if COMMAND exits
0, and dropped otherwise. COMMAND's environment has DLM_LOCK, DLM_TOKEN, DLM_SESSION (a secret: whoever has it can
append), DLM_ENDPOINTS and DLM_PROXY, DLM_CLIENT_TLS, DLM_CLIENT_CA, DLM_CLIENT_CERT, DLM_CLIENT_KEY and DLM_BEARER_FILE,
which name files, DLM_DEADLINE (when the lock is taken away, in the form of RFC 3339; not set: never), DLM_HELD, the locks held by this and the enclosing calls, and DLM_HOLDS, by which those are known to
each other.

Exit code: COMMAND's own, 126 if it cannot be run, 127 if it is not found, 128+N if it died of signal N, 64 usage, 69 no
server answered before the lock was held, or not within one of its limits, 70 the lock was lost while COMMAND ran, which was ended, whatever its own code
was, 71 processes that COMMAND has started could not be ended, as those below sudo, and may run on without the lock, 75 (or
-E CODE) the lock was not acquired, 77 the servers do not accept who this is, or do not allow it. With 70, 71 and 77 nothing was published, or dlm says that this is not known.`,
		Example: `  dlm lock nightly ./backup.sh
  dlm lock -n deploy sh -c 'make && make install'
  dlm lock -w 30s orders sh -c 'date | dlm append orders log'
  dlm lock --leftovers leave web service nginx restart`,
		Args: arguments(2, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := l.check(cmd); err != nil {
				return err
			}
			return l.run(cmd.Context(), args[0], args[1:])
		},
	}
	cmd.Flags().SetInterspersed(false)
	l.connection.flags(cmd)
	l.acquisition.flags(cmd)
	cmd.Flags().DurationVar(&l.ttl, "ttl", client.DefaultTTL, "how long the lock outlives a dlm that was stopped or cut off, 2s to 10m")
	cmd.Flags().DurationVar(&l.maxHold, "max-hold", 0,
		"how long the lock may be held before it is taken away and COMMAND ended, 1s to 24h (default: as long as the servers allow)")
	cmd.Flags().DurationVar(&l.killAfter, "kill-after", time.Second,
		"from SIGTERM to SIGKILL for processes whose lock was taken away, or that a second SIGTERM ends, 0s to 1m")
	cmd.Flags().Var(&l.leftovers, "leftovers", "what becomes of processes that run on when COMMAND has ended: wait, wait:DURATION, kill, leave")
	return cmd
}

// check refuses flags that make no sense.
func (l *lockCommand) check(cmd *cobra.Command) error {
	if err := l.acquisition.check(cmd); err != nil {
		return err
	}
	switch {
	case l.ttl == 0:
		return usagef("--ttl is 0s, must be above")
	case cmd.Flags().Changed("max-hold") && (l.maxHold < etcdstore.MinHold || l.maxHold > etcdstore.MaxHold):
		return usagef("--max-hold is %v, must be between %v and %v", l.maxHold, etcdstore.MinHold, etcdstore.MaxHold)
	case l.killAfter < 0 || l.killAfter > maxKillAfter:
		return usagef("--kill-after is %v, must be between 0s and %v", l.killAfter, maxKillAfter)
	}
	return nil
}

func (l *lockCommand) run(ctx context.Context, name string, argv []string) (err error) {
	if argv[0] == "--" { // Flags ended at LOCK, so this is still here.
		argv = argv[1:]
	}
	if len(argv) == 0 || argv[0] == "" {
		return usagef("no command to run under lock %q", name)
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
	hurried := false
	defer func() {
		if !hurried { // The session ends soon without a word, too.
			c.Close()
		}
	}()
	tree, err := process.Prepare(helperArg, l.in, l.out, l.err)
	if err != nil {
		return err
	}
	defer tree.Close()
	signals := process.Catch()
	defer signals.Release()

	held, err := l.wait(ctx, c, name, signals)
	if err != nil {
		return err
	}
	if _, ends := held.Deadline(); l.maxHold > 0 && !ends {
		l.printf("lock %q: the server is older than --max-hold: the lock may be held for ever", name)
	}
	lease := process.Lease{Context: held.Context(), Expiry: held.Expiry, Margin: held.Margin}
	command := process.Command{Path: path, Args: argv, Env: childEnv(ctx, os.Environ(), cfg, l.identity, c, held, tree.Mark())}
	if err := tree.Afterwards(bequest(cfg, l.identity, held.Credential())); err != nil {
		abandon(context.WithoutCancel(ctx), held)
		return err
	}
	options := process.Options{
		KillAfter: l.killAfter,
		Leftovers: l.leftovers,
		Say:       func(message string) { l.printf("lock %q: %s", name, message) },
	}
	stopWarning := l.warn(held)
	result, err := tree.Run(lease, command, signals, options)
	stopWarning()
	ending, stop := signals.Hurry(context.WithoutCancel(ctx), hurryGrace)
	defer func() {
		hurried = ending.Err() != nil
		stop()
	}()
	switch {
	case err != nil:
		abandon(ending, held)
		return err
	case result.Lost && len(result.Left) > 0:
		return fmt.Errorf("%w: %q: %w; nothing was published: %w", errLost, name, notEnded(result.Left), loss(held))
	case result.Lost:
		return fmt.Errorf("%w: %q: the command was ended and nothing published: %w", errLost, name, loss(held))
	case len(result.Left) > 0:
		abandon(ending, held)
		return fmt.Errorf("lock %q: %w; nothing was published", name, notEnded(result.Left))
	case result.Code != 0:
		if lostUnnoticed(ending, c, held) {
			return fmt.Errorf("%w: %q: the command failed with code %d, and nothing was published", errLost, name, result.Code)
		}
		abandon(ending, held)
		if result.Interrupted != 0 {
			return silent{exitError{code: result.Code, err: &interrupted{result.Interrupted}}}
		}
		return exitWith(result.Code)
	}
	return publish(ending, held)
}

// hurryGrace is how long the end of a section may take once a signal has come. A second one ends it
// at once.
const hurryGrace = 2 * time.Second

// wait acquires the lock, unless a signal comes first.
func (l *lockCommand) wait(ctx context.Context, c *client.Client, name string, signals *process.Signals) (*client.Lock, error) {
	ctx, stop := signals.Context(ctx)
	var held *client.Lock
	enclosed, err := isEnclosed(ctx, c, name)
	switch {
	case enclosed:
		err = usagef("lock %q is already held by an enclosing dlm lock: waiting for it would never end", name)
	case err == nil:
		held, err = l.acquire(ctx, c, name, l.streams)
	}
	stop()
	if signalled := orSignal(ctx, nil); signalled != nil {
		if err == nil {
			abandon(context.WithoutCancel(ctx), held)
		}
		return nil, signalled
	}
	return held, err
}

// warn says, once, that a hold's deadline is near, until stop is called.
func (l *lockCommand) warn(held *client.Lock) (stop func()) {
	over := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		select {
		case <-held.Ending():
			at, _ := held.Deadline()
			l.printf("lock %q: it may not be held longer than until %s, in %s: then it is taken away, and the command ended",
				held.Name(), at.Format(time.RFC3339), max(time.Until(at), 0).Round(100*time.Millisecond))
		case <-held.Context().Done():
		case <-over:
		}
	})
	return func() {
		close(over)
		done.Wait()
	}
}

// lostUnnoticed reports whether a server says that a lock is not held any more. A command that has
// failed ends with a discard, which succeeds in any case and does not tell. If no server can be
// asked, nothing is known of a loss.
func lostUnnoticed(ctx context.Context, c *client.Client, l *client.Lock) bool {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	state, err := c.Inspect(ctx, l.Name())
	if err != nil {
		return errors.Is(err, client.ErrLockNotFound)
	}
	return state.GetHolder().GetToken() != l.Token()
}

// notEnded names what may run on without the lock.
func notEnded(left []string) error {
	return fmt.Errorf("%w: %s may run on without the lock", errNotEnded, strings.Join(left, ", "))
}

// loss is why a lock is not held any more.
func loss(l *client.Lock) error {
	if cause := context.Cause(l.Context()); cause != nil {
		return cause
	}
	return errors.New("its lease may have ended while this process was stopped")
}
