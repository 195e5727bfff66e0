package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

func newFeatures(s *streams) *cobra.Command {
	f := &featuresCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "features",
		Short: "List what is switched on, or switch a feature on",
		Long: `List the features of the servers of one prefix, or switch one on, through the client port of their etcd: with embedded
etcd that of a server that runs (cluster.client-listen in its configuration), else the external one.

A feature is what servers of an earlier version would not do. A new cluster has all of them on. In one that was upgraded,
switch them on once every server is of this version. It is refused while a server that has registered does not know the
feature; servers of versions that do not register cannot be seen, so look whether they are all upgraded. A feature is
not switched off again.`,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := cmd.PersistentFlags()
	f.flags(cmd)
	flags.StringVar(&f.prefix, "etcd-prefix", etcdstore.DefaultPrefix, "what the servers' keys begin with, their etcd.prefix")
	flags.StringVar(&f.username, "etcd-username", "", "user of etcd")
	flags.StringVar(&f.passwordFile, "etcd-password-file", "", "file with the user's password")
	cmd.AddCommand(f.list(), f.enable())
	return cmd
}

// featuresCommand is `dlm features`. Like `dlm member` it speaks to etcd itself.
type featuresCommand struct {
	*streams
	etcdConnection
	prefix string
}

// featureList is what `dlm features list --json` prints.
type featureList struct {
	Cluster  string                 `json:"cluster"`
	Features map[string]bool        `json:"features"`
	Servers  []etcdstore.ServerInfo `json:"servers"`
}

func (f *featuresCommand) list() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the features and the servers that know them",
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var state etcdstore.FeatureState
			err := f.with(cmd.Context(), func(ctx context.Context, etcd *clientv3.Client) (err error) {
				state, err = etcdstore.ReadFeatures(ctx, etcd, f.prefix)
				return err
			})
			if err != nil {
				return err
			}
			if asJSON {
				list := featureList{Cluster: state.Cluster, Features: map[string]bool{}, Servers: state.Servers}
				for _, name := range featureNames(state) {
					list.Features[name] = slices.Contains(state.On, name)
				}
				return writeJSONValue(f.out, list)
			}
			return f.show(state)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// featureNames are the features that this version knows, or that are on.
func featureNames(state etcdstore.FeatureState) []string {
	names := append(etcdstore.Features(), state.On...)
	slices.Sort(names)
	return slices.Compact(names)
}

func (f *featuresCommand) show(state etcdstore.FeatureState) error {
	rows := [][]string{{"FEATURE", "STATE", "SERVERS WITHOUT IT"}}
	for _, name := range featureNames(state) {
		is, without := "off", 0
		if slices.Contains(state.On, name) {
			is = "on"
		}
		for _, server := range state.Servers {
			if !slices.Contains(server.Features, name) {
				without++
			}
		}
		rows = append(rows, []string{name, is, fmt.Sprintf("%d of %d", without, len(state.Servers))})
	}
	if err := writeTable(f.out, rows); err != nil {
		return err
	}
	rows = [][]string{{"\nSERVER", "NAME", "VERSION", "FEATURES"}}
	for _, server := range state.Servers {
		rows = append(rows, []string{server.ID, server.Name, server.Version, strings.Join(server.Features, ",")})
	}
	return writeTable(f.out, rows)
}

func (f *featuresCommand) enable() *cobra.Command {
	return &cobra.Command{
		Use:   "enable NAME",
		Short: "Switch a feature on, for all servers and for good",
		Args:  arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := f.with(cmd.Context(), func(ctx context.Context, etcd *clientv3.Client) error {
				return etcdstore.EnableFeature(ctx, etcd, f.prefix, args[0])
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(f.out, "%s is on. Servers of versions that do not register cannot be seen: none may run here any more.\n", args[0])
			return err
		},
	}
}
