package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
)

// zookeeperTTL is that of the sessions.
const zookeeperTTL = 30 * time.Second

// zookeeperSystem is ZooKeeper's lock recipe: a sequential, ephemeral node per waiter, which
// watches the one before it.
type zookeeperSystem struct {
	conns []*zk.Conn
}

func openZooKeeper(ctx context.Context, endpoint string, clients, connections int) (load.System, error) {
	s := &zookeeperSystem{}
	for range min(clients, connections) {
		conn, events, err := zk.Connect([]string{endpoint}, zookeeperTTL, zk.WithLogInfo(false), zk.WithLogger(silent{}))
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.conns = append(s.conns, conn)
		if err := connected(ctx, events); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// silent drops what the library logs: its errors are returned as well.
type silent struct{}

func (silent) Printf(string, ...any) {}

// connected waits for a session.
func connected(ctx context.Context, events <-chan zk.Event) error {
	for {
		select {
		case e := <-events:
			if e.State == zk.StateHasSession {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("no session: %w", context.Cause(ctx))
		}
	}
}

func (s *zookeeperSystem) Client(_ context.Context, i int) (load.Client, error) {
	return zookeeperClient{s.conns[i%len(s.conns)]}, nil
}

func (s *zookeeperSystem) Connections() int { return len(s.conns) }

func (s *zookeeperSystem) Close() error {
	for _, c := range s.conns {
		c.Close()
	}
	return nil
}

type zookeeperClient struct{ conn *zk.Conn }

// Cycle cannot be cut off: the recipe's wait ends with a turn only.
func (c zookeeperClient) Cycle(_, _ context.Context, lock string) error {
	l := zk.NewLock(c.conn, "/"+lock, zk.WorldACL(zk.PermAll))
	if err := l.Lock(); err != nil {
		return err
	}
	return l.Unlock()
}

// Try is the recipe without its wait: whoever is not the first leaves.
func (c zookeeperClient) Try(_ context.Context, lock string) error {
	dir := "/" + lock
	node, err := c.conn.CreateProtectedEphemeralSequential(dir+"/lock-", nil, zk.WorldACL(zk.PermAll))
	if errors.Is(err, zk.ErrNoNode) {
		if err = c.parents(dir); err == nil {
			node, err = c.conn.CreateProtectedEphemeralSequential(dir+"/lock-", nil, zk.WorldACL(zk.PermAll))
		}
	}
	if err != nil {
		return err
	}
	// Only to know who has the lock: what follows is the same for both.
	if _, _, err := c.conn.Children(dir); err != nil {
		return err
	}
	return c.conn.Delete(node, -1)
}

func (c zookeeperClient) parents(dir string) error {
	at := ""
	for part := range strings.SplitSeq(strings.TrimPrefix(dir, "/"), "/") {
		at += "/" + part
		if _, err := c.conn.Create(at, nil, 0, zk.WorldACL(zk.PermAll)); err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return err
		}
	}
	return nil
}

func (zookeeperClient) Close() error { return nil }
