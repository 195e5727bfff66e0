package commit

import (
	"errors"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// Answers are compared with what was seen before the question, and with nothing else.
func TestSeen(t *testing.T) {
	s := NewSeen()
	first, second := s.Highest(), s.Highest() // two questions at once
	if err := errors.Join(s.Answered(second, 7), s.Answered(first, 5)); err != nil {
		t.Errorf("answers that cross: %v", err)
	}
	s.Raise(9)
	s.Raise(3) // by a member that is behind
	before := s.Highest()
	if before != 9 || s.Answered(before, 9) != nil || s.Err() != nil {
		t.Errorf("the highest is %d, %v; want 9", before, s.Err())
	}
	if err := s.Answered(before, 8); !errors.Is(err, ErrWentBack) || !errors.Is(s.Err(), ErrWentBack) {
		t.Errorf("an answer below: %v, and then %v; want ErrWentBack", err, s.Err())
	}
	s.Refuse(errors.New("another reason"))
	if err := s.Answered(s.Highest(), 100); err != nil || !errors.Is(s.Err(), ErrWentBack) {
		t.Errorf("it is forgotten: %v", s.Err())
	}
	select {
	case <-s.Noticed():
	default:
		t.Error("nobody is told")
	}
}

// No caller is told that its transaction was committed by an etcd that has gone back, and nothing
// is sent to it any more.
func TestEtcdGoesBack(t *testing.T) {
	withRig(t, func(r *rig) {
		all, _ := r.together(put("a"), put("b"))
		r.succeeded(all...)
		r.etcd.rev -= 2
		all = r.ask(put("a"), put("b"), Txn{If: []*pb.Compare{op.Absent("c")}, Then: put("c").Then, Else: put("d").Then})
		calls := r.settle()
		r.refused(ErrWentBack, all...)
		r.called(calls, 1)
		r.etcd.rev += 100
		all, calls = r.together(put("a"), put("b"))
		r.refused(ErrWentBack, all...)
		r.sent(false, all...)
		r.called(calls, 0)
	})
}

// A member that is behind answers serializable reads, and those that only compare.
func TestSerializableIsNotCompared(t *testing.T) {
	withRig(t, func(r *rig) {
		all, _ := r.together(put("a"))
		r.succeeded(all...)
		r.etcd.rev--
		for name, read := range map[string]Txn{
			"a read":        {Then: []*pb.RequestOp{op.Range(&pb.RangeRequest{Key: []byte("a"), Serializable: true})}},
			"mere compares": {If: []*pb.Compare{op.Present("a")}},
		} {
			if _, err := r.Alone(r.Context(), read); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err := r.Alone(r.Context(), Txn{Then: []*pb.RequestOp{op.Get("a")}})
		if !errors.Is(err, ErrWentBack) {
			t.Errorf("a linearizable read: %v; want ErrWentBack", err)
		}
	})
}
