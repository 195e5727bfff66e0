// The dlm.v1 API: fenced locks with files behind them, which change with a lock's sections only.
//
// Words. A session is a client's etcd lease, kept alive by heartbeats. An acquisition is one attempt to get one lock,
// named by (session, request). The holder's token is the etcd revision at which it was granted the lock; for one lock
// tokens only rise. A section is what one token covers, from the grant to its release, commit, discard or loss. A
// record is one operation on a file, mostly an append, staged in its section. A section's records become readable all at once when it is released or
// committed, and never if it is discarded or lost. A life of a file is what it is from its making, or its replacement, to
// the next, or to its removal; it is named by the version of the section that began it. Offsets are within a life.
//
// Names. A lock is 1 to 16 segments of [A-Za-z0-9._-] joined by single "/", 255 bytes at most; a file is one such
// segment, 128 bytes at most; no segment is "." or "..". Requests are [A-Za-z0-9._-]{1,64} and unique within their
// session for all time; clients that number them upwards in decimal get reconciliation (see Heartbeat).
//
// Errors. Every error carries a google.rpc.ErrorInfo with domain "dlm" and one of these reasons:
//   LOCK_EXPIRED, SESSION_EXPIRED, OUTCOME_UNKNOWN        FAILED_PRECONDITION
//   WENT_BACK, OTHER_CLUSTER, DATA_LOSS, MALFORMED        FAILED_PRECONDITION
//   INVALID_NAME, INVALID_TTL, INVALID_ARGUMENT           INVALID_ARGUMENT
//   TOO_LARGE, QUOTA, NO_SPACE                            RESOURCE_EXHAUSTED
//   LIMIT                                                 RESOURCE_EXHAUSTED, with google.rpc.RetryInfo; see Limits
//   FILE_CHANGED                                          FAILED_PRECONDITION
//   FILE_NOT_FOUND, LOCK_NOT_FOUND                        NOT_FOUND
//   COMPACTED                                             OUT_OF_RANGE
//   OFFSET_GONE                                           OUT_OF_RANGE, with the metadata `start`: the first offset there is
//   NO_QUORUM, SHUTTING_DOWN, FORMAT_TOO_NEW              UNAVAILABLE, with google.rpc.RetryInfo
//   PREFIX_NESTED, AUDIT                                  UNAVAILABLE, with google.rpc.RetryInfo
//   UNAUTHENTICATED                                       UNAUTHENTICATED; see Identities
//   PERMISSION_DENIED                                     PERMISSION_DENIED; see Identities
//   DEADLINE, CANCELLED                                   DEADLINE_EXCEEDED, CANCELLED
//   UNIMPLEMENTED                                         UNIMPLEMENTED
//   INTERNAL                                              INTERNAL
// UNAVAILABLE, DEADLINE_EXCEEDED, CANCELLED and INTERNAL are indeterminate: the call may have taken effect. Repeat it,
// with the same ids, through any server: every call of this API may be repeated, and each says what a repeat does. The
// other codes are definite: the call changed nothing. Of the indeterminate ones some have the metadata
// changed_nothing = "true" in their ErrorInfo: that call has certainly not taken effect.
//
// Limits. LIMIT: what the server has for all of its clients, or for this one, is taken. The ErrorInfo's metadata names the
// limit under `limit`, RetryInfo says when to ask again at the earliest. Any call may be refused so, but Heartbeat, Close,
// Release and Discard are the last to be.
//
// Identities. A server may want to know who calls, by a client certificate or by a token in the header `authorization`
// (Bearer). UNAUTHENTICATED: it does not know, or what was shown is not good, or not any more. PERMISSION_DENIED: the
// policy does not allow the caller to do that, or the session is another identity's. Any call may be refused so; what the
// caller may not see is left out of answers. A session is its beginner's, whatever others know of it. If the ErrorInfo of
// UNAUTHENTICATED has the metadata sessions_end = "true", the caller was revoked and its sessions are ended: what they hold
// passes on at once. AUDIT: the server cannot write down what it would change, and so does not.
//
// Deadlines. A hold may have an end: what its Acquire said, or what servers are configured to allow for the lock, whichever is
// sooner. It counts from the grant, over commits. A holder that has the lock still is evicted then: it loses the lock, and
// whoever waits gets it. A fifth of the time before, one minute at most, a client that takes Lost messages is told. No clock
// decides more than when: each server counts by its own from when it heard of the grant, and one that has started since by
// the time that the record of the holder has.
//
// Malformed. MALFORMED: what the call needs is stored in a form that no server writes, so that somebody else has written it, or
// it is damaged. Any call may be refused so; to repeat it does not help before an operator has looked: see ListProblems.
//
// Texts. Labels and reasons, and all that a server says for people, are UTF-8. Control characters, line and paragraph separators
// and characters that change the direction of writing are escaped in what a server sends, as \u202e.
//
// Going back. WENT_BACK: the server's storage is at an older state than one that it, or the client, has seen, as after
// the restore of an old snapshot; any call may be refused so. What the client held is held nowhere: do not repeat the call
// elsewhere but to find a server that does not say so. OTHER_CLUSTER: the client has begun with another cluster than the
// server's. Both are found by what Init and Heartbeat say in `seen`, so say it first on each new connection.

// Code generated by protoc-gen-go-grpc. DO NOT EDIT.
// versions:
// - protoc-gen-go-grpc v1.6.2
// - protoc             (unknown)
// source: dlm/v1/dlm.proto

package dlmv1

import (
	context "context"
	grpc "google.golang.org/grpc"
	codes "google.golang.org/grpc/codes"
	status "google.golang.org/grpc/status"
)

// This is a compile-time assertion to ensure that this generated file
// is compatible with the grpc package it is being compiled against.
// Requires gRPC-Go v1.64.0 or later.
const _ = grpc.SupportPackageIsVersion9

const (
	LockService_Init_FullMethodName           = "/dlm.v1.LockService/Init"
	LockService_Heartbeat_FullMethodName      = "/dlm.v1.LockService/Heartbeat"
	LockService_Close_FullMethodName          = "/dlm.v1.LockService/Close"
	LockService_Acquire_FullMethodName        = "/dlm.v1.LockService/Acquire"
	LockService_Cancel_FullMethodName         = "/dlm.v1.LockService/Cancel"
	LockService_Release_FullMethodName        = "/dlm.v1.LockService/Release"
	LockService_Commit_FullMethodName         = "/dlm.v1.LockService/Commit"
	LockService_Discard_FullMethodName        = "/dlm.v1.LockService/Discard"
	LockService_Append_FullMethodName         = "/dlm.v1.LockService/Append"
	LockService_Publish_FullMethodName        = "/dlm.v1.LockService/Publish"
	LockService_Withdraw_FullMethodName       = "/dlm.v1.LockService/Withdraw"
	LockService_Read_FullMethodName           = "/dlm.v1.LockService/Read"
	LockService_Tail_FullMethodName           = "/dlm.v1.LockService/Tail"
	LockService_ListFiles_FullMethodName      = "/dlm.v1.LockService/ListFiles"
	LockService_Inspect_FullMethodName        = "/dlm.v1.LockService/Inspect"
	LockService_List_FullMethodName           = "/dlm.v1.LockService/List"
	LockService_InspectCluster_FullMethodName = "/dlm.v1.LockService/InspectCluster"
	LockService_Watch_FullMethodName          = "/dlm.v1.LockService/Watch"
	LockService_Evict_FullMethodName          = "/dlm.v1.LockService/Evict"
	LockService_ListProblems_FullMethodName   = "/dlm.v1.LockService/ListProblems"
	LockService_Repair_FullMethodName         = "/dlm.v1.LockService/Repair"
	LockService_SetRetention_FullMethodName   = "/dlm.v1.LockService/SetRetention"
	LockService_ListRetention_FullMethodName  = "/dlm.v1.LockService/ListRetention"
	LockService_Snapshot_FullMethodName       = "/dlm.v1.LockService/Snapshot"
	LockService_Stream_FullMethodName         = "/dlm.v1.LockService/Stream"
)

// LockServiceClient is the client API for LockService service.
//
// For semantics around ctx use and closing/ending streaming RPCs, please refer to https://pkg.go.dev/google.golang.org/grpc/?tab=doc#ClientConn.NewStream.
//
// LockService hands out fenced locks and keeps the files that only their holders may append to. Any server of a
// cluster serves any call of any session.
type LockServiceClient interface {
	// Init begins a session. A repeat begins another; one that nobody uses ends by itself after its TTL.
	// Errors: INVALID_TTL, INVALID_ARGUMENT (label, linger), NO_SPACE, WENT_BACK, OTHER_CLUSTER.
	Init(ctx context.Context, in *InitRequest, opts ...grpc.CallOption) (*InitResponse, error)
	// Heartbeat keeps a session alive for another TTL, tells the state of the acquisitions it names, and ends those that
	// the client no longer knows. A repeat renews again. What it has seen is compared before anything else is done.
	// Errors: SESSION_EXPIRED, INVALID_ARGUMENT, WENT_BACK, OTHER_CLUSTER.
	Heartbeat(ctx context.Context, in *HeartbeatRequest, opts ...grpc.CallOption) (*HeartbeatResponse, error)
	// Close ends a session and with it everything it holds or waits for; sections still open are lost. A repeat, or the
	// close of a session that has ended, succeeds. Errors: INVALID_ARGUMENT.
	Close(ctx context.Context, in *CloseRequest, opts ...grpc.CallOption) (*CloseResponse, error)
	// Acquire asks for a lock and waits for it in FIFO order. A repeat finds its own place in the queue, or its own grant,
	// again. If the call breaks off, the place is kept: only Cancel, a Heartbeat that no longer lists the request, or
	// the session's end gives it up. Not getting the lock is an answer, not an error.
	// Errors: LOCK_EXPIRED (a repeat of a request whose section has ended), SESSION_EXPIRED, INVALID_NAME,
	// INVALID_ARGUMENT, NO_SPACE, QUOTA.
	Acquire(ctx context.Context, in *AcquireRequest, opts ...grpc.CallOption) (*AcquireResponse, error)
	// Cancel gives up a wait. If the lock was granted meanwhile, the answer says so and the caller holds it: it must use
	// or end that section. A repeat answers the same. Errors: SESSION_EXPIRED, INVALID_NAME, INVALID_ARGUMENT.
	Cancel(ctx context.Context, in *CancelRequest, opts ...grpc.CallOption) (*CancelResponse, error)
	// Release publishes the section and passes the lock to the next waiter, in one transaction. A repeat is the same
	// message, and answers the same, through any server, also after the session has ended. The answer is true: success only
	// if something shows that this section was ended by its own session (by its release or commit, if there were appends),
	// LOCK_EXPIRED only if something shows that it was not. What is too long ago for either is OUTCOME_UNKNOWN: the
	// section's marker or note is gone, and etcd's history does not reach back to its end. Its ErrorInfo has the metadata
	// not_by_this_call = "true" if this very call has not ended the section: a client that has sent it once has lost the
	// lock. Errors: LOCK_EXPIRED, OUTCOME_UNKNOWN, SESSION_EXPIRED (the credential is not that of the session; nothing was
	// changed), DATA_LOSS (an append that `last` names is gone; nothing was published, the lock is held still, and only a
	// Discard is left), NO_SPACE (with appends; the lock is held still), INVALID_NAME, INVALID_ARGUMENT.
	Release(ctx context.Context, in *ReleaseRequest, opts ...grpc.CallOption) (*ReleaseResponse, error)
	// Commit publishes the section and goes on holding the lock under a new token: a hand-over to oneself. A repeat
	// answers with the same new token, or with 0 if that does not hold any more. Errors: as Release.
	Commit(ctx context.Context, in *CommitRequest, opts ...grpc.CallOption) (*CommitResponse, error)
	// Discard drops the section's records and passes the lock on. A repeat, or the discard of a section that was lost,
	// succeeds, and so does that of one that was published, which the answer says. One without appends is answered with
	// "not published", whatever became of it. Errors: SESSION_EXPIRED (as Release), OUTCOME_UNKNOWN (as Release; only with
	// appends), INVALID_NAME, INVALID_ARGUMENT.
	Discard(ctx context.Context, in *DiscardRequest, opts ...grpc.CallOption) (*DiscardResponse, error)
	// Append stages one record in the section. It is readable once the section is released or committed. A repeat with
	// the same request stages nothing more and succeeds. Errors: LOCK_EXPIRED, INVALID_NAME, INVALID_ARGUMENT,
	// TOO_LARGE (the record), QUOTA (the section), NO_SPACE, UNIMPLEMENTED (of an operation that is no append, before the
	// cluster's feature `life` is switched on; nothing was staged).
	Append(ctx context.Context, in *AppendRequest, opts ...grpc.CallOption) (*AppendResponse, error)
	// Publish publishes a section in one call: whole, in order, and once however often the call is repeated, through any
	// server. It needs no session and takes no lock, but is refused while the lock is held or waited for: that is an answer,
	// not an error. With a session it may wait for its turn instead, in the lock's queue. A repeat is the same message. Publishes of a lane come one after the other: the next is sent when the last
	// is answered, or given up. What is answered with BUSY, or with an error, may still be published, by an earlier delivery of
	// the same message: the next publish of the lane rules that out, and so does a Withdraw.
	// Errors: OUTCOME_UNKNOWN (a later publish of the lane has come before, or this one is so old that what became of it is
	// forgotten; it will not be published from now on), TOO_LARGE, QUOTA (operations, files), NO_SPACE, WENT_BACK, INVALID_NAME,
	// INVALID_ARGUMENT, UNIMPLEMENTED (the cluster does not do it before its feature `publish` is switched on, and of
	// operations that are no appends, `life`); with a session also SESSION_EXPIRED (it is not published, and no other message
	// under that session will be), LIMIT. The caller needs the right to acquire the lock and the right to append, and
	// with a condition that to read.
	Publish(ctx context.Context, in *PublishRequest, opts ...grpc.CallOption) (*PublishResponse, error)
	// Withdraw rules a publish out that was sent or not, or finds out that it was made. A repeat answers the same.
	// Errors: OUTCOME_UNKNOWN, NO_SPACE, WENT_BACK, INVALID_NAME, INVALID_ARGUMENT, UNIMPLEMENTED, as of Publish.
	Withdraw(ctx context.Context, in *WithdrawRequest, opts ...grpc.CallOption) (*WithdrawResponse, error)
	// Read returns a piece of a file's published bytes. It sees every section whose release, commit or publish was answered
	// before the read began. All of it is of one life. Errors: FILE_NOT_FOUND, FILE_CHANGED (it is not in the life that was
	// asked for), OFFSET_GONE (what is there was cut off), INVALID_NAME, INVALID_ARGUMENT.
	Read(ctx context.Context, in *ReadRequest, opts ...grpc.CallOption) (*ReadResponse, error)
	// Tail streams a file's published bytes from an offset on, and goes on as sections are published, until the caller
	// ends it. A file that does not exist yet is waited for. Resume with the last answer's offset plus its length, and
	// its life. What becomes of the file is told: it is cut, replaced or removed. Lives may be left out, and are never mixed.
	// Errors: INVALID_NAME, INVALID_ARGUMENT.
	Tail(ctx context.Context, in *TailRequest, opts ...grpc.CallOption) (grpc.ServerStreamingClient[TailResponse], error)
	// ListFiles lists the files of one lock, or of all, in name order. Errors: INVALID_NAME, INVALID_ARGUMENT.
	ListFiles(ctx context.Context, in *ListFilesRequest, opts ...grpc.CallOption) (*ListFilesResponse, error)
	// Inspect tells who holds a lock and who waits for it. Errors: LOCK_NOT_FOUND (nobody holds it, nobody waits, and
	// it has neither files nor a remembered undone section), INVALID_NAME.
	Inspect(ctx context.Context, in *InspectRequest, opts ...grpc.CallOption) (*InspectResponse, error)
	// List tells which locks are held or waited for, by whom, in name order. Errors: INVALID_ARGUMENT.
	// The answer is no older than the call, and its next pages are as of the same revision, unless they are late.
	List(ctx context.Context, in *ListRequest, opts ...grpc.CallOption) (*ListResponse, error)
	// InspectCluster tells what this server knows of the etcd behind it: its members, and how full it is. What a member
	// says of itself is there for those that this server can ask: its own with embedded etcd, all with an external one.
	// Ask every server for the rest. Errors: none of its own.
	InspectCluster(ctx context.Context, in *InspectClusterRequest, opts ...grpc.CallOption) (*InspectClusterResponse, error)
	// Watch streams what happens to locks: first the state as it is, then each change in order. A watcher that cannot
	// keep up is ended with QUOTA and watches anew. With `since` no state comes, but all that happened after that revision,
	// once and in order, and then each change: after an error it goes on from the last revision that was told.
	// Errors: INVALID_ARGUMENT, COMPACTED (the text says which is the oldest revision that can be given).
	Watch(ctx context.Context, in *WatchRequest, opts ...grpc.CallOption) (grpc.ServerStreamingClient[WatchResponse], error)
	// Evict takes a lock from its holder: the section is undone, the lock passes on. The reason is kept and shown.
	// With a token a repeat changes nothing and succeeds, and so does the eviction of a token that does not hold the lock.
	// Errors: LOCK_NOT_FOUND (no token was given and nobody holds it), INVALID_NAME, INVALID_ARGUMENT (no reason), NO_SPACE.
	Evict(ctx context.Context, in *EvictRequest, opts ...grpc.CallOption) (*EvictResponse, error)
	// ListProblems lists the keys in storage that are malformed. All that there is is read for it, a part with each call, so go
	// on while there is a next_page_token. Errors: INVALID_ARGUMENT.
	ListProblems(ctx context.Context, in *ListProblemsRequest, opts ...grpc.CallOption) (*ListProblemsResponse, error)
	// Repair removes a key that is malformed, as it was put at a revision, and nothing that is as it should be. The holder of a
	// lock is removed as by an eviction, a file's head with its bytes. A repeat changes nothing and succeeds.
	// Errors: INVALID_ARGUMENT (the key is not malformed, or none that a server removes), NO_SPACE.
	Repair(ctx context.Context, in *RepairRequest, opts ...grpc.CallOption) (*RepairResponse, error)
	// SetRetention has every server keep no more than so much of files of the locks whose names begin with a prefix, from about
	// a minute on: what is older, or more, is cut off from their beginning, where a section ends, whoever holds the lock.
	// Versions stay. It takes the place of what was said of that prefix before, and of shorter ones for such locks. A
	// retention that bounds nothing is removed. A repeat changes nothing. Errors: INVALID_ARGUMENT, QUOTA (there are
	// retentions of 256 prefixes), UNIMPLEMENTED (before the feature `life` is switched on), NO_SPACE.
	SetRetention(ctx context.Context, in *SetRetentionRequest, opts ...grpc.CallOption) (*SetRetentionResponse, error)
	// ListRetention lists what is retained, in the order of prefixes. Errors: none of its own.
	ListRetention(ctx context.Context, in *ListRetentionRequest, opts ...grpc.CallOption) (*ListRetentionResponse, error)
	// Snapshot streams a copy of all that etcd has, not only of this cluster's keys, as it is at one revision: etcd's own
	// form of a snapshot, with which its tools go on. Its last 32 bytes are the SHA-256 of those before, and without them it
	// is not whole. A broken stream cannot be resumed. What comes too slowly to the caller is broken off: less than 1 MiB a
	// second after the first half minute. Errors: LIMIT, WENT_BACK, NO_QUORUM, and PERMISSION_DENIED also if etcd does not
	// allow it to the server's user.
	Snapshot(ctx context.Context, in *SnapshotRequest, opts ...grpc.CallOption) (grpc.ServerStreamingClient[SnapshotResponse], error)
	// Stream carries the unary calls above, multiplexed over one bidirectional stream: answers come as they are ready, in any
	// order, matched by call number. The stream's end cancels no acquisition. Its header `dlm-peer` is the address that the
	// client is seen under: if that is the client's own, nothing between them ends connections. A session that lingers does
	// not do so for a stream on which a call was answered with UNAVAILABLE, DEADLINE_EXCEEDED or CANCELLED: whoever was
	// sent elsewhere may leave.
	Stream(ctx context.Context, opts ...grpc.CallOption) (grpc.BidiStreamingClient[StreamRequest, StreamResponse], error)
}

type lockServiceClient struct {
	cc grpc.ClientConnInterface
}

func NewLockServiceClient(cc grpc.ClientConnInterface) LockServiceClient {
	return &lockServiceClient{cc}
}

func (c *lockServiceClient) Init(ctx context.Context, in *InitRequest, opts ...grpc.CallOption) (*InitResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(InitResponse)
	err := c.cc.Invoke(ctx, LockService_Init_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) Heartbeat(ctx context.Context, in *HeartbeatRequest, opts ...grpc.CallOption) (*HeartbeatResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(HeartbeatResponse)
	err := c.cc.Invoke(ctx, LockService_Heartbeat_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) Close(ctx context.Context, in *CloseRequest, opts ...grpc.CallOption) (*CloseResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(CloseResponse)
	err := c.cc.Invoke(ctx, LockService_Close_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) Acquire(ctx context.Context, in *AcquireRequest, opts ...grpc.CallOption) (*AcquireResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(AcquireResponse)
	err := c.cc.Invoke(ctx, LockService_Acquire_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) Cancel(ctx context.Context, in *CancelRequest, opts ...grpc.CallOption) (*CancelResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(CancelResponse)
	err := c.cc.Invoke(ctx, LockService_Cancel_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) Release(ctx context.Context, in *ReleaseRequest, opts ...grpc.CallOption) (*ReleaseResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(ReleaseResponse)
	err := c.cc.Invoke(ctx, LockService_Release_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) Commit(ctx context.Context, in *CommitRequest, opts ...grpc.CallOption) (*CommitResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(CommitResponse)
	err := c.cc.Invoke(ctx, LockService_Commit_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) Discard(ctx context.Context, in *DiscardRequest, opts ...grpc.CallOption) (*DiscardResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(DiscardResponse)
	err := c.cc.Invoke(ctx, LockService_Discard_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) Append(ctx context.Context, in *AppendRequest, opts ...grpc.CallOption) (*AppendResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(AppendResponse)
	err := c.cc.Invoke(ctx, LockService_Append_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) Publish(ctx context.Context, in *PublishRequest, opts ...grpc.CallOption) (*PublishResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(PublishResponse)
	err := c.cc.Invoke(ctx, LockService_Publish_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) Withdraw(ctx context.Context, in *WithdrawRequest, opts ...grpc.CallOption) (*WithdrawResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(WithdrawResponse)
	err := c.cc.Invoke(ctx, LockService_Withdraw_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) Read(ctx context.Context, in *ReadRequest, opts ...grpc.CallOption) (*ReadResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(ReadResponse)
	err := c.cc.Invoke(ctx, LockService_Read_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) Tail(ctx context.Context, in *TailRequest, opts ...grpc.CallOption) (grpc.ServerStreamingClient[TailResponse], error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	stream, err := c.cc.NewStream(ctx, &LockService_ServiceDesc.Streams[0], LockService_Tail_FullMethodName, cOpts...)
	if err != nil {
		return nil, err
	}
	x := &grpc.GenericClientStream[TailRequest, TailResponse]{ClientStream: stream}
	if err := x.ClientStream.SendMsg(in); err != nil {
		return nil, err
	}
	if err := x.ClientStream.CloseSend(); err != nil {
		return nil, err
	}
	return x, nil
}

// This type alias is provided for backwards compatibility with existing code that references the prior non-generic stream type by name.
type LockService_TailClient = grpc.ServerStreamingClient[TailResponse]

func (c *lockServiceClient) ListFiles(ctx context.Context, in *ListFilesRequest, opts ...grpc.CallOption) (*ListFilesResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(ListFilesResponse)
	err := c.cc.Invoke(ctx, LockService_ListFiles_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) Inspect(ctx context.Context, in *InspectRequest, opts ...grpc.CallOption) (*InspectResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(InspectResponse)
	err := c.cc.Invoke(ctx, LockService_Inspect_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) List(ctx context.Context, in *ListRequest, opts ...grpc.CallOption) (*ListResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(ListResponse)
	err := c.cc.Invoke(ctx, LockService_List_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) InspectCluster(ctx context.Context, in *InspectClusterRequest, opts ...grpc.CallOption) (*InspectClusterResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(InspectClusterResponse)
	err := c.cc.Invoke(ctx, LockService_InspectCluster_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) Watch(ctx context.Context, in *WatchRequest, opts ...grpc.CallOption) (grpc.ServerStreamingClient[WatchResponse], error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	stream, err := c.cc.NewStream(ctx, &LockService_ServiceDesc.Streams[1], LockService_Watch_FullMethodName, cOpts...)
	if err != nil {
		return nil, err
	}
	x := &grpc.GenericClientStream[WatchRequest, WatchResponse]{ClientStream: stream}
	if err := x.ClientStream.SendMsg(in); err != nil {
		return nil, err
	}
	if err := x.ClientStream.CloseSend(); err != nil {
		return nil, err
	}
	return x, nil
}

// This type alias is provided for backwards compatibility with existing code that references the prior non-generic stream type by name.
type LockService_WatchClient = grpc.ServerStreamingClient[WatchResponse]

func (c *lockServiceClient) Evict(ctx context.Context, in *EvictRequest, opts ...grpc.CallOption) (*EvictResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(EvictResponse)
	err := c.cc.Invoke(ctx, LockService_Evict_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) ListProblems(ctx context.Context, in *ListProblemsRequest, opts ...grpc.CallOption) (*ListProblemsResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(ListProblemsResponse)
	err := c.cc.Invoke(ctx, LockService_ListProblems_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) Repair(ctx context.Context, in *RepairRequest, opts ...grpc.CallOption) (*RepairResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(RepairResponse)
	err := c.cc.Invoke(ctx, LockService_Repair_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) SetRetention(ctx context.Context, in *SetRetentionRequest, opts ...grpc.CallOption) (*SetRetentionResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(SetRetentionResponse)
	err := c.cc.Invoke(ctx, LockService_SetRetention_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) ListRetention(ctx context.Context, in *ListRetentionRequest, opts ...grpc.CallOption) (*ListRetentionResponse, error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	out := new(ListRetentionResponse)
	err := c.cc.Invoke(ctx, LockService_ListRetention_FullMethodName, in, out, cOpts...)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (c *lockServiceClient) Snapshot(ctx context.Context, in *SnapshotRequest, opts ...grpc.CallOption) (grpc.ServerStreamingClient[SnapshotResponse], error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	stream, err := c.cc.NewStream(ctx, &LockService_ServiceDesc.Streams[2], LockService_Snapshot_FullMethodName, cOpts...)
	if err != nil {
		return nil, err
	}
	x := &grpc.GenericClientStream[SnapshotRequest, SnapshotResponse]{ClientStream: stream}
	if err := x.ClientStream.SendMsg(in); err != nil {
		return nil, err
	}
	if err := x.ClientStream.CloseSend(); err != nil {
		return nil, err
	}
	return x, nil
}

// This type alias is provided for backwards compatibility with existing code that references the prior non-generic stream type by name.
type LockService_SnapshotClient = grpc.ServerStreamingClient[SnapshotResponse]

func (c *lockServiceClient) Stream(ctx context.Context, opts ...grpc.CallOption) (grpc.BidiStreamingClient[StreamRequest, StreamResponse], error) {
	cOpts := append([]grpc.CallOption{grpc.StaticMethod()}, opts...)
	stream, err := c.cc.NewStream(ctx, &LockService_ServiceDesc.Streams[3], LockService_Stream_FullMethodName, cOpts...)
	if err != nil {
		return nil, err
	}
	x := &grpc.GenericClientStream[StreamRequest, StreamResponse]{ClientStream: stream}
	return x, nil
}

// This type alias is provided for backwards compatibility with existing code that references the prior non-generic stream type by name.
type LockService_StreamClient = grpc.BidiStreamingClient[StreamRequest, StreamResponse]

// LockServiceServer is the server API for LockService service.
// All implementations must embed UnimplementedLockServiceServer
// for forward compatibility.
//
// LockService hands out fenced locks and keeps the files that only their holders may append to. Any server of a
// cluster serves any call of any session.
type LockServiceServer interface {
	// Init begins a session. A repeat begins another; one that nobody uses ends by itself after its TTL.
	// Errors: INVALID_TTL, INVALID_ARGUMENT (label, linger), NO_SPACE, WENT_BACK, OTHER_CLUSTER.
	Init(context.Context, *InitRequest) (*InitResponse, error)
	// Heartbeat keeps a session alive for another TTL, tells the state of the acquisitions it names, and ends those that
	// the client no longer knows. A repeat renews again. What it has seen is compared before anything else is done.
	// Errors: SESSION_EXPIRED, INVALID_ARGUMENT, WENT_BACK, OTHER_CLUSTER.
	Heartbeat(context.Context, *HeartbeatRequest) (*HeartbeatResponse, error)
	// Close ends a session and with it everything it holds or waits for; sections still open are lost. A repeat, or the
	// close of a session that has ended, succeeds. Errors: INVALID_ARGUMENT.
	Close(context.Context, *CloseRequest) (*CloseResponse, error)
	// Acquire asks for a lock and waits for it in FIFO order. A repeat finds its own place in the queue, or its own grant,
	// again. If the call breaks off, the place is kept: only Cancel, a Heartbeat that no longer lists the request, or
	// the session's end gives it up. Not getting the lock is an answer, not an error.
	// Errors: LOCK_EXPIRED (a repeat of a request whose section has ended), SESSION_EXPIRED, INVALID_NAME,
	// INVALID_ARGUMENT, NO_SPACE, QUOTA.
	Acquire(context.Context, *AcquireRequest) (*AcquireResponse, error)
	// Cancel gives up a wait. If the lock was granted meanwhile, the answer says so and the caller holds it: it must use
	// or end that section. A repeat answers the same. Errors: SESSION_EXPIRED, INVALID_NAME, INVALID_ARGUMENT.
	Cancel(context.Context, *CancelRequest) (*CancelResponse, error)
	// Release publishes the section and passes the lock to the next waiter, in one transaction. A repeat is the same
	// message, and answers the same, through any server, also after the session has ended. The answer is true: success only
	// if something shows that this section was ended by its own session (by its release or commit, if there were appends),
	// LOCK_EXPIRED only if something shows that it was not. What is too long ago for either is OUTCOME_UNKNOWN: the
	// section's marker or note is gone, and etcd's history does not reach back to its end. Its ErrorInfo has the metadata
	// not_by_this_call = "true" if this very call has not ended the section: a client that has sent it once has lost the
	// lock. Errors: LOCK_EXPIRED, OUTCOME_UNKNOWN, SESSION_EXPIRED (the credential is not that of the session; nothing was
	// changed), DATA_LOSS (an append that `last` names is gone; nothing was published, the lock is held still, and only a
	// Discard is left), NO_SPACE (with appends; the lock is held still), INVALID_NAME, INVALID_ARGUMENT.
	Release(context.Context, *ReleaseRequest) (*ReleaseResponse, error)
	// Commit publishes the section and goes on holding the lock under a new token: a hand-over to oneself. A repeat
	// answers with the same new token, or with 0 if that does not hold any more. Errors: as Release.
	Commit(context.Context, *CommitRequest) (*CommitResponse, error)
	// Discard drops the section's records and passes the lock on. A repeat, or the discard of a section that was lost,
	// succeeds, and so does that of one that was published, which the answer says. One without appends is answered with
	// "not published", whatever became of it. Errors: SESSION_EXPIRED (as Release), OUTCOME_UNKNOWN (as Release; only with
	// appends), INVALID_NAME, INVALID_ARGUMENT.
	Discard(context.Context, *DiscardRequest) (*DiscardResponse, error)
	// Append stages one record in the section. It is readable once the section is released or committed. A repeat with
	// the same request stages nothing more and succeeds. Errors: LOCK_EXPIRED, INVALID_NAME, INVALID_ARGUMENT,
	// TOO_LARGE (the record), QUOTA (the section), NO_SPACE, UNIMPLEMENTED (of an operation that is no append, before the
	// cluster's feature `life` is switched on; nothing was staged).
	Append(context.Context, *AppendRequest) (*AppendResponse, error)
	// Publish publishes a section in one call: whole, in order, and once however often the call is repeated, through any
	// server. It needs no session and takes no lock, but is refused while the lock is held or waited for: that is an answer,
	// not an error. With a session it may wait for its turn instead, in the lock's queue. A repeat is the same message. Publishes of a lane come one after the other: the next is sent when the last
	// is answered, or given up. What is answered with BUSY, or with an error, may still be published, by an earlier delivery of
	// the same message: the next publish of the lane rules that out, and so does a Withdraw.
	// Errors: OUTCOME_UNKNOWN (a later publish of the lane has come before, or this one is so old that what became of it is
	// forgotten; it will not be published from now on), TOO_LARGE, QUOTA (operations, files), NO_SPACE, WENT_BACK, INVALID_NAME,
	// INVALID_ARGUMENT, UNIMPLEMENTED (the cluster does not do it before its feature `publish` is switched on, and of
	// operations that are no appends, `life`); with a session also SESSION_EXPIRED (it is not published, and no other message
	// under that session will be), LIMIT. The caller needs the right to acquire the lock and the right to append, and
	// with a condition that to read.
	Publish(context.Context, *PublishRequest) (*PublishResponse, error)
	// Withdraw rules a publish out that was sent or not, or finds out that it was made. A repeat answers the same.
	// Errors: OUTCOME_UNKNOWN, NO_SPACE, WENT_BACK, INVALID_NAME, INVALID_ARGUMENT, UNIMPLEMENTED, as of Publish.
	Withdraw(context.Context, *WithdrawRequest) (*WithdrawResponse, error)
	// Read returns a piece of a file's published bytes. It sees every section whose release, commit or publish was answered
	// before the read began. All of it is of one life. Errors: FILE_NOT_FOUND, FILE_CHANGED (it is not in the life that was
	// asked for), OFFSET_GONE (what is there was cut off), INVALID_NAME, INVALID_ARGUMENT.
	Read(context.Context, *ReadRequest) (*ReadResponse, error)
	// Tail streams a file's published bytes from an offset on, and goes on as sections are published, until the caller
	// ends it. A file that does not exist yet is waited for. Resume with the last answer's offset plus its length, and
	// its life. What becomes of the file is told: it is cut, replaced or removed. Lives may be left out, and are never mixed.
	// Errors: INVALID_NAME, INVALID_ARGUMENT.
	Tail(*TailRequest, grpc.ServerStreamingServer[TailResponse]) error
	// ListFiles lists the files of one lock, or of all, in name order. Errors: INVALID_NAME, INVALID_ARGUMENT.
	ListFiles(context.Context, *ListFilesRequest) (*ListFilesResponse, error)
	// Inspect tells who holds a lock and who waits for it. Errors: LOCK_NOT_FOUND (nobody holds it, nobody waits, and
	// it has neither files nor a remembered undone section), INVALID_NAME.
	Inspect(context.Context, *InspectRequest) (*InspectResponse, error)
	// List tells which locks are held or waited for, by whom, in name order. Errors: INVALID_ARGUMENT.
	// The answer is no older than the call, and its next pages are as of the same revision, unless they are late.
	List(context.Context, *ListRequest) (*ListResponse, error)
	// InspectCluster tells what this server knows of the etcd behind it: its members, and how full it is. What a member
	// says of itself is there for those that this server can ask: its own with embedded etcd, all with an external one.
	// Ask every server for the rest. Errors: none of its own.
	InspectCluster(context.Context, *InspectClusterRequest) (*InspectClusterResponse, error)
	// Watch streams what happens to locks: first the state as it is, then each change in order. A watcher that cannot
	// keep up is ended with QUOTA and watches anew. With `since` no state comes, but all that happened after that revision,
	// once and in order, and then each change: after an error it goes on from the last revision that was told.
	// Errors: INVALID_ARGUMENT, COMPACTED (the text says which is the oldest revision that can be given).
	Watch(*WatchRequest, grpc.ServerStreamingServer[WatchResponse]) error
	// Evict takes a lock from its holder: the section is undone, the lock passes on. The reason is kept and shown.
	// With a token a repeat changes nothing and succeeds, and so does the eviction of a token that does not hold the lock.
	// Errors: LOCK_NOT_FOUND (no token was given and nobody holds it), INVALID_NAME, INVALID_ARGUMENT (no reason), NO_SPACE.
	Evict(context.Context, *EvictRequest) (*EvictResponse, error)
	// ListProblems lists the keys in storage that are malformed. All that there is is read for it, a part with each call, so go
	// on while there is a next_page_token. Errors: INVALID_ARGUMENT.
	ListProblems(context.Context, *ListProblemsRequest) (*ListProblemsResponse, error)
	// Repair removes a key that is malformed, as it was put at a revision, and nothing that is as it should be. The holder of a
	// lock is removed as by an eviction, a file's head with its bytes. A repeat changes nothing and succeeds.
	// Errors: INVALID_ARGUMENT (the key is not malformed, or none that a server removes), NO_SPACE.
	Repair(context.Context, *RepairRequest) (*RepairResponse, error)
	// SetRetention has every server keep no more than so much of files of the locks whose names begin with a prefix, from about
	// a minute on: what is older, or more, is cut off from their beginning, where a section ends, whoever holds the lock.
	// Versions stay. It takes the place of what was said of that prefix before, and of shorter ones for such locks. A
	// retention that bounds nothing is removed. A repeat changes nothing. Errors: INVALID_ARGUMENT, QUOTA (there are
	// retentions of 256 prefixes), UNIMPLEMENTED (before the feature `life` is switched on), NO_SPACE.
	SetRetention(context.Context, *SetRetentionRequest) (*SetRetentionResponse, error)
	// ListRetention lists what is retained, in the order of prefixes. Errors: none of its own.
	ListRetention(context.Context, *ListRetentionRequest) (*ListRetentionResponse, error)
	// Snapshot streams a copy of all that etcd has, not only of this cluster's keys, as it is at one revision: etcd's own
	// form of a snapshot, with which its tools go on. Its last 32 bytes are the SHA-256 of those before, and without them it
	// is not whole. A broken stream cannot be resumed. What comes too slowly to the caller is broken off: less than 1 MiB a
	// second after the first half minute. Errors: LIMIT, WENT_BACK, NO_QUORUM, and PERMISSION_DENIED also if etcd does not
	// allow it to the server's user.
	Snapshot(*SnapshotRequest, grpc.ServerStreamingServer[SnapshotResponse]) error
	// Stream carries the unary calls above, multiplexed over one bidirectional stream: answers come as they are ready, in any
	// order, matched by call number. The stream's end cancels no acquisition. Its header `dlm-peer` is the address that the
	// client is seen under: if that is the client's own, nothing between them ends connections. A session that lingers does
	// not do so for a stream on which a call was answered with UNAVAILABLE, DEADLINE_EXCEEDED or CANCELLED: whoever was
	// sent elsewhere may leave.
	Stream(grpc.BidiStreamingServer[StreamRequest, StreamResponse]) error
	mustEmbedUnimplementedLockServiceServer()
}

// UnimplementedLockServiceServer must be embedded to have
// forward compatible implementations.
//
// NOTE: this should be embedded by value instead of pointer to avoid a nil
// pointer dereference when methods are called.
type UnimplementedLockServiceServer struct{}

func (UnimplementedLockServiceServer) Init(context.Context, *InitRequest) (*InitResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method Init not implemented")
}
func (UnimplementedLockServiceServer) Heartbeat(context.Context, *HeartbeatRequest) (*HeartbeatResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method Heartbeat not implemented")
}
func (UnimplementedLockServiceServer) Close(context.Context, *CloseRequest) (*CloseResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method Close not implemented")
}
func (UnimplementedLockServiceServer) Acquire(context.Context, *AcquireRequest) (*AcquireResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method Acquire not implemented")
}
func (UnimplementedLockServiceServer) Cancel(context.Context, *CancelRequest) (*CancelResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method Cancel not implemented")
}
func (UnimplementedLockServiceServer) Release(context.Context, *ReleaseRequest) (*ReleaseResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method Release not implemented")
}
func (UnimplementedLockServiceServer) Commit(context.Context, *CommitRequest) (*CommitResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method Commit not implemented")
}
func (UnimplementedLockServiceServer) Discard(context.Context, *DiscardRequest) (*DiscardResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method Discard not implemented")
}
func (UnimplementedLockServiceServer) Append(context.Context, *AppendRequest) (*AppendResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method Append not implemented")
}
func (UnimplementedLockServiceServer) Publish(context.Context, *PublishRequest) (*PublishResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method Publish not implemented")
}
func (UnimplementedLockServiceServer) Withdraw(context.Context, *WithdrawRequest) (*WithdrawResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method Withdraw not implemented")
}
func (UnimplementedLockServiceServer) Read(context.Context, *ReadRequest) (*ReadResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method Read not implemented")
}
func (UnimplementedLockServiceServer) Tail(*TailRequest, grpc.ServerStreamingServer[TailResponse]) error {
	return status.Error(codes.Unimplemented, "method Tail not implemented")
}
func (UnimplementedLockServiceServer) ListFiles(context.Context, *ListFilesRequest) (*ListFilesResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method ListFiles not implemented")
}
func (UnimplementedLockServiceServer) Inspect(context.Context, *InspectRequest) (*InspectResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method Inspect not implemented")
}
func (UnimplementedLockServiceServer) List(context.Context, *ListRequest) (*ListResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method List not implemented")
}
func (UnimplementedLockServiceServer) InspectCluster(context.Context, *InspectClusterRequest) (*InspectClusterResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method InspectCluster not implemented")
}
func (UnimplementedLockServiceServer) Watch(*WatchRequest, grpc.ServerStreamingServer[WatchResponse]) error {
	return status.Error(codes.Unimplemented, "method Watch not implemented")
}
func (UnimplementedLockServiceServer) Evict(context.Context, *EvictRequest) (*EvictResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method Evict not implemented")
}
func (UnimplementedLockServiceServer) ListProblems(context.Context, *ListProblemsRequest) (*ListProblemsResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method ListProblems not implemented")
}
func (UnimplementedLockServiceServer) Repair(context.Context, *RepairRequest) (*RepairResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method Repair not implemented")
}
func (UnimplementedLockServiceServer) SetRetention(context.Context, *SetRetentionRequest) (*SetRetentionResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method SetRetention not implemented")
}
func (UnimplementedLockServiceServer) ListRetention(context.Context, *ListRetentionRequest) (*ListRetentionResponse, error) {
	return nil, status.Error(codes.Unimplemented, "method ListRetention not implemented")
}
func (UnimplementedLockServiceServer) Snapshot(*SnapshotRequest, grpc.ServerStreamingServer[SnapshotResponse]) error {
	return status.Error(codes.Unimplemented, "method Snapshot not implemented")
}
func (UnimplementedLockServiceServer) Stream(grpc.BidiStreamingServer[StreamRequest, StreamResponse]) error {
	return status.Error(codes.Unimplemented, "method Stream not implemented")
}
func (UnimplementedLockServiceServer) mustEmbedUnimplementedLockServiceServer() {}
func (UnimplementedLockServiceServer) testEmbeddedByValue()                     {}

// UnsafeLockServiceServer may be embedded to opt out of forward compatibility for this service.
// Use of this interface is not recommended, as added methods to LockServiceServer will
// result in compilation errors.
type UnsafeLockServiceServer interface {
	mustEmbedUnimplementedLockServiceServer()
}

func RegisterLockServiceServer(s grpc.ServiceRegistrar, srv LockServiceServer) {
	// If the following call panics, it indicates UnimplementedLockServiceServer was
	// embedded by pointer and is nil.  This will cause panics if an
	// unimplemented method is ever invoked, so we test this at initialization
	// time to prevent it from happening at runtime later due to I/O.
	if t, ok := srv.(interface{ testEmbeddedByValue() }); ok {
		t.testEmbeddedByValue()
	}
	s.RegisterService(&LockService_ServiceDesc, srv)
}

func _LockService_Init_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(InitRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).Init(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_Init_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).Init(ctx, req.(*InitRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_Heartbeat_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(HeartbeatRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).Heartbeat(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_Heartbeat_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).Heartbeat(ctx, req.(*HeartbeatRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_Close_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(CloseRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).Close(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_Close_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).Close(ctx, req.(*CloseRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_Acquire_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(AcquireRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).Acquire(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_Acquire_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).Acquire(ctx, req.(*AcquireRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_Cancel_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(CancelRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).Cancel(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_Cancel_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).Cancel(ctx, req.(*CancelRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_Release_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(ReleaseRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).Release(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_Release_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).Release(ctx, req.(*ReleaseRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_Commit_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(CommitRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).Commit(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_Commit_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).Commit(ctx, req.(*CommitRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_Discard_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(DiscardRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).Discard(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_Discard_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).Discard(ctx, req.(*DiscardRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_Append_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(AppendRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).Append(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_Append_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).Append(ctx, req.(*AppendRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_Publish_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(PublishRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).Publish(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_Publish_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).Publish(ctx, req.(*PublishRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_Withdraw_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(WithdrawRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).Withdraw(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_Withdraw_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).Withdraw(ctx, req.(*WithdrawRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_Read_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(ReadRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).Read(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_Read_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).Read(ctx, req.(*ReadRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_Tail_Handler(srv interface{}, stream grpc.ServerStream) error {
	m := new(TailRequest)
	if err := stream.RecvMsg(m); err != nil {
		return err
	}
	return srv.(LockServiceServer).Tail(m, &grpc.GenericServerStream[TailRequest, TailResponse]{ServerStream: stream})
}

// This type alias is provided for backwards compatibility with existing code that references the prior non-generic stream type by name.
type LockService_TailServer = grpc.ServerStreamingServer[TailResponse]

func _LockService_ListFiles_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(ListFilesRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).ListFiles(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_ListFiles_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).ListFiles(ctx, req.(*ListFilesRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_Inspect_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(InspectRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).Inspect(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_Inspect_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).Inspect(ctx, req.(*InspectRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_List_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(ListRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).List(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_List_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).List(ctx, req.(*ListRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_InspectCluster_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(InspectClusterRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).InspectCluster(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_InspectCluster_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).InspectCluster(ctx, req.(*InspectClusterRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_Watch_Handler(srv interface{}, stream grpc.ServerStream) error {
	m := new(WatchRequest)
	if err := stream.RecvMsg(m); err != nil {
		return err
	}
	return srv.(LockServiceServer).Watch(m, &grpc.GenericServerStream[WatchRequest, WatchResponse]{ServerStream: stream})
}

// This type alias is provided for backwards compatibility with existing code that references the prior non-generic stream type by name.
type LockService_WatchServer = grpc.ServerStreamingServer[WatchResponse]

func _LockService_Evict_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(EvictRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).Evict(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_Evict_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).Evict(ctx, req.(*EvictRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_ListProblems_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(ListProblemsRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).ListProblems(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_ListProblems_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).ListProblems(ctx, req.(*ListProblemsRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_Repair_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(RepairRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).Repair(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_Repair_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).Repair(ctx, req.(*RepairRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_SetRetention_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(SetRetentionRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).SetRetention(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_SetRetention_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).SetRetention(ctx, req.(*SetRetentionRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_ListRetention_Handler(srv interface{}, ctx context.Context, dec func(interface{}) error, interceptor grpc.UnaryServerInterceptor) (interface{}, error) {
	in := new(ListRetentionRequest)
	if err := dec(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(LockServiceServer).ListRetention(ctx, in)
	}
	info := &grpc.UnaryServerInfo{
		Server:     srv,
		FullMethod: LockService_ListRetention_FullMethodName,
	}
	handler := func(ctx context.Context, req interface{}) (interface{}, error) {
		return srv.(LockServiceServer).ListRetention(ctx, req.(*ListRetentionRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func _LockService_Snapshot_Handler(srv interface{}, stream grpc.ServerStream) error {
	m := new(SnapshotRequest)
	if err := stream.RecvMsg(m); err != nil {
		return err
	}
	return srv.(LockServiceServer).Snapshot(m, &grpc.GenericServerStream[SnapshotRequest, SnapshotResponse]{ServerStream: stream})
}

// This type alias is provided for backwards compatibility with existing code that references the prior non-generic stream type by name.
type LockService_SnapshotServer = grpc.ServerStreamingServer[SnapshotResponse]

func _LockService_Stream_Handler(srv interface{}, stream grpc.ServerStream) error {
	return srv.(LockServiceServer).Stream(&grpc.GenericServerStream[StreamRequest, StreamResponse]{ServerStream: stream})
}

// This type alias is provided for backwards compatibility with existing code that references the prior non-generic stream type by name.
type LockService_StreamServer = grpc.BidiStreamingServer[StreamRequest, StreamResponse]

// LockService_ServiceDesc is the grpc.ServiceDesc for LockService service.
// It's only intended for direct use with grpc.RegisterService,
// and not to be introspected or modified (even as a copy)
var LockService_ServiceDesc = grpc.ServiceDesc{
	ServiceName: "dlm.v1.LockService",
	HandlerType: (*LockServiceServer)(nil),
	Methods: []grpc.MethodDesc{
		{
			MethodName: "Init",
			Handler:    _LockService_Init_Handler,
		},
		{
			MethodName: "Heartbeat",
			Handler:    _LockService_Heartbeat_Handler,
		},
		{
			MethodName: "Close",
			Handler:    _LockService_Close_Handler,
		},
		{
			MethodName: "Acquire",
			Handler:    _LockService_Acquire_Handler,
		},
		{
			MethodName: "Cancel",
			Handler:    _LockService_Cancel_Handler,
		},
		{
			MethodName: "Release",
			Handler:    _LockService_Release_Handler,
		},
		{
			MethodName: "Commit",
			Handler:    _LockService_Commit_Handler,
		},
		{
			MethodName: "Discard",
			Handler:    _LockService_Discard_Handler,
		},
		{
			MethodName: "Append",
			Handler:    _LockService_Append_Handler,
		},
		{
			MethodName: "Publish",
			Handler:    _LockService_Publish_Handler,
		},
		{
			MethodName: "Withdraw",
			Handler:    _LockService_Withdraw_Handler,
		},
		{
			MethodName: "Read",
			Handler:    _LockService_Read_Handler,
		},
		{
			MethodName: "ListFiles",
			Handler:    _LockService_ListFiles_Handler,
		},
		{
			MethodName: "Inspect",
			Handler:    _LockService_Inspect_Handler,
		},
		{
			MethodName: "List",
			Handler:    _LockService_List_Handler,
		},
		{
			MethodName: "InspectCluster",
			Handler:    _LockService_InspectCluster_Handler,
		},
		{
			MethodName: "Evict",
			Handler:    _LockService_Evict_Handler,
		},
		{
			MethodName: "ListProblems",
			Handler:    _LockService_ListProblems_Handler,
		},
		{
			MethodName: "Repair",
			Handler:    _LockService_Repair_Handler,
		},
		{
			MethodName: "SetRetention",
			Handler:    _LockService_SetRetention_Handler,
		},
		{
			MethodName: "ListRetention",
			Handler:    _LockService_ListRetention_Handler,
		},
	},
	Streams: []grpc.StreamDesc{
		{
			StreamName:    "Tail",
			Handler:       _LockService_Tail_Handler,
			ServerStreams: true,
		},
		{
			StreamName:    "Watch",
			Handler:       _LockService_Watch_Handler,
			ServerStreams: true,
		},
		{
			StreamName:    "Snapshot",
			Handler:       _LockService_Snapshot_Handler,
			ServerStreams: true,
		},
		{
			StreamName:    "Stream",
			Handler:       _LockService_Stream_Handler,
			ServerStreams: true,
			ClientStreams: true,
		},
	},
	Metadata: "dlm/v1/dlm.proto",
}
