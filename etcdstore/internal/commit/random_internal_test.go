package commit

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// TestRandom has clients make random transactions over few keys, while calls of etcd and their
// replies are lost, leases end, etcd is full, and the quorum comes and goes. Then it looks whether
// every answer, and every revision of the keys, is explained by transactions that ran one after
// another, those of one revision in some order.
func TestRandom(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	var sum tally
	for i := range uint64(40) {
		if ok := t.Run(fmt.Sprint(i), func(t *testing.T) { randomRun(t, seed+i, &sum) }); !ok {
			t.Fatalf("seed %d", seed+i)
		}
	}
	t.Logf("seed %d: %+v", seed, sum)
	if sum.succeeded < 1000 || sum.failed < 500 || sum.lost < 100 || sum.refused < 100 || sum.calls*4 > 3*(sum.succeeded+sum.failed) {
		t.Errorf("it shows little: %+v", sum)
	}
}

// tally is what came of all runs.
type tally struct{ succeeded, failed, lost, refused, calls int }

const (
	randomKeys    = 24
	randomClients = 12
	randomTxns    = 25 // of each
)

var errNotNow = errors.New("not now")

// trial is one random transaction.
type trial struct {
	Txn
	id     int
	twice  bool  // it puts a key twice, which etcd refuses
	lease  int64 // that it puts on; 0: none
	client int
	after  int64 // the revision that its client knew of

	mu   sync.Mutex
	resp *pb.TxnResponse
	err  error
	n    int // answers
}

func (tr *trial) answer(resp *pb.TxnResponse, err error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.resp, tr.err, tr.n = resp, err, tr.n+1
}

// unclear reports whether it may have been run or not.
func (tr *trial) unclear() bool {
	return !NotSent(tr.err) && (errors.Is(tr.err, ErrNoQuorum) || errors.Is(tr.err, ErrClosed) || errors.Is(tr.err, context.Canceled))
}

// chaos decides what is done, and what happens meanwhile.
type chaos struct {
	mu sync.Mutex
	*rand.Rand
	next int
}

// in returns a number from 0 to below n.
func (c *chaos) in(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.IntN(n)
}

// one is true once in n times.
func (c *chaos) one(n int) bool { return c.in(n) == 0 }

func (c *chaos) wait(n int) { <-time.After(time.Duration(c.in(n)) * time.Millisecond / 4) }

func (c *chaos) key() string { return randomKey(c.in(randomKeys)) }

func randomKey(i int) string { return string(rune('a' + i)) }

func sessionKey(lease int64) string { return fmt.Sprint("0session", lease) }

func (c *chaos) trial() *trial {
	c.mu.Lock()
	c.next++
	tr := &trial{id: c.next}
	c.mu.Unlock()
	tr.Client, tr.Urgent = fmt.Sprint(c.in(3)), c.one(4)
	for range c.in(3) {
		switch key := c.key(); c.in(4) {
		case 0:
			tr.If = append(tr.If, op.Absent(key))
		case 1:
			tr.If = append(tr.If, op.Present(key))
		case 2:
			tr.If = append(tr.If, op.ModifiedBy(key, int64(c.in(200))))
		default:
			tr.If = append(tr.If, op.Empty(key))
		}
	}
	if c.one(4) {
		tr.lease = 1 + int64(c.in(3))
		if c.one(2) {
			tr.Alive = sessionKey(tr.lease)
		} else {
			tr.If = append(tr.If, op.Present(sessionKey(tr.lease)))
		}
	}
	tr.Then = c.branch(tr, "then")
	if c.one(3) {
		tr.Else = c.branch(tr, "else")
	}
	if c.one(60) {
		tr.twice, tr.Then = true, append(tr.Then, op.Put("0twice", ""), op.Put("0twice", ""))
	}
	if c.one(5) {
		tr.Touch = fmt.Sprint("0touched", c.in(2))
	}
	if c.one(10) {
		tr.Besides = c.key()
	}
	if c.one(10) {
		tr.Refuse = func() error { return errNotNow }
	}
	tr.Patient = c.one(3)
	return tr
}

// branch is operations of which no two write one key. What is put is put by nobody else.
func (c *chaos) branch(tr *trial, name string) (ops []*pb.RequestOp) {
	written := map[int]bool{}
	for range c.in(4) {
		i, n := c.in(randomKeys), 1
		what := c.in(7)
		if what == 4 {
			n += c.in(4)
		}
		if what < 5 {
			if slices.ContainsFunc([]int{i, i + 1, i + 2, i + 3}[:n], func(i int) bool { return written[i] }) {
				continue
			}
			for j := range n {
				written[i+j] = true
			}
		}
		switch what {
		case 0, 1, 2:
			ops = append(ops, op.PutOn(clientv3.LeaseID(tr.lease), randomKey(i), fmt.Sprint(tr.id, " ", name)))
		case 3:
			ops = append(ops, op.Delete(randomKey(i)))
		case 4:
			ops = append(ops, op.DeleteRange(randomKey(i), randomKey(i+n)))
		default:
			ops = append(ops, op.Get(randomKey(i)))
		}
	}
	return ops
}

func randomRun(t *testing.T, seed uint64, sum *tally) {
	var trials []*trial
	var past map[int64]state
	synctest.Test(t, func(t *testing.T) {
		c := &chaos{Rand: rand.New(rand.NewPCG(seed, 0))}
		e := newEtcd()
		health := NewHealth(nil)
		health.Set(true)
		var calls atomic.Int64
		apply := func(ctx context.Context, req *pb.TxnRequest) (*pb.TxnResponse, error) {
			calls.Add(1)
			select {
			case <-time.After(time.Duration(c.in(8)) * time.Millisecond / 4):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			switch c.in(60) {
			case 0:
				return nil, rpctypes.ErrNoLeader
			case 1:
				return nil, rpctypes.ErrPermissionDenied
			case 2:
				if _, err := e.txn(req); err != nil {
					return nil, err
				}
				return nil, rpctypes.ErrTimeout
			}
			return e.txn(req)
		}
		ctx, end := context.WithCancel(context.Background())
		defer end()
		var working, started, acting sync.WaitGroup
		engine := New(Env{
			Apply: apply,
			Start: func(f func()) bool {
				if c.one(3) {
					return false
				}
				started.Go(f)
				return true
			},
			Closed:   func() bool { return ctx.Err() != nil },
			Panicked: func(what any, stack []byte) { t.Errorf("%v\n%s", what, stack) },
			Health:   health,
		})
		for lease := int64(1); lease <= 3; lease++ {
			e.grant(lease)
			if _, err := e.txn(&pb.TxnRequest{Success: []*pb.RequestOp{op.PutOn(clientv3.LeaseID(lease), sessionKey(lease), "")}}); err != nil {
				t.Fatal(err)
			}
		}
		acting.Go(func() {
			for lease := int64(1); lease <= 3; lease++ {
				c.wait(200)
				e.end(lease)
				c.wait(50)
				e.fill(true)
				c.wait(20)
				e.fill(false)
				c.wait(50)
				health.Set(false)
				c.wait(10)
				health.Set(true)
			}
		})
		var mu sync.Mutex
		for client := range randomClients {
			working.Go(func() {
				known := int64(0)
				for range randomTxns {
					c.wait(10)
					tr := c.trial()
					tr.client, tr.after = client, known
					mu.Lock()
					trials = append(trials, tr)
					mu.Unlock()
					switch c.in(4) {
					case 0: // and does not wait for it
						engine.Submit(tr.Txn, tr.answer)
						continue
					case 1:
						engine.SubmitLater(tr.Caller, tr.footprint, func() Txn { return tr.Txn }, tr.answer)
						continue
					case 2:
						answered := make(chan struct{})
						engine.Submit(tr.Txn, func(resp *pb.TxnResponse, err error) {
							tr.answer(resp, err)
							close(answered)
						})
						<-answered
					default:
						ctx, cancel := context.WithCancel(ctx)
						if c.one(5) {
							time.AfterFunc(time.Millisecond, cancel)
						}
						tr.answer(engine.Commit(ctx, tr.Txn))
						cancel()
					}
					if tr.err == nil {
						known = tr.resp.Header.Revision
					}
				}
			})
		}
		ran := make(chan struct{})
		go func() {
			defer close(ran)
			engine.Run(ctx)
		}()
		working.Wait()
		acting.Wait()
		if !c.one(4) {
			<-time.After(time.Second) // for what nobody waits for; else it is pending when Run ends
		}
		end()
		<-ran
		started.Wait()
		past = e.past
		sum.calls += int(calls.Load())
	})
	explain(t, trials, past, sum)
}

// explain holds answers against the keys at each revision.
func explain(t *testing.T, trials []*trial, past map[int64]state, sum *tally) {
	t.Helper()
	byID := map[string]*trial{} // by what they put
	ran := map[int64][]*trial{}
	for _, tr := range trials {
		byID[fmt.Sprint(tr.id, " then")], byID[fmt.Sprint(tr.id, " else")] = tr, tr
		switch {
		case tr.n != 1:
			t.Errorf("transaction %d has %d answers", tr.id, tr.n)
		case tr.err == nil:
			rev := tr.resp.Header.Revision
			if rev < tr.after {
				t.Errorf("transaction %d: revision %d, and its client knew of %d before", tr.id, rev, tr.after)
			}
			if !explained(tr, past[rev-1], past[rev], rev) && !explained(tr, past[rev], nil, rev) {
				t.Errorf("transaction %d: %v\nanswer: %s\nbefore: %v\nafter: %v", tr.id, tr.Request(), say(tr.resp), past[rev-1], past[rev])
			}
			ran[rev] = append(ran[rev], tr)
			if tr.resp.Succeeded {
				sum.succeeded++
			} else {
				sum.failed++
			}
		case tr.unclear():
			sum.lost++
		default:
			sum.refused++
		}
		if tr.twice && tr.err == nil || errors.Is(tr.err, rpctypes.ErrDuplicateKey) && !tr.twice ||
			errors.Is(tr.err, errNotNow) && tr.Refuse == nil || errors.Is(tr.err, ErrSessionExpired) && tr.lease == 0 ||
			errors.Is(tr.err, ErrNoSpace) && !mayPut(tr.Request()) && tr.Touch == "" {
			t.Errorf("transaction %d: %v: %v", tr.id, tr.Request(), tr.err)
		}
	}
	at := map[*trial]int64{} // when a transaction that puts something was run
	defer func() {
		batches := map[int64][]*trial{}
		for tr, rev := range at {
			batches[rev] = append(batches[rev], tr)
		}
		for rev, batch := range batches {
			together(t, rev, batch)
		}
	}()
	for rev := int64(5); past[rev] != nil; rev++ {
		before, after := past[rev-1], past[rev]
		for key, kv := range after {
			if kv.ModRevision != rev {
				continue
			}
			tr := byID[string(kv.Value)]
			switch {
			case tr == nil: // touched
				if !slices.ContainsFunc(trials, func(tr *trial) bool { return tr.Touch == key }) {
					t.Errorf("revision %d: %v was put by nobody", rev, kv)
				}
			case at[tr] != 0 && at[tr] != rev:
				t.Errorf("transaction %d was run twice, at %d and %d", tr.id, at[tr], rev)
			case !tr.unclear() && !slices.Contains(ran[rev], tr):
				t.Errorf("revision %d: %v was put by transaction %d: %s, %v", rev, kv, tr.id, say(tr.resp), tr.err)
			default:
				at[tr] = rev
			}
		}
		for key, kv := range before {
			if after[key] != nil || kv.Lease != 0 { // its lease may have ended
				continue
			}
			if !slices.ContainsFunc(trials, func(tr *trial) bool {
				return (tr.unclear() || slices.Contains(ran[rev], tr)) && deletesKey(tr, key)
			}) {
				t.Errorf("revision %d: %s was deleted by nobody", rev, key)
			}
		}
	}
}

// together looks whether transactions that were run in one batch write a key in common.
func together(t *testing.T, rev int64, trials []*trial) {
	t.Helper()
	writer := map[string]*trial{}
	for _, tr := range trials {
		for i := range randomKeys {
			key := randomKey(i)
			if tr.Besides != key && !deletesKey(tr, key) && putsOf(tr.Request(), key) == 0 {
				continue
			}
			if other := writer[key]; other != nil {
				t.Errorf("revision %d: transactions %d and %d may both write %s: %v\n%v", rev, other.id, tr.id, key, other.Request(), tr.Request())
			}
			writer[key] = tr
		}
	}
}

func deletesKey(tr *trial, key string) bool {
	return slices.ContainsFunc(slices.Concat(tr.Then, tr.Else), func(o *pb.RequestOp) bool {
		d := o.GetRequestDeleteRange()
		return d != nil && within(key, [][2]string{span(d.Key, d.RangeEnd)})
	})
}

// explained reports whether a transaction that is run at one state has the answer that it had, and
// changes the keys to what they are afterwards as far as it writes them; nil: it changes nothing.
// What it reads may be what others of its batch have written.
func explained(tr *trial, before, after state, rev int64) bool {
	r := tr.Request()
	holds := before.allHold(r.Compare)
	if tr.Alive != "" && holds && !tr.resp.Succeeded {
		holds = before[tr.Alive] != nil
	}
	branch := tr.Else
	if holds {
		branch = tr.Then
	}
	if holds != tr.resp.Succeeded || len(branch) != len(tr.resp.Responses) {
		return false
	}
	changed, own := false, map[string]bool{}
	for i, o := range branch {
		resp := tr.resp.Responses[i]
		switch r := o.Request.(type) {
		case *pb.RequestOp_RequestPut:
			key := string(r.RequestPut.Key)
			changed, own[key] = true, true
			if kv := after[key]; kv == nil || kv.ModRevision != rev || string(kv.Value) != string(r.RequestPut.Value) || resp.GetResponsePut() == nil {
				return false
			}
		case *pb.RequestOp_RequestDeleteRange:
			gone := before.in(r.RequestDeleteRange.Key, r.RequestDeleteRange.RangeEnd)
			for _, kv := range gone {
				changed, own[string(kv.Key)] = true, true
				if after[string(kv.Key)] != nil {
					return false
				}
			}
			if d := resp.GetResponseDeleteRange(); d == nil || d.Deleted != int64(len(gone)) {
				return false
			}
		case *pb.RequestOp_RequestRange:
			if resp.GetResponseRange() == nil {
				return false
			}
			found, was := op.First(tr.resp, i), before[string(r.RequestRange.Key)]
			if own[string(r.RequestRange.Key)] || found != was && after != nil {
				was = after[string(r.RequestRange.Key)]
			}
			if found != was {
				return false
			}
		}
	}
	return after != nil || !changed
}
