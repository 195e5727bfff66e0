package top

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/distributed-lock-manager/dlm/client"
)

// unknown is shown for what is not there, or not known.
const unknown = "-"

// column is one of the table's.
type column struct {
	title string
	width int  // in cells; of one that grows the least
	grows bool // takes what room is left
	right bool // numbers and ages
	rank  int  // those with a high one are left out first if there is no room
	cell  func(l *client.LockInfo, now time.Time) string
}

func columns() []column {
	return []column{
		{title: "LOCK", width: 14, grows: true, cell: func(l *client.LockInfo, _ time.Time) string { return l.GetName() }},
		{title: "HOLDER", width: 12, grows: true, rank: 1, cell: func(l *client.LockInfo, _ time.Time) string { return holder(l) }},
		{title: "IDENTITY", width: 10, grows: true, rank: 8, cell: func(l *client.LockInfo, _ time.Time) string {
			return cmp.Or(l.GetHolder().GetIdentity(), unknown)
		}},
		{title: "TOKEN", width: 9, right: true, rank: 6, cell: func(l *client.LockInfo, _ time.Time) string { return positive(l.GetHolder().GetToken()) }},
		{title: "HELD", width: 7, right: true, rank: 3, cell: func(l *client.LockInfo, now time.Time) string { return since(l.GetHolder().GetSince(), now) }},
		{title: "LEFT", width: 7, right: true, rank: 9, cell: func(l *client.LockInfo, now time.Time) string { return until(l.GetHolder().GetDeadline(), now) }},
		{title: "LEASE", width: 7, right: true, rank: 7, cell: func(l *client.LockInfo, _ time.Time) string { return left(l.GetHolder()) }},
		{title: "BEAT", width: 7, right: true, rank: 5, cell: func(l *client.LockInfo, _ time.Time) string { return beat(l.GetHolder()) }},
		{title: "WAIT", width: 6, right: true, rank: 2, cell: func(l *client.LockInfo, _ time.Time) string { return strconv.Itoa(int(l.GetQueueLength())) }},
		{title: "OLDEST", width: 7, right: true, rank: 4, cell: func(l *client.LockInfo, now time.Time) string { return since(firstWaiter(l), now) }},
		{title: "STAGED", width: 7, right: true, rank: 10, cell: func(l *client.LockInfo, _ time.Time) string { return positive(l.GetStagedRecords()) }},
	}
}

// Table is the whole of what is listed as text, the first row being the headings, in the order in
// which the view shows it.
func Table(locks []*client.LockInfo, now time.Time) [][]string {
	var heads []string
	for _, c := range columns() {
		heads = append(heads, c.title)
	}
	rows := [][]string{heads}
	sorted := slices.Clone(locks)
	byOldestWait.sort(sorted)
	for _, l := range sorted {
		var row []string
		for _, c := range columns() {
			row = append(row, c.cell(l, now))
		}
		rows = append(rows, row)
	}
	return rows
}

// holder names who holds a lock. Labels come from clients, and so are quoted.
func holder(l *client.LockInfo) string {
	switch h := l.GetHolder(); {
	case h == nil:
		return unknown
	case h.GetLabel() == "":
		return "session " + h.GetSession()
	default:
		return strconv.Quote(h.GetLabel())
	}
}

func positive(n int64) string {
	if n <= 0 {
		return unknown
	}
	return strconv.FormatInt(n, 10)
}

// firstWaiter is since when the first in line waits; nil: nobody does.
func firstWaiter(l *client.LockInfo) *timestamppb.Timestamp {
	if w := l.GetWaiters(); len(w) > 0 {
		return w[0].GetSince()
	}
	return nil
}

func since(at *timestamppb.Timestamp, now time.Time) string {
	if at == nil {
		return unknown
	}
	return span(now.Sub(at.AsTime()))
}

func until(at *timestamppb.Timestamp, now time.Time) string {
	if at == nil {
		return unknown
	}
	return span(at.AsTime().Sub(now))
}

// alive is a holder that says how its session is. Older servers' do not.
type alive interface {
	GetLeaseLeft() *durationpb.Duration
	GetHeartbeatAge() *durationpb.Duration
}

// left is how long a holder's lease lives without a further heartbeat.
func left(h *client.Holder) string {
	if a, ok := any(h).(alive); ok && a.GetLeaseLeft() != nil {
		return span(a.GetLeaseLeft().AsDuration())
	}
	return unknown
}

// beat is how long ago its last heartbeat was.
func beat(h *client.Holder) string {
	if a, ok := any(h).(alive); ok && a.GetHeartbeatAge() != nil {
		return span(a.GetHeartbeatAge().AsDuration())
	}
	return unknown
}

// span is a duration in at most six characters, its two largest units.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	d = max(d, 0)
	two := func(big time.Duration, bigUnit string, small time.Duration, smallUnit string) string {
		return fmt.Sprintf("%d%s%02d%s", d/big, bigUnit, d%big/small, smallUnit)
	}
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return two(time.Minute, "m", time.Second, "s")
	case d < day:
		return two(time.Hour, "h", time.Minute, "m")
	case d < 100*day:
		return two(day, "d", time.Hour, "h")
	}
	return fmt.Sprintf("%dd", min(d/day, 99_999))
}

// order is what the rows are sorted by. Those that it does not tell apart are in the order of their
// names.
type order int

const (
	byOldestWait order = iota
	byHeld
	byWaiters
	byName
	orders
)

func (o order) String() string {
	switch o {
	case byHeld:
		return "time held"
	case byWaiters:
		return "waiters"
	case byName:
		return "name"
	}
	return "oldest wait"
}

// sort puts locks in order, the most urgent first.
func (o order) sort(locks []*client.LockInfo) {
	compare := func(_, _ *client.LockInfo) int { return 0 }
	switch o {
	case byOldestWait:
		compare = func(a, b *client.LockInfo) int { return earlier(firstWaiter(a), firstWaiter(b)) }
	case byHeld:
		compare = func(a, b *client.LockInfo) int { return earlier(a.GetHolder().GetSince(), b.GetHolder().GetSince()) }
	case byWaiters:
		compare = func(a, b *client.LockInfo) int { return cmp.Compare(b.GetQueueLength(), a.GetQueueLength()) }
	}
	slices.SortFunc(locks, func(a, b *client.LockInfo) int {
		return cmp.Or(compare(a, b), strings.Compare(a.GetName(), b.GetName()))
	})
}

// earlier compares moments, of which one that is not there is the latest.
func earlier(a, b *timestamppb.Timestamp) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return a.AsTime().Compare(b.AsTime())
}

// matches reports whether a filter finds a lock: by its name, or by whom it is held.
func matches(l *client.LockInfo, filter string) bool {
	filter = strings.ToLower(filter)
	h := l.GetHolder()
	for _, text := range []string{l.GetName(), h.GetLabel(), h.GetIdentity(), h.GetSession()} {
		if strings.Contains(strings.ToLower(text), filter) {
			return true
		}
	}
	return false
}
