package client

import (
	"cmp"
	"context"
	"log/slog"
	"strings"
	"time"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Hooks are told what a [Client] does, for whoever makes traces or metrics of it: this package has
// no library for either. Every field may be left out, and the zero Hooks cost nothing. What they
// are told is safe to show: no credential, and nothing of what files have.
//
// Call and what it returns are called by whoever makes the call, who waits for them. All others are
// called one after another by a goroutine of their own, a moment late, so that they may take their
// time; of more than [HooksRoom] that wait for a slow one, the rest are left out, which the Logger
// is told. Close waits for those that are left.
type Hooks struct {
	// Call is told that a call begins, and returns who is told the rest of it. Every method that
	// asks a server is one, or a few, but for those that follow something: Watch and Tail. ctx is
	// the caller's.
	Call func(ctx context.Context, c Call) CallHooks
	// Lost is told that a lock was lost that was held. ctx has the values of the context that it
	// was acquired with.
	Lost func(ctx context.Context, l Loss)
	// Heartbeat is told what became of a heartbeat, by its session's public id: after how long it
	// was answered, or its error.
	Heartbeat func(session string, took time.Duration, err error)
	// Connected is told which server the Client goes on with.
	Connected func(endpoint string)
	// Disconnected is told which server the Client has left, or did not reach, and why.
	Disconnected func(endpoint string, err error)
}

// HooksRoom is how much may wait for slow [Hooks].
const HooksRoom = 1024

// Op is what a call does.
type Op string

// The kinds of calls.
const (
	OpAcquire Op = "acquire" // Lock, TryLock, and Do, which begins with it
	OpAppend  Op = "append"  // and Stage
	OpPublish Op = "publish"
	OpCommit  Op = "commit"
	OpRelease Op = "release" // Unlock
	OpDiscard Op = "discard"
	OpRead    Op = "read" // each piece of a file
	OpInspect Op = "inspect"
	OpList    Op = "list" // each page: of locks, files and problems
	OpEvict   Op = "evict"
	OpOther   Op = "other"
)

// Call is a call that begins.
type Call struct {
	Op      Op
	Lock    string // empty: it is about none, or about all
	Session string // the public id; empty: not known yet
	Token   int64  // of the section; 0: none yet
	File    string // empty: it is about none
	Bytes   int    // that are appended
}

// Result is what became of a call.
type Result struct {
	Session string // the public id of the session that holds the lock; empty: it is none's
	Token   int64  // of the section, after an acquire or a commit the new one; 0: none is held
	Err     error  // what the call returns, before it says what it was about; nil: it succeeded
}

// CallHooks are told what becomes of one call. Every field may be left out.
type CallHooks struct {
	// Traceparent is sent to the server with the call: the W3C trace context, as the header of that
	// name has it, 55 bytes. Anything else is not sent.
	Traceparent string
	// Queued is told that a server has an acquire wait, once with each session that it waits under.
	// The Client learns of it by its heartbeats: up to a third of Config.TTL late, and not at all
	// if the wait is shorter. Like what nobody waits for it is called a moment late, after End
	// even.
	Queued func()
	// End is told that the call returns, once.
	End func(Result)
}

// Loss is a lock that was lost.
type Loss struct {
	Lock    string
	Session string // the public id
	Token   int64
	Err     error // the cause of the Context's end: see [Lock.Context]
}

// begin tells the hooks that a call begins.
func (h *Hooks) begin(ctx context.Context, c Call) CallHooks {
	if h.Call == nil {
		return CallHooks{}
	}
	told := h.Call(ctx, c)
	if !isTraceparent(told.Traceparent) {
		told.Traceparent = ""
	}
	return told
}

func (h CallHooks) end(r Result) {
	if h.End != nil {
		h.End(r)
	}
}

// isTraceparent reports whether a text may be sent as a trace context. One that is not UTF-8 would
// break the stream for all.
func isTraceparent(text string) bool {
	return len(text) == 55 && strings.Trim(text, "0123456789abcdef-") == ""
}

// tell has a hook called that nobody waits for.
func (c *Client) tell(hook func()) { c.hooking.write(func(*slog.Logger) { hook() }) }

// opOf is what a message does, and what it is about.
func opOf(m *dlmv1.StreamRequest) Call {
	switch r := m.GetRequest().(type) {
	case *dlmv1.StreamRequest_Append:
		return Call{
			Op: OpAppend, Lock: r.Append.GetLock(), Token: r.Append.GetToken(), File: cmp.Or(r.Append.GetFile(), r.Append.GetOperation().GetFile()),
			Bytes: len(r.Append.GetData()) + bytesOf(r.Append.GetOperation()),
		}
	case *dlmv1.StreamRequest_Read:
		return Call{Op: OpRead, Lock: r.Read.GetLock(), File: r.Read.GetFile()}
	case *dlmv1.StreamRequest_Inspect:
		return Call{Op: OpInspect, Lock: r.Inspect.GetLock()}
	case *dlmv1.StreamRequest_List, *dlmv1.StreamRequest_ListProblems, *dlmv1.StreamRequest_ListRetention:
		return Call{Op: OpList}
	case *dlmv1.StreamRequest_ListFiles:
		return Call{Op: OpList, Lock: r.ListFiles.GetLock()}
	case *dlmv1.StreamRequest_Evict:
		return Call{Op: OpEvict, Lock: r.Evict.GetLock(), Token: r.Evict.GetToken()}
	}
	return Call{Op: OpOther}
}
