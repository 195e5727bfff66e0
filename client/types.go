package client

import dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"

// What servers say of locks and files are messages of the API dlm.v1. They have names here, so that
// a caller need not import the generated package; they are the same types.
type (
	// LockInfo is the state of a lock: who holds it (nil: nobody) and who waits.
	LockInfo = dlmv1.Lock
	// Holder is who holds a lock, under which token, and since when.
	Holder = dlmv1.Holder
	// Waiter is one place in a queue.
	Waiter = dlmv1.Waiter
	// ListPage is a part of a listing, and the revision that it is as of.
	ListPage = dlmv1.ListResponse
	// News is a run of events of whole revisions, and up to which revision all was told.
	News = dlmv1.WatchResponse
	// Event is one thing that happened to one lock.
	Event = dlmv1.Event
	// EventType says what happened.
	EventType = dlmv1.Event_Type
	// Operation is one thing that a section does to a file: see [Append], [Replace], [Remove] and
	// [Cut].
	Operation = dlmv1.Operation
	// Version says which section was the last that was published to a file: its token, and, of
	// those that were published in one call, which of that token.
	Version = dlmv1.Version
	// Condition is what has to hold when a section is published: see [Client.PublishIf]. Without a
	// Lock and Files it always does. The Lock's version is that of the last section of any file;
	// one without a token stands for a lock to which nothing was published.
	Condition = dlmv1.Condition
	// FileCondition is what has to hold of one file: see [VersionIs] and [SizeIs].
	FileCondition = dlmv1.FileCondition
	// File is one file of one lock.
	File = dlmv1.File
	// Retention says how much servers keep of files, from their ends: see [Client.SetRetention].
	Retention = dlmv1.Retention
	// Problem is a key in the servers' storage that is malformed.
	Problem = dlmv1.Problem
	// Piece is a run of a file's bytes, and the offset of the first.
	Piece = dlmv1.TailResponse
)

// What can happen to a lock.
const (
	EventWaiting   = dlmv1.Event_TYPE_WAITING   // an acquisition joined the queue
	EventGranted   = dlmv1.Event_TYPE_GRANTED   // the lock was granted under the event's token
	EventCommitted = dlmv1.Event_TYPE_COMMITTED // the holder published its section; a grant follows
	EventReleased  = dlmv1.Event_TYPE_RELEASED  // the holder gave the lock up, by Unlock or Discard
	EventLost      = dlmv1.Event_TYPE_LOST      // the holder lost the lock; the reason says why
	EventLeft      = dlmv1.Event_TYPE_LEFT      // a waiter left the queue without the lock
)
