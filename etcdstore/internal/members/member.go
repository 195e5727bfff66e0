package members

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"
)

// Member is one member of an etcd, and the way to it. When it is left, all that is under way over
// it ends with an error: whether it took effect is not known.
type Member struct {
	Client *clientv3.Client

	// The same in etcd's own messages; nil: etcd is in this process.
	KV     pb.KVClient
	Leases pb.LeaseClient

	endpoint string
	cancel   context.CancelFunc // of all that Client does
	left     atomic.Bool
}

// connect makes a client of a member, logged in, and returns when the member has answered. It fails
// with the last failure before ctx ended, or with one that will not pass by itself. While there is
// no member yet that could be used instead, it logs the first failure at once.
func (m *Members) connect(ctx context.Context, endpoint string) (*Member, error) {
	quiet := m.InUse() != nil
	complain := func(err error) {
		if !quiet && ctx.Err() == nil && !refused(err) {
			m.log.Warn("etcd member cannot be used yet", "member", endpoint, "err", Explain(err))
			quiet = true
		}
	}
	var last error
	for {
		member, err := m.dial(ctx, endpoint)
		if err == nil {
			if err = member.await(ctx, m.key, complain); err == nil {
				return member, nil
			}
			member.close()
		}
		complain(err)
		if ctx.Err() == nil || last == nil {
			last = telling(last, err)
		}
		if ctx.Err() != nil || refused(err) {
			return nil, fmt.Errorf("%s: %w", endpoint, Explain(last))
		}
		pause(ctx, askAgain)
	}
}

// dial makes a client, which logs in if there is a user. It is given up when ctx ends.
func (m *Members) dial(ctx context.Context, endpoint string) (*Member, error) {
	member := &Member{endpoint: endpoint}
	var life context.Context
	life, member.cancel = context.WithCancel(m.ctx)
	stop := context.AfterFunc(ctx, member.cancel)
	cfg := m.cfg
	cfg.Context, cfg.Endpoints = life, []string{endpoint}
	cfg.DialOptions = append(cfg.DialOptions[:len(cfg.DialOptions):len(cfg.DialOptions)], grpc.WithChainUnaryInterceptor(member.cutOff))
	client, err := clientv3.New(cfg)
	if err != nil {
		stop()
		member.cancel()
		return nil, err
	}
	member.reach(client)
	if !stop() {
		member.close()
		return nil, context.Cause(ctx)
	}
	return member, nil
}

// reach has all go over a client.
func (m *Member) reach(client *clientv3.Client) {
	m.Client = client
	if conn := client.ActiveConnection(); conn != nil {
		m.KV, m.Leases = clientv3.RetryKVClient(client), pb.NewLeaseClient(conn)
	}
}

// cutOff gives what fails because the member was left an error that clientv3 does not repeat, which
// it would for seconds.
func (m *Member) cutOff(
	ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	if _, is := req.(*pb.AuthenticateRequest); is {
		opts = append(opts, grpc.WaitForReady(false)) // otherwise nobody learns why there is no connection
	}
	err := invoke(ctx, method, req, reply, cc, opts...)
	if err != nil && m.left.Load() {
		return status.Error(codes.Aborted, "the etcd member was left: "+err.Error())
	}
	return err
}

// close ends all that is under way. It is called once.
func (m *Member) close() {
	m.left.Store(true)
	// First the connection: what waits for an answer hears nothing of the client's end.
	_ = m.Client.ActiveConnection().Close()
	_ = m.Client.Close()
	m.cancel()
}

// await asks until there is an answer: nil. It fails with the last failure when ctx ends, or with
// one that will not pass by itself. The first failure is told at once.
func (m *Member) await(ctx context.Context, key string, failed func(error)) error {
	var last error
	for {
		err := m.ask(ctx, key)
		switch {
		case err == nil:
			return nil
		case errors.Is(rpctypes.Error(err), rpctypes.ErrLeaderChanged) && ctx.Err() == nil:
			continue // it says so of what the old leader owed
		}
		if last == nil && ctx.Err() == nil {
			failed(err)
		}
		if last == nil || ctx.Err() == nil {
			last = telling(last, err)
		}
		if ctx.Err() != nil || refused(err) {
			return last
		}
		pause(ctx, askAgain)
	}
}

// ask reads linearizably, whatever is there.
func (m *Member) ask(ctx context.Context, key string) error {
	// Not by clientv3's own Get, which repeats for seconds what has failed.
	kv := pb.NewKVClient(m.Client.ActiveConnection())
	_, err := kv.Range(ctx, &pb.RangeRequest{Key: []byte(key), CountOnly: true})
	if status.Code(err) == codes.PermissionDenied {
		return nil // which is an answer: etcd looks at that last
	}
	return err
}

// whenBroken calls f whenever the connection breaks, until ctx ends or the member is closed.
func (m *Member) whenBroken(ctx context.Context, f func()) {
	conn := m.Client.ActiveConnection()
	for state := conn.GetState(); state != connectivity.Shutdown && conn.WaitForStateChange(ctx, state); {
		was := state
		if state = conn.GetState(); was == connectivity.Ready && state != connectivity.Shutdown {
			f()
		}
	}
}
