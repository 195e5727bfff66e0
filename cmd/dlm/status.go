package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/internal/text"
)

// statusCommand is `dlm status`.
type statusCommand struct {
	*streams
	connection
	json     bool
	members  bool // of the cluster are asked for, and not locks
	problems bool // are asked for
	only     client.Selection
}

func newStatus(s *streams) *cobra.Command {
	st := &statusCommand{streams: s}
	cmd := &cobra.Command{
		Use:   "status [flags] [LOCK]",
		Short: "Tell who holds a lock and who waits, list all locks in use, or tell of the cluster",
		Long: `Tell who holds LOCK, who waits for it, and why its last section was undone if one was. Without LOCK list every lock
that is held or waited for.

With --mine list what this client's identity holds and waits for, with --identity NAME another's, with --session ID what
a session does: of the waiters its own, and its place in the queue.

With --cluster tell of the servers and the etcd behind them: its members, who leads, how large the file of each is, how
much of that is in use, and the quota. With embedded etcd a server knows that of its own member alone, so name all of them
in --endpoints. It works without a quorum.

With --problems list what is stored in a form that no server writes, which servers pass over; "dlm repair" removes it. For
that a server reads everything that is stored.`,
		Args: arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case st.some() && (st.members || st.problems || len(args) > 0):
				return usagef("--mine, --identity and --session list locks: not with --cluster, --problems or a LOCK")
			case st.only.Mine && st.only.Identity != "":
				return usagef("--mine and --identity exclude each other")
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
	cmd.Flags().BoolVar(&st.only.Mine, "mine", false, "list what this client's identity holds and waits for")
	cmd.Flags().StringVar(&st.only.Identity, "identity", "", "list what the identity `NAME` holds and waits for")
	cmd.Flags().StringVar(&st.only.Session, "session", "", "list what the session `ID` holds and waits for")
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
	if st.json {
		return st.allJSON(ctx, c)
	}
	rows := [][]string{{"LOCK", "HOLDER", "TOKEN", "FOR", "WAITING"}}
	if st.some() {
		rows[0] = append(rows[0], "THIS")
	}
	for page, err := range c.Select(ctx, st.only) {
		if err != nil {
			return err
		}
		for _, l := range page.GetLocks() {
			holder, token, since := "-", "-", "-"
			if h := l.GetHolder(); h != nil {
				holder, token, since = who(h.GetLabel(), h.GetSession()), strconv.FormatInt(h.GetToken(), 10), age(h.GetSince())
			}
			row := []string{l.GetName(), holder, token, since, strconv.Itoa(int(l.GetQueueLength()))}
			if st.some() {
				row = append(row, st.part(l))
			}
			rows = append(rows, row)
		}
	}
	return writeTable(st.out, rows)
}

// allJSON writes the locks as one array, as they come. To make text of a page takes longer than to
// read the next one, so it is made of several at a time.
func (st *statusCommand) allJSON(ctx context.Context, c *client.Client) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pages := make(chan chan pageText, runtime.GOMAXPROCS(0)) // in order
	go func() {
		defer close(pages)
		for page, err := range c.Select(ctx, st.only) {
			made := make(chan pageText, 1)
			go func() { made <- textOf(page, err) }()
			select {
			case pages <- made:
			case <-ctx.Done():
				return
			}
		}
	}()
	before := "["
	for made := range pages {
		page := <-made
		if page.err != nil {
			return page.err
		}
		if len(page.text) == 0 {
			continue
		}
		if _, err := fmt.Fprintf(st.out, "%s%s", before, page.text); err != nil {
			return err
		}
		before = nextElement
	}
	if before == "[" {
		_, err := fmt.Fprintln(st.out, "[]")
		return err
	}
	_, err := fmt.Fprintln(st.out, "]")
	return err
}

// nextElement is what stands between two elements of an array.
const nextElement = ",\n "

// pageText is a page of a listing as elements of an array.
type pageText struct {
	text []byte
	err  error // the page's
}

func textOf(page *client.ListPage, err error) pageText {
	var made []byte
	for i, l := range page.GetLocks() {
		if i > 0 {
			made = append(made, nextElement...)
		}
		if made, err = (protojson.MarshalOptions{}).MarshalAppend(made, l); err != nil {
			break
		}
	}
	return pageText{text.EscapeLines(made), err}
}

// some reports whether only what somebody has is listed.
func (st *statusCommand) some() bool { return st.only != client.Selection{} }

// part is what those have of a lock who are listed.
func (st *statusCommand) part(l *client.LockInfo) string {
	var parts []string
	h := l.GetHolder()
	switch {
	case h == nil, st.only.Session != "" && h.GetSession() != st.only.Session, st.only.Identity != "" && h.GetIdentity() != st.only.Identity:
	case st.only.Mine && len(l.GetWaiters()) > 0 && l.GetWaiters()[0].GetIdentity() != h.GetIdentity():
	default:
		parts = append(parts, "holds it")
	}
	for _, w := range l.GetWaiters() {
		parts = append(parts, fmt.Sprintf("waits for it, number %d", w.GetPosition()))
	}
	return strings.Join(parts, "; ")
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
			[]string{"", fmt.Sprintf("session %s%s, request %s", holder.GetSession(), identified(holder.GetIdentity()), holder.GetRequest())},
			[]string{"token", strconv.FormatInt(holder.GetToken(), 10)},
			[]string{"held", fmt.Sprintf("for %s, since %s", age(holder.GetSince()), clock(holder.GetSince()))},
			[]string{"heartbeat", heartbeat(holder)},
			[]string{"deadline", deadline(holder.GetDeadline())},
			[]string{"staged", staged(lock.GetStagedRecords())},
		)
	}
	rows = append(rows, []string{"waiting", strconv.Itoa(int(lock.GetQueueLength()))})
	for i, waiter := range lock.GetWaiters() {
		rows = append(rows, []string{"", fmt.Sprintf("%d. %s for %s, session %s%s",
			i+1, who(waiter.GetLabel(), waiter.GetSession()), age(waiter.GetSince()), waiter.GetSession(), identified(waiter.GetIdentity()))})
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

// heartbeat says how a holder's session lives.
func heartbeat(h *client.Holder) string {
	if h.GetHeartbeatAge() == nil {
		return "not known to this server"
	}
	return fmt.Sprintf("%s ago, the session lives on for %s without another", short(h.GetHeartbeatAge().AsDuration()), short(h.GetLeaseLeft().AsDuration()))
}

// who names a session for people. Labels come from clients, so they are quoted.
func who(label, session string) string {
	if label == "" {
		return "session " + session
	}
	return strconv.Quote(label)
}

// identified says whose a session is; nothing if it is nobody's.
func identified(identity string) string {
	if identity == "" {
		return ""
	}
	return " of " + strconv.Quote(identity)
}

// deadline says when a holder is evicted.
func deadline(at *timestamppb.Timestamp) string {
	if at == nil {
		return "none"
	}
	if left := time.Until(at.AsTime()); left > 0 {
		return fmt.Sprintf("in %s, at %s: then it is evicted", left.Round(time.Second), clock(at))
	}
	return fmt.Sprintf("over since %s: it is about to be evicted", clock(at))
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
