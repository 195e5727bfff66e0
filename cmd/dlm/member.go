package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/config"
)

// memberCommand is `dlm member`. It speaks to etcd itself, not to a dlm server: a cluster that
// needs it may have lost some of those.
type memberCommand struct {
	*streams
	etcdConnection
	peerTLS bool
}

func newMember(s *streams) *cobra.Command {
	m := &memberCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "member",
		Short: "List, add or remove the members of an embedded cluster",
		Long: `List, add or remove the members of a cluster of servers with embedded etcd, through the etcd client port of one that
runs (cluster.client-listen in its configuration).

To replace a lost server: remove its member, add the new one, and start that with an empty data directory, with
cluster.state "existing" and the new list of members.`,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	m.flags(cmd)
	cmd.AddCommand(m.list(), m.add(), m.remove())
	return cmd
}

func (m *memberCommand) list() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the members",
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return m.with(cmd.Context(), func(ctx context.Context, etcd *clientv3.Client) error {
				answer, err := etcd.MemberList(ctx)
				if err != nil {
					return err
				}
				rows := [][]string{{"ID", "NAME", "PEER ADDRESS"}}
				for _, member := range answer.Members {
					rows = append(rows, []string{memberID(member), memberName(member), strings.Join(member.PeerURLs, ",")})
				}
				return writeTable(m.out, rows)
			})
		},
	}
}

func (m *memberCommand) add() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add [flags] NAME HOST:PORT",
		Short: "Add a member, then start its server",
		Args:  arguments(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, peer := args[0], args[1]
			if !config.IsPeerAddress(peer) {
				return usagef("%q is not HOST:PORT", peer)
			}
			scheme := "http"
			if m.peerTLS {
				scheme = "https"
			}
			return m.with(cmd.Context(), func(ctx context.Context, etcd *clientv3.Client) error {
				answer, err := etcd.MemberAdd(ctx, []string{scheme + "://" + peer})
				if err != nil {
					return err
				}
				return m.explain(name, peer, answer.Members)
			})
		},
	}
	cmd.Flags().BoolVar(&m.peerTLS, "peer-tls", false, "the members use TLS between each other")
	return cmd
}

// explain prints the configuration that the new member's server needs.
func (m *memberCommand) explain(name, peer string, members []*etcdserverpb.Member) error {
	var list []string
	for _, member := range members {
		for _, url := range member.PeerURLs {
			_, address, _ := strings.Cut(url, "://")
			switch {
			case address == peer:
				list = append(list, name+"="+peer)
			case member.Name == "":
				list = append(list, "NAME="+address) // Added before and not started: nobody knows its name.
			default:
				list = append(list, member.Name+"="+address)
			}
		}
	}
	_, err := fmt.Fprintf(m.out, `added. Start its server with an empty data directory and this configuration:

cluster:
  name: %s
  peer-listen: %s
  state: existing
  members:
    - %s
`, name, peer, strings.Join(list, "\n    - "))
	if err == nil && m.peerTLS {
		_, err = fmt.Fprintln(m.out, "  tls: {ca: FILE, cert: FILE, key: FILE}   # as the other members have it")
	}
	return err
}

func (m *memberCommand) remove() *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a member, by name or id",
		Args:  arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return m.with(cmd.Context(), func(ctx context.Context, etcd *clientv3.Client) error {
				answer, err := etcd.MemberList(ctx)
				if err != nil {
					return err
				}
				for _, member := range answer.Members {
					if member.Name != args[0] && memberID(member) != args[0] {
						continue
					}
					if _, err := etcd.MemberRemove(ctx, member.ID); err != nil {
						return err
					}
					_, err := fmt.Fprintf(m.out, "removed %s, id %s\n", memberName(member), memberID(member))
					return err
				}
				return fmt.Errorf("no member is called %q", args[0])
			})
		},
	}
}

func memberID(member *etcdserverpb.Member) string { return strconv.FormatUint(member.ID, 16) }

const notStarted = "(not started)"

// memberName is empty in etcd until the member has started.
func memberName(member *etcdserverpb.Member) string {
	if member.Name == "" {
		return notStarted
	}
	return member.Name
}
