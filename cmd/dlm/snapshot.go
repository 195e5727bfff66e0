package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/snapshot"
)

func newSnapshot(s *streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "snapshot",
		Short: "Back up all that the servers keep, and restore it",
		Long: `Save a copy of all that the servers keep, look into one, and restore one.

A snapshot holds secrets, and everything that was published: keep it as you keep the data directories.`,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSnapshotSave(s), newSnapshotStatus(s), newSnapshotRestore(s))
	return cmd
}

// content is what a snapshot's file is, and what it has under a prefix.
type content struct {
	snapshot.Info
	Prefix string           `json:"prefix"`
	Counts etcdstore.Counts `json:"contents"`
}

// contentOf reads a snapshot's file. With an error of the second kind the file is good, and a
// server of this version would not start on what is in it.
func contentOf(ctx context.Context, path, prefix string, unsealed bool) (c content, tooNew, err error) {
	census := etcdstore.NewCensus(prefix)
	if c.Info, err = snapshot.Read(ctx, path, unsealed, census.Add); err != nil {
		return content{}, nil, err
	}
	c.Prefix = prefix
	c.Counts, tooNew = census.Counts()
	return c, tooNew, nil
}

// foreign is the refusal of a snapshot without the prefix.
func (c content) foreign(path string) error {
	others := ""
	if len(c.Counts.Others) > 0 {
		others = ", but that of " + strings.Join(c.Counts.Others, ", ")
	}
	return fmt.Errorf("%w: %s has no cluster under %s%s", errForeign, path, c.Prefix, others)
}

// errForeign is that a snapshot is not of the servers' keys.
var errForeign = errors.New("the snapshot is of something else")

func newSnapshotStatus(s *streams) *cobra.Command {
	var prefix string
	var unsealed, asJSON bool
	cmd := &cobra.Command{
		Use:   "status [flags] FILE",
		Short: "Tell whether a snapshot is whole, and what is in it",
		Long: `Check a snapshot by its own hash, and tell its revision and what is in it. It needs no server. Exit code 1: it is no
snapshot, or it is damaged; 78: it is of a later version.

With --skip-hash-check it also takes a file without a hash, as a member's database is, etcd/member/snap/db in the data
directory of a server that does not run; then some damage is not noticed.`,
		Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, tooNew, err := contentOf(cmd.Context(), args[0], prefix, unsealed)
			if err != nil {
				return err
			}
			if asJSON {
				return errors.Join(writeJSONValue(s.out, c), tooNew)
			}
			return errors.Join(c.show(s), tooNew)
		},
	}
	cmd.Flags().StringVar(&prefix, "etcd-prefix", etcdstore.DefaultPrefix, "what the servers' keys begin with, their etcd.prefix")
	cmd.Flags().BoolVar(&unsealed, "skip-hash-check", false, "take a file without a hash")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (c content) show(s *streams) error {
	number := func(n int) string { return strconv.Itoa(n) }
	hash := c.SHA256
	if !c.Verified {
		hash = "not checked"
	}
	n := c.Counts
	rows := [][]string{
		{"sha256", hash},
		{"size", strconv.FormatInt(c.Size, 10)},
		{"revision", strconv.FormatInt(c.Revision, 10)},
		{"keys", number(c.Keys)},
		{"etcd's form", orDash(c.Version)},
		{"prefix", c.Prefix},
	}
	if n.Cluster == "" {
		rows = append(rows, []string{"cluster", "none under this prefix"})
	} else {
		rows = append(rows, [][]string{
			{"cluster", n.Cluster},
			{"format", number(n.Format)},
			{"features", orDash(strings.Join(n.Features, ","))},
			{"sessions", number(n.Sessions)},
			{"locks held", number(n.Held)},
			{"waiting", number(n.Waiting)},
			{"files", number(n.Files)},
			{"bytes published", strconv.FormatInt(n.Bytes, 10)},
			{"sections staged", number(n.Staged)},
			{"sections unfolded", number(n.Unfolded)},
		}...)
	}
	if len(n.Others) > 0 {
		rows = append(rows, []string{"other prefixes", strings.Join(n.Others, " ")})
	}
	return writeTable(s.out, rows)
}
