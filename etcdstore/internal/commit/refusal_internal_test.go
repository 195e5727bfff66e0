package commit

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// session puts a session on a lease, which the test may end.
func (r *rig) session(lease int64) (key string) {
	r.Helper()
	key = fmt.Sprintf("session%d", lease)
	r.etcd.grant(lease)
	all, _ := r.together(Txn{Then: []*pb.RequestOp{op.PutOn(clientv3.LeaseID(lease), key, "")}})
	r.succeeded(all...)
	return key
}

// on is a transaction that puts on a session's lease, and leaves it to etcd whether that lives.
func on(lease int64, session, key string) Txn {
	return Txn{Then: []*pb.RequestOp{op.PutOn(clientv3.LeaseID(lease), key, "v")}, Alive: session}
}

// A lease that has ended costs all that share the batch one commit more, in which each compares
// that its own session is alive.
func TestLeaseEnded(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		living, ended := r.session(1), r.session(2)
		r.etcd.end(2)
		const culprit = 20
		txns := numbered(60, func(k string) Txn { return on(1, living, k) })
		txns[culprit] = on(2, ended, "culprit")
		txns[culprit+1] = put("bystander")
		all, calls := r.together(txns...)
		r.failed(all[culprit])
		r.succeeded(slices.Delete(slices.Clone(all), culprit, culprit+1)...)
		r.called(calls, 2)
		again := nestedIn(calls[1])
		if len(again) != len(txns) {
			r.Fatalf("%d were run again; want all %d, each apart", len(again), len(txns))
		}
		for i, n := range again {
			want := []*pb.Compare{op.Present(living)}
			switch i {
			case culprit:
				want = []*pb.Compare{op.Present(ended)}
			case culprit + 1:
				want = nil
			}
			if fmt.Sprint(n.Compare) != fmt.Sprint(want) {
				r.Errorf("transaction %d compares %v; want %v", i, n.Compare, want)
			}
		}
	})
}

// A transaction that does not say whose lease it puts on is found out all the same.
func TestLeaseEndedOfNobody(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		txns := append(numbered(4, func(k string) Txn { return put(k) }), on(9, "", "culprit"), otherwise(put("other")))
		all, calls := r.together(txns...)
		r.succeeded(all[:4]...)
		r.refused(ErrSessionExpired, all[4])
		r.failed(all[5])
		r.called(calls, 2+len(txns)) // together, apart, and each alone
	})
}

// The only one in its batch has etcd's word for it.
func TestLeaseEndedAlone(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		ended := r.session(1)
		r.etcd.end(1)
		all, calls := r.together(on(1, ended, "k"))
		r.refused(ErrSessionExpired, all...)
		r.called(calls, 1)
	})
}

// A full etcd refuses who puts anything, in whichever branch; what makes room goes on, together.
func TestFull(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		r.together(numbered(40, func(k string) Txn { return put(k) })...)
		r.etcd.fill(true)
		txns := numbered(40, func(k string) Txn { return remove(k, "") })
		putting := []Txn{
			put("a"), otherwise(put("b")), inside(put("c")), inside(otherwise(put("d"))),
			{Then: remove("e", "").Then, Touch: "t"},
		}
		for i, p := range putting {
			txns = slices.Insert(txns, i*9, p)
		}
		all, calls := r.together(txns...)
		for i, a := range all {
			if i%9 == 0 && i/9 < len(putting) {
				r.refused(ErrNoSpace, a)
			} else {
				r.succeeded(a)
			}
		}
		r.called(calls, 2)
	})
}

// Who is told what came of a second run is told besides that the first may have taken effect,
// unless etcd's word was that it has not.
func TestDoubt(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want bool
	}{
		{rpctypes.ErrLeaseNotFound, false},
		{rpctypes.ErrNoSpace, true},
		{errors.New("etcd says something"), true},
	} {
		withRig(t, func(r *rig) {
			var doubts [2]bool
			txns := []Txn{remove("a", ""), remove("b", "")}
			for i := range txns {
				txns[i].Doubt = &doubts[i]
			}
			free := r.busy()
			all := r.ask(append(txns, put("c"))...)
			free()
			var failed bool
			r.fail(func(*pb.TxnRequest) error {
				if failed {
					return nil
				}
				failed = true
				return test.err
			})
			r.settle()
			r.succeeded(all[:2]...)
			if doubts != [2]bool{test.want, test.want} {
				r.Errorf("after %v: doubts %v; want %t", test.err, doubts, test.want)
			}
		})
	}
}

// What etcd refuses although nobody puts anything is not tried again and again.
func TestFullWhatever(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		free := r.busy()
		all := r.ask(remove("a", ""), remove("b", ""))
		free()
		r.fail(func(*pb.TxnRequest) error { return rpctypes.ErrNoSpace })
		calls := r.settle()
		r.refused(ErrNoSpace, all...)
		r.called(calls, 1)
	})
}

// Any other refusal concerns one of the batch: each is tried alone.
func TestOneIsRefused(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		twice := put("twice", "twice") // no transaction may
		txns := slices.Insert(numbered(5, func(k string) Txn { return put(k) }), 2, twice)
		all, calls := r.together(append(txns, otherwise(put("other")))...)
		if a := all[2]; a.resp != nil || !errors.Is(a.err, rpctypes.ErrDuplicateKey) {
			r.Errorf("the culprit: %s, %v; want etcd's own error", say(a.resp), a.err)
		}
		r.succeeded(slices.Concat(all[:2], all[3:6])...)
		r.failed(all[6])
		r.called(calls, 1+len(all))
	})
}

// Of what etcd did not answer nobody knows what became. To run it again could do it twice.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err, want error
		closed    bool
	}{
		"no quorum": {rpctypes.ErrNoLeader, ErrNoQuorum, false},
		"closed":    {rpctypes.ErrNoLeader, ErrClosed, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withRig(t, func(r *rig) {
				free := r.busy()
				all := r.ask(put("a"), put("b"), otherwise(put("c")))
				r.fail(func(*pb.TxnRequest) error {
					r.closed.Store(test.closed)
					return test.err
				})
				free()
				calls := r.settle()
				r.refused(test.want, all...)
				r.sent(true, all...)
				r.called(calls, 1)
			})
		})
	}
}

// The reply that is lost is one that etcd did not give: what was run is not run again.
func TestAnswerIsLost(t *testing.T) {
	t.Parallel()
	withRig(t, func(r *rig) {
		free := r.busy()
		all := r.ask(put("a"), put("b"))
		free()
		r.fail(func(req *pb.TxnRequest) error {
			if putsOf(req, "a") == 0 {
				return nil
			}
			if _, err := r.etcd.txn(req); err != nil {
				r.Error(err)
			}
			return rpctypes.ErrTimeout
		})
		r.called(r.settle(), 1)
		r.refused(ErrNoQuorum, all...)
		for _, key := range []string{"a", "b"} {
			if kv := r.etcd.get(key); kv == nil || kv.Version != 1 {
				r.Errorf("%s is %v; want it put once", key, kv)
			}
		}
	})
}
