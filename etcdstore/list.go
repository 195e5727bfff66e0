package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// A listing is what the mirror knows once it has come to a revision that etcd has answered with
// after the listing was asked for: so it is as good as a read of etcd, which is asked for a number
// only, however many locks there are. The whole of it is kept for a while, so that all pages are of
// one revision, and none but the first looks for its locks.

const (
	catchUp      = 500 * time.Millisecond // how long the mirror may take to come to a revision
	askAgain     = 20 * time.Millisecond  // after which the watch is asked again how far it has come
	keptListings = 4
	keepListing  = 10 * time.Second // after its last page was asked for
)

// errBehind is that the mirror has not come to a revision.
var errBehind = fmt.Errorf("%w: this server's watch of it is behind", ErrNoQuorum)

// Selection says which locks [Store.Select] returns a page of. The zero Selection: the first of all
// that are held or waited for.
type Selection struct {
	Prefix string // what their names begin with
	// Session and Owner leave only what the session, and sessions of the owner, hold or wait for.
	// Of the waiters only theirs are listed then. Empty: everybody's.
	Session, Owner string
	Limit          int    // at most so many, 0 for [MaxPage]
	After          string // the last page's Next; empty: the first page
}

// Page is a page of a listing.
type Page struct {
	Locks    []LockInfo // ordered by name
	Next     string     // for the next page; empty: there are no more
	Revision int64      // as of which they are
}

// List returns the locks that are held or waited for and whose names begin with prefix, sorted by
// name, in pages of at most limit locks, 0 for [MaxPage]. For the next page, pass next as after; an
// empty next says that there are no more. It is [Store.Select] without more.
func (s *Store) List(ctx context.Context, prefix string, limit int, after string) (locks []LockInfo, next string, err error) {
	p, err := s.Select(ctx, Selection{Prefix: prefix, Limit: limit, After: after})
	return p.Locks, p.Next, err
}

// Select returns a page of the locks that are held or waited for, of at most 10 waiters each. The
// first page is of a revision that is no earlier than the call. The others are of the same, unless
// they are asked for late, or from another store: then each is of a later one of its own. A page
// may have fewer locks than were asked for, even none, while there are more. A lock that is waited
// for and has no holder has just lost it, or is about to be handed on.
//
//   - [ErrInvalidArgument]: no lock's name begins with the prefix, the limit is negative, or After
//     is not what a page of the same selection returned.
//   - [ErrNoQuorum]: also, with Session or Owner, that this store is too far behind etcd just now.
func (s *Store) Select(ctx context.Context, sel Selection) (p Page, err error) {
	argument := sel.Prefix
	if f := sel.filter(); !f.all() {
		argument = fmt.Sprintf("%s %q %q", argument, sel.Session, sel.Owner)
	}
	p.Locks, p.Next, err = sealed(ctx, s, "locks", argument, sel.After, func(after string) ([]LockInfo, string, error) {
		sel.After = after
		var err error
		p, err = s.selected(ctx, sel)
		return p.Locks, p.Next, err
	})
	if err != nil {
		return Page{}, err
	}
	return p, nil
}

// filter is whose locks are listed.
type filter struct{ session, owner string }

func (sel *Selection) filter() filter { return filter{sel.Session, sel.Owner} }

// all reports whether they are everybody's.
func (f filter) all() bool { return f == filter{} }

func (f filter) takes(session, owner string) bool {
	return (f.session == "" || f.session == session) && (f.owner == "" || f.owner == owner)
}

// selects reports whether a lock is listed whose waiters were looked through.
func (f filter) selects(l *listed) bool {
	return f.all() || l.holder != nil && f.takes(l.holder.session, l.holder.Owner) || len(l.waiters) > 0
}

// selected is Select with page tokens that are not sealed: "REVISION:NAME", or the name alone of a
// page that was read from etcd.
func (s *Store) selected(ctx context.Context, sel Selection) (Page, error) {
	if err := checkPrefix(sel.Prefix); err != nil {
		return Page{}, err
	}
	rev, name := int64(0), sel.After
	if of, behind, ok := strings.Cut(sel.After, ":"); ok {
		if rev, ok = parseDecimal(of, 64); !ok || behind == "" {
			return Page{}, badPage(sel.After)
		}
		name = behind
	}
	from, _, limit, err := page("", sel.Limit, name, isLock)
	if err != nil {
		return Page{}, err
	}
	f := sel.filter()
	for l := s.listings.kept(rev, f); ; l = nil {
		if l == nil {
			l, err = s.listAnew(ctx, f)
		}
		if errors.Is(err, errBehind) && f.all() {
			p, next, err := s.readPage(ctx, sel.Prefix, from, limit)
			if p.Next = next; err == nil {
				err = s.complete(ctx, p.Locks, p.Revision)
			}
			return p, err
		}
		if err != nil {
			return Page{}, err
		}
		locks, more := l.page(sel.Prefix, from, limit)
		p := Page{Locks: make([]LockInfo, len(locks)), Revision: l.rev}
		for i := range locks {
			p.Locks[i] = locks[i].info()
		}
		if more {
			p.Next = fmt.Sprintf("%d:%s", l.rev, locks[len(locks)-1].name)
		}
		if l.staged {
			if err = s.countStaged(ctx, p.Locks, l.rev); errors.Is(err, rpctypes.ErrCompacted) {
				continue // then of a newer revision
			}
		}
		s.tellAges(p.Locks)
		return p, err
	}
}

// Describe returns what is known of some locks, in their order and all at one revision, which it
// returns and which is no earlier than the call: as [Store.List] has it. A lock that is free and
// that nobody waits for has only its name.
//
//   - [ErrInvalidName]: no lock can have one of the names.
//   - [ErrInvalidArgument]: they are more than [MaxPage].
//   - [ErrNoQuorum]: also, that this store is too far behind etcd just now.
func (s *Store) Describe(ctx context.Context, locks []string) (infos []LockInfo, revision int64, err error) {
	if len(locks) > MaxPage {
		return nil, 0, fmt.Errorf("%w: %d locks: want at most %d", ErrInvalidArgument, len(locks), MaxPage)
	}
	for _, lock := range locks {
		if err := CheckLock(lock); err != nil {
			return nil, 0, err
		}
	}
	for {
		if err := s.comeUp(ctx); err != nil {
			return nil, 0, err
		}
		all, rev := s.mirror.listNamed(locks)
		infos = make([]LockInfo, len(all))
		for i := range all {
			infos[i] = all[i].info()
		}
		err := s.complete(ctx, infos, rev)
		if errors.Is(err, rpctypes.ErrCompacted) {
			continue
		}
		return infos, rev, err
	}
}

// complete adds what the mirror does not know.
func (s *Store) complete(ctx context.Context, locks []LockInfo, rev int64) error {
	s.tellAges(locks)
	return s.countStaged(ctx, locks, rev)
}

func (l *listed) info() LockInfo {
	info := LockInfo{Name: l.name, Holder: l.holder.public(), QueueLength: l.length}
	if l.odd != 0 {
		info.Holder = l.odd.public()
	}
	for _, w := range l.waiters {
		info.Waiters = append(info.Waiters, w.public())
	}
	return info
}

func (w placed) public() Waiter {
	return Waiter{
		Session: w.session, Request: w.request, Label: w.Label, Owner: w.Owner, Since: fromMillis(w.Since), Position: w.position,
	}
}

// listings are those whose next pages may be asked for.
type listings struct {
	turn chan struct{} // of size 1: one is made at a time

	mu    sync.Mutex
	all   []*listing // the last one that was used last
	clean *time.Timer
}

// listing is one of them, sorted by name.
type listing struct {
	filter filter
	began  time.Time
	used   time.Time // when a page of it was asked for last
	rev    int64
	locks  []listed
	staged bool // something is, of some lock
}

func newListings() *listings { return &listings{turn: make(chan struct{}, 1)} }

// kept is the listing as of a revision; nil: it is not kept any more.
func (ls *listings) kept(rev int64, f filter) *listing {
	return ls.find(func(l *listing) bool { return l.rev == rev && l.filter == f })
}

func (ls *listings) find(is func(*listing) bool) *listing {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	i := slices.IndexFunc(ls.all, is)
	if i < 0 {
		return nil
	}
	l := ls.all[i]
	l.used = time.Now()
	ls.all = append(slices.Delete(ls.all, i, i+1), l)
	return l
}

// keep keeps a listing, instead of the one that was used least lately.
func (ls *listings) keep(l *listing) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.used = time.Now()
	if len(ls.all) == keptListings {
		ls.all = slices.Delete(ls.all, 0, 1)
	}
	ls.all = append(ls.all, l)
	if ls.clean == nil {
		ls.clean = time.AfterFunc(keepListing, ls.drop)
	}
}

// drop drops the listings that were not used for long, and comes again while there are others.
func (ls *listings) drop() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	now := time.Now()
	ls.all = slices.DeleteFunc(ls.all, func(l *listing) bool { return now.Sub(l.used) >= keepListing })
	if ls.clean = nil; len(ls.all) > 0 {
		ls.clean = time.AfterFunc(keepListing/2, ls.drop)
	}
}

// stop drops all.
func (ls *listings) stop() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.all = nil
	if ls.clean != nil {
		ls.clean.Stop()
	}
}

// page is at most limit of the locks whose names begin with prefix, from a name on.
func (l *listing) page(prefix, from string, limit int) (locks []listed, more bool) {
	at := func(name string) int {
		i, _ := slices.BinarySearchFunc(l.locks, name, func(l listed, name string) int { return strings.Compare(l.name, name) })
		return i
	}
	end := len(l.locks)
	if prefix != "" {
		end = at(clientv3.GetPrefixRangeEnd(prefix))
	}
	locks = l.locks[min(at(max(from, prefix)), end):end]
	return locks[:min(limit, len(locks))], len(locks) > limit
}

// listAnew makes a listing that is no older than the call. Who comes while one is made shares the
// next one, and between two of them passes four times as long as the first took the mirror: that is
// the others' part.
func (s *Store) listAnew(ctx context.Context, f filter) (*listing, error) {
	arrived := time.Now()
	select {
	case s.listings.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-s.ctx.Done():
		return nil, ErrClosed
	}
	var took time.Duration
	defer func() {
		if took < time.Millisecond {
			<-s.listings.turn
			return
		}
		time.AfterFunc(4*took, func() { <-s.listings.turn })
	}()
	if l := s.listings.find(func(l *listing) bool { return l.filter == f && l.began.After(arrived) }); l != nil {
		return l, nil
	}
	l := &listing{filter: f, began: time.Now()}
	if err := s.comeUp(ctx); err != nil {
		return nil, err
	}
	before := time.Now()
	l.locks, l.rev = s.mirror.list(f)
	took = time.Since(before)
	slices.SortFunc(l.locks, func(a, b listed) int { return strings.Compare(a.name, b.name) })
	staged, err := s.counts(ctx, []stretch{{s.keys.allStaged(), s.keys.allStaged()}}, l.rev)
	if err != nil && !errors.Is(err, rpctypes.ErrCompacted) {
		return nil, err
	}
	l.staged = err != nil || staged[0] > 0
	s.listings.keep(l)
	return l, nil
}

// comeUp has the mirror come to what etcd answers with now. It returns [ErrBehind] if it does not.
func (s *Store) comeUp(ctx context.Context) error {
	resp, err := s.get(ctx, s.keys.meta(), clientv3.WithCountOnly())
	if err != nil {
		return err
	}
	came := s.mirror.hope(resp.Header.Revision)
	defer s.mirror.despair(came)
	tooLong := time.NewTimer(catchUp)
	defer tooLong.Stop()
	for {
		signal(s.asked)
		select {
		case <-came:
			return nil
		case <-time.After(askAgain):
		case <-tooLong.C:
			return errBehind
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.ctx.Done():
			return ErrClosed
		}
	}
}
