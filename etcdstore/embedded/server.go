package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/zap"
)

const (
	// How often the highest revision seen is written down, besides when its bound has to be raised.
	highwaterEvery = 5 * time.Second
	// How long a leader that stops waits for a successor. An election takes about a second.
	handOverWait = 2 * time.Second
	// How often a learner asks to become a member that votes.
	promoteEvery = 250 * time.Millisecond
)

// Server is a running etcd.
type Server struct {
	etcd   *embed.Etcd
	client *clientv3.Client
	local  *Local
	logger *zap.Logger
	lock   io.Closer
	high   *highwater

	stopRevoked func()

	remembered string // by an earlier run

	err       chan error    // of size 1
	stop      chan struct{} // closed by Close, for run to end
	done      chan struct{} // closed when run has ended
	closeOnce sync.Once
	closeErr  error
}

// Start runs etcd and returns once it has read from a quorum of its cluster: with members, that is
// when more than half of them run, and the first time, when all of them do. While it waits for that
// first time it logs for whom, and what to do. When ctx ends first, Start gives up and leaves
// nothing running; while etcd reads its log, or looks for members that are silent, this can take
// some seconds more.
//
//   - [ErrInUse], [ErrOtherCluster], [ErrEmptied], [ErrNotAdded], [ErrRevisionBack], [ErrRemoved]:
//     this member must not run like this.
//   - [ErrDisk]: the disk is full.
//   - any other: a fault of the configuration, the disk or the network, or ctx has ended.
//
// After any error Start may be called again.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	ec, err := cfg.etcd(ctx)
	if err != nil {
		return nil, fmt.Errorf("configure etcd: %w", err)
	}
	lock, err := lockDir(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	stopRevoked, err := cfg.keepRevoked()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("revoked certificates of peers: %w", err), lock.Close())
	}
	s, err := start(ctx, cfg, ec)
	if full(err) {
		err = cfg.full(err)
	}
	if err != nil {
		stopRevoked()
		return nil, errors.Join(err, lock.Close())
	}
	s.lock, s.stopRevoked = lock, stopRevoked
	if err := s.ready(ctx, cfg, ec); err != nil {
		close(s.done)
		return nil, errors.Join(err, s.Close())
	}
	go s.run()
	return s, nil
}

// start starts etcd, once it may be started. The data directory is locked.
func start(ctx context.Context, cfg Config, ec *embed.Config) (*Server, error) {
	high, err := readHighwater(cfg.DataDir, ec.Dir)
	if err != nil {
		return nil, err
	}
	logger := cfg.logger()
	logs := wal.Exist(filepath.Join(ec.Dir, "member", "wal"))
	if err := errors.Join(removeCopies(ec.Dir), checkSpace(cfg.DataDir, ec.Dir, logs)); err != nil {
		return nil, err
	}
	switch {
	case logs:
	case high.exists:
		return nil, fmt.Errorf("%w: %s belonged to a member, as %s says, but etcd's log is gone from it. Restore a backup; or empty the "+
			"directory, which counts as the loss of its disk", ErrEmptied, cfg.DataDir, high.path)
	case cfg.Existing:
		err = cfg.join(ctx, ec, logger)
	default:
		ec.InitialClusterToken, err = cfg.found(ctx, ec, logger)
	}
	if err != nil {
		return nil, err
	}
	etcd, err := embed.StartEtcd(ec)
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	l := local(etcd.Server, high)
	s := &Server{
		etcd:   etcd,
		client: inProcess(l),
		local:  l,
		logger: etcd.GetLogger(),
		high:   high,

		remembered: high.now.Remember,

		err:  make(chan error, 1),
		stop: make(chan struct{}),
		done: make(chan struct{}),
	}
	// From now on the directory is not that of a founder any more.
	if err := errors.Join(high.begin(), removeFile(notePath(cfg.DataDir))); err != nil {
		close(s.done)
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Client is the in-process client of this member. It is closed by Close.
func (s *Server) Client() *clientv3.Client { return s.client }

// Local is what goes with Client for a store in this process.
func (s *Server) Local() *Local { return s.local }

// ClientAddr is the host:port of the etcd client port; empty if there is none.
func (s *Server) ClientAddr() string {
	if len(s.etcd.Clients) == 0 {
		return ""
	}
	return s.etcd.Clients[0].Addr().String()
}

// HighWater is the revision above which this member has handed out none, as its data directory
// remembers: a backup that is restored has to be raised above it.
func (s *Server) HighWater() int64 { return s.high.bound.Load() }

// Remembered is the line that [Server.Remember] was last called with in this data directory; empty:
// it never was.
func (s *Server) Remembered() string { return s.remembered }

// Remember keeps a line, such as the id of what the caller keeps in etcd, in the data directory but
// outside of etcd's: whoever reads it at the next start can tell whether etcd still has the same in
// it. When it returns nil the line is on the disk. A repeat does nothing.
func (s *Server) Remember(line string) error { return s.high.remember(line) }

// Err yields one error if etcd stops by itself, [ErrRemoved] or [ErrStopped], and nothing
// otherwise. Close must still be called.
func (s *Server) Err() <-chan error { return s.err }

// Close stops etcd; a leader first hands its office over. It takes a few seconds at most. A repeat
// does nothing and returns the same.
func (s *Server) Close() error {
	s.closeOnce.Do(func() {
		close(s.stop)
		<-s.done
		// Its error is always that it was closed.
		_ = s.client.Close()
		s.handOver()
		s.etcd.Close()
		if s.lock != nil { // nil: whoever has started this has it
			s.stopRevoked()
			s.closeErr = s.lock.Close()
		}
	})
	return s.closeErr
}

// handOver stops the server, a leader after it has handed its office over. Etcd's own wait is 7 s,
// all of which it takes when the members stop at the same time.
func (s *Server) handOver() {
	server := s.etcd.Server
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := server.TryTransferLeadershipOnShutdown(); err != nil {
			s.logger.Info("stopping without a successor", zap.NamedError("err", err))
		}
	}()
	timer := time.NewTimer(handOverWait)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
	}
	server.HardStop()
	<-over
}

// ready waits for the quorum and refuses a cluster that this member must not serve.
func (s *Server) ready(ctx context.Context, cfg Config, ec *embed.Config) error {
	if err := s.checkShape(cfg); err != nil {
		return err
	}
	say := time.NewTimer(sayFirst)
	defer say.Stop()
	for waiting := true; waiting; {
		select {
		case <-s.etcd.Server.ReadyNotify():
			waiting = false
		case <-say.C:
			s.logger.Warn("waiting for a quorum of the cluster",
				zap.String("remedy", "start the other members: more than half of them have to run; if those are lost for good, see \"When most "+
					"members are lost\" in docs/operations.md"))
			say.Reset(sayAgain)
		case <-s.etcd.Server.StopNotify():
			return ErrRemoved
		case err := <-s.etcd.Err():
			return s.stopped(err)
		case <-ctx.Done():
			return fmt.Errorf("wait for a quorum of the cluster: %w", context.Cause(ctx))
		}
	}
	// Not through the client, whose answers wait for highwater.
	answer, err := s.etcd.Server.Range(ctx, &pb.RangeRequest{Key: []byte{0}, CountOnly: true})
	if err != nil {
		return fmt.Errorf("read from the cluster: %w", err)
	}
	if err := s.high.check(answer.Header.Revision); err != nil {
		return err
	}
	if err := s.high.adopt(answer.Header.Revision); err != nil {
		return err
	}
	if err := s.promote(ctx); err != nil {
		return err
	}
	if len(cfg.Members) != 1 {
		return nil
	}
	return s.advertise(ctx, ec)
}

// promote makes this member one that votes. Whoever is added is a learner at first, which is sent
// everything and counts for no majority, so that nothing depends on it before it has caught up. The
// leader knows when that is, and refuses until then. A member that is killed meanwhile is a learner
// at its next start as well.
func (s *Server) promote(ctx context.Context) error {
	tick := time.NewTicker(promoteEvery)
	defer tick.Stop()
	say := time.Now().Add(sayFirst)
	for s.etcd.Server.IsLearner() {
		_, err := s.etcd.Server.PromoteMember(ctx, uint64(s.etcd.Server.MemberID()))
		if err == nil || errors.Is(err, membership.ErrMemberNotLearner) {
			return nil // though this member may be the last one to learn of it
		}
		if time.Now().After(say) {
			s.logger.Warn("waiting to become a member that votes", zap.NamedError("why", err))
			say = time.Now().Add(sayAgain)
		}
		select {
		case <-tick.C:
		case <-s.etcd.Server.StopNotify():
			return ErrRemoved
		case <-ctx.Done():
			return fmt.Errorf("become a member that votes: %w: %w", context.Cause(ctx), err)
		}
	}
	return nil
}

// checkShape compares what etcd's directory says of the cluster with the configuration, which etcd
// itself does not: a directory of a single node that lists new members would go on alone, while
// those found a cluster of their own.
func (s *Server) checkShape(cfg Config) error {
	members := s.etcd.Server.Cluster().Members()
	var own []string
	for _, m := range members {
		if m.ID == s.etcd.Server.MemberID() {
			own = m.PeerURLs
		}
	}
	single := len(own) == 1 && own[0] == nowhere
	switch {
	case len(members) > 1 && len(cfg.Members) == 0:
		return fmt.Errorf("%w: %s is of a member of a cluster of %d, but no members are configured",
			ErrOtherCluster, cfg.DataDir, len(members))
	case single && len(cfg.Members) > 1:
		return fmt.Errorf("%w: %s is of a single node, but %d members are configured; start it once with itself as the "+
			"only member, then add the others one by one", ErrOtherCluster, cfg.DataDir, len(cfg.Members))
	}
	return nil
}

// advertise turns a single node into the first member of a cluster: its registered address becomes
// the configured one.
func (s *Server) advertise(ctx context.Context, ec *embed.Config) error {
	id, want := s.etcd.Server.MemberID(), ec.AdvertisePeerUrls[0].String()
	for _, m := range s.etcd.Server.Cluster().Members() {
		if m.ID == id && len(m.PeerURLs) == 1 && m.PeerURLs[0] == nowhere {
			if _, err := s.client.MemberUpdate(ctx, uint64(id), []string{want}); err != nil {
				return fmt.Errorf("register the peer address: %w", err)
			}
		}
	}
	return nil
}

// run keeps highwater up, and passes on that etcd has stopped by itself.
func (s *Server) run() {
	defer close(s.done)
	tick := time.NewTicker(highwaterEvery)
	defer tick.Stop()
	for {
		need := s.high.need
		if !s.raise() {
			need = nil // every call would ask
		}
		select {
		case <-tick.C:
		case <-need:
		case <-s.stop:
			s.raise()
			return
		case <-s.etcd.Server.StopNotify():
			// Etcd stops by itself for one reason. It may have heard of it from the others, before
			// its own log says so.
			s.err <- ErrRemoved
			return
		case err := <-s.etcd.Err():
			s.err <- s.stopped(err)
			return
		}
	}
}

// raise writes down what this member has applied. It is committed, quorum or not.
func (s *Server) raise() bool {
	err := s.high.raise(s.etcd.Server.KV().Rev())
	if err != nil {
		s.logger.Warn("the highest revision was not written down", zap.NamedError("err", err))
	}
	return err == nil
}

// stopped is why etcd is not running any more, when one of its listeners has reported cause.
func (s *Server) stopped(cause error) error {
	if server := s.etcd.Server; server.Cluster().Member(server.MemberID()) == nil {
		return ErrRemoved
	}
	return fmt.Errorf("%w: %w", ErrStopped, cause)
}
