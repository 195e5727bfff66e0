package faults

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
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

// Hook is run for each call, in the caller's goroutine. It may block, to hold the call, and its
// error is what the call fails with.
type Hook func(context.Context, Call) error

// Faults is one such client. As long as nothing is set it passes everything on.
type Faults struct {
	client *clientv3.Client
	local  *Local
	before atomic.Pointer[Hook]
	after  atomic.Pointer[Hook]
	events atomic.Pointer[func([]*clientv3.Event)]
	status atomic.Pointer[func(*clientv3.StatusResponse)]
	gate   chan struct{} // holds one token while watches deliver

	mu      sync.Mutex
	opened  int
	watches map[*watch]struct{}
}

// New puts a client before another, of an etcd in this process, which it does not close. kv is that
// etcd's key-value service.
func New(etcd *clientv3.Client, kv pb.KVClient) *Faults {
	f := &Faults{gate: make(chan struct{}, 1), watches: map[*watch]struct{}{}}
	f.gate <- struct{}{}
	f.local = &Local{kv: kv, f: f}
	f.client = clientv3.NewCtxClient(context.Background())
	f.client.KV = &keyValue{KV: etcd.KV, f: f}
	f.client.Lease = &lease{Lease: etcd.Lease, f: f}
	f.client.Watcher = &watcher{Watcher: etcd.Watcher, f: f}
	f.client.Maintenance = &maintenance{Maintenance: etcd.Maintenance, f: f}
	f.client.Cluster = etcd.Cluster
	return f
}

// Client is what to give to the store.
func (f *Faults) Client() *clientv3.Client { return f.client }

// Local goes with Client.
func (f *Faults) Local() *Local { return f.local }

// Local is the etcd behind a [Faults], as a store in its process has it.
type Local struct {
	kv pb.KVClient
	f  *Faults
}

// errBroken ends what follows a watch that was broken.
var errBroken = errors.New("the watch was broken")

// Before sets what runs before a call reaches etcd; an error loses the request. nil: nothing.
func (f *Faults) Before(h Hook) { set(&f.before, h) }

// After sets what runs when etcd has returned; an error loses the reply. nil: nothing.
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

// CrashAt makes every call that counts fail from the n-th on, as if the store had crashed there; n
// is from 1. The n-th is done and its reply lost if done is true, else its request is lost. crashed
// is closed when it has come to that. It takes the place of Before and After.
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

// Status sets what may change etcd's word of how it is, of its space for one.
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

type keyValue struct {
	clientv3.KV
	f *Faults
}

func (k *keyValue) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (resp *clientv3.GetResponse, err error) {
	err = k.f.do(ctx, Call{Kind: Get, Op: clientv3.OpGet(key, opts...)}, func() (err error) {
		resp, err = k.KV.Get(ctx, key, opts...)
		return err
	})
	return resp, err
}

func (k *keyValue) Put(ctx context.Context, key, val string, opts ...clientv3.OpOption) (resp *clientv3.PutResponse, err error) {
	err = k.f.do(ctx, Call{Kind: Put, Op: clientv3.OpPut(key, val, opts...)}, func() (err error) {
		resp, err = k.KV.Put(ctx, key, val, opts...)
		return err
	})
	return resp, err
}

func (k *keyValue) Delete(ctx context.Context, key string, opts ...clientv3.OpOption) (resp *clientv3.DeleteResponse, err error) {
	err = k.f.do(ctx, Call{Kind: Delete, Op: clientv3.OpDelete(key, opts...)}, func() (err error) {
		resp, err = k.KV.Delete(ctx, key, opts...)
		return err
	})
	return resp, err
}

func (k *keyValue) Compact(ctx context.Context, rev int64, opts ...clientv3.CompactOption) (resp *clientv3.CompactResponse, err error) {
	err = k.f.do(ctx, Call{Kind: Compact}, func() (err error) {
		resp, err = k.KV.Compact(ctx, rev, opts...)
		return err
	})
	return resp, err
}

// KV is where the store's transactions go.
func (l *Local) KV() pb.KVClient { return &remote{KVClient: l.kv, f: l.f} }

// Follow passes on what a watch brings.
func (l *Local) Follow(
	ctx context.Context, from, end string, rev int64, ask <-chan struct{}, tell func(events []*clientv3.Event, upTo int64),
) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	watch := l.f.client.Watch(ctx, from, clientv3.WithRange(end), clientv3.WithRev(rev))
	for {
		select {
		case <-ask:
			if err := l.f.client.RequestProgress(ctx); err != nil {
				return err
			}
		case resp, ok := <-watch:
			if !ok {
				return errBroken
			}
			if err := resp.Err(); err != nil {
				return err
			}
			if n := len(resp.Events); n > 0 {
				tell(resp.Events, resp.Events[n-1].Kv.ModRevision)
			} else if resp.IsProgressNotify() {
				tell(nil, resp.Header.Revision)
			}
		}
	}
}

// Defragment does nothing.
func (l *Local) Defragment(context.Context) error { return nil }

// LeaderChanged tells nothing: there is one member.
func (l *Local) LeaderChanged() <-chan struct{} { return nil }

type remote struct {
	pb.KVClient
	f *Faults
}

func (r *remote) Txn(ctx context.Context, in *pb.TxnRequest, opts ...grpc.CallOption) (resp *pb.TxnResponse, err error) {
	err = r.f.do(ctx, Call{Kind: Txn, Op: opOf(in)}, func() (err error) {
		resp, err = r.KVClient.Txn(ctx, in, opts...)
		return clientv3.ContextError(ctx, err)
	})
	return resp, err
}

// opOf is what a transaction does, in clientv3's words: its compares, and of its operations the
// kinds, keys, revisions, and the values that are put.
func opOf(in *pb.TxnRequest) clientv3.Op {
	var ifs []clientv3.Cmp
	for _, c := range in.Compare {
		ifs = append(ifs, clientv3.FromCompare(c))
	}
	return clientv3.OpTxn(ifs, opsOf(in.Success), opsOf(in.Failure))
}

func opsOf(in []*pb.RequestOp) (ops []clientv3.Op) {
	for _, op := range in {
		switch r := op.Request.(type) {
		case *pb.RequestOp_RequestRange:
			opts := []clientv3.OpOption{clientv3.WithRev(r.RequestRange.Revision)}
			if r.RequestRange.Serializable {
				opts = append(opts, clientv3.WithSerializable())
			}
			ops = append(ops, clientv3.OpGet(string(r.RequestRange.Key), opts...))
		case *pb.RequestOp_RequestPut:
			ops = append(ops, clientv3.OpPut(string(r.RequestPut.Key), string(r.RequestPut.Value)))
		case *pb.RequestOp_RequestDeleteRange:
			ops = append(ops, clientv3.OpDelete(string(r.RequestDeleteRange.Key)))
		case *pb.RequestOp_RequestTxn:
			ops = append(ops, opOf(r.RequestTxn))
		}
	}
	return ops
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
