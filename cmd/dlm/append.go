package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/process"
	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// appendCommand is `dlm append`.
type appendCommand struct {
	*streams
	connection
	acquisition
	ifVersion string // empty: whatever it is
}

func newAppend(s *streams) *cobra.Command {
	a := &appendCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "append [flags] LOCK FILE [TEXT]",
		Short: "Append a line, or standard input, to a file",
		Long: fmt.Sprintf(`Append TEXT and a newline to FILE of LOCK; without TEXT, standard input as it is. All of it appears at once, or nothing
does. One call appends %d MiB at most.

Up to 1 MiB is published without taking the lock, if nobody holds it and nobody waits for it. Otherwise, and with --try
or --wait, it takes the lock, appends, and releases.

Inside "dlm lock LOCK" it appends under the lock already held, and what it appends appears when that is released. It
exits 70 if that lock was lost, and never takes it anew.

With --if-version it appends only if nothing was published to FILE since its version was VERSION, which "dlm cat
--version" prints, and exits 76 otherwise. So what was read can be added to without holding the lock in between.`, etcdstore.MaxSection>>20),
		Example: `  dlm append orders audit.log 'shipped 42'
  journalctl -b | dlm append hosts/web1 boot.log
  v=$(dlm cat --version orders numbers); n=$(dlm cat orders numbers | tail -1)
  dlm append --if-version "$v" orders numbers $((n + 1))`,
		Args: arguments(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.check(cmd); err != nil {
				return err
			}
			if cmd.Flags().Changed("if-version") {
				if _, err := parseVersion(a.ifVersion); err != nil {
					return usagef("--if-version: %v", err)
				}
			}
			data := io.Reader(a.in)
			if len(args) == 3 {
				data = strings.NewReader(args[2] + "\n")
			}
			return a.run(cmd.Context(), args[0], args[1], data)
		},
	}
	a.connection.flags(cmd)
	a.acquisition.flags(cmd)
	cmd.Flags().StringVar(&a.ifVersion, "if-version", "", "append only if FILE still is of this `VERSION`; none: if there is no such file")
	return cmd
}

// appender is what a section that is held here, and one that is held by an enclosing `dlm lock`,
// have in common.
type appender interface {
	Append(ctx context.Context, file string, data []byte) error
}

func (a *appendCommand) run(ctx context.Context, lock, file string, data io.Reader) error {
	a.linger = lingerOf(0)
	cfg, err := a.config(0, a.label)
	if err != nil {
		return err
	}
	c, err := client.Open(cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	signals := process.Catch()
	defer signals.Release()
	ctx, stop := signals.Context(ctx)
	defer stop()
	section, notOf, err := heldSection(ctx, c, cfg.Endpoints, lock)
	if err != nil {
		return orSignal(ctx, err)
	}
	if section != nil {
		if err := a.unchanged(ctx, c, lock, file); err != nil {
			return orSignal(ctx, err)
		}
		return orSignal(ctx, copyRecords(ctx, section, file, data))
	}
	if notOf == "" && !a.try && !a.waitSet {
		var done bool
		waiting := attending(ctx, cfg, c, a.streams)
		data, done, err = a.publishAtOnce(ctx, c, lock, file, data)
		waiting()
		if done || err != nil {
			return orSignal(ctx, err)
		}
	}
	held, err := a.acquire(ctx, c, lock, a.streams)
	if err != nil {
		return orSignal(ctx, err)
	}
	if notOf != "" && c.Cluster() == notOf {
		abandon(context.WithoutCancel(ctx), held)
		return fmt.Errorf("%w: %q: the enclosing dlm lock does not hold it any more", errLost, lock)
	}
	// Two reasons to stop: a signal, and the loss of the lock.
	working, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(held.Context(), func() {
		cancel(fmt.Errorf("%w: %q: %w", errLost, lock, context.Cause(held.Context())))
	})()
	err = a.unchanged(working, c, lock, file)
	if err == nil {
		err = copyRecords(working, held, file, data)
	}
	if err != nil {
		cause := context.Cause(working) // Before abandon, which ends the hold as well.
		abandon(context.WithoutCancel(ctx), held)
		if errors.Is(cause, errLost) {
			return cause
		}
		return orSignal(ctx, err)
	}
	stop()
	ending, stop := signals.Hurry(context.WithoutCancel(ctx), hurryGrace)
	defer stop()
	return publish(ending, held)
}

// publishAtOnce publishes what there is to read, if that is little, and nobody is in the way. If it
// is not done, it returns all that is still to be appended.
func (a *appendCommand) publishAtOnce(
	ctx context.Context, c *client.Client, lock, file string, from io.Reader,
) (rest io.Reader, done bool, err error) {
	data, more, err := readSome(ctx, from)
	if err != nil {
		return nil, false, err
	}
	rest = bytes.NewReader(data)
	if more {
		return io.MultiReader(rest, from), false, nil
	}
	var condition *client.Condition
	if a.ifVersion != "" {
		v, err := parseVersion(a.ifVersion)
		if err != nil {
			return nil, false, err
		}
		condition = &client.Condition{Files: []*client.FileCondition{client.VersionIs(file, v)}}
	}
	switch _, err = c.PublishIf(ctx, lock, condition, client.Append(file, data)); {
	case err == nil:
		return nil, true, nil
	case errors.Is(err, client.ErrBusy), errors.Is(err, client.ErrUnimplemented):
		return rest, false, nil
	}
	return nil, false, err
}

// unchanged finds out whether a file still is of the version that --if-version wants, under its
// lock, which keeps it so.
func (a *appendCommand) unchanged(ctx context.Context, c *client.Client, lock, file string) error {
	if a.ifVersion == "" {
		return nil
	}
	v, err := c.FileVersion(ctx, lock, file)
	if err != nil {
		return err
	}
	if is := versionText(v); is != a.ifVersion {
		return fmt.Errorf("%w: the version of file %q is %s", client.ErrConflict, file, is)
	}
	return nil
}

// readSome reads as much as one publish may have, and a byte more if there is: then there is more.
func readSome(ctx context.Context, from io.Reader) (data []byte, more bool, err error) {
	type result struct {
		data []byte
		err  error
	}
	read := make(chan result, 1)
	// This goroutine may outlive the call, as that of copyRecords.
	go func() {
		data, err := io.ReadAll(io.LimitReader(from, etcdstore.MaxPublish+1))
		read <- result{data, err}
	}()
	select {
	case r := <-read:
		if r.err != nil {
			return nil, false, fmt.Errorf("read standard input: %w", r.err)
		}
		return r.data, len(r.data) > etcdstore.MaxPublish, nil
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
}

// copyRecords appends everything there is to read, record by record. It returns when ctx ends, even
// while the source has nothing to read.
func copyRecords(ctx context.Context, to appender, file string, from io.Reader) error {
	records := make(chan record)
	// This goroutine may outlive the call: a read of a terminal or a pipe cannot be interrupted.
	// The process ends then.
	go func() {
		defer close(records)
		for next := range splitRecords(from) {
			select {
			case records <- next:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case next, more := <-records:
			if !more {
				return nil
			}
			if next.err != nil {
				return fmt.Errorf("read standard input: %w", next.err)
			}
			if err := to.Append(ctx, file, next.data); err != nil {
				return fmt.Errorf("append to %q: %w", file, err)
			}
		}
	}
}
