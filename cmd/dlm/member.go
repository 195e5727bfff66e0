package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/config"
)

// memberCommand is `dlm member`. It speaks to etcd itself, not to a dlm server: a cluster that
// needs it may have lost some of those.
type memberCommand struct {
	*streams
	etcdConnection
}

func newMember(s *streams) *cobra.Command {
	m := &memberCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "member",
		Short: "List, add or remove the members of an embedded cluster",
		Long: `List, add or remove the members of a cluster of servers with embedded etcd, through the etcd client port of one that
runs (cluster.client-listen in its configuration).

To replace a lost server: remove its member, add the new one, and start that with an empty data directory, with
cluster.state "existing" and the new list of members.

Without a majority of the members nothing can be changed, which is said at once: exit code 69.`,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	m.flags(cmd)
	cmd.AddCommand(m.list(), m.add(), m.remove())
	return cmd
}

// How long the member that is asked may take for its first answer, which it gives without the
// others; how long an election may take; and how long another's peer address may take to accept.
const (
	firstAnswer  = 3 * time.Second
	electionWait = 2 * time.Second
	reachWait    = 2 * time.Second
	memberPause  = 250 * time.Millisecond // between two attempts
)

// memberState is a member as `dlm member list --json` prints it.
type memberState struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"` // empty until it has started
	Peers     []string `json:"peers"`
	Leader    bool     `json:"leader"`
	Learner   bool     `json:"learner"` // it does not vote yet
	Started   bool     `json:"started"`
	Reachable bool     `json:"reachable"` // its peer address accepts connections from here

	id uint64
}

// look returns the members as the one that is asked knows them, and whether they have a leader, for
// which it waits as long as an election takes.
func (m *memberCommand) look(ctx context.Context, etcd *clientv3.Client) (members []memberState, led bool, err error) {
	var leader uint64
	for over := time.Now().Add(electionWait); ; {
		leader, err = m.leader(ctx, etcd)
		if err != nil || leader != 0 || time.Now().After(over) {
			break
		}
		if err := pauseFor(ctx, memberPause); err != nil {
			return nil, false, err
		}
	}
	if err != nil {
		return nil, false, err
	}
	var answer *clientv3.MemberListResponse
	if leader == 0 {
		answer, err = etcd.MemberList(ctx, clientv3.WithSerializable())
	} else {
		answer, err = etcd.MemberList(ctx)
	}
	if err != nil {
		return nil, false, err
	}
	members = make([]memberState, len(answer.Members))
	var asked sync.WaitGroup
	for i, member := range answer.Members {
		members[i] = memberState{
			ID: memberID(member), Name: member.Name, Peers: member.PeerURLs, Leader: member.ID == leader, Learner: member.IsLearner,
			Started: member.Name != "", id: member.ID,
		}
		asked.Go(func() {
			members[i].Reachable = member.ID == answer.Header.MemberId || slices.ContainsFunc(member.PeerURLs, func(peer string) bool {
				return answersAt(ctx, peerAddress(peer))
			})
		})
	}
	asked.Wait()
	return members, leader != 0, nil
}

// leader is whom the member that is asked knows to lead; 0: nobody.
func (m *memberCommand) leader(ctx context.Context, etcd *clientv3.Client) (uint64, error) {
	var all []error
	for _, endpoint := range etcd.Endpoints() {
		ctx, cancel := context.WithTimeout(ctx, firstAnswer)
		status, err := etcd.Status(ctx, endpoint)
		cancel()
		if err == nil {
			return status.Leader, nil
		}
		all = append(all, err)
	}
	return 0, exitWithMessage(exitUnreachable, "no etcd answers at %s: %w; with embedded etcd a server has to run there that names it as its "+
		"cluster.client-listen, and that is ready: without a majority of its cluster it does not become so",
		strings.Join(etcd.Endpoints(), ","), errors.Join(all...))
}

func pauseFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// answersAt reports whether an address accepts connections. More cannot be asked without the
// members' certificates.
func answersAt(ctx context.Context, address string) bool {
	conn, err := (&net.Dialer{Timeout: reachWait}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// peerAddress is the host:port of a peer's URL.
func peerAddress(peer string) string {
	_, address, _ := strings.Cut(peer, "://")
	return address
}

// noQuorum is the refusal to change what has no leader.
func noQuorum(members []memberState) error {
	voters, silent := electorate(members)
	return exitWithMessage(exitUnreachable, "no quorum: the members have no leader, and nothing can be changed; of %d that vote, these cannot be "+
		"reached: %s. Start them; if they are lost for good, see \"When most members are lost\" in docs/operations.md",
		voters, cmp.Or(strings.Join(silent, ", "), "none"))
}

// electorate returns how many members vote, and which of them cannot be reached.
func electorate(members []memberState) (voters int, silent []string) {
	for _, member := range members {
		if member.Learner {
			continue
		}
		voters++
		if !member.Reachable {
			silent = append(silent, called(member))
		}
	}
	return voters, silent
}

// role is what a member is.
func role(leader, learner bool) string {
	switch {
	case leader:
		return "leader"
	case learner:
		return "learner"
	}
	return "follower"
}

// called is a member for people.
func called(member memberState) string {
	return fmt.Sprintf("%s at %s", cmp.Or(member.Name, member.ID), strings.Join(member.Peers, ","))
}

// change makes a change, and once more while the members say that they have not been connected for
// long enough.
func (m *memberCommand) change(ctx context.Context, once func(context.Context) error) error {
	for {
		err := once(ctx)
		if !errors.Is(err, rpctypes.ErrUnhealthy) {
			return explained(err)
		}
		if pauseFor(ctx, memberPause) != nil {
			return fmt.Errorf("%w: a majority of the members must have been connected for some seconds, with the change as well as without it", err)
		}
	}
}

// explained is etcd's refusal with what it means.
func explained(err error) error {
	switch {
	case errors.Is(err, rpctypes.ErrTooManyLearners):
		return fmt.Errorf("%w: one that was added before has not caught up yet, or was never started; see dlm member list", err)
	case errors.Is(err, rpctypes.ErrMemberNotEnoughStarted):
		return fmt.Errorf("%w: too many of the members that would be left have never started; see dlm member list", err)
	}
	return err
}

func (m *memberCommand) list() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the members",
		Long: `List the members: who leads, who has started, whose peer address accepts connections from here. A learner was added and
does not vote yet. Without a majority the list is what the member that is asked knows, and the exit code is 69.`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return m.with(cmd.Context(), func(ctx context.Context, etcd *clientv3.Client) error {
				members, led, err := m.look(ctx, etcd)
				if err != nil {
					return err
				}
				if asJSON {
					err = writeJSONValue(m.out, members)
				} else {
					err = m.table(members)
				}
				if err == nil && !led {
					err = noQuorum(members)
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (m *memberCommand) table(members []memberState) error {
	rows := [][]string{{"ID", "NAME", "PEER ADDRESS", "ROLE", "HEALTH"}}
	for _, member := range members {
		health := "reachable"
		if !member.Reachable {
			health = "cannot be reached"
		}
		rows = append(rows, []string{member.ID, cmp.Or(member.Name, notStarted), strings.Join(member.Peers, ","), role(member.Leader, member.Learner), health})
	}
	return writeTable(m.out, rows)
}

func (m *memberCommand) add() *cobra.Command {
	var peerTLS bool
	cmd := &cobra.Command{
		Use:   "add [flags] NAME HOST:PORT",
		Short: "Add a member, then start its server",
		Long: `Add a member, and print the configuration for its server. It is added as a learner, which does not count for the
majority: its server makes it a full member as soon as it has caught up, and is ready then. Whether the members use TLS is
taken from those that there are.`,
		Args: arguments(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, peer := args[0], args[1]
			if !config.IsPeerAddress(peer) {
				return usagef("%q is not HOST:PORT", peer)
			}
			return m.with(cmd.Context(), func(ctx context.Context, etcd *clientv3.Client) error {
				members, led, err := m.look(ctx, etcd)
				if err != nil {
					return err
				}
				if !led {
					return noQuorum(members)
				}
				scheme, err := schemeFor(members, name, peer)
				if err != nil {
					return err
				}
				if peerTLS && scheme != "https" {
					return usagef("--peer-tls: the members do not use TLS between each other: %s", called(members[0]))
				}
				cfg, err := configurationOf(members, name, peer)
				if err != nil {
					return err
				}
				if err := m.change(ctx, func(ctx context.Context) error {
					_, err := etcd.MemberAddAsLearner(ctx, []string{scheme + "://" + peer})
					return err
				}); err != nil {
					return err
				}
				return m.explain(cfg, scheme)
			})
		},
	}
	cmd.Flags().BoolVar(&peerTLS, "peer-tls", false, "check that the members use TLS between each other")
	return cmd
}

// schemeFor is how the members reach each other, which is how they will reach a new one. It refuses
// a name or an address that is taken.
func schemeFor(members []memberState, name, peer string) (scheme string, err error) {
	for _, member := range members {
		for _, address := range member.Peers {
			u, err := url.Parse(address)
			switch {
			case err != nil:
				return "", fmt.Errorf("member %s: %w", called(member), err)
			case u.Host == peer:
				return "", usagef("there is a member at %s: %s; remove it first if it is to be replaced", peer, called(member))
			case u.Port() == "0":
				return "", usagef("%s is a single server that no other can reach: see \"From one server to three\" in docs/operations.md",
					cmp.Or(member.Name, member.ID))
			case scheme != "" && scheme != u.Scheme:
				return "", fmt.Errorf("some members use TLS between each other and some do not, and cannot reach each other: %s does not "+
					"fit the others; remove it first", called(member))
			}
			scheme = u.Scheme
		}
		if member.Name == name {
			return "", usagef("there is a member called %q: %s; remove it first if it is to be replaced", name, called(member))
		}
	}
	return scheme, nil
}

// configurationOf is what the new member's server needs, and is valid. Whether that is by TLS, the
// members say.
func configurationOf(members []memberState, name, peer string) (config.Cluster, error) {
	cfg := config.Default()
	cfg.Insecure = true
	c := &cfg.Cluster
	c.Name, c.PeerListen, c.State = name, peer, "existing"
	for _, member := range members {
		for _, address := range member.Peers {
			// Who was added before and has not started has no name that anybody knows. Etcd goes
			// by the addresses.
			c.Members = append(c.Members, cmp.Or(member.Name, "unnamed-"+member.ID)+"="+peerAddress(address))
		}
	}
	c.Members = append(c.Members, name+"="+peer)
	if err := cfg.Validate(); err != nil {
		return config.Cluster{}, usagef("no server could be configured as %q at %s: %v", name, peer, err)
	}
	return cfg.Cluster, nil
}

// explain prints the configuration that the new member's server needs.
func (m *memberCommand) explain(c config.Cluster, scheme string) error {
	var list []string
	for _, member := range c.Members {
		list = append(list, strconv.Quote(member))
	}
	consent := ""
	if scheme == "http" && !config.IsLoopback(c.PeerListen) {
		consent = "insecure: true   # as the other members have it: between each other they speak plain text\n"
	}
	_, err := fmt.Fprintf(m.out, `added as a learner: it does not vote until its server has caught up. Start that with an empty data directory and
this configuration:

%scluster:
  name: %q
  peer-listen: %q
  state: existing
  members:
    - %s
`, consent, c.Name, c.PeerListen, strings.Join(list, "\n    - "))
	if err == nil && scheme == "https" {
		_, err = fmt.Fprintln(m.out, "  # tls: {ca: FILE, cert: FILE, key: FILE}   # as the other members have it, or they do not talk with it")
	}
	return err
}

func (m *memberCommand) remove() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "remove [flags] NAME",
		Short: "Remove a member, by name or id",
		Long: `Remove a member, by its name or id. It is refused if a majority of those that would be left cannot be reached from here:
nothing could be changed any more, and nothing be locked. With --force only etcd itself decides.`,
		Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return m.with(cmd.Context(), func(ctx context.Context, etcd *clientv3.Client) error {
				members, led, err := m.look(ctx, etcd)
				if err != nil {
					return err
				}
				if !led {
					return noQuorum(members)
				}
				member, err := theOne(members, args[0])
				if err != nil {
					return err
				}
				if err := keepsQuorum(members, member); err != nil && !force {
					return err
				}
				if err := m.change(ctx, func(ctx context.Context) error {
					_, err := etcd.MemberRemove(ctx, member.id)
					return err
				}); err != nil {
					return err
				}
				_, err = fmt.Fprintf(m.out, "removed %s, id %s\n", cmp.Or(member.Name, notStarted), member.ID)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "also if the others cannot be reached from here")
	return cmd
}

// theOne is the one member with a name or id.
func theOne(members []memberState, name string) (memberState, error) {
	var found []memberState
	for _, member := range members {
		if member.Name == name || member.ID == name {
			found = append(found, member)
		}
	}
	switch len(found) {
	case 0:
		return memberState{}, fmt.Errorf("no member is called %q, see dlm member list", name)
	case 1:
		return found[0], nil
	}
	return memberState{}, usagef("%d members are called %q: say which by its id, as %s", len(found), name, found[0].ID)
}

// keepsQuorum refuses to remove a member if the others would be no majority of themselves.
func keepsQuorum(members []memberState, without memberState) error {
	voters, silent := electorate(slices.DeleteFunc(slices.Clone(members), func(m memberState) bool { return m.id == without.id }))
	switch {
	case voters == 0:
		return fmt.Errorf("%s is the only member that votes: without it there is no cluster", called(without))
	case !without.Learner && voters-len(silent) < voters/2+1:
		return fmt.Errorf("without %s the quorum would be lost: of the %d members that are left and vote, these cannot be reached: %s. "+
			"Start them, or remove one of them instead; --force leaves it to etcd", called(without), voters, strings.Join(silent, ", "))
	}
	return nil
}

const notStarted = "(not started)"

func memberID(member *etcdserverpb.Member) string { return strconv.FormatUint(member.ID, 16) }
