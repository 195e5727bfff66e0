package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/members"
	"github.com/distributed-lock-manager/dlm/internal/turns"
)

// DefaultPrefix is what every key begins with unless configured otherwise.
const DefaultPrefix = "/dlm/"

// Config is what a store is made of.
type Config struct {
	Client *clientv3.Client // of any etcd, embedded or not; the store does not close it
	Local  Local            // what goes with Client if etcd is in this process; nil: it is reached over a connection
	// Etcd is what the store makes clients of its own from if Client is nil: one for each endpoint,
	// of which it uses one at a time, the first if that commits. A member that does not commit,
	// while another one does, is left for that one.
	Etcd   clientv3.Config
	Prefix string       // of every key; empty: DefaultPrefix
	Logger *slog.Logger // nil: discards
	// History is how much of etcd's past is kept before it is compacted away, counted as time in
	// which the store could commit; while etcd is nearly full, only the last 10 s of it. 0: the
	// store does not compact, as in an etcd that others use as well.
	History time.Duration
	// Name and Version say who this is, for operators: they are in etcd while the store is open.
	// May be empty.
	Name, Version string
	// Limits are what clients may take; the zero Limits: anything.
	Limits Limits
	// Holds are what [Store.LimitHolds] is to say from the start.
	Holds []HoldLimit
	// Observer is told what the store does; nil: nobody is.
	Observer Observer
	// OnServing is called with true when the store becomes able to commit, and with false when it
	// no longer is. It is never called concurrently, and holds up whoever noticed. May be nil.
	OnServing func(bool)
}

// Store turns lock calls into etcd transactions. It is safe for concurrent use. Any number of
// stores may work on one etcd under one prefix.
type Store struct {
	members *members.Members
	local   Local // nil: etcd is not in this process
	keys    keys
	log     *slog.Logger
	history time.Duration
	info    ServerInfo
	limits  Limits

	id, meta string // the cluster's, and the value that it was read from; empty: it has none, see establish
	features features
	seen     *commit.Seen
	claims   atomic.Int64 // when it was last logged that a client has seen more, in ns since 1970

	apply  func(context.Context, *pb.TxnRequest) (*pb.TxnResponse, error) // past the engine
	engine *commit.Engine
	// renewals is nil if etcd is in this process, where a lease is renewed by a mere call.
	renewals  *renewals
	mirror    *mirror
	health    *commit.Health
	usage     *usage
	space     *space
	resolving *turns.Workers // of calls that are resolved
	folding   keyedMutex     // by lock: see foldUpTo
	numbering keyedMutex     // of one key: see NewClient
	voucher   []byte         // the key of the credentials that this store makes, and accepts: see Credential

	holdLimits atomic.Pointer[holdLimits] // nil: none

	retentions atomic.Pointer[retentions] // as they were read last; nil: they were not

	secret atomic.Pointer[[]byte] // the cluster's, as it was read last; nil: it was not

	promotions   *backlog[string]      // locks that look free and waited for
	folds        *backlog[string]      // locks with sections to fold
	heads        heads                 // what is remembered of files, and of sections to fold
	sweeps       *backlog[sectionKey]  // sections whose records may be orphans
	cleans       *backlog[fileKey]     // files of which something can go
	evictions    *backlog[sectionKey]  // sections past their hold deadline
	losses       *backlog[acquisition] // lost holds whose clients are to be told why
	lapses       *backlog[lapse]       // holds that ended with their sessions, to be logged
	lingers      *lingers              // sessions whose clients have left
	inspects     *shared               // of crowded locks
	silences     *silences             // sessions by when they were heard of last
	quarantine   *quarantine           // malformed keys that were met
	bundles      *bundles              // that this store has published
	waiting      atomic.Int64          // bytes of publishes that wait for their turn
	publishWaits publishWaits          // for their turns
	lockStates   states                // what conditions ask about
	tails        tails                 // how many there are
	asked        chan struct{}         // of size 1: the watch is to say how far it has come
	listings     *listings             // what was listed lately
	ages         *ages                 // of heartbeats that other servers have heard
	pastTurn     chan struct{}         // of size 1: etcd tells one of the past at a time
	pastAsked    atomic.Int64          // how many are told, or wait for that
	panics       atomic.Int64          // of background work
	observer     Observer
	partings     *partings  // sessions that this store is ending
	copying      sync.Mutex // while etcd's file is read, or written, as a whole

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	starting sync.RWMutex   // held to read while something is started: see start
	closed   bool           // nothing is started any more
	running  sync.WaitGroup // what was started, for Close to wait for
}

// keysOf is the keys of a store with a prefix.
func keysOf(prefix string) keys {
	if prefix == "" {
		prefix = DefaultPrefix
	}
	return keys(strings.TrimSuffix(prefix, "/") + "/")
}

// sectionKey names one section.
type sectionKey struct {
	lock  string
	token int64
}

// Open starts a store, and returns it when its mirror is loaded. ctx bounds only that; the store
// itself runs until [Store.Close].
//
//   - [ErrNoQuorum]: ctx ended first, or no member of [Config.Etcd] lets the user in.
//   - [ErrFormatTooNew], [ErrPrefixNested]: it must not be opened like this. The text says what to
//     do.
//   - [ErrInvalidArgument]: etcd is in this process, and [Config.Local] is missing; or there is
//     neither a client nor an endpoint.
//   - any other: etcd does not allow that its keys are read.
//
// After any error nothing of the store is left running.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	keys := keysOf(cfg.Prefix)
	members, err := cfg.members(ctx, keys.horizon(), log)
	if err != nil {
		return nil, err
	}
	s := &Store{
		members:    members,
		local:      cfg.Local,
		keys:       keys,
		log:        log,
		history:    cfg.History,
		limits:     cfg.Limits,
		info:       ServerInfo{Name: cfg.Name, Version: cfg.Version, Features: Features()},
		seen:       commit.NewSeen(),
		health:     commit.NewHealth(cfg.OnServing),
		usage:      newUsage(),
		space:      newSpace(),
		promotions: newBacklog[string](),
		folds:      newBacklog[string](),
		sweeps:     newBacklog[sectionKey](),
		cleans:     newBacklog[fileKey](),
		evictions:  newBacklog[sectionKey](),
		losses:     newBacklog[acquisition](),
		lapses:     newBacklog[lapse](),
		lingers:    newLingers(),
		silences:   newSilences(),
		voucher:    newVoucher(),
		inspects:   newShared(),
		quarantine: newQuarantine(),
		bundles:    newBundles(),
		asked:      make(chan struct{}, 1),
		listings:   newListings(),
		ages:       newAges(),
		pastTurn:   make(chan struct{}, 1),
		observer:   cfg.Observer,
		partings:   newPartings(),
	}
	if s.observer == nil {
		s.observer = nobody{}
	}
	if err := s.LimitHolds(cfg.Holds); err != nil {
		members.Close()
		return nil, err
	}
	s.mirror = newMirror(s.keys, s.promotions.add, s.sweeps.add, s.evictions.add)
	s.mirror.explain, s.mirror.lapsed, s.mirror.marked = s.losses.add, s.lapses.add, s.lingers.marked
	s.mirror.feed.look = s.eachAsOf
	s.mirror.gone, s.mirror.left, s.mirror.malformed = s.parted, s.lapses.add, s.quarantine.add
	s.mirror.observer = s.observer
	s.resolving = turns.NewWorkers(resolvers, s.start)
	s.apply = s.applier()
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.engine = commit.New(commit.Env{
		Near:   s.local != nil,
		Apply:  s.apply,
		Start:  s.start,
		Closed: func() bool { return s.ctx.Err() != nil },
		Panicked: func(what any, stack []byte) {
			s.panics.Add(1)
			log.Error("a call panicked over its answer", "panic", what, "stack", string(stack))
		},
		Health:    s.health,
		Seen:      s.seen,
		Caller:    callerOf,
		Committed: s.observer.Committed,
	})

	s.start(func() { s.engine.Run(s.ctx) })
	if cfg.Local == nil {
		s.renewals = newRenewals(func() pb.LeaseClient { return s.members.InUse().Leases })
		s.keep(func() { s.renewals.run(s.ctx) })
	}
	s.keep(func() { s.members.Run(s.ctx) })
	if err := s.establish(ctx); err != nil {
		s.Close()
		return nil, err
	}
	lease := s.putEntry(ctx)
	s.keep(func() { s.register(lease) })
	loaded := make(chan error, 1)
	s.keep(func() { s.inform(loaded) })
	s.keep(func() { s.mirror.feed.run(s.ctx) })
	select {
	case err := <-loaded:
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("load the locks: %w", err)
		}
	case <-ctx.Done():
		s.Close()
		return nil, fmt.Errorf("%w: loading the locks: %w", ErrNoQuorum, context.Cause(ctx))
	}
	s.serve(true)
	s.keep(s.probe)
	s.keep(s.watchSpace)
	s.keep(s.tidy)
	s.keep(s.endSilent)
	s.promotions.run(s, promoters, s.promote)
	s.folds.run(s, folders, s.foldPublished)
	s.sweeps.run(s, sweepers, s.sweep)
	s.cleans.run(s, sweepers, s.clean)
	s.evictions.run(s, evicters, s.evictOverdue)
	s.losses.run(s, tellers, s.explainLoss)
	s.lapses.run(s, 1, s.logLapse)
	s.lingers.due.run(s, endings, s.endLingering)
	s.ages.asked.run(s, ageAskers, s.learnAge)
	s.quarantine.found.run(s, 1, s.logFinding)
	return s, nil
}

// How many of each work at once.
const (
	promoters = 16
	folders   = 16
	sweepers  = 1
	evicters  = 4
)

// start runs f in a goroutine that Close waits for. It reports whether it does: a closed store
// starts nothing. The lock keeps Close from waiting for a group that is still growing.
func (s *Store) start(f func()) bool {
	s.starting.RLock()
	defer s.starting.RUnlock()
	if s.closed {
		return false
	}
	s.running.Go(f)
	return true
}

// Close stops the store's own work and waits for it. Calls in progress end with [ErrClosed], which
// is indeterminate: what they have put in etcd stays, and a repeat through another store finds it.
// Sessions go on, and with them what they hold and wait for. It returns nil; a repeat does nothing.
// [Config.Client] is the caller's to close, afterwards.
func (s *Store) Close() error {
	s.starting.Lock()
	s.closed = true
	s.starting.Unlock()
	s.cancel()
	s.mirror.endWaits(ErrClosed) // or what waits would be waited for
	s.bundles.endWaits(ErrClosed, true)
	s.lingers.stop()
	s.running.Wait()
	s.mirror.stop()
	s.listings.stop()
	s.serve(false)
	s.members.Close()
	return nil
}

// Cluster is the id of the cluster, that is of this prefix of an etcd; empty: it has none.
func (s *Store) Cluster() string { return s.id }

// Revision is the highest revision that etcd has shown. It may be behind what others were shown.
func (s *Store) Revision() int64 { return s.seen.Highest() }

// Serving reports whether the store can commit, as far as it knows: it asks etcd twice a second. A
// store that is closed cannot, nor can one whose etcd went back.
func (s *Store) Serving() bool { return s.ctx.Err() == nil && s.health.Up() && s.seen.Err() == nil }

// get reads, linearizably unless an option says otherwise, within the bounds and with the errors of
// [commit.Engine.Call].
func (s *Store) get(ctx context.Context, key string, opts ...clientv3.OpOption) (resp *clientv3.GetResponse, err error) {
	err = s.engine.Call(ctx, func(ctx context.Context) (err error) {
		resp, err = s.read(ctx, key, opts...)
		return err
	})
	if err == nil {
		receiptOf(ctx).Raise(resp.Header.Revision)
	}
	return resp, err
}

// read is get without the bounds, even while calls are refused because the store cannot commit. It
// reads from another member if the one in use is left meanwhile, and once more if etcd says that it
// has another leader, as it does of reads that the old one owes.
func (s *Store) read(ctx context.Context, key string, opts ...clientv3.OpOption) (resp *clientv3.GetResponse, err error) {
	before := s.seen.Highest()
	err = s.members.Do(ctx, func(etcd *clientv3.Client) (err error) {
		resp, err = etcd.Get(ctx, key, opts...)
		if errors.Is(err, rpctypes.ErrLeaderChanged) {
			resp, err = etcd.Get(ctx, key, opts...)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if o := clientv3.OpGet(key, opts...); o.IsSerializable() {
		s.seen.Raise(resp.Header.Revision)
		return resp, nil
	}
	return resp, s.seen.Answered(before, resp.Header.Revision)
}
