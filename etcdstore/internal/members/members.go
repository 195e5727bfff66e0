package members

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	askEvery  = 500 * time.Millisecond // how often the member in use is asked
	lookFor   = 5 * time.Second        // how long the others are then asked, before all begins anew
	grace     = 200 * time.Millisecond // of the one in use over the others: after an election all answer
	headStart = 300 * time.Millisecond // of each member over the next one, when a store opens
	askAgain  = 100 * time.Millisecond // after a failure
	backEvery = 5 * time.Second        // how often a member that was left is asked whether it is back
	backFor   = 2 * time.Second        // how long that may take

	// How long the member in use may owe an answer. It is doubled, up to the most, with each move
	// back to a member that was left not long ago, so that an etcd that is merely loaded does not
	// have its clients move to and fro. It is the least again after a calm.
	leastPatience = time.Second
	mostPatience  = 4 * time.Second
	calm          = time.Minute
)

// Members are the members of an etcd. They are safe for concurrent use.
type Members struct {
	cfg clientv3.Config // of all
	key string
	log *slog.Logger

	inUse atomic.Pointer[Member]
	lost  chan struct{} // of size 1: the connection to the one in use broke

	mu   sync.Mutex
	left map[string]bool // endpoints

	// Run's own.
	patience time.Duration
	movedAt  time.Time
	leftAt   map[string]time.Time // endpoints, whether they are back or not

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// Only is an etcd of one member, whose client stays the caller's to close.
func Only(client *clientv3.Client) *Members {
	m := &Members{}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	only := &Member{}
	only.reach(client)
	m.inUse.Store(only)
	return m
}

// Open connects to the members at cfg.Endpoints, and returns when one of them has answered: the
// first if it does, as each has a head start over the next one. Key is what is read; it need not be
// there, nor may the user have to be allowed to read it. ctx bounds only Open.
//
// It fails when ctx ends, or as soon as no member will answer however often it is asked. The error
// says of each member why.
func Open(ctx context.Context, cfg clientv3.Config, key string, log *slog.Logger) (*Members, error) {
	if len(cfg.Endpoints) == 0 {
		return nil, errors.New("no endpoints")
	}
	m := &Members{
		cfg: cfg, key: key, log: log,
		lost:     make(chan struct{}, 1),
		left:     map[string]bool{},
		leftAt:   map[string]time.Time{},
		patience: leastPatience,
	}
	m.ctx, m.cancel = context.WithCancel(context.WithoutCancel(ctx))
	first, err := m.first(ctx, cfg.Endpoints, headStart)
	if err != nil {
		m.Close()
		return nil, err
	}
	m.use(first)
	return m, nil
}

// InUse is the member to work with.
func (m *Members) InUse() *Member { return m.inUse.Load() }

// Endpoints are those of all members.
func (m *Members) Endpoints() []string {
	if m.cfg.Endpoints == nil {
		return m.InUse().Client.Endpoints()
	}
	return m.cfg.Endpoints
}

// Do calls f with the client of the member in use, and again if that is left meanwhile. So f may
// have taken effect before it is called again.
func (m *Members) Do(ctx context.Context, f func(*clientv3.Client) error) error {
	for {
		used := m.InUse()
		err := f(used.Client)
		if err == nil || !used.left.Load() || ctx.Err() != nil {
			return err
		}
	}
}

// Close closes the connections. It is called after Run has ended.
func (m *Members) Close() {
	m.cancel()
	if used := m.InUse(); used != nil && m.cfg.Endpoints != nil {
		used.close()
	}
	m.running.Wait()
}

// Run watches over the member in use until ctx ends.
func (m *Members) Run(ctx context.Context) {
	if len(m.cfg.Endpoints) < 2 {
		return // there is nowhere to go
	}
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { m.askLeft(ctx) })
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-m.lost:
		}
		m.look(ctx)
	}
}

// look asks the member in use, and moves to another one if that one answers first, and this one
// had its time.
func (m *Members) look(ctx context.Context) {
	if time.Since(m.movedAt) > calm {
		m.patience = leastPatience
	}
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	used := m.InUse()
	answered, failed := make(chan struct{}), make(chan error, 1)
	asking.Go(func() {
		if used.await(ctx, m.key, func(err error) { failed <- err }) == nil {
			close(answered)
		}
	})
	patience := time.NewTimer(m.patience)
	defer patience.Stop()
	slow := false
	var why error
	select {
	case <-answered:
		return
	case why = <-failed:
	case <-patience.C:
		slow, why = true, fmt.Errorf("no answer for %v", m.patience)
	case <-ctx.Done():
		return
	}
	others := slices.DeleteFunc(slices.Clone(m.cfg.Endpoints), func(e string) bool { return e == used.endpoint })
	found := make(chan *Member, 1)
	asking.Go(func() {
		if other, err := m.first(ctx, others, 0); err == nil {
			found <- other
		}
	})
	select {
	case other := <-found:
		if slow {
			select {
			case <-answered:
				other.close()
				return
			case <-time.After(grace):
			}
		}
		m.move(other, why, slow)
		return
	case <-answered:
	case <-ctx.Done():
	}
	cancel()
	asking.Wait()
	select {
	case other := <-found: // too late
		other.close()
	default:
	}
}

func (m *Members) move(to *Member, why error, slow bool) {
	from := m.InUse()
	if slow && time.Since(m.leftAt[to.endpoint]) < calm {
		m.patience = min(2*m.patience, mostPatience)
	}
	m.movedAt = time.Now()
	m.leftAt[from.endpoint] = m.movedAt
	m.mu.Lock()
	m.left[from.endpoint] = true
	delete(m.left, to.endpoint)
	m.mu.Unlock()
	m.log.Warn("etcd member left: it does not commit, and another one does", "member", from.endpoint, "for", to.endpoint, "err", why)
	m.use(to)
	from.left.Store(true) // after there is another one, for Do
	m.running.Go(from.close)
}

// use makes a member the one in use, and watches its connection.
func (m *Members) use(member *Member) {
	m.inUse.Store(member)
	m.running.Go(func() {
		member.whenBroken(m.ctx, func() {
			select {
			case m.lost <- struct{}{}:
			default:
			}
		})
	})
}

// first connects to members, each after the one before has had its head start, and returns the
// first that answers. All that it has begun has ended then.
func (m *Members) first(ctx context.Context, of []string, headStart time.Duration) (*Member, error) {
	ctx, cancel := context.WithCancel(ctx)
	type result struct {
		i      int
		member *Member
		err    error
	}
	results := make(chan result, len(of))
	for i, endpoint := range of {
		m.running.Go(func() {
			pause(ctx, time.Duration(i)*headStart)
			member, err := m.connect(ctx, endpoint)
			results <- result{i, member, err}
		})
	}
	var found *Member
	errs := make(failures, len(of))
	for range of {
		r := <-results
		switch {
		case r.err != nil:
			errs[r.i] = r.err
		case found == nil:
			found = r.member
			cancel()
		default:
			r.member.close()
		}
	}
	cancel()
	if found == nil {
		return nil, errs
	}
	return found, nil
}

// askLeft looks from time to time whether members that were left are back.
func (m *Members) askLeft(ctx context.Context) {
	tick := time.NewTicker(backEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, endpoint := range m.cfg.Endpoints {
			if !m.isLeft(endpoint) {
				continue
			}
			limited, cancel := context.WithTimeout(ctx, backFor)
			member, err := m.connect(limited, endpoint)
			cancel()
			if err != nil {
				continue
			}
			member.close()
			if m.isLeft(endpoint) {
				m.mu.Lock()
				delete(m.left, endpoint)
				m.mu.Unlock()
				m.log.Info("etcd member is back", "member", endpoint)
			}
		}
	}
}

func (m *Members) isLeft(endpoint string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.left[endpoint]
}

// failures is why no member answered: all in one line.
type failures []error

func (f failures) Error() (text string) {
	for i, err := range f {
		if i > 0 {
			text += "; "
		}
		text += err.Error()
	}
	return text
}

func (f failures) Unwrap() []error { return f }

// pause waits, but not beyond the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	if d == 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
