package client

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// What can go wrong, to be tested with errors.Is.
var (
	// ErrBusy: the lock was not acquired within the wait. The error is a [*BusyError].
	ErrBusy = errors.New("lock busy")
	// ErrConflict: the condition of a publish does not hold. The error is a [*ConflictError].
	ErrConflict = errors.New("conflict")
	// ErrCancelled: somebody else gave up this wait, who had the session's credential.
	ErrCancelled = errors.New("wait cancelled")
	// ErrLockExpired: the lock is not held any more, or no longer for certain; the section was not
	// published.
	ErrLockExpired = errors.New("lock expired")
	// ErrSessionExpired: the session has ended. A [Client] replaces its own; a [Section] cannot.
	ErrSessionExpired = errors.New("session expired")
	// ErrOutcomeUnknown: it is not known whether the section was published, and cannot be found
	// out.
	ErrOutcomeUnknown = errors.New("outcome unknown")
	// ErrDataLoss: an append that had succeeded is gone, as after the restore of an old backup
	// under an open section. Nothing was published; the section can only be discarded.
	ErrDataLoss = errors.New("data loss")
	// ErrMalformed: what the call needs is stored in a form that no server writes. Somebody else
	// has written it, or it is damaged: see [Client.Problems].
	ErrMalformed = errors.New("what is stored is malformed")
	// ErrWentBack: the servers' storage is at an older state than one that they, or this client,
	// have seen, as after the restore of an old snapshot: tokens would be granted twice. What the
	// client held is lost. The error says what to do; the client works again when that is done.
	ErrWentBack = errors.New("the cluster went back")
	// ErrOtherCluster: the servers are of another cluster than the one that this client has begun
	// with. A client is for one cluster: make another one.
	ErrOtherCluster = errors.New("another cluster")
	// ErrEnded: this Lock has already ended the section, in another way or before.
	ErrEnded = errors.New("section already ended")
	// ErrPublished: the section had been published before the discard came.
	ErrPublished = errors.New("section already published")
	// ErrPermissionDenied: the servers' policy does not allow this client to do that.
	ErrPermissionDenied = errors.New("permission denied")
	// ErrUnauthenticated: the servers do not accept who this client says it is: it has shown no
	// certificate or token, or one that has ended, was revoked, or is of an authority that they do
	// not know; or its own file with the token cannot be read.
	ErrUnauthenticated = errors.New("unauthenticated")
	// ErrUnavailable: no server answered within the connect timeout, or within a lock's bounded
	// wait.
	ErrUnavailable = errors.New("no server available")
	// ErrBroken: a snapshot broke off, or what came is not what was sent. What was written of it is
	// of no use.
	ErrBroken = errors.New("the snapshot is not whole")
	// ErrClosed: the Client was closed.
	ErrClosed = errors.New("client closed")

	// ErrCompacted: what happened after the revision is not known any more. The error says after
	// which it is.
	ErrCompacted = errors.New("compacted")

	// ErrFileNotFound: the lock has no such file.
	ErrFileNotFound = errors.New("file not found")
	// ErrFileChanged: the file was replaced, or removed and made again, since it was read.
	ErrFileChanged = errors.New("file changed")
	// ErrOffsetGone: what is at the offset was cut off. The error is an [*Error] whose Start is the
	// first offset that there is.
	ErrOffsetGone = errors.New("offset gone")
	// ErrLockNotFound: nobody holds the lock (Evict); nobody holds it, nobody waits for it and it
	// has no files (Inspect).
	ErrLockNotFound = errors.New("lock not found")
	// ErrInvalidName: a lock's or file's name is malformed.
	ErrInvalidName = errors.New("invalid name")
	// ErrInvalidTTL: the session TTL asked for is out of bounds.
	ErrInvalidTTL = errors.New("invalid ttl")
	// ErrInvalidArgument: another argument is malformed or out of bounds.
	ErrInvalidArgument = errors.New("invalid argument")
	// ErrTooLarge: a record is too large.
	ErrTooLarge = errors.New("too large")
	// ErrQuota: a section, queue or watcher is at its limit.
	ErrQuota = errors.New("quota exceeded")
	// ErrLimit: the call would exceed a limit that protects a server's other clients. Nothing was
	// changed. The client waits limits out by itself, so this is an error only when a lock's
	// bounded wait is over.
	ErrLimit = errors.New("limit reached")
	// ErrUnimplemented: the servers do not do this, or not before a feature is switched on.
	ErrUnimplemented = errors.New("not implemented by the servers")
	// ErrNoSpace: the servers' storage is full, or nearly. Releases and discards without data go
	// on.
	ErrNoSpace = errors.New("no space")
)

// Error is what a server answered instead of a result. [errors.Is] finds the sentinel that belongs
// to its reason.
type Error struct {
	Reason  string     // as the API's documentation lists them; empty: none was sent
	Code    codes.Code // the gRPC status code
	Message string     // for people

	Limit      string        // LIMIT: which limit, as servers' configuration calls it below "limits."
	RetryAfter time.Duration // when to ask again at the earliest, as the server says; 0: it did not

	Start int64 // OFFSET_GONE: the first offset that there is

	notByThisCall bool // OUTCOME_UNKNOWN: the message that it answers has not ended the section
	// changedNothing: the call has certainly not taken effect, though its code alone does not say
	// so.
	changedNothing bool
	sessionsEnd    bool // UNAUTHENTICATED: the servers end the client's sessions as well
}

// Error returns what the server said.
func (e *Error) Error() string {
	switch {
	case e.Message != "":
		return e.Message
	case e.Reason != "":
		return e.Reason
	}
	return e.Code.String()
}

// Is reports whether target is the sentinel of the error's reason. One without a reason is not of
// a server of dlm, but a proxy perhaps: of those two are known by the code.
func (e *Error) Is(target error) bool {
	s := sentinel(e.Reason)
	switch {
	case e.Reason != "":
	case e.Code == codes.PermissionDenied:
		s = ErrPermissionDenied
	case e.Code == codes.Unauthenticated:
		s = ErrUnauthenticated
	}
	return s != nil && s == target
}

func sentinel(reason string) error {
	switch reason {
	case "LOCK_EXPIRED":
		return ErrLockExpired
	case "SESSION_EXPIRED":
		return ErrSessionExpired
	case "OUTCOME_UNKNOWN":
		return ErrOutcomeUnknown
	case "DATA_LOSS":
		return ErrDataLoss
	case "MALFORMED":
		return ErrMalformed
	case "WENT_BACK":
		return ErrWentBack
	case "OTHER_CLUSTER":
		return ErrOtherCluster
	case "PERMISSION_DENIED":
		return ErrPermissionDenied
	case "UNAUTHENTICATED":
		return ErrUnauthenticated
	case "FILE_NOT_FOUND":
		return ErrFileNotFound
	case "FILE_CHANGED":
		return ErrFileChanged
	case "OFFSET_GONE":
		return ErrOffsetGone
	case "LOCK_NOT_FOUND":
		return ErrLockNotFound
	case "INVALID_NAME":
		return ErrInvalidName
	case "INVALID_TTL":
		return ErrInvalidTTL
	case "INVALID_ARGUMENT":
		return ErrInvalidArgument
	case "TOO_LARGE":
		return ErrTooLarge
	case "LIMIT":
		return ErrLimit
	case "QUOTA":
		return ErrQuota
	case "COMPACTED":
		return ErrCompacted
	case "NO_SPACE":
		return ErrNoSpace
	case "UNIMPLEMENTED":
		return ErrUnimplemented
	}
	return nil
}

// indeterminate reports whether the call may have taken effect, and is to be repeated.
func (e *Error) indeterminate() bool {
	switch e.Code {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return true
	}
	return false
}

// foreign reports whether an error says that a server is not of the client's cluster, or not of its
// latest state: what the client holds is held nowhere.
func foreign(err error) bool {
	return errors.Is(err, ErrWentBack) || errors.Is(err, ErrOtherCluster)
}

// denied reports whether a server does not let this client do what it wants to.
func denied(err error) bool {
	return errors.Is(err, ErrPermissionDenied) || errors.Is(err, ErrUnauthenticated)
}

// definite reports whether a failed call is known to have changed nothing. An answer without a
// known reason, a server's internal error above all, proves nothing. Nor does one that denies what
// an earlier sending of the same call may have been allowed to do: once is that there was none.
func definite(err error, once bool) bool {
	var e *Error
	known := errors.As(err, &e) && sentinel(e.Reason) != nil && !errors.Is(err, ErrUnavailable)
	return known && (once || !denied(err))
}

// streamError is the error that a stream carried in place of an answer.
func streamError(e *dlmv1.Error) *Error {
	return newError(codes.Code(e.GetCode()), e.GetMessage(), e.GetDetails()) //nolint:gosec // a code
}

// rpcError is the error that a gRPC call of its own ended with.
func rpcError(err error) *Error {
	st := status.Convert(err)
	return newError(st.Code(), st.Message(), st.Proto().GetDetails())
}

func newError(code codes.Code, message string, details []*anypb.Any) *Error {
	e := &Error{Code: code, Message: message}
	for _, d := range details {
		var info errdetails.ErrorInfo
		var retry errdetails.RetryInfo
		switch {
		case d.MessageIs(&info) && d.UnmarshalTo(&info) == nil && info.GetDomain() == "dlm":
			e.Reason = info.GetReason()
			e.Limit = info.GetMetadata()["limit"]
			e.Start, _ = strconv.ParseInt(info.GetMetadata()["start"], 10, 64) // 0, if it is none
			e.notByThisCall = info.GetMetadata()["not_by_this_call"] == "true"
			e.changedNothing = info.GetMetadata()["changed_nothing"] == "true"
			e.sessionsEnd = info.GetMetadata()["sessions_end"] == "true"
		case d.MessageIs(&retry) && d.UnmarshalTo(&retry) == nil:
			e.RetryAfter = max(0, retry.GetRetryDelay().AsDuration())
		}
	}
	return e
}

// BusyError says who stood in the way. errors.Is(err, ErrBusy) holds.
type BusyError struct {
	Lock        string
	Holder      *Holder // nil: nobody that the caller may see held it at that moment
	Position    int     // the place in the queue that it had or would have had, counted from 1
	QueueLength int     // how many others waited
}

// Error names the holder. It does not name the lock: the error that Lock or TryLock wraps around it
// does.
func (e *BusyError) Error() string {
	if e.Holder == nil {
		return fmt.Sprintf("busy: %d waiting", e.QueueLength)
	}
	return fmt.Sprintf("busy: held by %q, %d waiting", e.Holder.GetLabel(), e.QueueLength)
}

// Is makes a BusyError an ErrBusy.
func (e *BusyError) Is(target error) bool { return target == ErrBusy }
