package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/client"
)

// statusCommand is `dlm status`.
type statusCommand struct {
	*streams
	connection
	json     bool
	members  bool // of the cluster are asked for, and not locks
	problems bool // are asked for
}

func newStatus(s *streams) *cobra.Command {
	st := &statusCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "status [flags] [LOCK]",
		Short: "Tell who holds a lock and who waits, list all locks in use, or tell of the cluster",
		Long: `Tell who holds LOCK, who waits for it, and why its last section was undone if one was. Without LOCK list every lock
that is held or waited for.

With --cluster tell of the servers and the etcd behind them: its members, who leads, how large the file of each is, how
much of that is in use, and the quota. With embedded etcd a server knows that of its own member alone, so name all of them
in --endpoints. It works without a quorum.

With --problems list what is stored in a form that no server writes, which servers pass over; "dlm repair" removes it. For
that a server reads everything that is stored.`,
		Args: arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case st.members && st.problems:
				return usagef("--cluster and --problems exclude each other")
			case st.members && len(args) > 0:
				return usagef("--cluster tells of the cluster, not of the lock %q", args[0])
			case st.problems && len(args) > 0:
				return usagef("--problems tells of all locks, not of the lock %q", args[0])
			case st.members:
				return st.cluster(cmd.Context())
			}
			c, done, err := st.opened(cmd.Context(), s)
			if err != nil {
				return err
			}
			defer done()
			if st.problems {
				return st.malformed(cmd.Context(), c)
			}
			if len(args) == 0 {
				return st.all(cmd.Context(), c)
			}
			return st.one(cmd.Context(), c, args[0])
		},
	}
	st.connection.flags(cmd)
	jsonFlag(cmd, &st.json)
	cmd.Flags().BoolVar(&st.members, "cluster", false, "tell of the cluster")
	cmd.Flags().BoolVar(&st.problems, "problems", false, "list what is malformed in etcd")
	return cmd
}

// malformed lists the malformed keys, and says what the server that answers has met.
func (st *statusCommand) malformed(ctx context.Context, c *client.Client) error {
	found, err := c.Problems(ctx)
	if err != nil {
		return err
	}
	if !st.json && found.Panics > 0 {
		st.printf("a server has recovered from %d panics of its background work: its log says which", found.Panics)
	}
	if !st.json && len(found.Keys) == 0 {
		_, err := fmt.Fprintln(st.out, "nothing is malformed")
		return err
	}
	return writeProblems(st.streams, found.Keys, st.json)
}

func (st *statusCommand) all(ctx context.Context, c *client.Client) error {
	locks, err := c.List(ctx, "")
	if err != nil {
		return err
	}
	if st.json {
		return writeJSONArray(st.out, locks)
	}
	rows := [][]string{{"LOCK", "HOLDER", "TOKEN", "FOR", "WAITING"}}
	for _, l := range locks {
		holder, token, since := "-", "-", "-"
		if h := l.GetHolder(); h != nil {
			holder, token, since = who(h.GetLabel(), h.GetSession()), strconv.FormatInt(h.GetToken(), 10), age(h.GetSince())
		}
		rows = append(rows, []string{l.GetName(), holder, token, since, strconv.Itoa(int(l.GetQueueLength()))})
	}
	return writeTable(st.out, rows)
}

func (st *statusCommand) one(ctx context.Context, c *client.Client, name string) error {
	lock, err := c.Inspect(ctx, name)
	if errors.Is(err, client.ErrLockNotFound) {
		// A lock needs no making, so one that nobody has used is as free as any other.
		lock, err = &client.LockInfo{Name: name}, nil
	}
	if err != nil {
		return err
	}
	if st.json {
		return writeJSON(st.out, lock)
	}
	return describe(st.out, lock)
}

// describe writes what a person needs to know who is woken because a lock does not move.
func describe(w io.Writer, lock *client.LockInfo) error {
	rows := [][]string{{"lock", lock.GetName()}}
	holder := lock.GetHolder()
	switch {
	case holder == nil && lock.GetQueueLength() > 0:
		rows = append(rows, []string{"holder", "nobody: the first who waits is the next"})
	case holder == nil:
		rows = append(rows, []string{"holder", "nobody: it is free"})
	default:
		rows = append(rows,
			[]string{"holder", who(holder.GetLabel(), holder.GetSession())},
			[]string{"", fmt.Sprintf("session %s, request %s", holder.GetSession(), holder.GetRequest())},
			[]string{"token", strconv.FormatInt(holder.GetToken(), 10)},
			[]string{"held", fmt.Sprintf("for %s, since %s", age(holder.GetSince()), clock(holder.GetSince()))},
			[]string{"staged", staged(lock.GetStagedRecords())},
		)
	}
	rows = append(rows, []string{"waiting", strconv.Itoa(int(lock.GetQueueLength()))})
	for i, waiter := range lock.GetWaiters() {
		rows = append(rows, []string{"", fmt.Sprintf("%d. %s for %s, session %s",
			i+1, who(waiter.GetLabel(), waiter.GetSession()), age(waiter.GetSince()), waiter.GetSession())})
	}
	if more := int(lock.GetQueueLength()) - len(lock.GetWaiters()); more > 0 {
		rows = append(rows, []string{"", fmt.Sprintf("and %d more", more)})
	}
	if undone := lock.GetLastUndone(); undone != "" {
		rows = append(rows, []string{"last undone", undone})
	}
	if holder != nil {
		rows = append(rows, []string{"to free it", fmt.Sprintf("dlm evict %s --token %d --reason TEXT   (drops what is staged)",
			lock.GetName(), holder.GetToken())})
	}
	return writeTable(w, rows)
}

// who names a session for people. Labels come from clients, so they are quoted.
func who(label, session string) string {
	if label == "" {
		return "session " + session
	}
	return strconv.Quote(label)
}

func staged(records int64) string {
	switch records {
	case 0:
		return "nothing"
	case 1:
		return "1 record, not readable before it is released"
	}
	return fmt.Sprintf("%d records, not readable before they are released", records)
}
