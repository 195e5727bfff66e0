package etcdstore_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/faults"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// mine marks a call's own context, to tell its steps from the store's background work.
type mine struct{}

func isMine(ctx context.Context, _ faults.Call) bool { return ctx.Value(mine{}) != nil }

// stage is what one broken call acts on.
type stage struct {
	t    *testing.T
	s    storetest.Subject // healthy
	c    *storetest.Client
	h    *storetest.Held    // c holds it, with one record
	p    *storetest.Pending // waits for it
	lock string
}

// broken is a call that is broken off at every step, and then repeated through another store.
type broken struct {
	call  func(context.Context, *stage, storetest.Subject) (token int64, err error)
	after func(g *stage, token int64) // checks what the repeat answered, and what has become of everything
}

func brokenCalls() map[string]broken {
	return map[string]broken{
		"Acquire": {
			func(ctx context.Context, g *stage, s storetest.Subject) (int64, error) {
				grant, err := s.Acquire(ctx, g.c.Args(g.lock+"/free", "acquire", etcdstore.WaitForever))
				return grant.Token, err
			},
			func(g *stage, token int64) {
				info := storetest.Inspect(g.t, g.s, g.lock+"/free")
				if info.Holder == nil || info.Holder.Token != token || info.QueueLength != 0 {
					g.t.Errorf("the lock is %+v; want it held under %d", info, token)
				}
			},
		},
		"Append": {
			func(ctx context.Context, g *stage, s storetest.Subject) (int64, error) {
				return 0, storetest.AppendTo(ctx, s, etcdstore.Record{
					Credential: g.c.Credential, Lock: g.lock, Token: g.h.Token, Request: "append", File: "f", Data: []byte("second;"),
				})
			},
			func(g *stage, _ int64) {
				g.c.Release(g.h)
				storetest.WantContents(g.t, g.s, g.lock, "f", "first;second;")
			},
		},
		"Release": {
			func(ctx context.Context, g *stage, s storetest.Subject) (int64, error) {
				return 0, s.Release(ctx, g.h.Section)
			},
			func(g *stage, _ int64) {
				next := g.p.Granted()
				storetest.WantContents(g.t, g.s, g.lock, "f", "first;")
				if got := storetest.HolderOf(g.t, g.s, g.lock); got != next.Token {
					g.t.Errorf("the lock is held under %d; want %d", got, next.Token)
				}
			},
		},
		"Commit": {
			func(ctx context.Context, g *stage, s storetest.Subject) (int64, error) {
				return s.Commit(ctx, g.h.Section)
			},
			func(g *stage, token int64) {
				next := g.c.Section(g.lock, g.h.Acquisition().Request, token)
				g.c.Append(next, "f", "second;")
				storetest.WantContents(g.t, g.s, g.lock, "f", "first;")
				g.p.Waits()
				g.c.Release(next)
				storetest.WantContents(g.t, g.s, g.lock, "f", "first;second;")
			},
		},
		"Discard": {
			func(ctx context.Context, g *stage, s storetest.Subject) (int64, error) {
				published, err := s.Discard(ctx, g.h.Section)
				if published {
					g.t.Error("Discard answers that it came too late")
				}
				return 0, err
			},
			func(g *stage, _ int64) {
				g.p.Granted()
				g.c.Lost(g.h)
				storetest.WantNoFile(g.t, g.s, g.lock, "f")
			},
		},
		"Evict": {
			func(ctx context.Context, g *stage, s storetest.Subject) (int64, error) {
				_, err := s.Evict(ctx, g.lock, g.h.Token, "enough")
				return 0, err
			},
			func(g *stage, _ int64) {
				next := g.p.Granted()
				g.c.Lost(g.h)
				if got := storetest.HolderOf(g.t, g.s, g.lock); got != next.Token {
					g.t.Errorf("the lock is held under %d; want %d", got, next.Token)
				}
			},
		},
		"Cancel": {
			func(ctx context.Context, g *stage, s storetest.Subject) (int64, error) {
				return s.Cancel(ctx, g.p.Args().Credential, g.p.Acquisition())
			},
			func(g *stage, token int64) {
				if grant, err := g.p.Answer(); err != nil || grant.Outcome != etcdstore.Cancelled || token != 0 {
					g.t.Errorf("the cancelled Acquire = %+v, %v, Cancel = %d; want cancelled", grant, err, token)
				}
				g.c.Release(g.h)
				if got := storetest.HolderOf(g.t, g.s, g.lock); got != 0 {
					g.t.Errorf("the lock is held under %d; want it free", got)
				}
			},
		},
		"CloseSession": {
			func(ctx context.Context, g *stage, s storetest.Subject) (int64, error) {
				return 0, s.CloseSession(ctx, g.c.Credential)
			},
			func(g *stage, _ int64) {
				g.p.Granted()
				g.c.Lost(g.h)
			},
		},
	}
}

// TestBrokenCalls loses each request and each reply of each step of a call.
func TestBrokenCalls(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	a, b := openFaulty(t, etcd), openStore(t, etcd)
	for name, broken := range brokenCalls() {
		for _, done := range []bool{false, true} {
			for n := int64(1); ; n++ {
				if n > 20 {
					t.Fatalf("%s does not end", name)
				}
				reached := false
				t.Run(fmt.Sprintf("%s/%t/%d", name, done, n), func(t *testing.T) {
					g := &stage{t: t, s: b, lock: fmt.Sprintf("%s/%t/%d", name, done, n)}
					g.c = begin(t, b)
					g.h = g.c.Acquire(g.lock)
					g.c.Append(g.h, "f", "first;")
					g.p = begin(t, b).Queue(g.lock)
					cut := a.CrashAt(n, done, isMine)
					_, err := broken.call(context.WithValue(storetest.Bounded(t), mine{}, true), g, a)
					a.Before(nil)
					a.After(nil)
					select {
					case <-cut:
						reached = true
						storetest.Want(t, "the broken call", err, etcdstore.ErrNoQuorum)
					default:
						storetest.Want(t, "the whole call", err, nil)
					}
					token, err := broken.call(storetest.Bounded(t), g, b)
					storetest.Want(t, "the repeat", err, nil)
					broken.after(g, token)
				})
				if !reached {
					break
				}
			}
		}
	}
}
