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

// changer is a command that changes a file in a section of its own, or in one that is held.
type changer struct {
	*streams
	connection
	acquisition
	ifVersion string // empty: whatever it is
}

// change is what becomes of a file.
type change struct {
	file string
	from io.Reader // nil: there is nothing to be read
	// does is what is done with what is read, or with the first part of it; the rest is appended.
	does func(file string, data []byte) *client.Operation
}

func newAppend(s *streams) *cobra.Command {
	a := &changer{streams: s}
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
			data := io.Reader(a.in)
			if len(args) == 3 {
				data = strings.NewReader(args[2] + "\n")
			}
			return a.run(cmd.Context(), args[0], change{args[1], data, client.Append})
		},
	}
	a.flags(cmd)
	return cmd
}

func (a *changer) flags(cmd *cobra.Command) {
	a.connection.flags(cmd)
	a.acquisition.flags(cmd)
	cmd.Flags().StringVar(&a.ifVersion, "if-version", "", "only if FILE still is of this `VERSION`; none: if there is no such file")
}

func (a *changer) check(cmd *cobra.Command) error {
	if cmd.Flags().Changed("if-version") {
		if _, err := parseVersion(a.ifVersion); err != nil {
			return usagef("--if-version: %v", err)
		}
	}
	return a.acquisition.check(cmd)
}

// condition is what --if-version wants of a file; nil: nothing.
func (a *changer) condition(file string) *client.Condition {
	v, err := parseVersion(a.ifVersion)
	if err != nil { // it was not given, or it would not have come this far
		return nil
	}
	return &client.Condition{Files: []*client.FileCondition{client.VersionIs(file, v)}}
}

// stager is what a section that is held here, and one that is held by an enclosing `dlm lock`, have
// in common.
type stager interface {
	Stage(ctx context.Context, o *client.Operation) error
}

func (a *changer) run(ctx context.Context, lock string, do change) error {
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
		if err := a.unchanged(ctx, c, lock, do.file); err != nil {
			return orSignal(ctx, err)
		}
		return orSignal(ctx, do.stage(ctx, section))
	}
	if notOf == "" && !a.try && !a.waitSet {
		var done bool
		waiting := attending(ctx, cfg, c, a.streams)
		do, done, err = do.atOnce(ctx, c, lock, a.condition(do.file))
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
	err = a.unchanged(working, c, lock, do.file)
	if err == nil {
		err = do.stage(working, held)
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

// atOnce publishes what there is to read, if that is little, and nobody is in the way. If it is not
// done, it returns all that is still to be done.
func (do change) atOnce(ctx context.Context, c *client.Client, lock string, condition *client.Condition) (rest change, done bool, err error) {
	rest = do
	var data []byte
	if do.from != nil {
		var more bool
		if data, more, err = readSome(ctx, do.from); err != nil {
			return rest, false, err
		}
		rest.from = bytes.NewReader(data)
		if more {
			rest.from = io.MultiReader(rest.from, do.from)
			return rest, false, nil
		}
	}
	switch _, err = c.PublishIf(ctx, lock, condition, do.does(do.file, data)); {
	case err == nil:
		return rest, true, nil
	case errors.Is(err, client.ErrBusy), errors.Is(err, client.ErrUnimplemented):
		return rest, false, nil
	}
	return rest, false, err
}

// unchanged finds out whether a file still is of the version that --if-version wants, under its
// lock, which keeps it so.
func (a *changer) unchanged(ctx context.Context, c *client.Client, lock, file string) error {
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
	// This goroutine may outlive the call, as that of stage.
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

// stage stages everything there is to read, record by record. It returns when ctx ends, even while
// the source has nothing to read.
func (do change) stage(ctx context.Context, to stager) error {
	if do.from == nil {
		return to.Stage(ctx, do.does(do.file, nil))
	}
	records := make(chan record)
	// This goroutine may outlive the call: a read of a terminal or a pipe cannot be interrupted.
	// The process ends then.
	go func() {
		defer close(records)
		for next := range splitRecords(do.from) {
			select {
			case records <- next:
			case <-ctx.Done():
				return
			}
		}
	}()
	for does := do.does; ; does = client.Append {
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
			if err := to.Stage(ctx, does(do.file, next.data)); err != nil {
				return err
			}
		}
	}
}
