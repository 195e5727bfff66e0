package etcdstore

import (
	"errors"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
)

// Each sentinel is a definite refusal, nothing was changed, unless it says otherwise. Errors that are none of these are
// indeterminate: the call may or may not have taken effect, and may be repeated.
var (
	// ErrLockExpired: the token no longer holds the lock, or never did, and its section was not published. From
	// Acquire: the request's section has ended, the request cannot be used again.
	ErrLockExpired = errors.New("lock expired")
	// ErrSessionExpired: there is no such session (any more), or the credential is not its own.
	ErrSessionExpired = commit.ErrSessionExpired
	// ErrOutcomeUnknown: the section ended so long ago that its note is gone; whether it was published is not known.
	ErrOutcomeUnknown = errors.New("outcome unknown")

	// ErrInvalidName: a lock, file or request name is malformed.
	ErrInvalidName = errors.New("invalid name")
	// ErrInvalidTTL: a session's TTL is out of bounds.
	ErrInvalidTTL = errors.New("invalid ttl")
	// ErrInvalidArgument: another argument is malformed or out of bounds.
	ErrInvalidArgument = errors.New("invalid argument")

	// ErrTooLarge: a record is larger than MaxRecord.
	ErrTooLarge = errors.New("too large")
	// ErrQuota: a section, queue or subscriber is at its limit.
	ErrQuota = errors.New("quota exceeded")
	// ErrNoSpace: etcd's space quota is (nearly) used up. Releases and discards go on.
	ErrNoSpace = commit.ErrNoSpace

	// ErrFileNotFound: the lock has no such file.
	ErrFileNotFound = errors.New("file not found")
	// ErrLockNotFound: nobody holds the lock (Evict), nobody waits for it and it has no files (Inspect).
	ErrLockNotFound = errors.New("lock not found")

	// ErrClientNotFound: no client has that number (any more).
	ErrClientNotFound = errors.New("client not found")
	// ErrClientChanged: the client's record was changed since it was read.
	ErrClientChanged = errors.New("client changed")

	// ErrNoQuorum: etcd could not be reached or has no leader. Indeterminate.
	ErrNoQuorum = commit.ErrNoQuorum
	// ErrClosed: the store is shutting down. Indeterminate.
	ErrClosed = commit.ErrClosed
)
