package facade

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc/tap"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	lockservice "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
	"github.com/distributed-lock-manager/dlm/facade/budget"
	"github.com/distributed-lock-manager/dlm/facade/wire"
)

// Limits are what a server's clients may take, all of them and each one. What would exceed one is
// refused with LIMIT, before etcd is touched. A client is an identity, from wherever it calls, or a
// connection whose caller has none.
type Limits struct {
	Connections           int // in all
	ConnectionsPerAddress int // of them, by the address that they come from; 0: any number

	Buffer           int64 // bytes that are kept for all connections
	ConnectionBuffer int64 // for one

	// How long a request may take to come, and an answer to be read, and a second more for every 64
	// KiB.
	Deliver, Collect time.Duration

	Streams int           // calls in progress on one connection; further ones wait in its client
	Calls   int           // unanswered calls of one multiplexed stream
	Idle    time.Duration // a connection without calls is closed after that; 0: never
	Age     time.Duration // a connection is closed after that, when its calls have ended or half a minute later; 0: never

	CallRate int // calls a second of one client, and as many at once; 0: any number. Those that give back do not count

	SessionRate          int // new sessions a second, of all clients
	SessionRatePerClient int // of one
	SessionBurst         int // how many of either may come at once

	Watches          int // watches and tails, of all clients
	WatchesPerClient int // of one

	Gzip bool // compressed requests are taken, by this whole process
}

// DefaultLimits are those of a server that is told of none.
func DefaultLimits() Limits {
	return Limits{
		Connections:          10_000,
		Buffer:               128 << 20,
		ConnectionBuffer:     64 << 20,
		Deliver:              10 * time.Second,
		Collect:              30 * time.Second,
		Streams:              1000,
		Calls:                8192,
		Idle:                 15 * time.Minute,
		SessionRate:          500,
		SessionRatePerClient: 100,
		SessionBurst:         1000,
		Watches:              10_000,
		WatchesPerClient:     1000,
	}
}

// The names of those limits by which calls are refused.
const (
	limitSessionRate          = "session-rate"
	limitSessionRatePerClient = "session-rate-per-client"
	limitCalls                = "calls"
	limitCallRate             = "call-rate"
	limitWatches              = "watches"
	limitWatchesPerClient     = "watches-per-client"
)

// What a client is asked to wait with a call, and with a watch.
const (
	callRetry  = 100 * time.Millisecond
	watchRetry = time.Second
)

// limiter keeps the limits of all clients together.
type limiter struct {
	limits  Limits
	budget  *budget.Budget
	refused func(limit string)

	inits   *rate.Limiter
	watches atomic.Int64
	clients clients
}

func newLimiter(cfg Config) *limiter {
	l := &limiter{limits: cfg.Limits, refused: cfg.Refused}
	if l.limits == (Limits{}) {
		l.limits = DefaultLimits()
	}
	if l.refused == nil {
		l.refused = func(string) {}
	}
	wire.AllowCompressed(l.limits.Gzip)
	l.budget = budget.New(budget.Limits{
		Connections: l.limits.Connections, PerAddress: l.limits.ConnectionsPerAddress,
		Buffer: l.limits.Buffer, ConnectionBuffer: l.limits.ConnectionBuffer, Deliver: l.limits.Deliver, Collect: l.limits.Collect,
	}, cfg.Logger, l.refused)
	l.inits = rate.NewLimiter(rate.Limit(l.limits.SessionRate), l.limits.SessionBurst)
	return l
}

// tap sees each call before anything is kept of it but its headers: it finds the call's account,
// and whose call it is.
func (l *limiter) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	conn := watchedOf(ctx)
	if conn == nil {
		return ctx, nil
	}
	call, err := conn.account.Begin(endless(info.FullMethodName))
	if err != nil && !reserved(info.FullMethodName) {
		l.refused(limitOf(err))
		return ctx, refuse(err)
	}
	return call.With(ctx), nil
}

// endless reports whether a method's calls may have any number of requests.
func endless(method string) bool {
	return method == dlmv1.LockService_Stream_FullMethodName || reflects(method)
}

// reserved reports whether a method's calls go on when the budget is used up, and for a while when
// the token of their stream has expired: they give back.
func reserved(method string) bool {
	switch method {
	case dlmv1.LockService_Heartbeat_FullMethodName, dlmv1.LockService_Close_FullMethodName,
		dlmv1.LockService_Release_FullMethodName, dlmv1.LockService_Discard_FullMethodName,
		dlmv1.LockService_Stream_FullMethodName, lockservice.LockService_Heartbeat_FullMethodName,
		lockservice.LockService_LockRelease_FullMethodName, lockservice.LockService_ClientClose_FullMethodName:
		return true
	}
	return exempt(method)
}

// admit decides whether a call is within what its client, and all of them, may have. It returns how
// many bytes it has counted for the call, which are to be freed with it.
func (l *limiter) admit(c *call, req any) (bytes int, err error) {
	if bytes = keeps(req); reserved(c.method) {
		c.account.Force(bytes)
	} else if err := c.account.Hold(bytes); err != nil {
		return 0, err
	}
	if err := l.admitRate(c); err != nil {
		c.account.Free(bytes)
		return 0, err
	}
	return bytes, nil
}

// admitRate decides whether a call comes too soon after others.
func (l *limiter) admitRate(c *call) error {
	if l.limits.CallRate > 0 && !reserved(c.method) {
		if by := c.caller.client; by != nil && !by.calls.Allow() {
			return etcdstore.Exceeded(limitCallRate, int64(l.limits.CallRate), "calls a second, for one client", callRetry)
		}
	}
	switch c.method {
	case dlmv1.LockService_Init_FullMethodName, lockservice.LockService_ClientInit_FullMethodName:
		return l.admitSession(c.caller.client)
	}
	return nil
}

func (l *limiter) admitSession(c *client) error {
	if c != nil && !c.inits.Allow() {
		return etcdstore.Exceeded(limitSessionRatePerClient, int64(l.limits.SessionRatePerClient), "new sessions a second, for one client", shortly(c.inits))
	}
	if !l.inits.Allow() {
		return etcdstore.Exceeded(limitSessionRate, int64(l.limits.SessionRate), "new sessions a second", shortly(l.inits))
	}
	return nil
}

// shortly is when some hundred of those who are refused now may have their turn.
func shortly(l *rate.Limiter) time.Duration {
	return time.Duration(min(100, l.Burst())) * time.Second / time.Duration(max(1, int(l.Limit())))
}

// watch counts a watch or a tail in, until done is called.
func (l *limiter) watch(ctx context.Context) (done func(), err error) {
	c := callerOf(ctx).client
	if !take(&l.watches, l.limits.Watches) {
		return nil, etcdstore.Exceeded(limitWatches, int64(l.limits.Watches), "watches and tails", watchRetry)
	}
	if c != nil && !take(&c.watches, l.limits.WatchesPerClient) {
		l.watches.Add(-1)
		return nil, etcdstore.Exceeded(limitWatchesPerClient, int64(l.limits.WatchesPerClient), "watches and tails of one client", watchRetry)
	}
	return func() {
		l.watches.Add(-1)
		if c != nil {
			c.watches.Add(-1)
		}
	}, nil
}

// take counts one more in, and reports whether there may be so many.
func take(n *atomic.Int64, most int) bool {
	if n.Add(1) <= int64(most) {
		return true
	}
	n.Add(-1)
	return false
}

// What a call keeps until it is answered: itself at least, and each element of a list. An Acquire
// that waits takes some 2 KB, and some more until the garbage collector comes.
const (
	callBytes    = 3 << 10
	elementBytes = 256
)

// keeps is about how many bytes a call keeps until its answer has been sent.
func keeps(req any) int {
	switch r := req.(type) {
	case *dlmv1.AppendRequest:
		return callBytes + recordBytes(appendedBytes(r))
	case *dlmv1.PublishRequest:
		return callBytes + elementBytes*(len(r.GetOperations())+len(r.GetCondition().GetFiles())) + recordBytes(publishedBytes(r))
	case *lockservice.FileArgs:
		return callBytes + recordBytes(len(r.GetContent()))
	case *dlmv1.ReadRequest:
		return callBytes + readBytes(r)
	case *dlmv1.HeartbeatRequest:
		return callBytes + elementBytes*len(r.GetUnfinished())
	case *dlmv1.ListRequest, *dlmv1.ListFilesRequest, *dlmv1.InspectRequest:
		return callBytes + elementBytes*etcdstore.MaxPage
	}
	return callBytes
}

// recordBytes is how many bytes a record takes on its way: it is encoded for etcd, and kept in its
// log and in what it writes, in this process or in another one. What is too large is refused
// before.
func recordBytes(n int) int {
	const copies = 4
	return n + (copies-1)*min(n, etcdstore.MaxRecord)
}

// appendedBytes is how many bytes of data an append has, or what is done in its place.
func appendedBytes(r *dlmv1.AppendRequest) int {
	return len(r.GetData()) + operationBytes(r.GetOperation())
}

// operationBytes is how many bytes of data an operation has.
func operationBytes(o *dlmv1.Operation) int { return len(o.GetAppend()) + len(o.GetReplace()) }

// publishedBytes is how many bytes of data a publish has.
func publishedBytes(r *dlmv1.PublishRequest) (n int) {
	for _, o := range r.GetOperations() {
		n += operationBytes(o)
	}
	return n
}

// readBytes is how many bytes of a file a Read may answer with.
func readBytes(r *dlmv1.ReadRequest) int {
	if limit := int(r.GetLimit()); 0 < limit && limit < etcdstore.MaxRead {
		return limit
	}
	return etcdstore.MaxRead
}
