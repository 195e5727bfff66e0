package page

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

const (
	pace     = 50 * time.Millisecond  // between two readings of what has changed, and between two messages
	again    = 500 * time.Millisecond // after a failure
	readSoon = 5 * time.Second        // for one reading
	batch    = 1000                   // locks of one reading

	idle = 5 * time.Minute
)

// hub follows the store for all streams.
//
//	store ─ Watch ─ take ─ changed names ─ read ─ rows ┬ names ─ stream
//	                                                   └ names ─ stream
type hub struct {
	store Store
	log   *slog.Logger
	wait  time.Duration // how long it goes on when nobody looks

	changed chan struct{} // of size 1: there are changed names

	mu       sync.Mutex
	rows     map[string]*row
	revision int64 // everything up to it is in the rows
	down     string
	streams  map[*stream]struct{}
	running  bool
	stop     context.CancelFunc
	idling   *time.Timer

	stale   map[string]struct{} // names of locks to be read
	told    int64               // everything up to it is in the rows once these are read
	state   map[string]struct{} // names in the state that is being told; nil: none is
	watched bool                // the watch has told its state, and goes on

	group sync.WaitGroup
}

// row is what is told of one lock. It does not change; another takes its place.
type row struct {
	name    string
	form    []byte // of JSON
	waiting bool
	oldest  int64
}

func newHub(store Store, log *slog.Logger) *hub {
	return &hub{
		store: store, log: log, wait: idle, changed: make(chan struct{}, 1), down: connecting,
		rows: map[string]*row{}, streams: map[*stream]struct{}{}, stale: map[string]struct{}{},
	}
}

// connecting is why nothing is told before the first state has come.
const connecting = "the locks are being read"

// join has a stream told of changes, all rows at first.
func (h *hub) join(ctx context.Context, s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams[s] = struct{}{}
	if h.idling != nil {
		h.idling.Stop()
		h.idling = nil
	}
	if h.running {
		return
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	h.running, h.stop = true, stop
	h.group.Go(func() {
		var both sync.WaitGroup
		both.Go(func() { h.watch(ctx) })
		both.Go(func() { h.read(ctx) })
		both.Wait()
	})
}

// leave ends that. Some time after the last has left, the store is not watched any more.
func (h *hub) leave(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.streams, s)
	if len(h.streams) > 0 || !h.running || h.idling != nil {
		return
	}
	h.idling = time.AfterFunc(h.wait, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.streams) == 0 && h.running {
			h.end()
		}
	})
}

// end forgets everything; mu is held. What runs for it may take a moment to notice, and finds that
// it is not the one that runs.
func (h *hub) end() {
	h.stop()
	h.running, h.idling, h.watched = false, nil, false
	h.rows, h.stale, h.state, h.down = map[string]*row{}, map[string]struct{}{}, nil, connecting
	h.revision, h.told = 0, 0
}

// close ends what runs, and waits for it.
func (h *hub) close() {
	h.mu.Lock()
	if h.idling != nil {
		h.idling.Stop()
	}
	if h.running {
		h.end()
	}
	h.mu.Unlock()
	h.group.Wait()
}

// locked runs f with mu held, unless ctx has ended: then what calls is not the one that runs.
func (h *hub) locked(ctx context.Context, f func()) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	f()
	return nil
}

// watch follows the store until ctx ends.
func (h *hub) watch(ctx context.Context) {
	for ctx.Err() == nil {
		err := h.store.Watch(ctx, "", func(n *etcdstore.News) error { return h.locked(ctx, func() { h.take(n) }) })
		_ = h.locked(ctx, func() {
			h.watched, h.state = false, nil
			h.fail(err)
		})
		sleep(ctx, again)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// fail notes that nothing new can be told, and why; mu is held.
func (h *hub) fail(err error) {
	why := "the server cannot read the locks"
	switch {
	case errors.Is(err, etcdstore.ErrNoQuorum), errors.Is(err, context.DeadlineExceeded):
		why = "the server cannot reach a quorum of etcd"
	case errors.Is(err, etcdstore.ErrClosed):
		why = "the server is stopping"
	case errors.Is(err, etcdstore.ErrQuota):
		why = "more happened than could be told; the locks are read again"
	}
	if h.down == why {
		return
	}
	h.log.Warn("the page's figures are not current", "err", err)
	h.down = why
	h.tell(nil)
}

// take notes what the store tells; mu is held. It may not take long.
func (h *hub) take(n *etcdstore.News) {
	for _, e := range n.Events {
		if e.Initial {
			if h.state == nil {
				h.state = map[string]struct{}{}
			}
			h.state[e.Lock] = struct{}{}
			continue
		}
		h.stale[e.Lock] = struct{}{}
	}
	if n.Revision == 0 {
		return
	}
	if len(n.Events) == 0 { // the state is complete: what is not in it may be gone
		maps.Copy(h.stale, h.state)
		for name := range h.rows {
			h.stale[name] = struct{}{}
		}
		h.state, h.watched = nil, true
	}
	h.told = n.Revision
	signal(h.changed)
}

// signal makes a channel of size 1 ready.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// read reads what has changed, until ctx ends.
func (h *hub) read(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.changed:
		}
		if err := h.readStale(ctx); err != nil && ctx.Err() == nil {
			_ = h.locked(ctx, func() { h.fail(err) })
			sleep(ctx, again)
			signal(h.changed)
			continue
		}
		sleep(ctx, pace)
	}
}

// readStale reads the locks that have changed. After an error those that were not read are still to
// be.
func (h *hub) readStale(ctx context.Context) error {
	var names []string
	var told int64
	if err := h.locked(ctx, func() {
		names, told = slices.Collect(maps.Keys(h.stale)), h.told
		clear(h.stale)
	}); err != nil {
		return err
	}
	for len(names) > 0 {
		some := names[:min(batch, len(names))]
		infos, revision, err := h.describe(ctx, some)
		if err != nil {
			return errors.Join(err, h.locked(ctx, func() {
				for _, name := range names {
					h.stale[name] = struct{}{}
				}
			}))
		}
		names = names[len(some):]
		if err := h.locked(ctx, func() {
			for _, info := range infos {
				h.put(info, revision)
			}
			h.tell(some)
		}); err != nil {
			return err
		}
	}
	return h.locked(ctx, func() {
		h.revision = told
		if h.watched {
			h.down = ""
		}
		h.tell(nil)
	})
}

func (h *hub) describe(ctx context.Context, names []string) ([]etcdstore.LockInfo, int64, error) {
	ctx, cancel := context.WithTimeout(ctx, readSoon)
	defer cancel()
	return h.store.Describe(ctx, names)
}

// put makes what was read of a lock its row; mu is held.
func (h *hub) put(info etcdstore.LockInfo, revision int64) {
	if !used(info) {
		delete(h.rows, info.Name)
		return
	}
	form := rowOf(info, revision)
	h.rows[info.Name] = &row{name: info.Name, form: encoded(form), waiting: form.Waiting > 0, oldest: form.Oldest}
}

// tell tells every stream that rows have changed, or something that is told with them; mu is held.
func (h *hub) tell(names []string) {
	for s := range h.streams {
		s.changed(names)
	}
}

// all are all rows: first those that somebody waits for, the oldest wait first, then by name.
func (h *hub) all() []*row {
	h.mu.Lock()
	rows := slices.Collect(maps.Values(h.rows))
	h.mu.Unlock()
	slices.SortFunc(rows, func(a, b *row) int {
		switch {
		case a.waiting != b.waiting && a.waiting:
			return -1
		case a.waiting != b.waiting:
			return 1
		case a.waiting && a.oldest != b.oldest:
			if a.oldest < b.oldest {
				return -1
			}
			return 1
		case a.name < b.name:
			return -1
		}
		return 1
	})
	return rows
}

// some are the rows of some locks, nil where there is none.
func (h *hub) some(names []string) []*row {
	h.mu.Lock()
	defer h.mu.Unlock()
	rows := make([]*row, len(names))
	for i, name := range names {
		rows[i] = h.rows[name]
	}
	return rows
}

// now is up to which revision the rows are told, and why they are not current; empty: they are.
func (h *hub) now() (revision int64, down string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.revision, h.down
}
