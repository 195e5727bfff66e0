package storetest

import (
	"context"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// Subject is what the suite tests: the calls of an [etcdstore.Store]. Errors are compared with
// [errors.Is] against the sentinels of etcdstore, and must carry their text.
type Subject interface {
	Init(ctx context.Context, args etcdstore.InitArgs) (etcdstore.Session, error)
	Heartbeat(ctx context.Context, args etcdstore.HeartbeatArgs) (etcdstore.Renewal, error)
	CloseSession(ctx context.Context, credential string) error

	Acquire(ctx context.Context, args etcdstore.AcquireArgs) (etcdstore.Grant, error)
	Cancel(ctx context.Context, credential string, a etcdstore.Acquisition) (token int64, err error)

	Release(ctx context.Context, section etcdstore.Section) error
	Commit(ctx context.Context, section etcdstore.Section) (token int64, err error)
	Discard(ctx context.Context, section etcdstore.Section) (published bool, err error)

	Append(ctx context.Context, record etcdstore.Record) (rev int64, err error)
	Read(ctx context.Context, args etcdstore.ReadArgs) (etcdstore.Piece, error)
	Tail(ctx context.Context, args etcdstore.TailArgs, send func(etcdstore.Piece) error) error
	ListFiles(ctx context.Context, lock string, limit int, after string) (
		files []etcdstore.File, next string, err error)

	Inspect(ctx context.Context, lock string) (etcdstore.LockInfo, error)
	List(ctx context.Context, prefix string, limit int, after string) (
		locks []etcdstore.LockInfo, next string, err error)
	Watch(ctx context.Context, prefix string, send func(*etcdstore.News) error) error
	Evict(ctx context.Context, lock string, token int64, reason string) (*etcdstore.Holder, error)
}

// Run runs the suite. open returns a subject over an empty etcd that nobody else uses, and stops it
// at the end of the test that it is given. It is called twice, since the refusals look at every
// revision.
func Run(t *testing.T, open func(t *testing.T) Subject) {
	t.Run("Calls", func(t *testing.T) { RunCalls(t, open) })
	t.Run("Refusals", func(t *testing.T) { testRefusals(t, open(t)) })
}

// RunCalls runs the suite without the refusals.
func RunCalls(t *testing.T, open func(t *testing.T) Subject) {
	s := open(t)
	for _, c := range calls() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, s)
		})
	}
}

// RunBounds tests the bounds of one section. They are the suite's only part that one store must be
// asked alone: a client that goes back and forth between stores may exceed them.
func RunBounds(t *testing.T, open func(t *testing.T) Subject) {
	s := open(t)
	t.Run("Bytes", func(t *testing.T) { testSectionBytes(t, s) })
	t.Run("Files", func(t *testing.T) { testSectionFiles(t, s) })
}

type call struct {
	name string
	test func(*testing.T, Subject)
}

// calls are the tests that may share one subject, each with locks of its own.
func calls() []call {
	return []call{
		{"Grant", testGrant},
		{"FIFO", testFIFO},
		{"AcquireRepeatFindsGrant", testRepeatFindsGrant},
		{"AcquireRepeatFindsPlace", testRepeatFindsPlace},
		{"Try", testTry},
		{"BoundedWait", testBoundedWait},
		{"Cancel", testCancel},
		{"OneSessionExcludesItself", testOneSessionExcludesItself},
		{"AcquireAfterItsSection", testAcquireAfterItsSection},

		{"Publish", testPublish},
		{"AppendRepeat", testAppendRepeat},
		{"EmptyRecord", testEmptyRecord},
		{"StaleToken", testStaleToken},
		{"Commit", testCommit},
		{"CommitLost", testCommitLost},
		{"Discard", testDiscard},
		{"Evict", testEvict},
		{"LargeSection", testLargeSection},
		{"Truth", testTruth},
		{"AtomicPublication", testAtomicPublication},

		{"SessionTTL", testSessionTTL},
		{"HeartbeatStates", testHeartbeatStates},
		{"HeartbeatKeepsAlive", testHeartbeatKeepsAlive},
		{"Reconciliation", testReconciliation},
		{"LateHeartbeat", testLateHeartbeat},
		{"CloseSession", testCloseSession},
		{"Expiry", testExpiry},

		{"Read", testRead},
		{"Tail", testTail},
		{"Lives", testLives},
		{"ListFiles", testListFiles},
		{"Inspect", testInspect},
		{"List", testList},
		{"NamesDoNotReachIntoOthers", testNamesApart},
		{"Watch", testWatch},
		{"WatchPrefix", testWatchPrefix},
	}
}
