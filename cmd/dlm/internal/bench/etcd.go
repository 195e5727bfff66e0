package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
)

// etcdRoot is what all keys begin with: apart from dlm's.
const etcdRoot = "/dlm-bench/"

// deleteTimeout bounds the deletion of what was put.
const deleteTimeout = 10 * time.Second

// etcd is etcd's own mutex, over its client port, each client in a session of its own: two mutexes
// of one session do not exclude each other. What it appends are plain puts.
type etcd struct {
	clients []*clientv3.Client
	root    string
	ttl     time.Duration
}

func newEtcd(ctx context.Context, endpoints []string, connections int, ttl, timeout time.Duration) (*etcd, error) {
	e := &etcd{root: etcdRoot + load.Prefix() + "/", ttl: ttl}
	for i := range connections {
		c, err := clientv3.New(clientv3.Config{
			Context:     context.WithoutCancel(ctx), // what was put is deleted after an interruption, too
			Endpoints:   endpoints,
			DialTimeout: timeout,
			DialOptions: []grpc.DialOption{grpc.WithNoProxy()},
			Logger:      zap.NewNop(),
		})
		if err != nil {
			return nil, errors.Join(err, e.disconnect())
		}
		e.clients = append(e.clients, c)
		if i > 0 {
			continue
		}
		reach, cancel := context.WithTimeout(ctx, timeout)
		_, err = c.Get(reach, etcdRoot, clientv3.WithCountOnly())
		cancel()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("etcd at %q: %w", endpoints, err), e.disconnect())
		}
	}
	return e, nil
}

func (e *etcd) Client(_ context.Context, i int) (load.Client, error) {
	c := e.clients[i%len(e.clients)]
	s, err := concurrency.NewSession(c, concurrency.WithTTL(int(e.ttl.Seconds())))
	if err != nil {
		return nil, err
	}
	return &etcdClient{etcd: e, client: c, session: s}, nil
}

func (e *etcd) Connections() int { return len(e.clients) }

// Close deletes what was put, and closes the connections.
func (e *etcd) Close() error {
	ctx, cancel := context.WithTimeout(e.clients[0].Ctx(), deleteTimeout)
	defer cancel()
	_, err := e.clients[0].Delete(ctx, e.root, clientv3.WithPrefix())
	return errors.Join(err, e.disconnect())
}

func (e *etcd) disconnect() error {
	var err error
	for _, c := range e.clients {
		err = errors.Join(err, c.Close())
	}
	return err
}

// etcdClient is one client of the load.
type etcdClient struct {
	*etcd
	client  *clientv3.Client
	session *concurrency.Session
	puts    atomic.Int64
}

func (c *etcdClient) Cycle(ctx, wait context.Context, lock string) error {
	m := concurrency.NewMutex(c.session, c.root+lock)
	if err := m.Lock(wait); err != nil {
		return err
	}
	return m.Unlock(ctx)
}

func (c *etcdClient) Try(ctx context.Context, lock string) error {
	m := concurrency.NewMutex(c.session, c.root+lock)
	if err := m.TryLock(ctx); err != nil {
		if errors.Is(err, concurrency.ErrLocked) {
			return nil
		}
		return err
	}
	return m.Unlock(ctx)
}

// Append puts each record under a key of its own.
func (c *etcdClient) Append(ctx context.Context, s *load.Section) error {
	return s.Each(func(record []byte) error { return c.Publish(ctx, s.Lock, s.File, record) })
}

// Publish puts a record under a key of its own.
func (c *etcdClient) Publish(ctx context.Context, lock, file string, record []byte) error {
	key := fmt.Sprintf("%s%s/%s/%016x", c.root, lock, file, c.puts.Add(1))
	_, err := c.client.Put(ctx, key, string(record))
	return err
}

func (c *etcdClient) Close() error { return c.session.Close() }
