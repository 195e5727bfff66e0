package etcdstore

import (
	"context"
	"fmt"
	"iter"
	"log/slog"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/members"
)

// members is etcd's members, or the only one.
func (cfg Config) members(ctx context.Context, key string, log *slog.Logger) (*members.Members, error) {
	switch {
	case cfg.Client != nil && cfg.Local == nil && cfg.Client.ActiveConnection() == nil:
		return nil, fmt.Errorf("%w: a client without a connection, of an etcd in this process, needs its Local", ErrInvalidArgument)
	case cfg.Client != nil:
		return members.Only(cfg.Client), nil
	case len(cfg.Etcd.Endpoints) == 0:
		return nil, fmt.Errorf("%w: neither a client of etcd nor an endpoint", ErrInvalidArgument)
	}
	m, err := members.Open(ctx, cfg.Etcd, key, log)
	if err != nil {
		return nil, unreached{err}
	}
	return m, nil
}

// unreached is an [ErrNoQuorum] that says by itself why.
type unreached struct{ error }

func (u unreached) Unwrap() []error { return []error{ErrNoQuorum, u.error} }

// etcd is the client of the member in use. Whoever makes more than one call asks for it each time.
func (s *Store) etcd() *clientv3.Client { return s.members.InUse().Client }

// applier is where transactions go: etcd's key-value service, in etcd's own messages. clientv3
// would make its own of each, and back.
func (s *Store) applier() func(context.Context, *pb.TxnRequest) (*pb.TxnResponse, error) {
	if s.local != nil {
		return commit.Remote(s.local.KV())
	}
	return func(ctx context.Context, req *pb.TxnRequest) (*pb.TxnResponse, error) {
		return commit.Remote(s.members.InUse().KV)(ctx, req)
	}
}

// statuses asks all members how they are, side by side, and yields what is answered before ctx
// ends, by endpoint.
func (s *Store) statuses(ctx context.Context) iter.Seq2[string, *clientv3.StatusResponse] {
	type answer struct {
		endpoint string
		status   *clientv3.StatusResponse
	}
	return func(yield func(string, *clientv3.StatusResponse) bool) {
		// The client of an etcd in this process has no endpoints, and asks its own member whatever
		// it is given.
		endpoints := []string{""}
		if s.local == nil {
			endpoints = s.members.Endpoints()
		}
		ctx, cancel := context.WithCancel(ctx)
		answers := make(chan answer)
		defer func() {
			cancel()
			for range endpoints {
				<-answers
			}
		}()
		etcd := s.etcd()
		for _, endpoint := range endpoints {
			go func() {
				status, err := etcd.Status(ctx, endpoint)
				if err != nil {
					status = nil // probe logs it, if it matters
				}
				answers <- answer{endpoint, status}
			}()
		}
		for len(endpoints) > 0 {
			a := <-answers
			endpoints = endpoints[1:]
			if a.status != nil && !yield(a.endpoint, a.status) {
				return
			}
		}
	}
}
