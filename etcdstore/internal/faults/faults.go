package faults

import (
	"context"
	"sync"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ErrLost is what a call whose request or reply was lost fails with, as gRPC would put it.
var ErrLost = status.Error(codes.Unavailable, "lost")

// Kind is which of etcd's calls a call is.
type Kind int

// The kinds of calls.
const (
	Get Kind = iota + 1
	Put
	Delete
	Txn
	Compact
	Grant
	Revoke
	KeepAlive
)

// Call is one call of etcd.
type Call struct {
	Kind Kind
	Op   clientv3.Op // of Get, Put, Delete and Txn
	Err  error       // what etcd said; nil before it was asked
}

// Hook is run for each call, in the caller's goroutine: it may block, and its error is what the call fails with.
type Hook func(context.Context, Call) error

// Faults is one such client. Without being told otherwise it passes everything on.
type Faults struct {
	client *clientv3.Client
	before atomic.Pointer[Hook]
	after  atomic.Pointer[Hook]
	events atomic.Pointer[func([]*clientv3.Event)]
	status atomic.Pointer[func(*clientv3.StatusResponse)]
	gate   chan struct{} // holds one token while watches deliver

	mu      sync.Mutex
	opened  int
	watches map[*watch]struct{}
}

// New puts a client before another, which it does not close.
func New(etcd *clientv3.Client) *Faults {
	f := &Faults{gate: make(chan struct{}, 1), watches: map[*watch]struct{}{}}
	f.gate <- struct{}{}
	f.client = clientv3.NewCtxClient(context.Background())
	f.client.KV = &kv{KV: etcd.KV, f: f}
	f.client.Lease = &lease{Lease: etcd.Lease, f: f}
	f.client.Watcher = &watcher{Watcher: etcd.Watcher, f: f}
	f.client.Maintenance = &maintenance{Maintenance: etcd.Maintenance, f: f}
	return f
}

// Client is what to give to the store.
func (f *Faults) Client() *clientv3.Client { return f.client }

// Before sets what runs before a call reaches etcd; an error loses the request. nil: nothing.
func (f *Faults) Before(h Hook) { set(&f.before, h) }

// After sets what runs when etcd has answered; an error loses the reply. nil: nothing.
func (f *Faults) After(h Hook) { set(&f.after, h) }

func set(p *atomic.Pointer[Hook], h Hook) {
	if h == nil {
		p.Store(nil)
		return
	}
	p.Store(&h)
}

// do makes one call between the hooks.
func (f *Faults) do(ctx context.Context, c Call, call func() error) error {
	if h := f.before.Load(); h != nil {
		if err := (*h)(ctx, c); err != nil {
			return err
		}
	}
	c.Err = call()
	if h := f.after.Load(); h != nil {
		if err := (*h)(ctx, c); err != nil {
			return err
		}
	}
	return c.Err
}

// CrashAt makes every call that counts fail from the n-th on, from 1. That one is done and its reply lost if done is
// true, else its request is. crashed is closed when it has come to that.
func (f *Faults) CrashAt(n int64, done bool, counts func(context.Context, Call) bool) (crashed <-chan struct{}) {
	var calls atomic.Int64
	over := make(chan struct{})
	f.Before(func(ctx context.Context, c Call) error {
		if !counts(ctx, c) {
			return nil
		}
		i := calls.Add(1)
		if i == n {
			close(over)
		}
		if i > n || i == n && !done {
			return ErrLost
		}
		return nil
	})
	f.After(func(ctx context.Context, c Call) error {
		if counts(ctx, c) && calls.Load() >= n {
			return ErrLost
		}
		return nil
	})
	return over
}

// Status sets what may change etcd's answers of how it is.
func (f *Faults) Status(change func(*clientv3.StatusResponse)) { f.status.Store(&change) }

type maintenance struct {
	clientv3.Maintenance
	f *Faults
}

func (m *maintenance) Status(ctx context.Context, endpoint string) (*clientv3.StatusResponse, error) {
	resp, err := m.Maintenance.Status(ctx, endpoint)
	if change := m.f.status.Load(); err == nil && change != nil {
		(*change)(resp)
	}
	return resp, err
}

type kv struct {
	clientv3.KV
	f *Faults
}

func (k *kv) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (resp *clientv3.GetResponse, err error) {
	err = k.f.do(ctx, Call{Kind: Get, Op: clientv3.OpGet(key, opts...)}, func() (err error) {
		resp, err = k.KV.Get(ctx, key, opts...)
		return err
	})
	return resp, err
}

func (k *kv) Put(ctx context.Context, key, val string, opts ...clientv3.OpOption) (resp *clientv3.PutResponse, err error) {
	err = k.f.do(ctx, Call{Kind: Put, Op: clientv3.OpPut(key, val, opts...)}, func() (err error) {
		resp, err = k.KV.Put(ctx, key, val, opts...)
		return err
	})
	return resp, err
}

func (k *kv) Delete(ctx context.Context, key string, opts ...clientv3.OpOption) (resp *clientv3.DeleteResponse, err error) {
	err = k.f.do(ctx, Call{Kind: Delete, Op: clientv3.OpDelete(key, opts...)}, func() (err error) {
		resp, err = k.KV.Delete(ctx, key, opts...)
		return err
	})
	return resp, err
}

func (k *kv) Compact(ctx context.Context, rev int64, opts ...clientv3.CompactOption) (resp *clientv3.CompactResponse, err error) {
	err = k.f.do(ctx, Call{Kind: Compact}, func() (err error) {
		resp, err = k.KV.Compact(ctx, rev, opts...)
		return err
	})
	return resp, err
}

func (k *kv) Txn(ctx context.Context) clientv3.Txn { return &txn{kv: k, ctx: ctx} }

type txn struct {
	kv   *kv
	ctx  context.Context
	ifs  []clientv3.Cmp
	then []clientv3.Op
	els  []clientv3.Op
}

func (t *txn) If(ifs ...clientv3.Cmp) clientv3.Txn {
	t.ifs = ifs
	return t
}

func (t *txn) Then(ops ...clientv3.Op) clientv3.Txn {
	t.then = ops
	return t
}

func (t *txn) Else(ops ...clientv3.Op) clientv3.Txn {
	t.els = ops
	return t
}

func (t *txn) Commit() (resp *clientv3.TxnResponse, err error) {
	err = t.kv.f.do(t.ctx, Call{Kind: Txn, Op: clientv3.OpTxn(t.ifs, t.then, t.els)}, func() (err error) {
		resp, err = t.kv.KV.Txn(t.ctx).If(t.ifs...).Then(t.then...).Else(t.els...).Commit()
		return err
	})
	return resp, err
}

type lease struct {
	clientv3.Lease
	f *Faults
}

func (l *lease) Grant(ctx context.Context, ttl int64) (resp *clientv3.LeaseGrantResponse, err error) {
	err = l.f.do(ctx, Call{Kind: Grant}, func() (err error) {
		resp, err = l.Lease.Grant(ctx, ttl)
		return err
	})
	return resp, err
}

func (l *lease) Revoke(ctx context.Context, id clientv3.LeaseID) (resp *clientv3.LeaseRevokeResponse, err error) {
	err = l.f.do(ctx, Call{Kind: Revoke}, func() (err error) {
		resp, err = l.Lease.Revoke(ctx, id)
		return err
	})
	return resp, err
}

func (l *lease) KeepAliveOnce(ctx context.Context, id clientv3.LeaseID) (resp *clientv3.LeaseKeepAliveResponse, err error) {
	err = l.f.do(ctx, Call{Kind: KeepAlive}, func() (err error) {
		resp, err = l.Lease.KeepAliveOnce(ctx, id)
		return err
	})
	return resp, err
}
