package commit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.uber.org/goleak"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is an engine before an etcd in memory, in a bubble with a clock of its own: time passes only
// when all stand still. So a batch holds what the test has asked for when it lets the one before it
// go.
type rig struct {
	*testing.T
	*Engine
	etcd   *etcd
	closed atomic.Bool
	end    context.CancelFunc // of Run
	over   chan struct{}      // Run has returned

	mu       sync.Mutex
	gate     chan struct{}              // the next call of etcd waits for it; nil: it does not
	fault    func(*pb.TxnRequest) error // in place of etcd's answer; nil: none
	calls    []*pb.TxnRequest           // of etcd, without those of decoys
	panicked []any
}

// withRig runs a test with a rig whose etcd can commit.
func withRig(t *testing.T, f func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, etcd: newEtcd(), over: make(chan struct{})}
		health := NewHealth(nil)
		health.Set(true)
		var started sync.WaitGroup
		r.Engine = New(Env{
			Apply: r.apply,
			Start: func(f func()) bool {
				if r.closed.Load() {
					return false
				}
				started.Go(f)
				return true
			},
			Closed: r.closed.Load,
			Panicked: func(what any, _ []byte) {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.panicked = append(r.panicked, what)
			},
			Health: health,
		})
		var ctx context.Context
		ctx, r.end = context.WithCancel(context.Background())
		go func() {
			defer close(r.over)
			r.Engine.Run(ctx)
		}()
		defer func() {
			r.closed.Store(true)
			r.end()
			<-r.over
			started.Wait()
		}()
		f(r)
		synctest.Wait()
	})
}

const decoy = "decoy"

func (r *rig) apply(ctx context.Context, req *pb.TxnRequest) (*pb.TxnResponse, error) {
	r.mu.Lock()
	gate, fault := r.gate, r.fault
	r.gate = nil
	if len(req.Success) != 1 || string(req.Success[0].GetRequestPut().GetKey()) != decoy {
		r.calls = append(r.calls, req)
	}
	r.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if fault != nil {
		if err := fault(req); err != nil {
			return nil, err
		}
	}
	return r.etcd.txn(req)
}

// hold has the next call of etcd wait until free is called.
func (r *rig) hold() (free func()) {
	gate := make(chan struct{})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gate = gate
	return func() { close(gate) }
}

// busy has a batch on its way until free is called: what is asked for meanwhile is for the next
// one.
func (r *rig) busy() (free func()) {
	free = r.hold()
	r.Submit(put(decoy), func(*pb.TxnResponse, error) {})
	synctest.Wait()
	return free
}

func (r *rig) fail(fault func(*pb.TxnRequest) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = fault
}

// asked is a transaction that was submitted, and its answer. What is in it is read after settle.
type asked struct {
	Txn
	mu   *sync.Mutex // the rig's
	resp *pb.TxnResponse
	err  error
	n    int // how often it was answered
}

func (r *rig) asked(t Txn) *asked { return &asked{Txn: t, mu: &r.mu} }

func (a *asked) answer(resp *pb.TxnResponse, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.resp, a.err, a.n = resp, err, a.n+1
}

// ask submits transactions.
func (r *rig) ask(txns ...Txn) (all []*asked) {
	for _, t := range txns {
		a := r.asked(t)
		all = append(all, a)
		r.Submit(t, a.answer)
	}
	return all
}

// together asks for transactions while a batch is on its way, and returns them answered. calls is
// how often etcd was called for them.
func (r *rig) together(txns ...Txn) (all []*asked, calls []*pb.TxnRequest) {
	r.Helper()
	free := r.busy()
	all = r.ask(txns...)
	free()
	calls = r.settle()
	for i, a := range all {
		if a.n != 1 {
			r.Errorf("transaction %d was answered %d times; want once", i, a.n)
		}
	}
	return all, calls
}

// settle waits until all stands still, and returns how etcd was called since it did so last.
func (r *rig) settle() []*pb.TxnRequest {
	r.settled()
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

// settled waits until all stands still. What the test then reads, it has read before anything goes
// on.
func (r *rig) settled() {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
}

// succeeded wants transactions to have been run, each with as many responses as it has operations.
func (r *rig) succeeded(all ...*asked) {
	r.Helper()
	for i, a := range all {
		if a.err != nil || a.resp == nil || !a.resp.Succeeded || len(a.resp.Responses) != len(a.Then) {
			r.Errorf("transaction %d: %s, %v; want it to succeed with %d responses", i, say(a.resp), a.err, len(a.Then))
		}
	}
}

// failed wants transactions to have been run, and their compares not to have held.
func (r *rig) failed(all ...*asked) {
	r.Helper()
	for i, a := range all {
		if a.err != nil || a.resp == nil || a.resp.Succeeded || len(a.resp.Responses) != len(a.Else) {
			r.Errorf("transaction %d: %s, %v; want its compares to fail, and %d responses", i, say(a.resp), a.err, len(a.Else))
		}
	}
}

// refused wants transactions to have an error.
func (r *rig) refused(want error, all ...*asked) {
	r.Helper()
	for i, a := range all {
		if a.resp != nil || !errors.Is(a.err, want) {
			r.Errorf("transaction %d: %s, %v; want %v", i, say(a.resp), a.err, want)
		}
	}
}

// sent wants an error to say of transactions whether etcd was asked to run them.
func (r *rig) sent(want bool, all ...*asked) {
	r.Helper()
	for i, a := range all {
		if NotSent(a.err) == want {
			r.Errorf("transaction %d: %v says that it was sent: %t; want %t", i, a.err, !want, want)
		}
	}
}

// called wants etcd to have been called so many times.
func (r *rig) called(calls []*pb.TxnRequest, want int) {
	r.Helper()
	if len(calls) != want {
		r.Errorf("etcd was called %d times; want %d: %.2000s", len(calls), want, fmt.Sprint(calls))
	}
}

// put is a transaction that puts keys.
func put(keys ...string) (t Txn) {
	for _, k := range keys {
		t.Then = append(t.Then, op.Put(k, "v"))
	}
	return t
}

// numbered makes n transactions, each with a key of its own.
func numbered(n int, f func(key string) Txn) (txns []Txn) {
	for i := range n {
		txns = append(txns, f(fmt.Sprintf("k%04d", i)))
	}
	return txns
}

// nestedIn is the transactions in a request.
func nestedIn(r *pb.TxnRequest) (all []*pb.TxnRequest) {
	for _, o := range r.Success {
		if t := o.GetRequestTxn(); t != nil {
			all = append(all, t)
		}
	}
	return all
}

// putsOf counts the puts of a key in a request.
func putsOf(r *pb.TxnRequest, key string) (n int) {
	for _, o := range slices.Concat(r.Success, r.Failure) {
		if string(o.GetRequestPut().GetKey()) == key {
			n++
		}
		if t := o.GetRequestTxn(); t != nil {
			n += putsOf(t, key)
		}
	}
	return n
}
