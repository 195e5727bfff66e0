package devcluster

import (
	"context"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

// How often the servers are asked who leads, and how long each has to answer.
const (
	askEvery = 300 * time.Millisecond
	askTime  = time.Second
)

// watchLeader sends the index of the server that leads, or nobody, whenever it has asked, until ctx
// ends.
func watchLeader(ctx context.Context, servers [Size]*server, leaders chan<- int) {
	var members [Size]pb.MaintenanceClient
	for i, s := range servers {
		conn, err := grpc.NewClient("passthrough:///"+s.etcd, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithNoProxy(), grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{
				BaseDelay: askEvery, Multiplier: 1, MaxDelay: askEvery,
			}}))
		if err != nil {
			return // which it does not do with such an address
		}
		defer conn.Close()
		members[i] = pb.NewMaintenanceClient(conn)
	}
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		select {
		case leaders <- whoLeads(ctx, members):
		case <-ctx.Done():
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// whoLeads asks all servers at once. Only who says so itself leads; of two that do, one of them not
// knowing yet that it was replaced, the one with the later term.
func whoLeads(ctx context.Context, members [Size]pb.MaintenanceClient) int {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var terms [Size]uint64
	var asking sync.WaitGroup
	for i, m := range members {
		asking.Go(func() {
			status, err := m.Status(ctx, &pb.StatusRequest{})
			if err == nil && status.Leader != 0 && status.Leader == status.Header.MemberId {
				terms[i] = status.RaftTerm
			}
		})
	}
	asking.Wait()
	leads, term := nobody, uint64(0)
	for i, t := range terms {
		if t > term {
			leads, term = i, t
		}
	}
	return leads
}
