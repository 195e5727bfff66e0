package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/go-zookeeper/zk"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/redis/rueidis/rueidislock"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"

	"github.com/distributed-lock-manager/dlm/client"
)

// closing bounds a good-bye to a service.
const closing = 2 * time.Second

var errNotHeld = errors.New("the lock was not held any more")

// etcdLocker is etcd's Mutex. A worker has one session, and a new one when that has ended.
type etcdLocker struct {
	client          *clientv3.Client
	session         *concurrency.Session
	lock            string
	asked, revision bool
}

func etcdUnchecked(ctx context.Context, addr, lock string) (locker, error) {
	return openEtcd(ctx, addr, etcdLocker{lock: lock})
}

func etcdAsked(ctx context.Context, addr, lock string) (locker, error) {
	return openEtcd(ctx, addr, etcdLocker{lock: lock, asked: true})
}

func etcdRevision(ctx context.Context, addr, lock string) (locker, error) {
	return openEtcd(ctx, addr, etcdLocker{lock: lock, revision: true})
}

func openEtcd(ctx context.Context, addr string, l etcdLocker) (locker, error) {
	var err error
	if l.client, err = clientv3.New(clientv3.Config{Endpoints: []string{addr}, DialTimeout: 5 * time.Second, Logger: zap.NewNop()}); err != nil {
		return nil, err
	}
	lease, err := l.client.Grant(ctx, int64(ttl/time.Second))
	if err == nil {
		l.session, err = concurrency.NewSession(l.client, concurrency.WithLease(lease.ID))
	}
	if err != nil {
		return nil, errors.Join(err, l.client.Close())
	}
	return &l, nil
}

func (l *etcdLocker) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	l.session.Orphan()
	_, _ = l.client.Revoke(ctx, l.session.Lease()) // it may have ended
	_ = l.client.Close()
}

func (l *etcdLocker) acquire(ctx context.Context) (hold, error) {
	select {
	case <-l.session.Done():
		return nil, concurrency.ErrSessionExpired
	default:
	}
	m := concurrency.NewMutex(l.session, "/"+l.lock)
	if err := m.Lock(ctx); err != nil {
		return nil, err
	}
	h := &etcdHold{mutex: m}
	if l.asked {
		h.done = l.session.Done()
	}
	if l.revision {
		key, err := l.client.Get(ctx, m.Key())
		if err != nil {
			return nil, err
		}
		if len(key.Kvs) == 0 {
			return nil, errNotHeld
		}
		h.revision = key.Kvs[0].CreateRevision
	}
	return h, nil
}

type etcdHold struct {
	mutex    *concurrency.Mutex
	done     <-chan struct{} // nil: it is not asked
	revision int64           // 0: it is not checked
}

func (h *etcdHold) token() int64 { return h.revision }

func (h *etcdHold) lost() error {
	select {
	case <-h.done:
		return concurrency.ErrSessionExpired
	default:
		return nil
	}
}

func (h *etcdHold) release(ctx context.Context) error { return h.mutex.Unlock(ctx) }

// redsyncLocker is redsync with one server.
type redsyncLocker struct {
	client *redis.Client
	sync   *redsync.Redsync
	lock   string
}

func openRedsync(ctx context.Context, addr, lock string) (locker, error) {
	c := redis.NewClient(&redis.Options{Addr: addr})
	if err := c.Ping(ctx).Err(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &redsyncLocker{c, redsync.New(goredis.NewPool(c)), lock}, nil
}

func (l *redsyncLocker) close() { _ = l.client.Close() }

func (l *redsyncLocker) acquire(ctx context.Context) (hold, error) {
	m := l.sync.NewMutex(l.lock, redsync.WithExpiry(ttl), redsync.WithTries(math.MaxInt))
	if err := m.LockContext(ctx); err != nil {
		return nil, err
	}
	extending, cancel := context.WithCancel(context.Background())
	h := &redsyncHold{mutex: m, cancel: cancel}
	h.extending.Go(func() {
		tick := time.NewTicker(ttl / 3)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_, _ = m.ExtendContext(extending) // this user does not ask
			case <-extending.Done():
				return
			}
		}
	})
	return h, nil
}

type redsyncHold struct {
	mutex     *redsync.Mutex
	cancel    context.CancelFunc
	extending sync.WaitGroup
}

func (h *redsyncHold) token() int64 { return 0 }
func (h *redsyncHold) lost() error  { return nil }

func (h *redsyncHold) release(ctx context.Context) error {
	h.cancel()
	h.extending.Wait()
	held, err := h.mutex.UnlockContext(ctx)
	if err == nil && !held {
		err = errNotHeld
	}
	return err
}

// rueidisLocker is rueidislock with one server.
type rueidisLocker struct {
	locker rueidislock.Locker
	lock   string
}

func openRueidislock(_ context.Context, addr, lock string) (locker, error) {
	l, err := rueidislock.NewLocker(rueidislock.LockerOption{
		ClientOption: rueidis.ClientOption{InitAddress: []string{addr}, ForceSingleClient: true},
		KeyValidity:  ttl, KeyMajority: 1,
		// By default a server that takes longer than 20 ms is given up, and another one tried.
		// There is only one, and the wait that follows ends with somebody's release.
		TryNextAfter: ttl / 2,
	})
	if err != nil {
		return nil, err
	}
	return &rueidisLocker{l, lock}, nil
}

func (l *rueidisLocker) close() { l.locker.Close() }

func (l *rueidisLocker) acquire(ctx context.Context) (hold, error) {
	// What ends the wait must not end the hold.
	whole, cancel := context.WithCancel(context.WithoutCancel(ctx))
	waiting := context.AfterFunc(ctx, cancel)
	held, release, err := l.locker.WithContext(whole, l.lock)
	if !waiting() && err == nil {
		release()
		err = ctx.Err()
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return &rueidisHold{held, func() { release(); cancel() }}, nil
}

type rueidisHold struct {
	held context.Context
	end  context.CancelFunc
}

func (h *rueidisHold) token() int64 { return 0 }
func (h *rueidisHold) lost() error  { return h.held.Err() }

// release asks before, since the library's own release answers nothing.
func (h *rueidisHold) release(context.Context) error {
	lost := h.held.Err()
	h.end()
	return lost
}

// zookeeperLocker is the recipe, by the Lock of the client.
type zookeeperLocker struct {
	conn *zk.Conn
	lock string
}

// silent drops what the library logs: its errors are returned as well.
type silent struct{}

func (silent) Printf(string, ...any) {}

func openZooKeeper(ctx context.Context, addr, lock string) (locker, error) {
	conn, events, err := zk.Connect([]string{addr}, ttl, zk.WithLogInfo(false), zk.WithLogger(silent{}))
	if err != nil {
		return nil, err
	}
	for {
		select {
		case e := <-events:
			if e.State == zk.StateHasSession {
				return &zookeeperLocker{conn, lock}, nil
			}
		case <-ctx.Done():
			conn.Close()
			return nil, ctx.Err()
		}
	}
}

func (l *zookeeperLocker) close() { l.conn.Close() }

// acquire cannot be cut off: the recipe's wait ends with its turn, or its session.
func (l *zookeeperLocker) acquire(context.Context) (hold, error) {
	k := zk.NewLock(l.conn, "/"+l.lock, zk.WorldACL(zk.PermAll))
	if err := k.Lock(); err != nil {
		return nil, err
	}
	return zookeeperHold{k}, nil
}

type zookeeperHold struct{ lock *zk.Lock }

func (zookeeperHold) token() int64                    { return 0 }
func (zookeeperHold) lost() error                     { return nil }
func (h zookeeperHold) release(context.Context) error { return h.lock.Unlock() }

// postgresLocker is an advisory lock of a connection.
type postgresLocker struct {
	conn *pgx.Conn
	lock string
}

func openPostgres(ctx context.Context, addr, lock string) (locker, error) {
	c, err := pgx.Connect(ctx, "postgres://postgres@"+addr+"/postgres?sslmode=disable")
	if err != nil {
		return nil, err
	}
	return &postgresLocker{c, lock}, nil
}

func (l *postgresLocker) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	_ = l.conn.Close(ctx)
}

func (l *postgresLocker) acquire(ctx context.Context) (hold, error) {
	if _, err := l.conn.Exec(ctx, "select pg_advisory_lock(hashtext($1))", l.lock); err != nil {
		return nil, err
	}
	return postgresHold{l}, nil
}

type postgresHold struct{ *postgresLocker }

func (postgresHold) token() int64 { return 0 }
func (postgresHold) lost() error  { return nil }

func (h postgresHold) release(ctx context.Context) error {
	var held bool
	err := h.conn.QueryRow(ctx, "select pg_advisory_unlock(hashtext($1))", h.lock).Scan(&held)
	if err == nil && !held {
		err = errNotHeld
	}
	return err
}

// dlmLocker is dlm, through its SDK.
type dlmLocker struct {
	client *client.Client
	lock   string
	own    bool
}

func dlmBefore(_ context.Context, addr, lock string) (locker, error) {
	return openDLM(addr, lock, false)
}

func dlmOwn(_ context.Context, addr, lock string) (locker, error) { return openDLM(addr, lock, true) }

func openDLM(addr, lock string, own bool) (locker, error) {
	c, err := client.Open(client.Config{Endpoints: []string{addr}, TTL: ttl})
	if err != nil {
		return nil, err
	}
	return &dlmLocker{c, lock, own}, nil
}

func (l *dlmLocker) close() { _ = l.client.Close() }

func (l *dlmLocker) acquire(ctx context.Context) (hold, error) {
	k, err := l.client.Lock(ctx, l.lock)
	if err != nil {
		return nil, err
	}
	h := dlmHold{k}
	if l.own {
		return dlmFiles{h, l.client}, nil
	}
	return h, nil
}

// dlmHold does not ask the lock's context: the token alone is to do.
type dlmHold struct{ lock *client.Lock }

func (h dlmHold) token() int64                      { return h.lock.Token() }
func (dlmHold) lost() error                         { return nil }
func (h dlmHold) release(ctx context.Context) error { return h.lock.Unlock(ctx) }

// dlmFiles is dlm's own files, with an element in each line.
type dlmFiles struct {
	dlmHold
	client *client.Client
}

func names() [2]string { return [2]string{"a", "b"} }

func (f dlmFiles) read(ctx context.Context) ([2][]int, error) {
	return readOwn(ctx, f.client, f.lock.Name())
}

func (f dlmFiles) add(ctx context.Context, half, n int) error {
	return f.lock.Append(ctx, names()[half], fmt.Appendln(nil, n))
}

// readOwn reads both of a lock's files.
func readOwn(ctx context.Context, c *client.Client, lock string) (sets [2][]int, err error) {
	for half, name := range names() {
		text, err := c.Read(ctx, lock, name)
		if err != nil && !errors.Is(err, client.ErrFileNotFound) {
			return sets, err
		}
		for line := range strings.Lines(string(text)) {
			n, err := strconv.Atoi(strings.TrimSuffix(line, "\n"))
			if err != nil {
				return sets, fmt.Errorf("file %s: %w", name, err)
			}
			sets[half] = append(sets[half], n)
		}
	}
	return sets, nil
}
