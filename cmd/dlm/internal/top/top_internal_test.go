package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

const bound = 30 * time.Second

// fake knows some locks.
type fake struct {
	mu      sync.Mutex
	locks   []*client.LockInfo
	err     error
	evicted []string
	events  chan *client.Event
}

func (f *fake) set(locks []*client.LockInfo, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.locks, f.err = locks, err
}

func (f *fake) List(context.Context, string) ([]*client.LockInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.locks, f.err
}

func (f *fake) Inspect(_ context.Context, lock string) (*client.LockInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.locks {
		if l.GetName() == lock {
			return l, f.err
		}
	}
	return nil, client.ErrLockNotFound
}

func (f *fake) Watch(ctx context.Context, _ string) iter.Seq2[*client.Event, error] {
	return func(yield func(*client.Event, error) bool) {
		for {
			select {
			case e := <-f.events:
				if !yield(e, nil) {
					return
				}
			case <-ctx.Done():
				yield(nil, ctx.Err())
				return
			}
		}
	}
}

func (f *fake) Evict(_ context.Context, lock string, token int64, reason string) (*client.Holder, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.evicted = append(f.evicted, fmt.Sprintf("%s %d %s", lock, token, reason))
	return &client.Holder{Label: "evicted"}, nil
}

// played is a view on a screen of its own.
type played struct {
	*testing.T
	fake   *fake
	screen tcell.SimulationScreen
	shown  *recorded
	over   chan error
}

func play(t *testing.T, width, height int, locks ...*client.LockInfo) *played {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &played{T: t, fake: &fake{locks: locks, events: make(chan *client.Event)}, screen: tcell.NewSimulationScreen(""), over: make(chan error, 1)}
	cfg := Config{
		Source: p.fake, Interval: 10 * time.Millisecond,
		Lock: func(w io.Writer, l *client.LockInfo) error {
			_, err := fmt.Fprintf(w, "this is %s\n", l.GetName())
			return err
		},
		Event: func(w io.Writer, e *client.Event) error {
			_, err := fmt.Fprintln(w, e.GetReason())
			return err
		},
	}
	p.shown = &recorded{SimulationScreen: p.screen, width: width, height: height, ready: make(chan struct{})}
	go func() { p.over <- run(ctx, cfg, p.shown) }()
	await.Receive(t, bound, "the screen", p.shown.ready)
	t.Cleanup(func() {
		cancel()
		if len(p.over) == 0 {
			_ = await.Receive(t, bound, "the end of the view", p.over)
		}
	})
	return p
}

// recorded is a screen that keeps what was shown on it last.
type recorded struct {
	tcell.SimulationScreen
	width, height int           // from the start
	ready         chan struct{} // closed when it is

	mu   sync.Mutex
	text string
}

func (s *recorded) Init() error {
	err := s.SimulationScreen.Init()
	s.SetSize(s.width, s.height)
	close(s.ready)
	return err
}

func (s *recorded) Show() {
	s.SimulationScreen.Show()
	cells, width, _ := s.GetContents()
	var b strings.Builder
	for i, c := range cells {
		if i%max(width, 1) == 0 && i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(string(c.Runes))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = b.String()
}

// text is what is on the screen.
func (p *played) text() string {
	p.shown.mu.Lock()
	defer p.shown.mu.Unlock()
	return p.shown.text
}

// eventually waits until something is so of what is on the screen, and shows that if it is not.
func (p *played) eventually(what string, is func() bool) {
	p.Helper()
	defer func() {
		if p.Failed() {
			p.Logf("the screen shows:\n%s", p.text())
		}
	}()
	await.Eventually(p, bound, what, is)
}

func (p *played) shows(texts ...string) {
	p.Helper()
	p.eventually(fmt.Sprintf("%q", texts), func() bool {
		all := p.text()
		return !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(all, text) })
	})
}

func (p *played) typed(keys ...any) {
	for _, key := range keys {
		switch key := key.(type) {
		case tcell.Key:
			p.screen.InjectKey(key, 0, tcell.ModNone)
		case string:
			for _, r := range key {
				p.screen.InjectKey(tcell.KeyRune, r, tcell.ModNone)
			}
		}
	}
}

// some is a lock that was acquired so many minutes ago, and waited for half as long.
func some(name string, minutes, waiters int) *client.LockInfo {
	at := func(minutes int) *timestamppb.Timestamp {
		return timestamppb.New(time.Now().Add(-time.Duration(minutes) * time.Minute))
	}
	l := &client.LockInfo{Name: name, QueueLength: int32(waiters), StagedRecords: 3, Holder: &client.Holder{
		Label: "kept by " + name, Token: int64(1000 + minutes), Since: at(minutes),
	}}
	if waiters > 0 {
		l.Waiters = []*client.Waiter{{Label: "first", Since: at(minutes / 2)}}
	}
	return l
}

// rows are the names in the order of the table.
func (p *played) rows() (names []string) {
	lines := strings.Split(p.text(), "\n")
	for _, line := range lines[min(2, len(lines)):] {
		if name, _, ok := strings.Cut(line, " "); ok && strings.HasPrefix(name, "l") {
			names = append(names, name)
		}
	}
	return names
}

func (p *played) inOrder(names ...string) {
	p.Helper()
	p.eventually(fmt.Sprintf("the rows %q", names), func() bool { return slices.Equal(p.rows(), names) })
}

func TestView(t *testing.T) {
	t.Parallel()
	p := play(t, 160, 20, some("la", 5, 1), some("lb", 60, 0), some("lc", 20, 2), some("ld", 1, 9))
	p.shows("4 locks, 12 waiting, by oldest wait", `"kept by lc"`, "LOCK", "IDENTITY", "STAGED", "q quit")
	p.inOrder("lc", "la", "ld", "lb")
	p.typed("s")
	p.inOrder("lb", "lc", "la", "ld")
	p.typed("s")
	p.inOrder("ld", "lc", "la", "lb")
	p.typed("s")
	p.inOrder("la", "lb", "lc", "ld")
	p.typed("/LD", tcell.KeyEnter)
	p.inOrder("ld")
	p.shows(`of 4 those with "LD"`)
	p.fake.set(append(p.fake.locks, some("lld", 7, 0)), nil)
	p.fake.events <- &client.Event{Lock: "lld", Reason: "it was granted", Revision: 77}
	p.inOrder("ld", "lld")

	// One lock, and what has happened to it.
	p.typed("j", tcell.KeyEnter)
	p.shows("this is lld", "revision 77  it was granted", "Esc back")
	p.typed("e")
	p.shows(`evict "kept by lld" from lld, token 1007, and undo 3 staged records. Why?`)
	p.typed("it hangX", tcell.KeyBackspace2, "s", tcell.KeyEnter)
	p.shows(`because "it hangs". Do it? y/n`)
	p.typed("n")
	p.shows("Esc back")
	p.typed("e", "second", tcell.KeyEnter, "y")
	p.shows(`evicted "evicted" from lld: token 1007`)
	p.typed(tcell.KeyEscape)
	p.inOrder("ld", "lld")
	p.typed(tcell.KeyEscape)
	p.inOrder("la", "lb", "lc", "ld", "lld")
	if got := strings.Join(p.fake.evicted, ","); got != "lld 1007 second" {
		t.Errorf("evicted %q", got)
	}
	p.typed("q")
	if err := await.Receive(t, bound, "the end of the view", p.over); err != nil {
		t.Errorf("quit: %v", err)
	}
	p.over <- nil
}

// The row that is selected is kept while others come and go; what is evicted is what was shown.
func TestSelectionStays(t *testing.T) {
	t.Parallel()
	p := play(t, 100, 8, some("l1", 30, 1), some("l2", 20, 1))
	p.inOrder("l1", "l2")
	p.typed("j", "e")
	p.shows("from l2, token 1020")
	p.fake.set([]*client.LockInfo{some("l2", 0, 0), some("l0", 90, 1), some("l9", 99, 3)}, nil)
	p.fake.events <- &client.Event{}
	p.shows("3 locks")
	p.typed("why", tcell.KeyEnter, "y")
	p.shows("from l2: token 1020")
	p.fake.set(nil, nil)
	p.fake.events <- &client.Event{}
	p.shows("0 locks")
	p.typed("e", "j", "k", tcell.KeyEnter, tcell.KeyEnd) // nothing is there for them
	p.shows("0 locks", "q quit")
}

// While no server answers the view says so, keeps what it has, and goes on afterwards.
func TestViewOutlivesItsServer(t *testing.T) {
	t.Parallel()
	p := play(t, 120, 8, some("l1", 30, 1))
	p.inOrder("l1")
	p.fake.set(nil, client.ErrUnavailable)
	p.fake.events <- &client.Event{}
	p.shows("NO ANSWER FOR ", "reconnecting", "kept by l1")
	p.fake.set([]*client.LockInfo{some("l2", 1, 0)}, nil)
	p.inOrder("l2")
	p.fake.set(nil, client.ErrPermissionDenied)
	p.fake.events <- &client.Event{}
	p.shows(client.ErrPermissionDenied.Error())

	refused := &fake{err: client.ErrPermissionDenied}
	if err := run(t.Context(), Config{Source: refused}, tcell.NewSimulationScreen("")); !errors.Is(err, client.ErrPermissionDenied) {
		t.Errorf("a view that is refused from the start: %v", err)
	}
}

// Whatever size a screen has or gets, and whatever somebody calls himself, what is drawn is text
// within its lines.
func TestHostile(t *testing.T) {
	t.Parallel()
	evil := some("l1", 30, 1)
	evil.Holder.Label = "\x1b[2J\x1b]0;title\a\u202etxt.exe\u200b\r\n" + strings.Repeat("界", 40) + "e\u0301"
	evil.Holder.Identity = "\xff\xfe" + strings.Repeat("\u0301", 500)
	p := play(t, 80, 5, evil)
	for _, size := range [][2]int{{80, 5}, {1, 1}, {0, 0}, {2, 2}, {9, 3}, {400, 100}, {81, 4}, {20, 6}} {
		p.screen.SetSize(size[0], size[1])
		_ = p.screen.PostEvent(tcell.NewEventResize(size[0], size[1]))
		p.typed("e", "x", tcell.KeyEscape, tcell.KeyEnter, "j", tcell.KeyEscape, tcell.KeyPgDn)
	}
	p.shows("l1")
	for _, r := range p.text() {
		if r < ' ' && r != '\n' || r == 0x7f || r == 0x202e || r == 0x200b {
			t.Errorf("%U is on the screen", r)
		}
	}
	if strings.Contains(p.text(), "\x1b") {
		t.Errorf("an escape is on the screen:\n%q", p.text())
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	for width := range 300 {
		used := -gap
		fitting := fit(columns(), width)
		for _, c := range fitting {
			used += c.width + gap
		}
		if used > max(width, 1) || fitting[0].title != "LOCK" {
			t.Errorf("of %d cells %d are used by %d columns", width, used, len(fitting))
		}
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Hour: "0.0s", 9990 * time.Millisecond: "9.9s", 59 * time.Second: "59s", time.Minute: "1m00s", 1000 * time.Hour: "41d16h",
		1 << 62: "53375d", 25 * time.Hour: "1d01h", 90 * time.Minute: "1h30m",
	} {
		if got := span(d); got != want {
			t.Errorf("%v is shown as %q; want %q", d, got, want)
		}
	}
}

// Ten thousand locks are arranged and drawn in a moment.
func TestManyLocks(t *testing.T) {
	t.Parallel()
	var locks []*client.LockInfo
	for i := range 10_000 {
		locks = append(locks, some(fmt.Sprintf("l%05d", i), i, i%2))
	}
	p := play(t, 200, 50, locks...)
	p.shows("10000 locks, 5000 waiting", "l09999")
	began := time.Now()
	p.typed(tcell.KeyEnd)
	p.shows("l09998")
	if took := time.Since(began); took > bound/2 {
		t.Errorf("a key took %v", took)
	}
}
