package coursework_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	pb "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
	"github.com/distributed-lock-manager/dlm/facade/coursework"
)

// lost is a store without a quorum.
type lost struct{ coursework.Store }

func (lost) Init(context.Context, etcdstore.InitArgs) (etcdstore.Session, error) {
	return etcdstore.Session{}, etcdstore.ErrNoQuorum
}

func (lost) Holder(context.Context, string) (*etcdstore.Holder, error) {
	return nil, etcdstore.ErrNoQuorum
}

func (lost) Client(context.Context, int32) (etcdstore.Client, error) {
	return etcdstore.Client{}, etcdstore.ErrNoQuorum
}

// silent is one that does not answer.
type silent struct{ lost }

func (silent) Holder(ctx context.Context, _ string) (*etcdstore.Holder, error) {
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// Without a quorum nothing is answered, and a Ping takes its time, since clients ask again at once.
func TestNoQuorum(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]coursework.Store{"refuses": lost{}, "is silent": silent{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := coursework.New(coursework.Config{Store: store, Lock: "default", TTL: long})
			began := time.Now()
			resp, err := s.Ping(t.Context(), &pb.Empty{})
			if took := time.Since(began); err == nil || took < 900*time.Millisecond || took > 5*time.Second {
				t.Errorf("Ping: %v, %v after %v, want a failure after a second", resp, err, took)
			}
			for call, err := range map[string]error{
				"client_init":  second(s.ClientInit(t.Context(), &pb.Int{})),
				"client_close": second(s.ClientClose(t.Context(), &pb.Int{Rc: 1})),
				"heartbeat":    second(s.Heartbeat(t.Context(), &pb.Heartbeat{ClientId: 1})),
				"lock_acquire": second(s.LockAcquire(t.Context(), &pb.LockArgs{ClientId: 1, RequestId: "1-1"})),
				"lock_release": second(s.LockRelease(t.Context(), &pb.LockArgs{ClientId: 1, RequestId: "1-1"})),
				"file_append":  second(s.FileAppend(t.Context(), &pb.FileArgs{ClientId: 1, RequestId: "1-1", Filename: "file_0"})),
				"holder":       second(s.GetCurrentLockHolder(t.Context(), &pb.CurrentLockHolder{ClientId: 1})),
			} {
				if err == nil {
					t.Errorf("%s was answered", call)
				}
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			if _, err := s.Ping(ended, &pb.Empty{}); status.Code(err) == codes.OK {
				t.Error("a Ping that nobody waits for succeeded")
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }
