package facade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/facade/auth"
	"github.com/distributed-lock-manager/dlm/facade/budget"
	"github.com/distributed-lock-manager/dlm/internal/text"
)

// Domain is the domain of every ErrorInfo.
const Domain = "dlm"

// retryDelay is what RetryInfo asks of a client that got UNAVAILABLE from all the servers it knows.
const retryDelay = 500 * time.Millisecond

// maxMessage bounds an error's text in bytes. It travels twice in the trailers, and some clients
// accept 8 KiB of those.
const maxMessage = 512

// errUnimplemented is the error of a call that this server does not have.
var errUnimplemented = errors.New("not implemented")

// classify is the API's table of errors. The first row that matches counts: an error may wrap a
// context's as well. found reports whether there is one; an error without a row is an internal one.
func classify(err error) (code codes.Code, reason string, found bool) {
	for _, row := range [...]struct {
		err    error
		code   codes.Code
		reason string
	}{
		{auth.ErrUnauthenticated, codes.Unauthenticated, reasonUnauthenticated},
		{auth.ErrPermissionDenied, codes.PermissionDenied, reasonPermissionDenied},
		{etcdstore.ErrWithheld, codes.PermissionDenied, reasonPermissionDenied},
		{etcdstore.ErrNotOwner, codes.PermissionDenied, reasonPermissionDenied},
		{etcdstore.ErrEtcdDenies, codes.PermissionDenied, reasonPermissionDenied},
		{etcdstore.ErrWentBack, codes.FailedPrecondition, "WENT_BACK"},
		{etcdstore.ErrOtherCluster, codes.FailedPrecondition, "OTHER_CLUSTER"},
		{etcdstore.ErrLockExpired, codes.FailedPrecondition, reasonLockExpired},
		{etcdstore.ErrSessionExpired, codes.FailedPrecondition, reasonSessionExpired},
		{etcdstore.ErrOutcomeUnknown, codes.FailedPrecondition, reasonOutcomeUnknown},
		{etcdstore.ErrDataLoss, codes.FailedPrecondition, reasonDataLoss},
		{etcdstore.ErrMalformed, codes.FailedPrecondition, reasonMalformed},
		{etcdstore.ErrInvalidName, codes.InvalidArgument, "INVALID_NAME"},
		{etcdstore.ErrInvalidTTL, codes.InvalidArgument, "INVALID_TTL"},
		{etcdstore.ErrInvalidArgument, codes.InvalidArgument, "INVALID_ARGUMENT"},
		{etcdstore.ErrTooLarge, codes.ResourceExhausted, "TOO_LARGE"},
		{etcdstore.ErrLimit, codes.ResourceExhausted, reasonLimit},
		{etcdstore.ErrQuota, codes.ResourceExhausted, "QUOTA"},
		{etcdstore.ErrCompacted, codes.OutOfRange, "COMPACTED"},
		{etcdstore.ErrNoSpace, codes.ResourceExhausted, "NO_SPACE"},
		{etcdstore.ErrFileNotFound, codes.NotFound, "FILE_NOT_FOUND"},
		{etcdstore.ErrFileChanged, codes.FailedPrecondition, "FILE_CHANGED"},
		{etcdstore.ErrOffsetGone, codes.OutOfRange, "OFFSET_GONE"},
		{etcdstore.ErrLockNotFound, codes.NotFound, "LOCK_NOT_FOUND"},
		{etcdstore.ErrClientNotFound, codes.NotFound, "CLIENT_NOT_FOUND"},
		{etcdstore.ErrClientChanged, codes.Aborted, "CLIENT_CHANGED"},
		{etcdstore.ErrNoQuorum, codes.Unavailable, "NO_QUORUM"},
		{etcdstore.ErrClosed, codes.Unavailable, "SHUTTING_DOWN"},
		{etcdstore.ErrFormatTooNew, codes.Unavailable, "FORMAT_TOO_NEW"},
		{etcdstore.ErrPrefixNested, codes.Unavailable, "PREFIX_NESTED"},
		{errNoAudit, codes.Unavailable, "AUDIT"},
		{etcdstore.ErrFeatureOff, codes.Unimplemented, "UNIMPLEMENTED"},
		{errUnimplemented, codes.Unimplemented, "UNIMPLEMENTED"},
		{context.DeadlineExceeded, codes.DeadlineExceeded, "DEADLINE"},
		{context.Canceled, codes.Canceled, "CANCELLED"},
	} {
		if errors.Is(err, row.err) {
			return row.code, row.reason, true
		}
	}
	return codes.Internal, reasonInternal, false
}

// The reasons that the log looks at as well.
const (
	reasonUnauthenticated  = "UNAUTHENTICATED"
	reasonPermissionDenied = "PERMISSION_DENIED"
	reasonLockExpired      = "LOCK_EXPIRED"
	reasonSessionExpired   = "SESSION_EXPIRED"
	reasonOutcomeUnknown   = "OUTCOME_UNKNOWN"
	reasonDataLoss         = "DATA_LOSS"
	reasonMalformed        = "MALFORMED"
	reasonLimit            = "LIMIT"
	reasonInternal         = "INTERNAL" // of an error that is in no row of the table
)

// refusal is an error on its way to the client: the status that is sent, and what only the log
// sees.
type refusal struct {
	status *status.Status
	reason string
	cause  error
}

func (r *refusal) Error() string              { return r.cause.Error() }
func (r *refusal) Unwrap() error              { return r.cause }
func (r *refusal) GRPCStatus() *status.Status { return r.status }

// refuse returns the refusal that stands for an error. The text of an error that is not in the
// table is for the log only: nobody chose it for strangers' eyes.
func refuse(err error) *refusal {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	code, reason, known := classify(err)
	message := "internal error, see the server's log"
	if known {
		message = err.Error()
	}
	var more map[string]string
	var retry time.Duration
	if code == codes.Unavailable {
		retry = retryDelay
	}
	if etcdstore.NotByThisCall(err) {
		more = map[string]string{notByThisCall: "true"}
	}
	if errors.Is(err, errNoAudit) || etcdstore.ChangedNothing(err) {
		more = map[string]string{changedNothing: "true"}
	}
	if errors.Is(err, errSessionsEnd) {
		more = map[string]string{sessionsEnd: "true"}
	}
	if limit, ok := errors.AsType[*etcdstore.LimitError](err); ok {
		more, retry = map[string]string{limitName: limit.Limit}, limit.Retry
	}
	if gone, ok := errors.AsType[*etcdstore.OffsetGoneError](err); ok {
		more = map[string]string{startOfFile: strconv.FormatInt(gone.Start, 10)}
	}
	return &refusal{newStatus(code, reason, message, more, retry), reason, err}
}

// notByThisCall is the key of an ErrorInfo's metadata under which OUTCOME_UNKNOWN says that it was
// not the very call that it answers which ended the section.
const notByThisCall = "not_by_this_call"

// changedNothing is the key of an ErrorInfo's metadata under which an error that would be
// indeterminate by its code says that the call has not taken effect.
const changedNothing = "changed_nothing"

// sessionsEnd is the key of an ErrorInfo's metadata under which UNAUTHENTICATED says that the
// sessions of whoever is refused are ended as well.
const sessionsEnd = "sessions_end"

// limitName is the key of an ErrorInfo's metadata under which LIMIT says which limit it was.
const limitName = "limit"

// startOfFile is the key of an ErrorInfo's metadata under which OFFSET_GONE says which is the first
// offset that there is, in decimal.
const startOfFile = "start"

// nuisance is how much of one a refusal is: of a call that a client would not make who means well,
// or would not make again at once. 0: it is none.
func nuisance(err error) int {
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		return 0
	}
	switch code := r.status.Code(); {
	case r.reason == reasonLockExpired, r.reason == reasonOutcomeUnknown: // of each hold that it has lost, once
		return budget.Refusal / 2
	case code == codes.InvalidArgument, code == codes.ResourceExhausted, code == codes.Unimplemented,
		code == codes.Unauthenticated, code == codes.PermissionDenied, r.reason == reasonSessionExpired:
		return budget.Refusal
	}
	return 0
}

// refusedBy is what a refusal is counted as, that the store has no part in; empty: it is none.
func refusedBy(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok && (r.reason == reasonUnauthenticated || r.reason == reasonPermissionDenied) {
		return r.reason
	}
	return limitOf(err)
}

// limitOf is the limit by which an error refuses; empty: none.
func limitOf(err error) string {
	if limit, ok := errors.AsType[*etcdstore.LimitError](err); ok {
		return limit.Limit
	}
	return ""
}

// newStatus returns a status with its details. more is what its ErrorInfo says besides the reason,
// retry what its RetryInfo says; 0: there is none.
func newStatus(code codes.Code, reason, message string, more map[string]string, retry time.Duration) *status.Status {
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: reason, Domain: Domain, Metadata: more}}
	if retry > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(retry)})
	}
	// Text that is not UTF-8 would cost the status its details. Joined errors are lines.
	message = text.Escape(strings.ReplaceAll(cut(message, maxMessage), "\n", "; "))
	st := status.New(code, cut(message, maxMessage))
	if detailed, err := st.WithDetails(details...); err == nil {
		return detailed
	}
	return st
}

// transportError returns the error of a message that could not be received or sent as one that the
// table has, where there is one. A client that went away is no fault of the server's.
func transportError(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	switch status.Code(err) {
	case codes.ResourceExhausted:
		return fmt.Errorf("%w: %w", etcdstore.ErrTooLarge, err)
	case codes.Canceled, codes.Unavailable:
		return fmt.Errorf("%w: %w", context.Canceled, err)
	case codes.DeadlineExceeded:
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return err
}
