package main

import (
	"context"
	"errors"
	"math"

	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"

	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
)

// redisPool is how many connections there may be: one carries a single command at a time, so fewer
// would be Redis' disadvantage and not its measure.
const redisPool = 128

// redisSystem is redsync with one Redis server.
type redisSystem struct {
	client *redis.Client
	sync   *redsync.Redsync
	size   int
}

func openRedis(ctx context.Context, endpoint string, clients, connections int) (load.System, error) {
	size := min(clients, max(connections, redisPool))
	c := redis.NewClient(&redis.Options{Addr: endpoint, PoolSize: size})
	if err := c.Ping(ctx).Err(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &redisSystem{client: c, sync: redsync.New(goredis.NewPool(c)), size: size}, nil
}

func (s *redisSystem) Client(context.Context, int) (load.Client, error) { return redisClient{s}, nil }
func (s *redisSystem) Connections() int                                 { return s.size }
func (s *redisSystem) Close() error                                     { return s.client.Close() }

type redisClient struct{ *redisSystem }

// Cycle waits as redsync does, by trying again after a random time, but without giving up.
func (c redisClient) Cycle(ctx, wait context.Context, lock string) error {
	m := c.sync.NewMutex(lock, redsync.WithTries(math.MaxInt))
	if err := m.LockContext(wait); err != nil {
		return err
	}
	return unlock(ctx, m)
}

func (c redisClient) Try(ctx context.Context, lock string) error {
	m := c.sync.NewMutex(lock)
	err := m.TryLockContext(ctx)
	var taken *redsync.ErrTaken
	if errors.As(err, &taken) || errors.Is(err, redsync.ErrFailed) {
		return nil
	}
	if err != nil {
		return err
	}
	return unlock(ctx, m)
}

func unlock(ctx context.Context, m *redsync.Mutex) error {
	released, err := m.UnlockContext(ctx)
	if err == nil && !released {
		err = errors.New("the lock was lost")
	}
	return err
}

func (redisClient) Close() error { return nil }
