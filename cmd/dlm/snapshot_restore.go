package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/distributed-lock-manager/dlm/config"
	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
)

// restoreCommand is `dlm snapshot restore`.
type restoreCommand struct {
	*streams
	file     string // the configuration's
	raise    int64
	foreign  bool
	unsealed bool
	json     bool
}

// restored is what `dlm snapshot restore --json` prints.
type restored struct {
	content
	DataDir string  `json:"data_dir"`
	Member  string  `json:"member"`
	After   int64   `json:"raised_to"` // the revision
	Took    float64 `json:"took_seconds"`
}

func newSnapshotRestore(s *streams) *cobra.Command {
	c := &restoreCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "restore [flags] FILE",
		Short: "Make the data directory of a server from a snapshot",
		Long: `Make the data directory of one server with embedded etcd from a snapshot, with the configuration that the server is
started with: the same file, flags and DLM_* environment. No server may run meanwhile. In a cluster every member restores
the same snapshot, each into its own data directory; then all are started.

The revision is raised, by --raise, so that no fencing token is issued a second time: also those that were issued after
the snapshot. It must be the same for all members; those that differ do not find together.

It is refused where there is data already: move "etcd" in the data directory away, and leave the rest as it is, by which
the server knows how far its tokens had come. A snapshot of an external etcd is restored there by etcd's own tools, as
docs/operations.md says.

Exit code: 1 it is no snapshot, or it is damaged, or of something else; 73 a server runs on the data directory; 74 the
disk is full; 78 the configuration is wrong, the data directory has data, or would not go with the snapshot.`,
		Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if c.raise < 1 {
				return usagef("--raise is %d, must be at least 1", c.raise)
			}
			cfg, err := config.Load(cmd.Flags(), c.file)
			if err != nil {
				return fmt.Errorf("%w: %w", errConfig, err)
			}
			return c.restore(cmd.Context(), cfg, args[0])
		},
	}
	configFlags(cmd, &c.file)
	flags := cmd.Flags()
	flags.Int64Var(&c.raise, "raise", embedded.DefaultRaise, "by how much the revision is raised: the same on all members")
	flags.BoolVar(&c.foreign, "foreign", false, "also if it has no cluster under etcd.prefix")
	flags.BoolVar(&c.unsealed, "skip-hash-check", false, "take a file without a hash, as a member's database is")
	flags.BoolVar(&c.json, "json", false, "print JSON")
	return cmd
}

func (c *restoreCommand) restore(ctx context.Context, cfg config.Config, path string) error {
	if cfg.External() {
		return fmt.Errorf("%w: etcd.endpoints: the servers' etcd is another process, and is restored by its own tools: see docs/operations.md", errConfig)
	}
	is, tooNew, err := contentOf(ctx, path, cfg.Etcd.Prefix, c.unsealed)
	switch {
	case err != nil:
		return err
	case tooNew != nil:
		return tooNew
	case is.Counts.Cluster == "" && !c.foreign:
		return fmt.Errorf("%w; --foreign restores it nevertheless", is.foreign(path))
	}
	to, err := embeddedConfig(cfg)
	if err != nil {
		return err
	}
	to.Logger = zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()), c.err, zapcore.ErrorLevel))
	to.Fatal = func(err error) {
		c.printf("restore: %v", err)
		os.Exit(exitCode(err))
	}
	args := embedded.RestoreArgs{Path: path, Info: is.Info, Raise: c.raise}
	if is.Counts.Cluster != "" {
		args.Remember = remembered(cfg.Etcd.Prefix, is.Counts.Cluster)
	}
	done, err := embedded.Restore(ctx, to, args)
	if err != nil {
		return onDisk(err)
	}
	if c.json {
		return writeJSONValue(c.out, restored{content: is, DataDir: cfg.DataDir, Member: cfg.Cluster.Name, After: done.After, Took: done.Took.Seconds()})
	}
	_, err = fmt.Fprintf(c.out, "restored %s into %s: revision %d, raised to %d, %d keys, cluster %s, in %v\n",
		path, cfg.DataDir, done.Before, done.After, is.Keys, orDash(is.Counts.Cluster), done.Took.Round(time.Millisecond))
	if n := len(to.Members); n > 1 {
		_, more := fmt.Fprintf(c.out, "restore the same snapshot, with the same --raise, on the other %d members, then start all servers\n", n-1)
		err = errors.Join(err, more)
	}
	return err
}
