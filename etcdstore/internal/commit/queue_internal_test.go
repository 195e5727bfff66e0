package commit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// pass lets time pass.
func (r *rig) pass(d time.Duration) {
	r.settled()
	<-time.After(d)
	r.settled()
}

// patient puts a key, in no hurry.
func patient(key string) Txn { return Txn{Then: put(key).Then, Patient: true} }

// Those in no hurry wait for company, for as long as the first of them has patience.
func TestPatience(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		all := r.ask(patient("a"))
		r.pass(patience / 2)
		all = append(all, r.ask(patient("b"))...)
		r.pass(patience/2 - 1)
		r.called(r.settle(), 0)
		if r.Pending() != 2 {
			r.Errorf("%d are pending; want 2", r.Pending())
		}
		r.pass(1)
		r.called(r.settle(), 1)
		r.succeeded(all...)
		if r.Pending() != 0 {
			r.Errorf("%d are pending; want none", r.Pending())
		}
	})
}

// Company is what they wait for: one in a hurry, or as many as a batch takes.
func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	for name, company := range map[string][]Txn{
		"one in a hurry": {put("hurry")},
		"a full batch":   numbered(batchMembers-2, patient),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withRig(t, func(r *rig) {
				all := r.ask(patient("a"), patient("b"))
				r.called(r.settle(), 0)
				all = append(all, r.ask(company...)...)
				r.called(r.settle(), 1) // and no time has passed
				r.succeeded(all...)
			})
		})
	}
}

// What is submitted for later is made when it has to be: at once, unless more is pending than the
// next batch takes.
func TestSubmitLater(t *testing.T) {
	t.Parallel()
	later := func(r *rig, key string, made *int) *asked {
		a := r.asked(patient(key))
		r.SubmitLater(Caller{}, a.footprint, func() Txn {
			*made++
			return a.Txn
		}, a.answer)
		return a
	}
	withRig(t, func(r *rig) {
		free := r.busy()
		var early, late int
		all := r.ask(numbered(batchMembers-1, put1)...)
		all = append(all, later(r, "early", &early))
		if early != 1 {
			r.Errorf("with room in the next batch it was made %d times; want at once", early)
		}
		all = append(all, later(r, "late", &late), later(r, "k0000", &late))
		r.settle()
		if late != 0 {
			r.Error("it was made before its turn")
		}
		next := r.hold()
		free()
		r.settle()
		if late != 0 {
			r.Error("it was made before its turn, with the batch before")
		}
		next()
		r.pass(patience)
		if late != 2 {
			r.Errorf("%d were made; want each once", late)
		}
		r.succeeded(all...)
		if kv := r.etcd.get("k0000"); kv.Version != 2 {
			r.Errorf("%v; want it put twice, one after the other", kv)
		}
	})
}

func put1(key string) Txn { return put(key) }

// Whether one is still to be run is asked when its turn has come, and not before.
func TestRefuse(t *testing.T) {
	t.Parallel()
	errNot := errors.New("not any more")
	withRig(t, func(r *rig) {
		var asking []string
		refusing := func(key string, err error) Txn {
			t := put(key)
			t.Refuse = func() error {
				asking = append(asking, key)
				return err
			}
			return t
		}
		free := r.busy()
		all := r.ask(refusing("a", nil), refusing("b", errNot), put("c"), refusing("c", errNot), put("b"))
		r.settle()
		if len(asking) > 0 {
			r.Errorf("%v were asked before their turn", asking)
		}
		next := r.hold()
		free()
		r.settle()
		if want := []string{"a", "b"}; !slices.Equal(asking, want) {
			r.Errorf("%v were asked; want %v: another one has to wait", asking, want)
		}
		next()
		calls := r.settle()
		r.succeeded(all[0], all[2], all[4])
		r.refused(errNot, all[1], all[3])
		if n := len(calls); n > 0 {
			r.Errorf("%d more calls of etcd; want none for what is refused", n)
		}
	})
}

// One that has to be run again is asked again.
func TestRefuseAgain(t *testing.T) {
	t.Parallel()
	errNot := errors.New("not any more")
	withRig(t, func(r *rig) {
		n := 0
		once := put("once")
		once.Refuse = func() error {
			if n++; n > 1 {
				return errNot
			}
			return nil
		}
		all, calls := r.together(once, unheld("odd"))
		r.refused(errNot, all[0])
		r.failed(all[1])
		r.called(calls, 2)
		if r.etcd.get("once") != nil {
			r.Error("what was refused was run")
		}
	})
}

// Whoever waits no longer need not be served: what is not on its way yet is not run.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	errGone := errors.New("gone")
	for name, leave := range map[string]func(r *rig, cancel context.CancelCauseFunc){
		"its caller has gone": func(_ *rig, cancel context.CancelCauseFunc) { cancel(errGone) },
		"no quorum":           func(r *rig, _ context.CancelCauseFunc) { r.env.Health.Set(false) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withRig(t, func(r *rig) {
				ctx, cancel := context.WithCancelCause(r.Context())
				defer cancel(nil)
				free := r.busy()
				done := make(chan error, 1)
				go func() {
					_, err := r.Commit(ctx, put("k"))
					done <- err
				}()
				r.settled()
				leave(r, cancel)
				if err := <-done; !errors.Is(err, errGone) && !errors.Is(err, ErrNoQuorum) {
					r.Errorf("got %v", err)
				}
				free()
				r.settle()
				r.env.Health.Set(true)
				beside, _ := r.together(put("beside"))
				r.succeeded(beside...)
				if r.etcd.get("k") != nil {
					r.Error("it was run, though nobody waited for it any more")
				}
			})
		})
	}
}

// What is on its way is not called back.
func TestGoneWhileOnItsWay(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		ctx, cancel := context.WithCancel(r.Context())
		free := r.hold()
		done := make(chan error, 1)
		go func() {
			_, err := r.Commit(ctx, put("k"))
			done <- err
		}()
		r.settled()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			r.Errorf("got %v; want the caller's own end", err)
		}
		free()
		r.settle()
		if r.etcd.get("k") == nil {
			r.Error("it was not run")
		}
	})
}

// Nor does anybody wait for an etcd that cannot commit, even if the call of it does not end.
func TestGoneWithTheQuorum(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		stuck := make(chan struct{})
		r.fail(func(*pb.TxnRequest) error {
			<-stuck
			return nil
		})
		done := make(chan error, 1)
		go func() {
			_, err := r.Commit(r.Context(), put("k"))
			done <- err
		}()
		r.settled()
		r.env.Health.Set(false)
		r.settled()
		select {
		case err := <-done:
			if !errors.Is(err, ErrNoQuorum) {
				r.Errorf("got %v; want %v", err, ErrNoQuorum)
			}
		default:
			r.Error("it still waits")
		}
		close(stuck)
	})
}

// Commit is told what became of its own transaction. One that only reads waits for nobody.
func TestCommit(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		free, began := r.busy(), time.Now()
		read := func() (*pb.TxnResponse, error) { return r.Commit(r.Context(), Txn{Then: []*pb.RequestOp{op.Get("k")}}) }
		if resp, err := read(); err != nil || op.First(resp, 0) != nil {
			r.Errorf("while a batch is on its way: %s, %v; want nothing found", say(resp), err)
		}
		if waited := time.Since(began); waited > 0 {
			r.Errorf("it waited for %v", waited)
		}
		all := r.ask(put("other"))
		done := make(chan *pb.TxnResponse, 1)
		go func() {
			resp, err := r.Commit(r.Context(), put("k"))
			if err != nil {
				r.Error(err)
			}
			done <- resp
		}()
		r.settled()
		free()
		resp := <-done
		r.settle()
		if !resp.Succeeded || resp.Header.Revision != all[0].resp.Header.Revision {
			r.Errorf("got %s; want it to share the batch of the other: %s", say(resp), say(all[0].resp))
		}
		if resp, err := read(); err != nil || op.First(resp, 0) == nil {
			r.Errorf("afterwards: %s, %v; want the key", say(resp), err)
		}
	})
}

// An answer that comes too late to be of use is not worth the wait: what has been pending for too
// long is told so, and not run.
func TestTooSlow(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		free := r.busy()
		all := r.ask(put("k"), put("k"))
		r.pass(Timeout * 3 / 4)
		next := r.hold()
		free()
		r.pass(Timeout / 4)
		if all[0].n+all[1].n > 0 {
			r.Error("one was answered early")
		}
		r.pass(Timeout / 4)
		next()
		calls := r.settle()
		r.succeeded(all[0])
		r.refused(ErrNoQuorum, all[1])
		r.sent(false, all[1])
		r.called(calls, 1) // the one that was held
		if kv := r.etcd.get("k"); kv.Version != 1 {
			r.Errorf("%v; want it put once", kv)
		}
	})
}

// A call of etcd that has no answer in time is given up, with all that share it. Those who wait for
// their turn are not.
func TestNoAnswerInTime(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		r.hold()
		all := r.ask(put("k"))
		r.settled()
		r.pass(Timeout / 2)
		later := r.ask(put("k"))
		r.pass(Timeout/2 - 1)
		if all[0].n > 0 {
			r.Error("it was given up early")
		}
		r.pass(1)
		r.refused(ErrNoQuorum, all...)
		r.sent(true, all...)
		r.succeeded(later...)
	})
}

// When Run ends, all that is pending has its answer, and all that comes later. None of it is run.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	for name, closed := range map[string]bool{"closed": true, "only Run's context ends": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withRig(t, func(r *rig) {
				free := r.hold()
				onItsWay := r.ask(put("k"))
				r.settled()
				pending := r.ask(append(numbered(batchMembers+1, put1), put("k"), patient("p"))...)
				r.closed.Store(closed)
				r.end()
				<-r.over
				free()
				later := r.ask(put("later"))
				r.SubmitLater(Caller{}, Txn{}.footprint, func() Txn { return put("later") }, func(_ *pb.TxnResponse, err error) {
					if !errors.Is(err, ErrClosed) {
						r.Errorf("submitted for later: %v; want %v", err, ErrClosed)
					}
				})
				if _, err := r.Commit(r.Context(), put("later")); !errors.Is(err, ErrClosed) {
					r.Errorf("Commit: %v; want %v", err, ErrClosed)
				}
				r.settled()
				if onItsWay[0].n != 1 || onItsWay[0].err == nil {
					r.Errorf("what was on its way has %d answers, %v; want an error", onItsWay[0].n, onItsWay[0].err)
				}
				for _, a := range append(pending, later...) {
					if a.n != 1 {
						r.Errorf("%d answers; want one", a.n)
					}
				}
				r.refused(ErrClosed, append(pending, later...)...)
				r.sent(false, append(pending, later...)...)
				r.sent(true, onItsWay...)
				if n := len(r.etcd.keys); n > 0 {
					r.Errorf("%d keys were put; want none", n)
				}
			})
		})
	}
}

// Those that only wait for company are told at once.
func TestRunEndsWhilePatient(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		all := r.ask(patient("a"))
		r.closed.Store(true)
		r.end()
		<-r.over
		r.refused(ErrClosed, all...)
	})
}

// A caller that panics over its answer costs nobody else theirs, wherever the answers are given.
func TestPanic(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]struct {
		more   bool // pending, so that the answers are given in a goroutine of their own
		closed bool // but none is started any more
		end    bool // of Run
		fault  error
	}{
		"by Run":              {},
		"beside the next one": {more: true},
		"none is started":     {more: true, closed: true},
		"an error":            {fault: errors.New("no")},
		"at the end of Run":   {end: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withRig(t, func(r *rig) {
				free := r.busy()
				before := r.ask(put("a"), otherwise(put("b")))
				r.Submit(put("c"), func(*pb.TxnResponse, error) { panic("over an answer") })
				after := r.ask(put("d"), otherwise(put("e")))
				if where.more {
					after = append(after, r.ask(put("a"))...)
				}
				if where.fault != nil {
					r.fail(func(*pb.TxnRequest) error { return where.fault })
				}
				r.closed.Store(where.closed)
				if where.end {
					r.end()
					<-r.over
				}
				free()
				r.settle()
				for i, a := range append(before, after...) {
					if a.n != 1 {
						r.Errorf("transaction %d has %d answers; want one", i, a.n)
					}
				}
				if got := fmt.Sprint(r.panicked); got != "[over an answer]" {
					r.Errorf("what was told of the panic is %s", got)
				}
			})
		})
	}
}

// What a caller has asked at its turn may panic as well: it is answered with that, and nobody else
// notices.
func TestPanicAtItsTurn(t *testing.T) {
	t.Parallel()
	for name, submit := range map[string]func(*rig, Answer){
		"Refuse": func(r *rig, answer Answer) {
			asked := put("b")
			asked.Refuse = func() error { panic("at its turn") }
			r.Submit(asked, answer)
		},
		"build": func(r *rig, answer Answer) {
			for i := range batchMembers { // so many that it is built later
				r.ask(put(fmt.Sprint("many", i)))
			}
			r.SubmitLater(Caller{}, func() Footprint { return Footprint{Keys: []string{"b"}} }, func() Txn { panic("at its turn") }, answer)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withRig(t, func(r *rig) {
				free := r.busy()
				var err error
				answers := 0
				submit(r, func(_ *pb.TxnResponse, e error) {
					err = e
					answers++
				})
				others := r.ask(put("a"), put("c"))
				free()
				r.settle()
				if answers != 1 || err == nil || !NotSent(err) || !strings.Contains(err.Error(), "at its turn") {
					r.Errorf("%d answers, %v; want one, with the panic", answers, err)
				}
				for i, a := range others {
					if a.n != 1 || a.err != nil {
						r.Errorf("transaction %d has %d answers, %v; want one", i, a.n, a.err)
					}
				}
			})
		})
	}
}
