package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/client"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	lockservice "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
)

// workload is what a worker process does besides sections through the SDK and the API.
type workload struct {
	h    *history
	seed uint64
	to   reach
	dir  string
	dlm  string // the binary
}

// chosenWorkloads are three of those that there are, where clients show certificates or do not.
func chosenWorkloads(r *rand.Rand, secured bool) []func(workload) (run func(context.Context), err error) {
	all := []func(workload) (func(context.Context), error){workload.coursework, workload.trees, workload.waiters, workload.sessions, workload.appends}
	if secured {
		all = all[1:] // the coursework's clients have no identities
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:3]
}

// victim is a lock to take from its holder: mostly one of those that are used most.
func victim(r *rand.Rand) string {
	switch r.IntN(7) {
	case 0:
		return treeLock(r)
	case 1:
		return courseworkLock
	case 2:
		return chainLock
	}
	return lockName(r)
}

// together runs several users of a kind, with random numbers of their own.
func (w workload) together(n int, run func(context.Context, *rand.Rand)) func(context.Context) {
	return func(ctx context.Context) {
		var running sync.WaitGroup
		for i := range n {
			running.Go(func() { run(ctx, rand.New(rand.NewPCG(w.seed, uint64(300+i)))) })
		}
		running.Wait()
	}
}

// coursework is two clients of the coursework's API.
func (w workload) coursework() (func(context.Context), error) {
	servers, err := clientsOf(w.to, lockservice.NewLockServiceClient)
	return w.together(2, func(ctx context.Context, r *rand.Rand) {
		(&courseworkWorker{h: w.h, rand: r, servers: servers}).run(ctx)
	}), err
}

// trees is two users of dlm lock.
func (w workload) trees() (func(context.Context), error) {
	return w.together(2, func(ctx context.Context, r *rand.Rand) {
		for ctx.Err() == nil {
			w.tree(ctx, r)
			pause(ctx, time.Duration(r.IntN(500))*time.Millisecond)
		}
	}), nil
}

// waiters is some clients that only want locks: they try, wait for a while, give up in the middle
// of a wait, and go away from it altogether and come back.
func (w workload) waiters() (func(context.Context), error) {
	return w.together(4, func(ctx context.Context, r *rand.Rand) {
		for ctx.Err() == nil {
			c, err := client.Open(w.to.config(2 * time.Second))
			if err != nil {
				panic(err)
			}
			for range 1 + r.IntN(20) {
				if !w.wait(ctx, c, r) {
					break // with its wait, perhaps
				}
				pause(ctx, time.Duration(r.IntN(100))*time.Millisecond)
			}
			_ = c.Close()
		}
	}), nil
}

// wait is one attempt to get a lock, and gives it back at once. It returns whether the client goes
// on with the same session.
func (w workload) wait(ctx context.Context, c *client.Client, r *rand.Rand) bool {
	lock := lockName(r)
	a := answer{Call: callAcquire, Asked: time.Now(), Lock: lock}
	var l *client.Lock
	var err error
	goesOn := true
	switch r.IntN(4) {
	case 0:
		l, err = c.TryLock(ctx, lock)
	case 1:
		l, err = c.Lock(ctx, lock, client.WithWait(time.Duration(1+r.IntN(1000))*time.Millisecond))
	case 2:
		cctx, cancel := context.WithTimeout(ctx, time.Duration(1+r.IntN(500))*time.Millisecond)
		l, err = c.Lock(cctx, lock)
		cancel()
	default: // its session ends in the middle of the wait
		leaves := time.AfterFunc(time.Duration(1+r.IntN(500))*time.Millisecond, func() { _ = c.Close() })
		l, err = c.Lock(ctx, lock)
		goesOn = leaves.Stop()
	}
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, client.ErrBusy) && !errors.Is(err, context.DeadlineExceeded) && goesOn {
			a.Reason, a.Text = reasonOf(err), err.Error()
			w.h.add(a)
			pause(ctx, 50*time.Millisecond)
		}
		return goesOn
	}
	a.Got = l.Token()
	w.h.add(a)
	end := answer{Call: callRelease, Asked: time.Now(), Lock: lock, Token: l.Token()}
	if err := l.Unlock(context.WithoutCancel(ctx)); err != nil {
		end.Reason, end.Text = reasonOf(err), err.Error()
	}
	w.h.add(end)
	return goesOn
}

// sessions begins many sessions, some with a place in a queue, and ends few: the others are
// dropped without a word.
func (w workload) sessions() (func(context.Context), error) {
	servers, err := clientsOf(w.to, dlmv1.NewLockServiceClient)
	return w.together(1, func(ctx context.Context, r *rand.Rand) {
		for ctx.Err() == nil {
			w.drop(ctx, r, servers[r.IntN(len(servers))])
			pause(ctx, time.Duration(r.IntN(60))*time.Millisecond)
		}
	}), err
}

// drop begins a session, and leaves it.
func (w workload) drop(ctx context.Context, r *rand.Rand, s dlmv1.LockServiceClient) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	resp, err := s.Init(ctx, &dlmv1.InitRequest{Ttl: durationpb.New(2 * time.Second)})
	if err != nil {
		return
	}
	if r.IntN(8) == 0 {
		lock, request := lockName(r), "1"
		wctx, leave := context.WithTimeout(ctx, time.Duration(1+r.IntN(100))*time.Millisecond)
		a := answer{Call: callAcquire, Asked: time.Now(), Session: resp.GetId(), Lock: lock, Request: request, Sends: 1}
		got, err := s.Acquire(wctx, &dlmv1.AcquireRequest{
			Session: resp.GetSession(), Lock: lock, Request: request, Wait: durationpb.New(time.Second),
		})
		leave()
		if err == nil && got.GetOutcome() == dlmv1.AcquireResponse_OUTCOME_GRANTED {
			a.Got = got.GetToken()
			w.h.add(a)
		}
	}
	if r.IntN(4) == 0 {
		_, _ = s.Close(ctx, &dlmv1.CloseRequest{Session: resp.GetSession()})
	}
}

// treeLock is a lock that dlm lock is used with.
func treeLock(r *rand.Rand) string { return treeLocks()[r.IntN(2)] }

// treeLocks are all of those.
func treeLocks() []string { return []string{"tree0", "tree1"} }
