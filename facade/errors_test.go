package facade_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// sentinels are the store's errors, and what the API's description says of each.
var sentinels = []struct {
	name   string
	err    error
	code   codes.Code
	reason string
}{
	{"ErrLockExpired", etcdstore.ErrLockExpired, codes.FailedPrecondition, "LOCK_EXPIRED"},
	{"ErrSessionExpired", etcdstore.ErrSessionExpired, codes.FailedPrecondition, "SESSION_EXPIRED"},
	{"ErrWithheld", etcdstore.ErrWithheld, codes.PermissionDenied, "PERMISSION_DENIED"},
	{"ErrNotOwner", etcdstore.ErrNotOwner, codes.PermissionDenied, "PERMISSION_DENIED"},
	{"ErrEtcdDenies", etcdstore.ErrEtcdDenies, codes.PermissionDenied, "PERMISSION_DENIED"},
	{"ErrOutcomeUnknown", etcdstore.ErrOutcomeUnknown, codes.FailedPrecondition, "OUTCOME_UNKNOWN"},
	{"ErrDataLoss", etcdstore.ErrDataLoss, codes.FailedPrecondition, "DATA_LOSS"},
	{"ErrMalformed", etcdstore.ErrMalformed, codes.FailedPrecondition, "MALFORMED"},
	{"ErrInvalidName", etcdstore.ErrInvalidName, codes.InvalidArgument, "INVALID_NAME"},
	{"ErrInvalidTTL", etcdstore.ErrInvalidTTL, codes.InvalidArgument, "INVALID_TTL"},
	{"ErrInvalidArgument", etcdstore.ErrInvalidArgument, codes.InvalidArgument, "INVALID_ARGUMENT"},
	{"ErrTooLarge", etcdstore.ErrTooLarge, codes.ResourceExhausted, "TOO_LARGE"},
	{"ErrQuota", etcdstore.ErrQuota, codes.ResourceExhausted, "QUOTA"},
	{"ErrLimit", &etcdstore.LimitError{Limit: "some", Text: "enough", Retry: time.Second}, codes.ResourceExhausted, "LIMIT"},
	{"ErrCompacted", etcdstore.ErrCompacted, codes.OutOfRange, "COMPACTED"},
	{"ErrNoSpace", etcdstore.ErrNoSpace, codes.ResourceExhausted, "NO_SPACE"},
	{"ErrFileNotFound", etcdstore.ErrFileNotFound, codes.NotFound, "FILE_NOT_FOUND"},
	{"ErrFileChanged", etcdstore.ErrFileChanged, codes.FailedPrecondition, "FILE_CHANGED"},
	{"ErrOffsetGone", &etcdstore.OffsetGoneError{Start: 5}, codes.OutOfRange, "OFFSET_GONE"},
	{"ErrFeatureOff", etcdstore.ErrFeatureOff, codes.Unimplemented, "UNIMPLEMENTED"},
	{"ErrLockNotFound", etcdstore.ErrLockNotFound, codes.NotFound, "LOCK_NOT_FOUND"},
	{"ErrClientNotFound", etcdstore.ErrClientNotFound, codes.NotFound, "CLIENT_NOT_FOUND"},
	{"ErrClientChanged", etcdstore.ErrClientChanged, codes.Aborted, "CLIENT_CHANGED"},
	{"ErrNoQuorum", etcdstore.ErrNoQuorum, codes.Unavailable, "NO_QUORUM"},
	{"ErrWentBack", etcdstore.ErrWentBack, codes.FailedPrecondition, "WENT_BACK"},
	{"ErrOtherCluster", etcdstore.ErrOtherCluster, codes.FailedPrecondition, "OTHER_CLUSTER"},
	{"ErrFormatTooNew", etcdstore.ErrFormatTooNew, codes.Unavailable, "FORMAT_TOO_NEW"},
	{"ErrPrefixNested", etcdstore.ErrPrefixNested, codes.Unavailable, "PREFIX_NESTED"},
	{"ErrClosed", etcdstore.ErrClosed, codes.Unavailable, "SHUTTING_DOWN"},
}

// declared returns the names of the sentinels that the store declares.
func declared(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../etcdstore/errors.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			for _, name := range spec.Names {
				if name.IsExported() {
					names = append(names, name.Name)
				}
			}
		}
		return true
	})
	return names
}

func TestEverySentinelHasItsReason(t *testing.T) {
	names := declared(t)
	if len(names) < len(sentinels) {
		t.Fatalf("found %d sentinels in the store's source, want %d or more", len(names), len(sentinels))
	}
	var fail error
	store := scripted{do: func(context.Context, string) error { return fail }}
	_, conn := serve(t, store, nil)
	ways := map[string]grpc.ClientConnInterface{"unary": conn, "mux": openMux(t, conn)}

	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			for _, s := range sentinels {
				if s.name != name {
					continue
				}
				fail = fmt.Errorf("releasing \"orders\": %w", s.err)
				for by, conn := range ways {
					_, err := dlmv1.NewLockServiceClient(conn).Release(storetest.Bounded(t), &dlmv1.ReleaseRequest{})
					if got := status.Code(err); got != s.code {
						t.Errorf("%s: code %v, want %v", by, got, s.code)
					}
					if got := reasonOf(err); got != s.reason {
						t.Errorf("%s: reason %q, want %q", by, got, s.reason)
					}
					if got, want := retryDelays(err) > 0, s.code == codes.Unavailable || s.name == "ErrLimit"; got != want {
						t.Errorf("%s: asks for a retry: %v, want %v", by, got, want)
					}
					if got := status.Convert(err).Message(); got != fail.Error() {
						t.Errorf("%s: message %q, want %q", by, got, fail)
					}
				}
				return
			}
			t.Errorf("%s has no row here; give it one, and one in the facade's table", name)
		})
	}
}

func retryDelays(err error) (n int) {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok && info.GetRetryDelay().AsDuration() > 0 {
			n++
		}
	}
	return n
}

func TestOtherErrors(t *testing.T) {
	tests := []struct {
		name   string
		do     func() error
		code   codes.Code
		reason string
		hidden bool // the text is the log's only
	}{
		{"deadline", func() error { return context.DeadlineExceeded }, codes.DeadlineExceeded, "DEADLINE", false},
		{"cancelled", func() error { return fmt.Errorf("x: %w", context.Canceled) }, codes.Canceled, "CANCELLED", false},
		{"sentinel and context", func() error {
			return fmt.Errorf("%w: %w", etcdstore.ErrNoQuorum, context.DeadlineExceeded)
		}, codes.Unavailable, "NO_QUORUM", false},
		{"unknown", func() error { return errors.New("disk of etcd-7 is on fire") }, codes.Internal, "INTERNAL", true},
		{"status of somebody else", func() error {
			return status.Error(codes.NotFound, "disk of etcd-7 is on fire")
		}, codes.Internal, "INTERNAL", true},
		{"panic", func() error { panic("etcd-7 is on fire") }, codes.Internal, "INTERNAL", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			store := scripted{do: func(context.Context, string) error { return test.do() }, atOnce: true}
			server, conn := serve(t, store, slog.New(slog.NewTextHandler(&log, nil)))
			mux := openMux(t, conn)
			tail := func(ctx context.Context, api dlmv1.LockServiceClient) error {
				stream, err := api.Tail(ctx, &dlmv1.TailRequest{})
				for err == nil {
					_, err = stream.Recv()
				}
				return err
			}
			_, unary := dlmv1.NewLockServiceClient(conn).Acquire(storetest.Bounded(t), &dlmv1.AcquireRequest{})
			_, muxed := dlmv1.NewLockServiceClient(mux).Acquire(storetest.Bounded(t), &dlmv1.AcquireRequest{})
			streamed := tail(storetest.Bounded(t), dlmv1.NewLockServiceClient(conn))
			for by, err := range map[string]error{"unary": unary, "mux": muxed, "stream": streamed} {
				if got := status.Code(err); got != test.code {
					t.Errorf("%s: code %v, want %v (%v)", by, got, test.code, err)
				}
				if got := reasonOf(err); got != test.reason {
					t.Errorf("%s: reason %q, want %q", by, got, test.reason)
				}
				if strings.Contains(err.Error(), "on fire") {
					t.Errorf("%s: the client was told %q", by, err)
				}
			}
			if err := server.Shutdown(storetest.Bounded(t)); err != nil { // the log is complete
				t.Fatal(err)
			}
			if got := strings.Count(log.String(), "on fire"); test.hidden != (got > 0) {
				t.Errorf("the log has the error's text %d times: %s", got, &log)
			}
		})
	}
}

func TestLongMessagesAreCut(t *testing.T) {
	store := scripted{do: func(context.Context, string) error {
		return fmt.Errorf("%w: %s", etcdstore.ErrInvalidName, strings.Repeat("\xff\u00e9", 1<<20))
	}}
	_, conn := serve(t, store, nil)
	_, err := dlmv1.NewLockServiceClient(conn).Inspect(storetest.Bounded(t), &dlmv1.InspectRequest{})
	if got := reasonOf(err); got != "INVALID_NAME" {
		t.Errorf("reason %q (%v)", got, err)
	}
	if got := len(status.Convert(err).Message()); got > 512 {
		t.Errorf("message of %d bytes", got)
	}
}

func TestUnimplemented(t *testing.T) {
	_, conn := serve(t, scripted{}, nil)
	unknown := func(method string) error {
		return conn.Invoke(storetest.Bounded(t), method, &dlmv1.InitRequest{}, &dlmv1.InitResponse{})
	}
	mux := openMux(t, conn)
	answer, err := mux.send(&dlmv1.StreamRequest{})
	if err != nil {
		t.Fatal(err)
	}
	failed := wait(t, answer, "an answer").GetError()
	if got := codes.Code(failed.GetCode()); got != codes.Unimplemented {
		t.Errorf("mux: code %v", got)
	}
	for _, method := range []string{"/dlm.v1.LockService/Steal", "/dlm.v9.LockService/Init"} {
		err := unknown(method)
		if got := status.Code(err); got != codes.Unimplemented {
			t.Errorf("%s: code %v", method, got)
		}
		if got := reasonOf(err); got != "UNIMPLEMENTED" {
			t.Errorf("%s: reason %q", method, got)
		}
	}
}
