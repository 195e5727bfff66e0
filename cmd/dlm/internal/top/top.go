package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/process"
)

// Source is where locks are asked about. A [client.Client] is one.
type Source interface {
	List(ctx context.Context, prefix string) ([]*client.LockInfo, error)
	Inspect(ctx context.Context, lock string) (*client.LockInfo, error)
	Watch(ctx context.Context, prefix string) iter.Seq2[*client.Event, error]
	Evict(ctx context.Context, lock string, token int64, reason string) (*client.Holder, error)
}

// Config is what a view is made of.
type Config struct {
	Source   Source
	Prefix   string                                   // of the locks that are shown
	Interval time.Duration                            // the least between two listings
	Lock     func(io.Writer, *client.LockInfo) error  // writes what there is to say of one lock
	Event    func(w io.Writer, e *client.Event) error // writes one event on one line
}

const (
	pace      = 100 * time.Millisecond // between two drawings, but for what a key does
	frame     = 500 * time.Millisecond // the most between two, for the ages
	patience  = 2 * time.Second        // from when on an answer that is owed is told of
	settle    = 5 * time.Second        // for an eviction that is under way
	keptTales = 1000                   // events that are kept
)

// mode is what the keyboard is for.
type mode int

const (
	browsing  mode = iota // the table
	looking               // one lock
	filtering             // the filter is typed
	reasoning             // why a lock is to be evicted is typed
	deciding              // whether it is
)

// view is what is shown.
type view struct {
	cfg    Config
	feed   *feed
	screen tcell.Screen

	mode  mode
	all   []*client.LockInfo // as listed
	shown []*client.LockInfo // of those the ones that the filter finds, in order
	known bool               // there was a listing
	tales []*client.Event    // the last that have happened
	order order

	filter   string
	selected string // the lock's name
	first    int    // the first row that is on the screen

	lock   *client.LockInfo // that is looked at; nil: none, or nothing is known of it yet
	looked string           // its name
	scroll int

	typed   string
	victim  *client.LockInfo // that is to be evicted, as it was when that was asked for
	message string           // of what came of it
	err     error            // of the last listing

	evictions sync.WaitGroup
}

// ErrTerminal is the error of a terminal that the view cannot be shown on.
var ErrTerminal = errors.New("no terminal for it")

// Show shows the view on the process's terminal until it is quit: nil; or ctx ends: its cause; or
// there is no answer before anything was shown: why. The terminal is left as it was found, also
// while the process is stopped by it. Nothing was shown if the error is [ErrTerminal].
func Show(ctx context.Context, cfg Config) error {
	screen, err := tcell.NewScreen()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTerminal, err)
	}
	return run(ctx, cfg, screen)
}

func run(ctx context.Context, cfg Config, screen tcell.Screen) error {
	if err := screen.Init(); err != nil {
		return fmt.Errorf("%w: %w", ErrTerminal, err)
	}
	defer screen.Fini()
	stopped, release := stops()
	defer release()
	parent := ctx
	ctx, cancel := context.WithCancel(ctx)
	v := &view{cfg: cfg, screen: screen, feed: &feed{
		source: cfg.Source, prefix: cfg.Prefix, interval: cfg.Interval,
		news: make(chan news), dirty: make(chan struct{}, 1), looked: make(chan struct{}, 1),
	}}
	var running sync.WaitGroup
	defer running.Wait()
	defer v.evictions.Wait()
	defer cancel()
	running.Go(func() { v.feed.list(ctx) })
	running.Go(func() { v.feed.watch(ctx) })
	keys := make(chan tcell.Event, 64)
	running.Go(func() { screen.ChannelEvents(keys, ctx.Done()) })
	tick := time.NewTicker(pace)
	defer tick.Stop()
	suspend := func() error {
		if err := screen.Suspend(); err != nil {
			return fmt.Errorf("the terminal: %w", err)
		}
		process.Stop()
		if err := screen.Resume(); err != nil {
			return fmt.Errorf("the terminal: %w", err)
		}
		return nil
	}
	var drawn time.Time
	for stale := true; ; {
		if now := time.Now(); stale && now.Sub(drawn) >= pace || now.Sub(drawn) >= frame {
			v.draw(now)
			drawn, stale = now, false
		}
		select {
		case <-parent.Done():
			return context.Cause(parent)
		case n := <-v.feed.news:
			if n.err != nil && !v.known {
				return n.err
			}
			v.take(n)
			stale = true
		case <-tick.C:
		case <-stopped:
			if err := suspend(); err != nil {
				return err
			}
		case e := <-keys:
			stale, drawn = true, time.Time{}
			switch e := e.(type) {
			case *tcell.EventResize:
				screen.Sync()
			case *tcell.EventError:
				return fmt.Errorf("the terminal: %w", e)
			case *tcell.EventKey:
				switch {
				case e.Key() == tcell.KeyCtrlL: // somebody else has written on the terminal
					v.draw(time.Now())
					screen.Sync()
				case e.Key() == tcell.KeyCtrlZ:
					if err := suspend(); err != nil {
						return err
					}
				case v.press(ctx, e):
					return nil
				}
			case nil: // the screen is gone
				return nil
			}
		}
	}
}

// take takes in what the servers have said.
func (v *view) take(n news) {
	switch {
	case n.done != "":
		v.message = n.done
	case n.event != nil:
		if v.tales = append(v.tales, n.event); len(v.tales) > keptTales {
			v.tales = v.tales[len(v.tales)-keptTales:]
		}
	case n.err != nil:
		v.err = n.err
	default:
		v.err, v.known, v.all = nil, true, n.locks
		if n.lock != nil && n.lock.GetName() == v.looked {
			v.lock = n.lock
		}
		v.arrange()
	}
}

// arrange finds and sorts what is to be shown. The row that is selected stays it.
func (v *view) arrange() {
	at := v.position()
	v.shown = v.shown[:0:0]
	for _, l := range v.all {
		if matches(l, v.filter) {
			v.shown = append(v.shown, l)
		}
	}
	v.order.sort(v.shown)
	if v.position() < 0 { // it is gone: what is in its place
		v.choose(at)
	}
}

// position is where the selected row is; below 0: nowhere.
func (v *view) position() int {
	for i, l := range v.shown {
		if l.GetName() == v.selected {
			return i
		}
	}
	return -1
}

// choose selects a row.
func (v *view) choose(i int) {
	v.selected = ""
	if len(v.shown) > 0 {
		v.selected = v.shown[min(max(i, 0), len(v.shown)-1)].GetName()
	}
}

// press takes a key. It reports whether the view is to end.
func (v *view) press(ctx context.Context, e *tcell.EventKey) (over bool) {
	if e.Key() == tcell.KeyCtrlC {
		return true
	}
	switch v.mode {
	case filtering:
		v.typing(e, func(ok bool) {
			v.mode = browsing
			if !ok {
				v.filter = ""
			}
		}, func(text string) { v.filter = text })
		v.arrange()
	case reasoning:
		v.typing(e, func(ok bool) {
			if v.mode = deciding; !ok || v.typed == "" {
				v.back()
			}
		}, func(string) {})
	case deciding:
		if e.Rune() == 'y' || e.Rune() == 'Y' {
			v.evict(ctx, v.victim, v.typed)
		}
		v.back()
	case browsing:
		return v.browse(e)
	case looking:
		return v.look(e)
	}
	return false
}

// back goes back to where an eviction was asked for.
func (v *view) back() {
	if v.victim = nil; v.looked != "" {
		v.mode = looking
	} else {
		v.mode = browsing
	}
}

// maxTyped is how many bytes may be typed: as many as a reason may have.
const maxTyped = 256

// typing takes a key of a text that ends with Enter, or is given up with Escape.
func (v *view) typing(e *tcell.EventKey, done func(ok bool), changed func(string)) {
	switch e.Key() {
	case tcell.KeyEnter:
		done(true)
		return
	case tcell.KeyEscape:
		done(false)
		return
	case tcell.KeyBackspace, tcell.KeyBackspace2:
		if runes := []rune(v.typed); len(runes) > 0 {
			v.typed = string(runes[:len(runes)-1])
		}
	case tcell.KeyCtrlU:
		v.typed = ""
	case tcell.KeyRune:
		if text := v.typed + string(e.Rune()); len(text) <= maxTyped {
			v.typed = text
		}
	}
	changed(v.typed)
}

// browse takes a key at the table.
func (v *view) browse(e *tcell.EventKey) (over bool) {
	_, height := v.screen.Size()
	at, page := v.position(), max(height-margins, 1)
	v.message = ""
	switch e.Key() {
	case tcell.KeyUp:
		v.choose(at - 1)
	case tcell.KeyDown:
		v.choose(at + 1)
	case tcell.KeyPgUp:
		v.choose(at - page)
	case tcell.KeyPgDn:
		v.choose(at + page)
	case tcell.KeyHome:
		v.choose(0)
	case tcell.KeyEnd:
		v.choose(len(v.shown) - 1)
	case tcell.KeyEnter:
		if at >= 0 {
			v.mode, v.looked, v.lock, v.scroll = looking, v.selected, nil, 0
			v.feed.lookAt(v.looked)
		}
	case tcell.KeyEscape:
		v.filter = ""
		v.arrange()
	case tcell.KeyRune:
		switch e.Rune() {
		case 'q':
			return true
		case 'k':
			v.choose(at - 1)
		case 'j':
			v.choose(at + 1)
		case 's':
			v.order = (v.order + 1) % orders
			v.arrange()
		case '/':
			v.mode, v.typed = filtering, v.filter
		case 'e':
			if at >= 0 {
				v.ask(v.shown[at])
			}
		}
	}
	return false
}

// look takes a key at one lock.
func (v *view) look(e *tcell.EventKey) (over bool) {
	_, height := v.screen.Size()
	v.message = ""
	switch e.Key() {
	case tcell.KeyUp:
		v.scroll--
	case tcell.KeyDown:
		v.scroll++
	case tcell.KeyPgUp:
		v.scroll -= max(height-margins, 1)
	case tcell.KeyPgDn:
		v.scroll += max(height-margins, 1)
	case tcell.KeyHome:
		v.scroll = 0
	case tcell.KeyEscape, tcell.KeyEnter, tcell.KeyLeft:
		v.leave()
	case tcell.KeyRune:
		switch e.Rune() {
		case 'q':
			v.leave()
		case 'k':
			v.scroll--
		case 'j':
			v.scroll++
		case 'e':
			if v.lock != nil {
				v.ask(v.lock)
			}
		}
	}
	return false
}

// leave goes back to the table.
func (v *view) leave() {
	v.mode, v.looked, v.lock = browsing, "", nil
	v.feed.lookAt("")
}

// ask begins an eviction of whoever holds a lock as it is shown.
func (v *view) ask(l *client.LockInfo) {
	if l.GetHolder().GetToken() <= 0 {
		v.message = fmt.Sprintf("nobody holds %s", l.GetName())
		return
	}
	v.mode, v.victim, v.typed = reasoning, l, ""
}

// evict evicts whoever was shown, and nobody else: by the token.
func (v *view) evict(ctx context.Context, l *client.LockInfo, reason string) {
	telling, lock, token := ctx, l.GetName(), l.GetHolder().GetToken()
	v.message = fmt.Sprintf("evicting token %d from %s", token, lock)
	// What was decided is done, even if the view is quit at once.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settle)
	v.evictions.Go(func() {
		defer cancel()
		evicted, err := v.cfg.Source.Evict(ctx, lock, token, reason)
		text := fmt.Sprintf("evicted %s from %s: token %d", holder(&client.LockInfo{Holder: evicted}), lock, token)
		if err != nil {
			text = err.Error()
		} else if evicted == nil {
			text = fmt.Sprintf("nothing to do: token %d does not hold %s any more", token, lock)
		}
		note(v.feed.dirty)
		v.feed.tell(telling, news{done: text})
	})
}

// lines are what there is to say of the lock that is looked at.
func (v *view) lines() []string {
	var b strings.Builder
	if v.lock == nil {
		fmt.Fprintf(&b, "%s\nasking for it\n", v.looked)
	} else if err := v.cfg.Lock(&b, v.lock); err != nil {
		fmt.Fprintln(&b, err)
	}
	b.WriteString("\nwhat has happened since this view was opened, the latest first\n")
	for i := len(v.tales) - 1; i >= 0; i-- {
		if e := v.tales[i]; e.GetLock() == v.looked {
			fmt.Fprintf(&b, "revision %d  ", e.GetRevision())
			if err := v.cfg.Event(&b, e); err != nil {
				fmt.Fprintln(&b, err)
			}
		}
	}
	return strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
}
