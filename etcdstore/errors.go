package etcdstore

import (
	"errors"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
)

// Errors are wrapped, and compared with [errors.Is]. Each of these is a definite refusal, by which
// nothing was changed, unless it says otherwise. An error that is none of these, a context's cause
// included, is indeterminate: the call may have taken effect or not, or may still do so. It may be
// repeated under the same request, through any store, and its repeat finds out.
var (
	// ErrLockExpired: the token does not hold the lock any more, or never did, and its section was
	// not published. From [Store.Acquire]: the request is over, or is being ended, and cannot be
	// used again.
	ErrLockExpired = errors.New("lock expired")
	// ErrSessionExpired: there is no such session (any more), or the credential is not its own.
	ErrSessionExpired = commit.ErrSessionExpired
	// ErrNotOwner: the session is, or was, another identity's than the call is made for, or either
	// of them is nobody; or the credential does not say whose it was. Any call with a credential
	// may be refused so: see [WithOwner].
	ErrNotOwner = errors.New("the session is another identity's")
	// ErrWithheld: the caller may not publish, and something is staged. Nothing was changed; the
	// section can be discarded.
	ErrWithheld = errors.New("what is staged may not be published: discard it")
	// ErrOutcomeUnknown: the section ended so long ago that nothing is left which says how. Whether
	// it was published is not known, and a repeat does not find out.
	ErrOutcomeUnknown = errors.New("outcome unknown")

	// ErrDataLoss: the section is open, and a record of it is gone whose append was acknowledged.
	// It cannot be published any more, only discarded.
	ErrDataLoss = errors.New("data loss")

	// ErrMalformed: what the call needs is stored in a form that no store writes, so somebody else
	// has written it, or it is damaged. Repeating the call does not help; see [Store.Problems].
	ErrMalformed = errors.New("what is stored is malformed")

	// ErrInvalidName: a lock's, file's or request's name is malformed, see [CheckLock].
	ErrInvalidName = errors.New("invalid name")
	// ErrInvalidTTL: a session's TTL is not within [MinTTL] and [MaxTTL].
	ErrInvalidTTL = errors.New("invalid ttl")
	// ErrInvalidArgument: another argument is malformed or out of bounds.
	ErrInvalidArgument = errors.New("invalid argument")

	// ErrTooLarge: a record is larger than [MaxRecord].
	ErrTooLarge = errors.New("too large")
	// ErrQuota: a section is at its limit ([MaxSection], [MaxSectionFiles]), a watcher does not
	// keep up, or all numbers of clients are used.
	ErrQuota = errors.New("quota exceeded")
	// ErrLimit: the call would exceed a limit that protects the others. The error is a
	// [*LimitError], and the call may be made again a little later.
	ErrLimit = errors.New("limit reached")
	// ErrNoSpace: etcd's space quota is (nearly) used up. At 80 % of it records are
	// refused, with what is still to be folded counted in, and at 90 % new sessions and acquires,
	// too; when it is full, whatever puts anything, which leaves discards and releases of sections
	// without records.
	ErrNoSpace = commit.ErrNoSpace

	// ErrFeatureOff: the cluster does not do that before a feature is switched on: see
	// [EnableFeature].
	ErrFeatureOff = errors.New("not switched on")

	// ErrEtcdDenies: etcd does not allow this to the server's user.
	ErrEtcdDenies = errors.New("etcd does not allow it to the server's user")

	// ErrCompacted: what happened after a revision is not known any more. The error says after
	// which it is.
	ErrCompacted = errors.New("compacted")

	// ErrFileNotFound: the lock has no such file.
	ErrFileNotFound = errors.New("file not found")
	// ErrFileChanged: the file was replaced, or removed and made again, since the caller has read
	// of it.
	ErrFileChanged = errors.New("file changed")
	// ErrOffsetGone: what is at that offset was cut off. The error is an [*OffsetGoneError].
	ErrOffsetGone = errors.New("offset gone")
	// ErrLockNotFound: nobody holds the lock. From [Store.Inspect] also: nobody waits for it, it
	// has no files, and nothing is remembered of it.
	ErrLockNotFound = errors.New("lock not found")

	// ErrClientNotFound: no client has that number (any more).
	ErrClientNotFound = errors.New("client not found")
	// ErrClientChanged: the client's record was changed since it was read.
	ErrClientChanged = errors.New("client changed")

	// ErrWentBack: etcd is at an older state than one that this store, or the caller, has seen: an
	// old snapshot was restored, or the keys were deleted. A store that sees it of itself serves
	// nothing any more.
	ErrWentBack = commit.ErrWentBack
	// ErrOtherCluster: the caller belongs to another cluster, or to another prefix of this etcd.
	ErrOtherCluster = errors.New("another cluster")
	// ErrFormatTooNew: what is kept in etcd has a form, or a feature switched on, that this version
	// does not know. From [Open], and from a store that is open when that comes to be so.
	ErrFormatTooNew = errors.New("format too new")
	// ErrPrefixNested: the prefix lies among the keys of another, or another among its own. From
	// [Open].
	ErrPrefixNested = errors.New("prefix nested in another")

	// ErrNoQuorum: etcd could not be reached, has no leader, or did not answer in time.
	// Indeterminate.
	ErrNoQuorum = commit.ErrNoQuorum
	// ErrClosed: the store is being closed. Indeterminate.
	ErrClosed = commit.ErrClosed
)

// NotByThisCall reports whether an [ErrOutcomeUnknown] says besides that it was not the very call
// that it answers which ended the section: etcd has answered each of its transactions, and the
// guard of none held. So if the call was made only once, it was lost.
func NotByThisCall(err error) bool {
	_, is := errors.AsType[notByThisCall](err)
	return is
}

type notByThisCall struct{ error }

func (e notByThisCall) Unwrap() error { return e.error }

// ChangedNothing reports whether an error that would be indeterminate says besides that the call
// has not taken effect, and will not. For want of it nothing is said.
func ChangedNothing(err error) bool {
	_, is := errors.AsType[changedNothing](err)
	return is
}

type changedNothing struct{ error }

func (e changedNothing) Unwrap() error { return e.error }
