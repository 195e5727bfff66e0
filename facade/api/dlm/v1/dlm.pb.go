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

// Code generated by protoc-gen-go. DO NOT EDIT.
// versions:
// 	protoc-gen-go v1.36.12
// 	protoc        (unknown)
// source: dlm/v1/dlm.proto

package dlmv1

import (
	protoreflect "google.golang.org/protobuf/reflect/protoreflect"
	protoimpl "google.golang.org/protobuf/runtime/protoimpl"
	anypb "google.golang.org/protobuf/types/known/anypb"
	durationpb "google.golang.org/protobuf/types/known/durationpb"
	timestamppb "google.golang.org/protobuf/types/known/timestamppb"
	reflect "reflect"
	sync "sync"
	unsafe "unsafe"
)

const (
	// Verify that this generated code is sufficiently up-to-date.
	_ = protoimpl.EnforceVersion(20 - protoimpl.MinVersion)
	// Verify that runtime/protoimpl is sufficiently up-to-date.
	_ = protoimpl.EnforceVersion(protoimpl.MaxVersion - 20)
)

// State says what an acquisition is.
type AcquisitionState_State int32

const (
	// Never sent.
	AcquisitionState_STATE_UNSPECIFIED AcquisitionState_State = 0
	// It waits in the lock's queue.
	AcquisitionState_STATE_WAITING AcquisitionState_State = 1
	// It holds the lock under `token`.
	AcquisitionState_STATE_HOLDING AcquisitionState_State = 2
	// It neither holds nor waits: it has ended, or its Acquire has not arrived.
	AcquisitionState_STATE_NONE AcquisitionState_State = 3
)

// Enum value maps for AcquisitionState_State.
var (
	AcquisitionState_State_name = map[int32]string{
		0: "STATE_UNSPECIFIED",
		1: "STATE_WAITING",
		2: "STATE_HOLDING",
		3: "STATE_NONE",
	}
	AcquisitionState_State_value = map[string]int32{
		"STATE_UNSPECIFIED": 0,
		"STATE_WAITING":     1,
		"STATE_HOLDING":     2,
		"STATE_NONE":        3,
	}
)

func (x AcquisitionState_State) Enum() *AcquisitionState_State {
	p := new(AcquisitionState_State)
	*p = x
	return p
}

func (x AcquisitionState_State) String() string {
	return protoimpl.X.EnumStringOf(x.Descriptor(), protoreflect.EnumNumber(x))
}

func (AcquisitionState_State) Descriptor() protoreflect.EnumDescriptor {
	return file_dlm_v1_dlm_proto_enumTypes[0].Descriptor()
}

func (AcquisitionState_State) Type() protoreflect.EnumType {
	return &file_dlm_v1_dlm_proto_enumTypes[0]
}

func (x AcquisitionState_State) Number() protoreflect.EnumNumber {
	return protoreflect.EnumNumber(x)
}

// Deprecated: Use AcquisitionState_State.Descriptor instead.
func (AcquisitionState_State) EnumDescriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{6, 0}
}

// Outcome says what became of it.
type AcquireResponse_Outcome int32

const (
	// Never sent.
	AcquireResponse_OUTCOME_UNSPECIFIED AcquireResponse_Outcome = 0
	// The lock is held, under `token`.
	AcquireResponse_OUTCOME_GRANTED AcquireResponse_Outcome = 1
	// The lock was not had within `wait`. Nothing of the attempt is left: it is in no queue.
	AcquireResponse_OUTCOME_BUSY AcquireResponse_Outcome = 2
	// The wait was given up by a Cancel, or by a heartbeat that did not list it. Nothing of the attempt is left.
	AcquireResponse_OUTCOME_CANCELLED AcquireResponse_Outcome = 3
)

// Enum value maps for AcquireResponse_Outcome.
var (
	AcquireResponse_Outcome_name = map[int32]string{
		0: "OUTCOME_UNSPECIFIED",
		1: "OUTCOME_GRANTED",
		2: "OUTCOME_BUSY",
		3: "OUTCOME_CANCELLED",
	}
	AcquireResponse_Outcome_value = map[string]int32{
		"OUTCOME_UNSPECIFIED": 0,
		"OUTCOME_GRANTED":     1,
		"OUTCOME_BUSY":        2,
		"OUTCOME_CANCELLED":   3,
	}
)

func (x AcquireResponse_Outcome) Enum() *AcquireResponse_Outcome {
	p := new(AcquireResponse_Outcome)
	*p = x
	return p
}

func (x AcquireResponse_Outcome) String() string {
	return protoimpl.X.EnumStringOf(x.Descriptor(), protoreflect.EnumNumber(x))
}

func (AcquireResponse_Outcome) Descriptor() protoreflect.EnumDescriptor {
	return file_dlm_v1_dlm_proto_enumTypes[1].Descriptor()
}

func (AcquireResponse_Outcome) Type() protoreflect.EnumType {
	return &file_dlm_v1_dlm_proto_enumTypes[1]
}

func (x AcquireResponse_Outcome) Number() protoreflect.EnumNumber {
	return protoreflect.EnumNumber(x)
}

// Deprecated: Use AcquireResponse_Outcome.Descriptor instead.
func (AcquireResponse_Outcome) EnumDescriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{10, 0}
}

// Outcome says what became of it.
type PublishResponse_Outcome int32

const (
	// Never sent.
	PublishResponse_OUTCOME_UNSPECIFIED PublishResponse_Outcome = 0
	// It is published, now or before, under `version`.
	PublishResponse_OUTCOME_PUBLISHED PublishResponse_Outcome = 1
	// So far it is not: the lock is held or waited for.
	PublishResponse_OUTCOME_BUSY PublishResponse_Outcome = 2
	// It is not published, and never will be: it was withdrawn.
	PublishResponse_OUTCOME_WITHDRAWN PublishResponse_Outcome = 3
	// So far it is not: its condition does not hold. If that asks for versions alone, it never will be, for versions do not
	// come back.
	PublishResponse_OUTCOME_CONFLICT PublishResponse_Outcome = 4
)

// Enum value maps for PublishResponse_Outcome.
var (
	PublishResponse_Outcome_name = map[int32]string{
		0: "OUTCOME_UNSPECIFIED",
		1: "OUTCOME_PUBLISHED",
		2: "OUTCOME_BUSY",
		3: "OUTCOME_WITHDRAWN",
		4: "OUTCOME_CONFLICT",
	}
	PublishResponse_Outcome_value = map[string]int32{
		"OUTCOME_UNSPECIFIED": 0,
		"OUTCOME_PUBLISHED":   1,
		"OUTCOME_BUSY":        2,
		"OUTCOME_WITHDRAWN":   3,
		"OUTCOME_CONFLICT":    4,
	}
)

func (x PublishResponse_Outcome) Enum() *PublishResponse_Outcome {
	p := new(PublishResponse_Outcome)
	*p = x
	return p
}

func (x PublishResponse_Outcome) String() string {
	return protoimpl.X.EnumStringOf(x.Descriptor(), protoreflect.EnumNumber(x))
}

func (PublishResponse_Outcome) Descriptor() protoreflect.EnumDescriptor {
	return file_dlm_v1_dlm_proto_enumTypes[2].Descriptor()
}

func (PublishResponse_Outcome) Type() protoreflect.EnumType {
	return &file_dlm_v1_dlm_proto_enumTypes[2]
}

func (x PublishResponse_Outcome) Number() protoreflect.EnumNumber {
	return protoreflect.EnumNumber(x)
}

// Deprecated: Use PublishResponse_Outcome.Descriptor instead.
func (PublishResponse_Outcome) EnumDescriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{26, 0}
}

// Type says what happened.
type Event_Type int32

const (
	// Never sent.
	Event_TYPE_UNSPECIFIED Event_Type = 0
	// An acquisition joined the queue.
	Event_TYPE_WAITING Event_Type = 1
	// An acquisition was granted the lock under `token`.
	Event_TYPE_GRANTED Event_Type = 2
	// The holder published its section under `token` and goes on; a GRANTED with the new token follows.
	Event_TYPE_COMMITTED Event_Type = 3
	// The holder gave the lock up, by release or discard.
	Event_TYPE_RELEASED Event_Type = 4
	// The holder lost the lock: its session ended, or it was evicted. `reason` says which.
	Event_TYPE_LOST Event_Type = 5
	// A waiter left the queue without the lock: cancelled, or its session ended.
	Event_TYPE_LEFT Event_Type = 6
)

// Enum value maps for Event_Type.
var (
	Event_Type_name = map[int32]string{
		0: "TYPE_UNSPECIFIED",
		1: "TYPE_WAITING",
		2: "TYPE_GRANTED",
		3: "TYPE_COMMITTED",
		4: "TYPE_RELEASED",
		5: "TYPE_LOST",
		6: "TYPE_LEFT",
	}
	Event_Type_value = map[string]int32{
		"TYPE_UNSPECIFIED": 0,
		"TYPE_WAITING":     1,
		"TYPE_GRANTED":     2,
		"TYPE_COMMITTED":   3,
		"TYPE_RELEASED":    4,
		"TYPE_LOST":        5,
		"TYPE_LEFT":        6,
	}
)

func (x Event_Type) Enum() *Event_Type {
	p := new(Event_Type)
	*p = x
	return p
}

func (x Event_Type) String() string {
	return protoimpl.X.EnumStringOf(x.Descriptor(), protoreflect.EnumNumber(x))
}

func (Event_Type) Descriptor() protoreflect.EnumDescriptor {
	return file_dlm_v1_dlm_proto_enumTypes[3].Descriptor()
}

func (Event_Type) Type() protoreflect.EnumType {
	return &file_dlm_v1_dlm_proto_enumTypes[3]
}

func (x Event_Type) Number() protoreflect.EnumNumber {
	return protoreflect.EnumNumber(x)
}

// Deprecated: Use Event_Type.Descriptor instead.
func (Event_Type) EnumDescriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{49, 0}
}

// InitRequest asks for a session.
type InitRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// How long the session outlives its last heartbeat, 2 s to 10 min. Absent: 10 s. etcd may grant more.
	Ttl *durationpb.Duration `protobuf:"bytes,1,opt,name=ttl,proto3" json:"ttl,omitempty"`
	// Who this is, for the eyes of operators: any UTF-8 without control characters, 128 bytes at most. May be empty.
	Label string `protobuf:"bytes,2,opt,name=label,proto3" json:"label,omitempty"`
	// The session ends when the stream that it is attached to was closed by the client's side, and the session was not
	// attached to another one within this time: 1 s to the TTL. Absent: it lives its TTL, whatever becomes of the stream.
	// Only for Init over a Stream, which is the session's first attachment, number 1; elsewhere it attaches to nothing.
	Linger *durationpb.Duration `protobuf:"bytes,3,opt,name=linger,proto3" json:"linger,omitempty"`
	// Whether the client takes Lost messages on this stream for this session.
	TakesLost bool `protobuf:"varint,4,opt,name=takes_lost,json=takesLost,proto3" json:"takes_lost,omitempty"`
	// What the client has seen of the cluster. Absent: nothing.
	Seen          *Seen `protobuf:"bytes,5,opt,name=seen,proto3" json:"seen,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *InitRequest) Reset() {
	*x = InitRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[0]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *InitRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*InitRequest) ProtoMessage() {}

func (x *InitRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[0]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use InitRequest.ProtoReflect.Descriptor instead.
func (*InitRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{0}
}

func (x *InitRequest) GetTtl() *durationpb.Duration {
	if x != nil {
		return x.Ttl
	}
	return nil
}

func (x *InitRequest) GetLabel() string {
	if x != nil {
		return x.Label
	}
	return ""
}

func (x *InitRequest) GetLinger() *durationpb.Duration {
	if x != nil {
		return x.Linger
	}
	return nil
}

func (x *InitRequest) GetTakesLost() bool {
	if x != nil {
		return x.TakesLost
	}
	return false
}

func (x *InitRequest) GetSeen() *Seen {
	if x != nil {
		return x.Seen
	}
	return nil
}

// Seen is what a client has seen of a cluster, so that it notices if that went back, as after the restore of an old
// snapshot, or is another one.
type Seen struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The cluster's id. Empty: none was seen.
	Cluster string `protobuf:"bytes,1,opt,name=cluster,proto3" json:"cluster,omitempty"`
	// The highest revision of any answer that had come before this message was sent; tokens are revisions.
	Revision      int64 `protobuf:"varint,2,opt,name=revision,proto3" json:"revision,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *Seen) Reset() {
	*x = Seen{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[1]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *Seen) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*Seen) ProtoMessage() {}

func (x *Seen) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[1]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use Seen.ProtoReflect.Descriptor instead.
func (*Seen) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{1}
}

func (x *Seen) GetCluster() string {
	if x != nil {
		return x.Cluster
	}
	return ""
}

func (x *Seen) GetRevision() int64 {
	if x != nil {
		return x.Revision
	}
	return 0
}

// InitResponse is a new session.
type InitResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The session's credential: a secret. Whoever has it can do everything that the session can. Where servers ask who
	// their clients are, that must besides be the identity that began the session.
	Session string `protobuf:"bytes,1,opt,name=session,proto3" json:"session,omitempty"`
	// The TTL that was granted: count with this one, from the moment the call was sent.
	Ttl *durationpb.Duration `protobuf:"bytes,2,opt,name=ttl,proto3" json:"ttl,omitempty"`
	// The session's public id, the first half of the credential; status calls show it.
	Id string `protobuf:"bytes,3,opt,name=id,proto3" json:"id,omitempty"`
	// The cluster's id.
	Cluster string `protobuf:"bytes,4,opt,name=cluster,proto3" json:"cluster,omitempty"`
	// The revision at which the session was begun.
	Revision      int64 `protobuf:"varint,5,opt,name=revision,proto3" json:"revision,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *InitResponse) Reset() {
	*x = InitResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[2]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *InitResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*InitResponse) ProtoMessage() {}

func (x *InitResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[2]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use InitResponse.ProtoReflect.Descriptor instead.
func (*InitResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{2}
}

func (x *InitResponse) GetSession() string {
	if x != nil {
		return x.Session
	}
	return ""
}

func (x *InitResponse) GetTtl() *durationpb.Duration {
	if x != nil {
		return x.Ttl
	}
	return nil
}

func (x *InitResponse) GetId() string {
	if x != nil {
		return x.Id
	}
	return ""
}

func (x *InitResponse) GetCluster() string {
	if x != nil {
		return x.Cluster
	}
	return ""
}

func (x *InitResponse) GetRevision() int64 {
	if x != nil {
		return x.Revision
	}
	return 0
}

// Acquisition names one attempt to get one lock; the session is the message's.
type Acquisition struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The lock's name.
	Lock string `protobuf:"bytes,1,opt,name=lock,proto3" json:"lock,omitempty"`
	// The request that Acquire was called with.
	Request       string `protobuf:"bytes,2,opt,name=request,proto3" json:"request,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *Acquisition) Reset() {
	*x = Acquisition{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[3]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *Acquisition) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*Acquisition) ProtoMessage() {}

func (x *Acquisition) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[3]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use Acquisition.ProtoReflect.Descriptor instead.
func (*Acquisition) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{3}
}

func (x *Acquisition) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

func (x *Acquisition) GetRequest() string {
	if x != nil {
		return x.Request
	}
	return ""
}

// HeartbeatRequest renews a session.
type HeartbeatRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The session's credential.
	Session string `protobuf:"bytes,1,opt,name=session,proto3" json:"session,omitempty"`
	// The highest request number that this session had issued when the heartbeat was sent. Everything that the session
	// holds or waits for under a decimal number from 1 to this one, and that is not in `unfinished`, is ended: its
	// section is undone, its place in the queue given up. 0: end nothing.
	HighestRequest uint64 `protobuf:"varint,2,opt,name=highest_request,json=highestRequest,proto3" json:"highest_request,omitempty"`
	// The acquisitions that the client still wants, waiting and held, whatever their number; 1,000 at most.
	Unfinished []*Acquisition `protobuf:"bytes,3,rep,name=unfinished,proto3" json:"unfinished,omitempty"`
	// The number of the session's attachment: 1 for the stream of its Init, one more for each stream that the client moves
	// to. A number above the one that is recorded attaches the session to the stream that this message came by, or to none
	// if it came as a call of its own: then it does not linger. 0: attaches nothing.
	Attachment uint64 `protobuf:"varint,4,opt,name=attachment,proto3" json:"attachment,omitempty"`
	// As in InitRequest.
	TakesLost bool `protobuf:"varint,5,opt,name=takes_lost,json=takesLost,proto3" json:"takes_lost,omitempty"`
	// As in InitRequest.
	Seen          *Seen `protobuf:"bytes,6,opt,name=seen,proto3" json:"seen,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *HeartbeatRequest) Reset() {
	*x = HeartbeatRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[4]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *HeartbeatRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*HeartbeatRequest) ProtoMessage() {}

func (x *HeartbeatRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[4]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use HeartbeatRequest.ProtoReflect.Descriptor instead.
func (*HeartbeatRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{4}
}

func (x *HeartbeatRequest) GetSession() string {
	if x != nil {
		return x.Session
	}
	return ""
}

func (x *HeartbeatRequest) GetHighestRequest() uint64 {
	if x != nil {
		return x.HighestRequest
	}
	return 0
}

func (x *HeartbeatRequest) GetUnfinished() []*Acquisition {
	if x != nil {
		return x.Unfinished
	}
	return nil
}

func (x *HeartbeatRequest) GetAttachment() uint64 {
	if x != nil {
		return x.Attachment
	}
	return 0
}

func (x *HeartbeatRequest) GetTakesLost() bool {
	if x != nil {
		return x.TakesLost
	}
	return false
}

func (x *HeartbeatRequest) GetSeen() *Seen {
	if x != nil {
		return x.Seen
	}
	return nil
}

// HeartbeatResponse is what became of a renewal.
type HeartbeatResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The session lives at least this long, from the moment the heartbeat was sent.
	Ttl *durationpb.Duration `protobuf:"bytes,1,opt,name=ttl,proto3" json:"ttl,omitempty"`
	// The state of each acquisition that was named, in the order of the request, read from the store and not from a cache.
	States []*AcquisitionState `protobuf:"bytes,2,rep,name=states,proto3" json:"states,omitempty"`
	// The revision as of which the states were read: the earliest of them, if they were read in parts.
	Revision int64 `protobuf:"varint,3,opt,name=revision,proto3" json:"revision,omitempty"`
	// The cluster's id.
	Cluster string `protobuf:"bytes,4,opt,name=cluster,proto3" json:"cluster,omitempty"`
	// The number of the attachment that is recorded. Lower than the one that was sent: attaching was not possible now, for
	// etcd is full, and the heartbeat is to be sent again. 0: the session does not linger.
	Attachment    uint64 `protobuf:"varint,5,opt,name=attachment,proto3" json:"attachment,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *HeartbeatResponse) Reset() {
	*x = HeartbeatResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[5]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *HeartbeatResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*HeartbeatResponse) ProtoMessage() {}

func (x *HeartbeatResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[5]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use HeartbeatResponse.ProtoReflect.Descriptor instead.
func (*HeartbeatResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{5}
}

func (x *HeartbeatResponse) GetTtl() *durationpb.Duration {
	if x != nil {
		return x.Ttl
	}
	return nil
}

func (x *HeartbeatResponse) GetStates() []*AcquisitionState {
	if x != nil {
		return x.States
	}
	return nil
}

func (x *HeartbeatResponse) GetRevision() int64 {
	if x != nil {
		return x.Revision
	}
	return 0
}

func (x *HeartbeatResponse) GetCluster() string {
	if x != nil {
		return x.Cluster
	}
	return ""
}

func (x *HeartbeatResponse) GetAttachment() uint64 {
	if x != nil {
		return x.Attachment
	}
	return 0
}

// AcquisitionState is what one acquisition is now.
type AcquisitionState struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The lock's name.
	Lock string `protobuf:"bytes,1,opt,name=lock,proto3" json:"lock,omitempty"`
	// The request that Acquire was called with.
	Request string `protobuf:"bytes,2,opt,name=request,proto3" json:"request,omitempty"`
	// What it is.
	State AcquisitionState_State `protobuf:"varint,3,opt,name=state,proto3,enum=dlm.v1.AcquisitionState_State" json:"state,omitempty"`
	// The token it holds. 0: it does not hold.
	Token int64 `protobuf:"varint,4,opt,name=token,proto3" json:"token,omitempty"`
	// How much longer it may hold, counted from when the answer was made. Absent: it does not hold, or without an end, or
	// this server does not know.
	HoldLeft      *durationpb.Duration `protobuf:"bytes,5,opt,name=hold_left,json=holdLeft,proto3" json:"hold_left,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *AcquisitionState) Reset() {
	*x = AcquisitionState{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[6]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *AcquisitionState) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*AcquisitionState) ProtoMessage() {}

func (x *AcquisitionState) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[6]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use AcquisitionState.ProtoReflect.Descriptor instead.
func (*AcquisitionState) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{6}
}

func (x *AcquisitionState) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

func (x *AcquisitionState) GetRequest() string {
	if x != nil {
		return x.Request
	}
	return ""
}

func (x *AcquisitionState) GetState() AcquisitionState_State {
	if x != nil {
		return x.State
	}
	return AcquisitionState_STATE_UNSPECIFIED
}

func (x *AcquisitionState) GetToken() int64 {
	if x != nil {
		return x.Token
	}
	return 0
}

func (x *AcquisitionState) GetHoldLeft() *durationpb.Duration {
	if x != nil {
		return x.HoldLeft
	}
	return nil
}

// CloseRequest ends a session.
type CloseRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The session's credential.
	Session       string `protobuf:"bytes,1,opt,name=session,proto3" json:"session,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *CloseRequest) Reset() {
	*x = CloseRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[7]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *CloseRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*CloseRequest) ProtoMessage() {}

func (x *CloseRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[7]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use CloseRequest.ProtoReflect.Descriptor instead.
func (*CloseRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{7}
}

func (x *CloseRequest) GetSession() string {
	if x != nil {
		return x.Session
	}
	return ""
}

// CloseResponse says that the session has ended.
type CloseResponse struct {
	state         protoimpl.MessageState `protogen:"open.v1"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *CloseResponse) Reset() {
	*x = CloseResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[8]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *CloseResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*CloseResponse) ProtoMessage() {}

func (x *CloseResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[8]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use CloseResponse.ProtoReflect.Descriptor instead.
func (*CloseResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{8}
}

// AcquireRequest asks for a lock.
type AcquireRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The session's credential.
	Session string `protobuf:"bytes,1,opt,name=session,proto3" json:"session,omitempty"`
	// The lock's name.
	Lock string `protobuf:"bytes,2,opt,name=lock,proto3" json:"lock,omitempty"`
	// This acquisition's id.
	Request string `protobuf:"bytes,3,opt,name=request,proto3" json:"request,omitempty"`
	// How long to wait in the queue. Absent: for ever. 0: not at all. At most 24 h if given. The call's own
	// deadline ends the call only, not the wait.
	Wait *durationpb.Duration `protobuf:"bytes,4,opt,name=wait,proto3" json:"wait,omitempty"`
	// Who this is, for the eyes of operators; as in InitRequest. Empty: the session's label.
	Label string `protobuf:"bytes,5,opt,name=label,proto3" json:"label,omitempty"`
	// How long the lock may be held at most, 1 s to 24 h: see Deadlines. Absent: as long as the servers allow.
	MaxHold       *durationpb.Duration `protobuf:"bytes,6,opt,name=max_hold,json=maxHold,proto3" json:"max_hold,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *AcquireRequest) Reset() {
	*x = AcquireRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[9]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *AcquireRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*AcquireRequest) ProtoMessage() {}

func (x *AcquireRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[9]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use AcquireRequest.ProtoReflect.Descriptor instead.
func (*AcquireRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{9}
}

func (x *AcquireRequest) GetSession() string {
	if x != nil {
		return x.Session
	}
	return ""
}

func (x *AcquireRequest) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

func (x *AcquireRequest) GetRequest() string {
	if x != nil {
		return x.Request
	}
	return ""
}

func (x *AcquireRequest) GetWait() *durationpb.Duration {
	if x != nil {
		return x.Wait
	}
	return nil
}

func (x *AcquireRequest) GetLabel() string {
	if x != nil {
		return x.Label
	}
	return ""
}

func (x *AcquireRequest) GetMaxHold() *durationpb.Duration {
	if x != nil {
		return x.MaxHold
	}
	return nil
}

// AcquireResponse is what became of an attempt.
type AcquireResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// What became of it.
	Outcome AcquireResponse_Outcome `protobuf:"varint,1,opt,name=outcome,proto3,enum=dlm.v1.AcquireResponse_Outcome" json:"outcome,omitempty"`
	// The fencing token. 0: not granted.
	Token int64 `protobuf:"varint,2,opt,name=token,proto3" json:"token,omitempty"`
	// Busy: who holds the lock. Absent: nobody at that moment, or granted.
	Holder *Holder `protobuf:"bytes,3,opt,name=holder,proto3" json:"holder,omitempty"`
	// Busy: the place in the queue that it had, or would have had, counted from 1. 0: granted.
	Position int32 `protobuf:"varint,4,opt,name=position,proto3" json:"position,omitempty"`
	// Busy: how many others wait.
	QueueLength int32 `protobuf:"varint,5,opt,name=queue_length,json=queueLength,proto3" json:"queue_length,omitempty"`
	// How much longer the lock may be held, counted from when the answer was made. Absent: not granted, or without an end.
	HoldLeft      *durationpb.Duration `protobuf:"bytes,6,opt,name=hold_left,json=holdLeft,proto3" json:"hold_left,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *AcquireResponse) Reset() {
	*x = AcquireResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[10]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *AcquireResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*AcquireResponse) ProtoMessage() {}

func (x *AcquireResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[10]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use AcquireResponse.ProtoReflect.Descriptor instead.
func (*AcquireResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{10}
}

func (x *AcquireResponse) GetOutcome() AcquireResponse_Outcome {
	if x != nil {
		return x.Outcome
	}
	return AcquireResponse_OUTCOME_UNSPECIFIED
}

func (x *AcquireResponse) GetToken() int64 {
	if x != nil {
		return x.Token
	}
	return 0
}

func (x *AcquireResponse) GetHolder() *Holder {
	if x != nil {
		return x.Holder
	}
	return nil
}

func (x *AcquireResponse) GetPosition() int32 {
	if x != nil {
		return x.Position
	}
	return 0
}

func (x *AcquireResponse) GetQueueLength() int32 {
	if x != nil {
		return x.QueueLength
	}
	return 0
}

func (x *AcquireResponse) GetHoldLeft() *durationpb.Duration {
	if x != nil {
		return x.HoldLeft
	}
	return nil
}

// CancelRequest gives up a wait.
type CancelRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The session's credential.
	Session string `protobuf:"bytes,1,opt,name=session,proto3" json:"session,omitempty"`
	// The lock's name.
	Lock string `protobuf:"bytes,2,opt,name=lock,proto3" json:"lock,omitempty"`
	// The request that Acquire was called with.
	Request       string `protobuf:"bytes,3,opt,name=request,proto3" json:"request,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *CancelRequest) Reset() {
	*x = CancelRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[11]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *CancelRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*CancelRequest) ProtoMessage() {}

func (x *CancelRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[11]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use CancelRequest.ProtoReflect.Descriptor instead.
func (*CancelRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{11}
}

func (x *CancelRequest) GetSession() string {
	if x != nil {
		return x.Session
	}
	return ""
}

func (x *CancelRequest) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

func (x *CancelRequest) GetRequest() string {
	if x != nil {
		return x.Request
	}
	return ""
}

// CancelResponse is what became of the wait.
type CancelResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The token, if the lock had been granted before the cancel came: the caller holds it. 0: it neither waits nor holds.
	Token         int64 `protobuf:"varint,1,opt,name=token,proto3" json:"token,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *CancelResponse) Reset() {
	*x = CancelResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[12]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *CancelResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*CancelResponse) ProtoMessage() {}

func (x *CancelResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[12]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use CancelResponse.ProtoReflect.Descriptor instead.
func (*CancelResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{12}
}

func (x *CancelResponse) GetToken() int64 {
	if x != nil {
		return x.Token
	}
	return 0
}

// ReleaseRequest ends a section and publishes it.
type ReleaseRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The session's credential.
	Session string `protobuf:"bytes,1,opt,name=session,proto3" json:"session,omitempty"`
	// The lock's name.
	Lock string `protobuf:"bytes,2,opt,name=lock,proto3" json:"lock,omitempty"`
	// The section's token.
	Token int64 `protobuf:"varint,3,opt,name=token,proto3" json:"token,omitempty"`
	// Whether at least one Append was sent in this section, answered or not, by whoever has the credential: without it
	// what was appended is dropped. So say true if the credential was handed out. Do not release while an append's outcome
	// is unknown: repeat the append first, or discard.
	Appended bool `protobuf:"varint,4,opt,name=appended,proto3" json:"appended,omitempty"`
	// Requests of Appends of this holder's that were answered in this section: of those that were answered over one stream
	// or connection, the one whose answer has the highest revision. If one of these records is gone, as after the restore
	// of a backup, for which all connections are cut, the section is not published: DATA_LOSS. 16 at most, and only with
	// `appended`. Empty: none is looked for.
	Last          []string `protobuf:"bytes,5,rep,name=last,proto3" json:"last,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *ReleaseRequest) Reset() {
	*x = ReleaseRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[13]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *ReleaseRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*ReleaseRequest) ProtoMessage() {}

func (x *ReleaseRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[13]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use ReleaseRequest.ProtoReflect.Descriptor instead.
func (*ReleaseRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{13}
}

func (x *ReleaseRequest) GetSession() string {
	if x != nil {
		return x.Session
	}
	return ""
}

func (x *ReleaseRequest) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

func (x *ReleaseRequest) GetToken() int64 {
	if x != nil {
		return x.Token
	}
	return 0
}

func (x *ReleaseRequest) GetAppended() bool {
	if x != nil {
		return x.Appended
	}
	return false
}

func (x *ReleaseRequest) GetLast() []string {
	if x != nil {
		return x.Last
	}
	return nil
}

// ReleaseResponse says that the section was published and the lock given up.
type ReleaseResponse struct {
	state         protoimpl.MessageState `protogen:"open.v1"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *ReleaseResponse) Reset() {
	*x = ReleaseResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[14]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *ReleaseResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*ReleaseResponse) ProtoMessage() {}

func (x *ReleaseResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[14]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use ReleaseResponse.ProtoReflect.Descriptor instead.
func (*ReleaseResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{14}
}

// CommitRequest publishes a section and begins another.
type CommitRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The session's credential.
	Session string `protobuf:"bytes,1,opt,name=session,proto3" json:"session,omitempty"`
	// The lock's name.
	Lock string `protobuf:"bytes,2,opt,name=lock,proto3" json:"lock,omitempty"`
	// The section's token.
	Token int64 `protobuf:"varint,3,opt,name=token,proto3" json:"token,omitempty"`
	// As in ReleaseRequest.
	Appended bool `protobuf:"varint,4,opt,name=appended,proto3" json:"appended,omitempty"`
	// As in ReleaseRequest.
	Last          []string `protobuf:"bytes,5,rep,name=last,proto3" json:"last,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *CommitRequest) Reset() {
	*x = CommitRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[15]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *CommitRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*CommitRequest) ProtoMessage() {}

func (x *CommitRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[15]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use CommitRequest.ProtoReflect.Descriptor instead.
func (*CommitRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{15}
}

func (x *CommitRequest) GetSession() string {
	if x != nil {
		return x.Session
	}
	return ""
}

func (x *CommitRequest) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

func (x *CommitRequest) GetToken() int64 {
	if x != nil {
		return x.Token
	}
	return 0
}

func (x *CommitRequest) GetAppended() bool {
	if x != nil {
		return x.Appended
	}
	return false
}

func (x *CommitRequest) GetLast() []string {
	if x != nil {
		return x.Last
	}
	return nil
}

// CommitResponse says that the section was published.
type CommitResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The next section's token. 0: the section was published, but the lock has been lost since.
	Token         int64 `protobuf:"varint,1,opt,name=token,proto3" json:"token,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *CommitResponse) Reset() {
	*x = CommitResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[16]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *CommitResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*CommitResponse) ProtoMessage() {}

func (x *CommitResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[16]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use CommitResponse.ProtoReflect.Descriptor instead.
func (*CommitResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{16}
}

func (x *CommitResponse) GetToken() int64 {
	if x != nil {
		return x.Token
	}
	return 0
}

// DiscardRequest ends a section and undoes it.
type DiscardRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The session's credential.
	Session string `protobuf:"bytes,1,opt,name=session,proto3" json:"session,omitempty"`
	// The lock's name.
	Lock string `protobuf:"bytes,2,opt,name=lock,proto3" json:"lock,omitempty"`
	// The section's token.
	Token int64 `protobuf:"varint,3,opt,name=token,proto3" json:"token,omitempty"`
	// As in ReleaseRequest.
	Appended      bool `protobuf:"varint,4,opt,name=appended,proto3" json:"appended,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *DiscardRequest) Reset() {
	*x = DiscardRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[17]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *DiscardRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*DiscardRequest) ProtoMessage() {}

func (x *DiscardRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[17]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use DiscardRequest.ProtoReflect.Descriptor instead.
func (*DiscardRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{17}
}

func (x *DiscardRequest) GetSession() string {
	if x != nil {
		return x.Session
	}
	return ""
}

func (x *DiscardRequest) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

func (x *DiscardRequest) GetToken() int64 {
	if x != nil {
		return x.Token
	}
	return 0
}

func (x *DiscardRequest) GetAppended() bool {
	if x != nil {
		return x.Appended
	}
	return false
}

// DiscardResponse says that the session does not hold the lock under this token.
type DiscardResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// True: the section had been published before the discard came, so nothing was dropped.
	Published     bool `protobuf:"varint,1,opt,name=published,proto3" json:"published,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *DiscardResponse) Reset() {
	*x = DiscardResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[18]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *DiscardResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*DiscardResponse) ProtoMessage() {}

func (x *DiscardResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[18]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use DiscardResponse.ProtoReflect.Descriptor instead.
func (*DiscardResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{18}
}

func (x *DiscardResponse) GetPublished() bool {
	if x != nil {
		return x.Published
	}
	return false
}

// AppendRequest stages a record.
type AppendRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The session's credential.
	Session string `protobuf:"bytes,1,opt,name=session,proto3" json:"session,omitempty"`
	// The lock's name.
	Lock string `protobuf:"bytes,2,opt,name=lock,proto3" json:"lock,omitempty"`
	// The section's token.
	Token int64 `protobuf:"varint,3,opt,name=token,proto3" json:"token,omitempty"`
	// This record's id, unique within the session, of the same form as an acquisition's.
	Request string `protobuf:"bytes,4,opt,name=request,proto3" json:"request,omitempty"`
	// The file's name.
	File string `protobuf:"bytes,5,opt,name=file,proto3" json:"file,omitempty"`
	// The bytes that are appended, 1 MiB at most. Empty: the file exists from the section's publication on, with nothing added.
	Data []byte `protobuf:"bytes,6,opt,name=data,proto3" json:"data,omitempty"`
	// The record's place in its section: records are ordered by number, then by the order in which they were stored. A
	// client that sends appends without waiting for each answer numbers them from 1. 0: in the order stored.
	Number uint64 `protobuf:"varint,7,opt,name=number,proto3" json:"number,omitempty"`
	// What is done instead of an append, with `file` and `data` empty: so a server of an earlier version refuses it, and does
	// not take it for an append of nothing. Absent: an append.
	Operation     *Operation `protobuf:"bytes,8,opt,name=operation,proto3" json:"operation,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *AppendRequest) Reset() {
	*x = AppendRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[19]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *AppendRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*AppendRequest) ProtoMessage() {}

func (x *AppendRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[19]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use AppendRequest.ProtoReflect.Descriptor instead.
func (*AppendRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{19}
}

func (x *AppendRequest) GetSession() string {
	if x != nil {
		return x.Session
	}
	return ""
}

func (x *AppendRequest) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

func (x *AppendRequest) GetToken() int64 {
	if x != nil {
		return x.Token
	}
	return 0
}

func (x *AppendRequest) GetRequest() string {
	if x != nil {
		return x.Request
	}
	return ""
}

func (x *AppendRequest) GetFile() string {
	if x != nil {
		return x.File
	}
	return ""
}

func (x *AppendRequest) GetData() []byte {
	if x != nil {
		return x.Data
	}
	return nil
}

func (x *AppendRequest) GetNumber() uint64 {
	if x != nil {
		return x.Number
	}
	return 0
}

func (x *AppendRequest) GetOperation() *Operation {
	if x != nil {
		return x.Operation
	}
	return nil
}

// AppendResponse says that the record is staged, durably.
type AppendResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The revision at which the record was staged.
	Revision      int64 `protobuf:"varint,1,opt,name=revision,proto3" json:"revision,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *AppendResponse) Reset() {
	*x = AppendResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[20]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *AppendResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*AppendResponse) ProtoMessage() {}

func (x *AppendResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[20]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use AppendResponse.ProtoReflect.Descriptor instead.
func (*AppendResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{20}
}

func (x *AppendResponse) GetRevision() int64 {
	if x != nil {
		return x.Revision
	}
	return 0
}

// Version says which section was the last that was published to a file, or to a lock.
type Version struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The section's token. Those that were published in one call may share one.
	Token int64 `protobuf:"varint,1,opt,name=token,proto3" json:"token,omitempty"`
	// Tells apart those that share it, and which of them comes first: the lower one. 0: the section was held.
	N             uint32 `protobuf:"varint,2,opt,name=n,proto3" json:"n,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *Version) Reset() {
	*x = Version{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[21]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *Version) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*Version) ProtoMessage() {}

func (x *Version) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[21]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use Version.ProtoReflect.Descriptor instead.
func (*Version) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{21}
}

func (x *Version) GetToken() int64 {
	if x != nil {
		return x.Token
	}
	return 0
}

func (x *Version) GetN() uint32 {
	if x != nil {
		return x.N
	}
	return 0
}

// Operation is one thing that a section does to a file.
type Operation struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The file's name.
	File string `protobuf:"bytes,1,opt,name=file,proto3" json:"file,omitempty"`
	// What is done.
	//
	// Types that are valid to be assigned to Do:
	//
	//	*Operation_Append
	//	*Operation_Replace
	//	*Operation_Remove
	//	*Operation_Cut
	Do            isOperation_Do `protobuf_oneof:"do"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *Operation) Reset() {
	*x = Operation{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[22]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *Operation) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*Operation) ProtoMessage() {}

func (x *Operation) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[22]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use Operation.ProtoReflect.Descriptor instead.
func (*Operation) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{22}
}

func (x *Operation) GetFile() string {
	if x != nil {
		return x.File
	}
	return ""
}

func (x *Operation) GetDo() isOperation_Do {
	if x != nil {
		return x.Do
	}
	return nil
}

func (x *Operation) GetAppend() []byte {
	if x != nil {
		if x, ok := x.Do.(*Operation_Append); ok {
			return x.Append
		}
	}
	return nil
}

func (x *Operation) GetReplace() []byte {
	if x != nil {
		if x, ok := x.Do.(*Operation_Replace); ok {
			return x.Replace
		}
	}
	return nil
}

func (x *Operation) GetRemove() bool {
	if x != nil {
		if x, ok := x.Do.(*Operation_Remove); ok {
			return x.Remove
		}
	}
	return false
}

func (x *Operation) GetCut() int64 {
	if x != nil {
		if x, ok := x.Do.(*Operation_Cut); ok {
			return x.Cut
		}
	}
	return 0
}

type isOperation_Do interface {
	isOperation_Do()
}

type Operation_Append struct {
	// The bytes are appended. Empty: the file exists from then on, with nothing added.
	Append []byte `protobuf:"bytes,2,opt,name=append,proto3,oneof"`
}

type Operation_Replace struct {
	// The file is these bytes from then on, in a life of its own. Empty: it exists, with nothing in it.
	Replace []byte `protobuf:"bytes,3,opt,name=replace,proto3,oneof"`
}

type Operation_Remove struct {
	// True: there is no such file any more. It may be made again. It need not be there.
	Remove bool `protobuf:"varint,4,opt,name=remove,proto3,oneof"`
}

type Operation_Cut struct {
	// What is before this offset is not in the file any more, and what is behind keeps its offsets. A file's start never
	// goes back, nor beyond its end.
	Cut int64 `protobuf:"varint,5,opt,name=cut,proto3,oneof"`
}

func (*Operation_Append) isOperation_Do() {}

func (*Operation_Replace) isOperation_Do() {}

func (*Operation_Remove) isOperation_Do() {}

func (*Operation_Cut) isOperation_Do() {}

// PublishRequest publishes a section in one call.
type PublishRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The lock's name.
	Lock string `protobuf:"bytes,1,opt,name=lock,proto3" json:"lock,omitempty"`
	// 16 bytes that the client has chosen at random for what it publishes to this lock one after the other.
	Lane []byte `protobuf:"bytes,2,opt,name=lane,proto3" json:"lane,omitempty"`
	// From 1, and higher with each publish of the lane.
	Number uint64 `protobuf:"varint,3,opt,name=number,proto3" json:"number,omitempty"`
	// A revision that the client had seen in any answer before it first sent this, and as high as it knows. With it a repeat
	// is never taken for a new publish, however late it comes. 0: it is known as a repeat for some time only, a day if there
	// are not very many lanes.
	Born int64 `protobuf:"varint,4,opt,name=born,proto3" json:"born,omitempty"`
	// In this order, 256 at most, of 50 files at most, with 1 MiB of data in all. None: nothing is published, and the lock has
	// a new version.
	Operations []*Operation `protobuf:"bytes,5,rep,name=operations,proto3" json:"operations,omitempty"`
	// What has to hold at that moment. Absent: nothing. It takes the right to read as well.
	Condition *Condition `protobuf:"bytes,6,opt,name=condition,proto3" json:"condition,omitempty"`
	// The credential of a session, whose end rules the publish out. Empty: it has none, and is refused if the lock is held or
	// waited for.
	Session string `protobuf:"bytes,7,opt,name=session,proto3" json:"session,omitempty"`
	// Names its place in the lock's queue, as an acquisition's id: unique within the session, and listed in heartbeats while
	// the call is under way. Only with a session.
	Request string `protobuf:"bytes,8,opt,name=request,proto3" json:"request,omitempty"`
	// How long it waits for its turn at most, counted on the server. Absent, with a session: as long as that lives. 0: not at all.
	Wait          *durationpb.Duration `protobuf:"bytes,9,opt,name=wait,proto3" json:"wait,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *PublishRequest) Reset() {
	*x = PublishRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[23]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *PublishRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*PublishRequest) ProtoMessage() {}

func (x *PublishRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[23]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use PublishRequest.ProtoReflect.Descriptor instead.
func (*PublishRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{23}
}

func (x *PublishRequest) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

func (x *PublishRequest) GetLane() []byte {
	if x != nil {
		return x.Lane
	}
	return nil
}

func (x *PublishRequest) GetNumber() uint64 {
	if x != nil {
		return x.Number
	}
	return 0
}

func (x *PublishRequest) GetBorn() int64 {
	if x != nil {
		return x.Born
	}
	return 0
}

func (x *PublishRequest) GetOperations() []*Operation {
	if x != nil {
		return x.Operations
	}
	return nil
}

func (x *PublishRequest) GetCondition() *Condition {
	if x != nil {
		return x.Condition
	}
	return nil
}

func (x *PublishRequest) GetSession() string {
	if x != nil {
		return x.Session
	}
	return ""
}

func (x *PublishRequest) GetRequest() string {
	if x != nil {
		return x.Request
	}
	return ""
}

func (x *PublishRequest) GetWait() *durationpb.Duration {
	if x != nil {
		return x.Wait
	}
	return nil
}

// Condition is what has to hold of what was published to a lock.
type Condition struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The version of the last section that was published to the lock; its token 0: none was. Absent: it does not matter.
	Lock *Version `protobuf:"bytes,1,opt,name=lock,proto3" json:"lock,omitempty"`
	// 50 at most.
	Files         []*FileCondition `protobuf:"bytes,2,rep,name=files,proto3" json:"files,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *Condition) Reset() {
	*x = Condition{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[24]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *Condition) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*Condition) ProtoMessage() {}

func (x *Condition) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[24]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use Condition.ProtoReflect.Descriptor instead.
func (*Condition) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{24}
}

func (x *Condition) GetLock() *Version {
	if x != nil {
		return x.Lock
	}
	return nil
}

func (x *Condition) GetFiles() []*FileCondition {
	if x != nil {
		return x.Files
	}
	return nil
}

// FileCondition is what has to hold of a file.
type FileCondition struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The file's name.
	File string `protobuf:"bytes,1,opt,name=file,proto3" json:"file,omitempty"`
	// What the file is. One has to be set.
	//
	// Types that are valid to be assigned to Is:
	//
	//	*FileCondition_Version
	//	*FileCondition_Absent
	//	*FileCondition_Size
	Is            isFileCondition_Is `protobuf_oneof:"is"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *FileCondition) Reset() {
	*x = FileCondition{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[25]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *FileCondition) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*FileCondition) ProtoMessage() {}

func (x *FileCondition) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[25]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use FileCondition.ProtoReflect.Descriptor instead.
func (*FileCondition) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{25}
}

func (x *FileCondition) GetFile() string {
	if x != nil {
		return x.File
	}
	return ""
}

func (x *FileCondition) GetIs() isFileCondition_Is {
	if x != nil {
		return x.Is
	}
	return nil
}

func (x *FileCondition) GetVersion() *Version {
	if x != nil {
		if x, ok := x.Is.(*FileCondition_Version); ok {
			return x.Version
		}
	}
	return nil
}

func (x *FileCondition) GetAbsent() bool {
	if x != nil {
		if x, ok := x.Is.(*FileCondition_Absent); ok {
			return x.Absent
		}
	}
	return false
}

func (x *FileCondition) GetSize() int64 {
	if x != nil {
		if x, ok := x.Is.(*FileCondition_Size); ok {
			return x.Size
		}
	}
	return 0
}

type isFileCondition_Is interface {
	isFileCondition_Is()
}

type FileCondition_Version struct {
	// The version of the last section that was published to it.
	Version *Version `protobuf:"bytes,2,opt,name=version,proto3,oneof"`
}

type FileCondition_Absent struct {
	// There is no such file. Always true.
	Absent bool `protobuf:"varint,3,opt,name=absent,proto3,oneof"`
}

type FileCondition_Size struct {
	// Its size in bytes; 0 also if there is no such file.
	Size int64 `protobuf:"varint,4,opt,name=size,proto3,oneof"`
}

func (*FileCondition_Version) isFileCondition_Is() {}

func (*FileCondition_Absent) isFileCondition_Is() {}

func (*FileCondition_Size) isFileCondition_Is() {}

// PublishResponse is what became of a publish.
type PublishResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// What became of it.
	Outcome PublishResponse_Outcome `protobuf:"varint,1,opt,name=outcome,proto3,enum=dlm.v1.PublishResponse_Outcome" json:"outcome,omitempty"`
	// The section's. Absent: it is not published.
	Version *Version `protobuf:"bytes,2,opt,name=version,proto3" json:"version,omitempty"`
	// Busy: who holds the lock. Absent: nobody at that moment, or published. Busy without a holder is also a publish with a
	// condition for which others publish to the lock all too fast.
	Holder *Holder `protobuf:"bytes,3,opt,name=holder,proto3" json:"holder,omitempty"`
	// Conflict: the lock's version, if the condition asks for it. Absent: nothing was published, or it is not asked for.
	LockVersion *Version `protobuf:"bytes,4,opt,name=lock_version,json=lockVersion,proto3" json:"lock_version,omitempty"`
	// Conflict: the files of the condition that are there.
	Files         []*File `protobuf:"bytes,5,rep,name=files,proto3" json:"files,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *PublishResponse) Reset() {
	*x = PublishResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[26]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *PublishResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*PublishResponse) ProtoMessage() {}

func (x *PublishResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[26]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use PublishResponse.ProtoReflect.Descriptor instead.
func (*PublishResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{26}
}

func (x *PublishResponse) GetOutcome() PublishResponse_Outcome {
	if x != nil {
		return x.Outcome
	}
	return PublishResponse_OUTCOME_UNSPECIFIED
}

func (x *PublishResponse) GetVersion() *Version {
	if x != nil {
		return x.Version
	}
	return nil
}

func (x *PublishResponse) GetHolder() *Holder {
	if x != nil {
		return x.Holder
	}
	return nil
}

func (x *PublishResponse) GetLockVersion() *Version {
	if x != nil {
		return x.LockVersion
	}
	return nil
}

func (x *PublishResponse) GetFiles() []*File {
	if x != nil {
		return x.Files
	}
	return nil
}

// WithdrawRequest rules a publish out. It names it as PublishRequest does.
type WithdrawRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The lock's name.
	Lock string `protobuf:"bytes,1,opt,name=lock,proto3" json:"lock,omitempty"`
	// As in PublishRequest.
	Lane []byte `protobuf:"bytes,2,opt,name=lane,proto3" json:"lane,omitempty"`
	// As in PublishRequest.
	Number uint64 `protobuf:"varint,3,opt,name=number,proto3" json:"number,omitempty"`
	// As in PublishRequest.
	Born          int64 `protobuf:"varint,4,opt,name=born,proto3" json:"born,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *WithdrawRequest) Reset() {
	*x = WithdrawRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[27]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *WithdrawRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*WithdrawRequest) ProtoMessage() {}

func (x *WithdrawRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[27]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use WithdrawRequest.ProtoReflect.Descriptor instead.
func (*WithdrawRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{27}
}

func (x *WithdrawRequest) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

func (x *WithdrawRequest) GetLane() []byte {
	if x != nil {
		return x.Lane
	}
	return nil
}

func (x *WithdrawRequest) GetNumber() uint64 {
	if x != nil {
		return x.Number
	}
	return 0
}

func (x *WithdrawRequest) GetBorn() int64 {
	if x != nil {
		return x.Born
	}
	return 0
}

// WithdrawResponse is what became of the publish.
type WithdrawResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The version of its section, if it had been published. Absent: it is not published, and never will be.
	Published     *Version `protobuf:"bytes,1,opt,name=published,proto3" json:"published,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *WithdrawResponse) Reset() {
	*x = WithdrawResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[28]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *WithdrawResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*WithdrawResponse) ProtoMessage() {}

func (x *WithdrawResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[28]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use WithdrawResponse.ProtoReflect.Descriptor instead.
func (*WithdrawResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{28}
}

func (x *WithdrawResponse) GetPublished() *Version {
	if x != nil {
		return x.Published
	}
	return nil
}

// ReadRequest asks for a piece of a file.
type ReadRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The lock's name.
	Lock string `protobuf:"bytes,1,opt,name=lock,proto3" json:"lock,omitempty"`
	// The file's name.
	File string `protobuf:"bytes,2,opt,name=file,proto3" json:"file,omitempty"`
	// The first byte wanted, counted from 0. At or past the end: no bytes are answered.
	Offset int64 `protobuf:"varint,3,opt,name=offset,proto3" json:"offset,omitempty"`
	// How many bytes at most; 0 or more than 1 MiB: 1 MiB.
	Limit int32 `protobuf:"varint,4,opt,name=limit,proto3" json:"limit,omitempty"`
	// The life that the file has to be in, as an earlier answer had it. Absent: any.
	Life          *Version `protobuf:"bytes,5,opt,name=life,proto3" json:"life,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *ReadRequest) Reset() {
	*x = ReadRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[29]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *ReadRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*ReadRequest) ProtoMessage() {}

func (x *ReadRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[29]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use ReadRequest.ProtoReflect.Descriptor instead.
func (*ReadRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{29}
}

func (x *ReadRequest) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

func (x *ReadRequest) GetFile() string {
	if x != nil {
		return x.File
	}
	return ""
}

func (x *ReadRequest) GetOffset() int64 {
	if x != nil {
		return x.Offset
	}
	return 0
}

func (x *ReadRequest) GetLimit() int32 {
	if x != nil {
		return x.Limit
	}
	return 0
}

func (x *ReadRequest) GetLife() *Version {
	if x != nil {
		return x.Life
	}
	return nil
}

// ReadResponse is a piece of a file.
type ReadResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The bytes from the offset on. Fewer than asked for only at the end of the file or at the limit.
	Data []byte `protobuf:"bytes,1,opt,name=data,proto3" json:"data,omitempty"`
	// The file's size in bytes at that moment, with what was cut off.
	Size int64 `protobuf:"varint,2,opt,name=size,proto3" json:"size,omitempty"`
	// The token of the last section published to the file.
	Token int64 `protobuf:"varint,3,opt,name=token,proto3" json:"token,omitempty"`
	// The version of that section.
	Version *Version `protobuf:"bytes,4,opt,name=version,proto3" json:"version,omitempty"`
	// The first offset that was not cut off.
	Start int64 `protobuf:"varint,5,opt,name=start,proto3" json:"start,omitempty"`
	// The file's life. Of a file that was made before there were lives its n is one that no section has.
	Life          *Version `protobuf:"bytes,6,opt,name=life,proto3" json:"life,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *ReadResponse) Reset() {
	*x = ReadResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[30]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *ReadResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*ReadResponse) ProtoMessage() {}

func (x *ReadResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[30]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use ReadResponse.ProtoReflect.Descriptor instead.
func (*ReadResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{30}
}

func (x *ReadResponse) GetData() []byte {
	if x != nil {
		return x.Data
	}
	return nil
}

func (x *ReadResponse) GetSize() int64 {
	if x != nil {
		return x.Size
	}
	return 0
}

func (x *ReadResponse) GetToken() int64 {
	if x != nil {
		return x.Token
	}
	return 0
}

func (x *ReadResponse) GetVersion() *Version {
	if x != nil {
		return x.Version
	}
	return nil
}

func (x *ReadResponse) GetStart() int64 {
	if x != nil {
		return x.Start
	}
	return 0
}

func (x *ReadResponse) GetLife() *Version {
	if x != nil {
		return x.Life
	}
	return nil
}

// TailRequest follows a file.
type TailRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The lock's name.
	Lock string `protobuf:"bytes,1,opt,name=lock,proto3" json:"lock,omitempty"`
	// The file's name.
	File string `protobuf:"bytes,2,opt,name=file,proto3" json:"file,omitempty"`
	// The first byte wanted, counted from 0. Past the end: waited for.
	Offset int64 `protobuf:"varint,3,opt,name=offset,proto3" json:"offset,omitempty"`
	// The life that the offset is of. Absent: the first that there is.
	Life          *Version `protobuf:"bytes,4,opt,name=life,proto3" json:"life,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *TailRequest) Reset() {
	*x = TailRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[31]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *TailRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*TailRequest) ProtoMessage() {}

func (x *TailRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[31]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use TailRequest.ProtoReflect.Descriptor instead.
func (*TailRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{31}
}

func (x *TailRequest) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

func (x *TailRequest) GetFile() string {
	if x != nil {
		return x.File
	}
	return ""
}

func (x *TailRequest) GetOffset() int64 {
	if x != nil {
		return x.Offset
	}
	return 0
}

func (x *TailRequest) GetLife() *Version {
	if x != nil {
		return x.Life
	}
	return nil
}

// TailResponse is a run of bytes, at most 1 MiB.
type TailResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The bytes. Empty only with one of `cut`, `replaced` and `removed`.
	Data []byte `protobuf:"bytes,1,opt,name=data,proto3" json:"data,omitempty"`
	// Where in the file the first of them stands.
	Offset int64 `protobuf:"varint,2,opt,name=offset,proto3" json:"offset,omitempty"`
	// The file's life.
	Life *Version `protobuf:"bytes,3,opt,name=life,proto3" json:"life,omitempty"`
	// What is before the offset, and was not sent, was cut off.
	Cut bool `protobuf:"varint,4,opt,name=cut,proto3" json:"cut,omitempty"`
	// It is another life than what was sent before, and the offset is of that.
	Replaced bool `protobuf:"varint,5,opt,name=replaced,proto3" json:"replaced,omitempty"`
	// There is no such file any more. Life and offset are as they were, and there is no data. If it is made again, that is
	// `replaced`.
	Removed       bool `protobuf:"varint,6,opt,name=removed,proto3" json:"removed,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *TailResponse) Reset() {
	*x = TailResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[32]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *TailResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*TailResponse) ProtoMessage() {}

func (x *TailResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[32]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use TailResponse.ProtoReflect.Descriptor instead.
func (*TailResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{32}
}

func (x *TailResponse) GetData() []byte {
	if x != nil {
		return x.Data
	}
	return nil
}

func (x *TailResponse) GetOffset() int64 {
	if x != nil {
		return x.Offset
	}
	return 0
}

func (x *TailResponse) GetLife() *Version {
	if x != nil {
		return x.Life
	}
	return nil
}

func (x *TailResponse) GetCut() bool {
	if x != nil {
		return x.Cut
	}
	return false
}

func (x *TailResponse) GetReplaced() bool {
	if x != nil {
		return x.Replaced
	}
	return false
}

func (x *TailResponse) GetRemoved() bool {
	if x != nil {
		return x.Removed
	}
	return false
}

// ListFilesRequest asks for files.
type ListFilesRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The lock's name. Empty: the files of all locks.
	Lock string `protobuf:"bytes,1,opt,name=lock,proto3" json:"lock,omitempty"`
	// How many at most; 0 or more than 1,000: 1,000.
	PageSize int32 `protobuf:"varint,2,opt,name=page_size,json=pageSize,proto3" json:"page_size,omitempty"`
	// The previous answer's next_page_token. Empty: from the start.
	PageToken     string `protobuf:"bytes,3,opt,name=page_token,json=pageToken,proto3" json:"page_token,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *ListFilesRequest) Reset() {
	*x = ListFilesRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[33]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *ListFilesRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*ListFilesRequest) ProtoMessage() {}

func (x *ListFilesRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[33]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use ListFilesRequest.ProtoReflect.Descriptor instead.
func (*ListFilesRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{33}
}

func (x *ListFilesRequest) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

func (x *ListFilesRequest) GetPageSize() int32 {
	if x != nil {
		return x.PageSize
	}
	return 0
}

func (x *ListFilesRequest) GetPageToken() string {
	if x != nil {
		return x.PageToken
	}
	return ""
}

// ListFilesResponse is a page of files.
type ListFilesResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The files, ordered by lock and name.
	Files []*File `protobuf:"bytes,1,rep,name=files,proto3" json:"files,omitempty"`
	// To be given for the next page. Empty: this was the last.
	NextPageToken string `protobuf:"bytes,2,opt,name=next_page_token,json=nextPageToken,proto3" json:"next_page_token,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *ListFilesResponse) Reset() {
	*x = ListFilesResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[34]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *ListFilesResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*ListFilesResponse) ProtoMessage() {}

func (x *ListFilesResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[34]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use ListFilesResponse.ProtoReflect.Descriptor instead.
func (*ListFilesResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{34}
}

func (x *ListFilesResponse) GetFiles() []*File {
	if x != nil {
		return x.Files
	}
	return nil
}

func (x *ListFilesResponse) GetNextPageToken() string {
	if x != nil {
		return x.NextPageToken
	}
	return ""
}

// File is what is known of one file.
type File struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The lock that it belongs to.
	Lock string `protobuf:"bytes,1,opt,name=lock,proto3" json:"lock,omitempty"`
	// Its name.
	Name string `protobuf:"bytes,2,opt,name=name,proto3" json:"name,omitempty"`
	// Its published size in bytes, with what was cut off.
	Size int64 `protobuf:"varint,3,opt,name=size,proto3" json:"size,omitempty"`
	// The token of the last section published to it.
	Token int64 `protobuf:"varint,4,opt,name=token,proto3" json:"token,omitempty"`
	// The version of that section.
	Version *Version `protobuf:"bytes,5,opt,name=version,proto3" json:"version,omitempty"`
	// The first offset that was not cut off.
	Start int64 `protobuf:"varint,6,opt,name=start,proto3" json:"start,omitempty"`
	// Its life.
	Life          *Version `protobuf:"bytes,7,opt,name=life,proto3" json:"life,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *File) Reset() {
	*x = File{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[35]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *File) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*File) ProtoMessage() {}

func (x *File) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[35]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use File.ProtoReflect.Descriptor instead.
func (*File) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{35}
}

func (x *File) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

func (x *File) GetName() string {
	if x != nil {
		return x.Name
	}
	return ""
}

func (x *File) GetSize() int64 {
	if x != nil {
		return x.Size
	}
	return 0
}

func (x *File) GetToken() int64 {
	if x != nil {
		return x.Token
	}
	return 0
}

func (x *File) GetVersion() *Version {
	if x != nil {
		return x.Version
	}
	return nil
}

func (x *File) GetStart() int64 {
	if x != nil {
		return x.Start
	}
	return 0
}

func (x *File) GetLife() *Version {
	if x != nil {
		return x.Life
	}
	return nil
}

// InspectRequest asks about a lock.
type InspectRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The lock's name.
	Lock          string `protobuf:"bytes,1,opt,name=lock,proto3" json:"lock,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *InspectRequest) Reset() {
	*x = InspectRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[36]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *InspectRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*InspectRequest) ProtoMessage() {}

func (x *InspectRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[36]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use InspectRequest.ProtoReflect.Descriptor instead.
func (*InspectRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{36}
}

func (x *InspectRequest) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

// InspectResponse is a lock's state at one revision.
type InspectResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The state.
	Lock          *Lock `protobuf:"bytes,1,opt,name=lock,proto3" json:"lock,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *InspectResponse) Reset() {
	*x = InspectResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[37]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *InspectResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*InspectResponse) ProtoMessage() {}

func (x *InspectResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[37]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use InspectResponse.ProtoReflect.Descriptor instead.
func (*InspectResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{37}
}

func (x *InspectResponse) GetLock() *Lock {
	if x != nil {
		return x.Lock
	}
	return nil
}

// InspectClusterRequest asks about the etcd behind a server.
type InspectClusterRequest struct {
	state         protoimpl.MessageState `protogen:"open.v1"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *InspectClusterRequest) Reset() {
	*x = InspectClusterRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[38]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *InspectClusterRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*InspectClusterRequest) ProtoMessage() {}

func (x *InspectClusterRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[38]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use InspectClusterRequest.ProtoReflect.Descriptor instead.
func (*InspectClusterRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{38}
}

// InspectClusterResponse is how that etcd is.
type InspectClusterResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The cluster's id, which every server of it knows. May be empty.
	Cluster string `protobuf:"bytes,1,opt,name=cluster,proto3" json:"cluster,omitempty"`
	// Etcd's revision.
	Revision int64 `protobuf:"varint,2,opt,name=revision,proto3" json:"revision,omitempty"`
	// The version of the server that answers. May be empty.
	Version string `protobuf:"bytes,3,opt,name=version,proto3" json:"version,omitempty"`
	// Its members. None: this server may not ask for them.
	Members []*Member `protobuf:"bytes,4,rep,name=members,proto3" json:"members,omitempty"`
	// Why new data is refused for space now, for people. Empty: it is not, as far as this server knows.
	RecordsRefused string `protobuf:"bytes,5,opt,name=records_refused,json=recordsRefused,proto3" json:"records_refused,omitempty"`
	// Why new locks and sessions are refused for space now, for people. Empty: they are not, as far as this server knows.
	LocksRefused  string `protobuf:"bytes,6,opt,name=locks_refused,json=locksRefused,proto3" json:"locks_refused,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *InspectClusterResponse) Reset() {
	*x = InspectClusterResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[39]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *InspectClusterResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*InspectClusterResponse) ProtoMessage() {}

func (x *InspectClusterResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[39]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use InspectClusterResponse.ProtoReflect.Descriptor instead.
func (*InspectClusterResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{39}
}

func (x *InspectClusterResponse) GetCluster() string {
	if x != nil {
		return x.Cluster
	}
	return ""
}

func (x *InspectClusterResponse) GetRevision() int64 {
	if x != nil {
		return x.Revision
	}
	return 0
}

func (x *InspectClusterResponse) GetVersion() string {
	if x != nil {
		return x.Version
	}
	return ""
}

func (x *InspectClusterResponse) GetMembers() []*Member {
	if x != nil {
		return x.Members
	}
	return nil
}

func (x *InspectClusterResponse) GetRecordsRefused() string {
	if x != nil {
		return x.RecordsRefused
	}
	return ""
}

func (x *InspectClusterResponse) GetLocksRefused() string {
	if x != nil {
		return x.LocksRefused
	}
	return ""
}

// Member is a member of etcd's cluster.
type Member struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// Its id in etcd: 16 hex digits.
	Id string `protobuf:"bytes,1,opt,name=id,proto3" json:"id,omitempty"`
	// Its name. Empty: it has not started yet.
	Name string `protobuf:"bytes,2,opt,name=name,proto3" json:"name,omitempty"`
	// The addresses that its peers reach it by.
	Peers []string `protobuf:"bytes,3,rep,name=peers,proto3" json:"peers,omitempty"`
	// Whether it leads.
	Leader bool `protobuf:"varint,4,opt,name=leader,proto3" json:"leader,omitempty"`
	// Whether it is added, and does not vote until it has caught up.
	Learner bool `protobuf:"varint,5,opt,name=learner,proto3" json:"learner,omitempty"`
	// What it says of itself. Absent: it was not asked, or has not answered.
	Status        *MemberStatus `protobuf:"bytes,6,opt,name=status,proto3" json:"status,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *Member) Reset() {
	*x = Member{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[40]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *Member) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*Member) ProtoMessage() {}

func (x *Member) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[40]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use Member.ProtoReflect.Descriptor instead.
func (*Member) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{40}
}

func (x *Member) GetId() string {
	if x != nil {
		return x.Id
	}
	return ""
}

func (x *Member) GetName() string {
	if x != nil {
		return x.Name
	}
	return ""
}

func (x *Member) GetPeers() []string {
	if x != nil {
		return x.Peers
	}
	return nil
}

func (x *Member) GetLeader() bool {
	if x != nil {
		return x.Leader
	}
	return false
}

func (x *Member) GetLearner() bool {
	if x != nil {
		return x.Learner
	}
	return false
}

func (x *Member) GetStatus() *MemberStatus {
	if x != nil {
		return x.Status
	}
	return nil
}

// MemberStatus is what a member of etcd's cluster says of itself.
type MemberStatus struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// Etcd's version.
	Version string `protobuf:"bytes,1,opt,name=version,proto3" json:"version,omitempty"`
	// The size of its database file in bytes, which etcd compares with the quota.
	File int64 `protobuf:"varint,2,opt,name=file,proto3" json:"file,omitempty"`
	// What is in use of that.
	InUse int64 `protobuf:"varint,3,opt,name=in_use,json=inUse,proto3" json:"in_use,omitempty"`
	// The quota in bytes. 0: not known.
	Quota         int64 `protobuf:"varint,4,opt,name=quota,proto3" json:"quota,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *MemberStatus) Reset() {
	*x = MemberStatus{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[41]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *MemberStatus) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*MemberStatus) ProtoMessage() {}

func (x *MemberStatus) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[41]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use MemberStatus.ProtoReflect.Descriptor instead.
func (*MemberStatus) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{41}
}

func (x *MemberStatus) GetVersion() string {
	if x != nil {
		return x.Version
	}
	return ""
}

func (x *MemberStatus) GetFile() int64 {
	if x != nil {
		return x.File
	}
	return 0
}

func (x *MemberStatus) GetInUse() int64 {
	if x != nil {
		return x.InUse
	}
	return 0
}

func (x *MemberStatus) GetQuota() int64 {
	if x != nil {
		return x.Quota
	}
	return 0
}

// ListRequest asks for locks.
type ListRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// What the names begin with, byte for byte. Empty: all.
	Prefix string `protobuf:"bytes,1,opt,name=prefix,proto3" json:"prefix,omitempty"`
	// How many at most; 0 or more than 1,000: 1,000.
	PageSize int32 `protobuf:"varint,2,opt,name=page_size,json=pageSize,proto3" json:"page_size,omitempty"`
	// The previous answer's next_page_token. Empty: from the start.
	PageToken string `protobuf:"bytes,3,opt,name=page_token,json=pageToken,proto3" json:"page_token,omitempty"`
	// Only what the session of this public id holds or waits for; of the waiters only its own are listed then. Empty: any's.
	Session string `protobuf:"bytes,4,opt,name=session,proto3" json:"session,omitempty"`
	// Only what sessions of this identity hold or wait for, likewise. Empty: any's.
	Identity string `protobuf:"bytes,5,opt,name=identity,proto3" json:"identity,omitempty"`
	// Only what sessions of the caller's own identity hold or wait for, likewise. It is INVALID_ARGUMENT if the caller has
	// none, or beside `identity`.
	Mine          bool `protobuf:"varint,6,opt,name=mine,proto3" json:"mine,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *ListRequest) Reset() {
	*x = ListRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[42]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *ListRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*ListRequest) ProtoMessage() {}

func (x *ListRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[42]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use ListRequest.ProtoReflect.Descriptor instead.
func (*ListRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{42}
}

func (x *ListRequest) GetPrefix() string {
	if x != nil {
		return x.Prefix
	}
	return ""
}

func (x *ListRequest) GetPageSize() int32 {
	if x != nil {
		return x.PageSize
	}
	return 0
}

func (x *ListRequest) GetPageToken() string {
	if x != nil {
		return x.PageToken
	}
	return ""
}

func (x *ListRequest) GetSession() string {
	if x != nil {
		return x.Session
	}
	return ""
}

func (x *ListRequest) GetIdentity() string {
	if x != nil {
		return x.Identity
	}
	return ""
}

func (x *ListRequest) GetMine() bool {
	if x != nil {
		return x.Mine
	}
	return false
}

// ListResponse is a page of locks.
type ListResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The locks that are held or waited for, ordered by name, at one revision; only the first 10 waiters of each are listed.
	// A page may have fewer than were asked for, even none, and still not be the last.
	Locks []*Lock `protobuf:"bytes,1,rep,name=locks,proto3" json:"locks,omitempty"`
	// To be given for the next page. Empty: this was the last.
	NextPageToken string `protobuf:"bytes,2,opt,name=next_page_token,json=nextPageToken,proto3" json:"next_page_token,omitempty"`
	// The etcd revision that the page is as of: that of the first page, unless its next ones were asked for late or of another
	// server. 0: nothing was looked at, since the caller may see nothing of it.
	Revision      int64 `protobuf:"varint,3,opt,name=revision,proto3" json:"revision,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *ListResponse) Reset() {
	*x = ListResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[43]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *ListResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*ListResponse) ProtoMessage() {}

func (x *ListResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[43]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use ListResponse.ProtoReflect.Descriptor instead.
func (*ListResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{43}
}

func (x *ListResponse) GetLocks() []*Lock {
	if x != nil {
		return x.Locks
	}
	return nil
}

func (x *ListResponse) GetNextPageToken() string {
	if x != nil {
		return x.NextPageToken
	}
	return ""
}

func (x *ListResponse) GetRevision() int64 {
	if x != nil {
		return x.Revision
	}
	return 0
}

// Lock is a lock's state.
type Lock struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// Its name.
	Name string `protobuf:"bytes,1,opt,name=name,proto3" json:"name,omitempty"`
	// Who holds it. Absent: nobody.
	Holder *Holder `protobuf:"bytes,2,opt,name=holder,proto3" json:"holder,omitempty"`
	// Who waits, first in line first; the first 1,000.
	Waiters []*Waiter `protobuf:"bytes,3,rep,name=waiters,proto3" json:"waiters,omitempty"`
	// How many wait.
	QueueLength int32 `protobuf:"varint,4,opt,name=queue_length,json=queueLength,proto3" json:"queue_length,omitempty"`
	// How many records the holder has staged.
	StagedRecords int64 `protobuf:"varint,5,opt,name=staged_records,json=stagedRecords,proto3" json:"staged_records,omitempty"`
	// Why the last undone section that is still remembered was undone, and when. Empty: none is remembered. Inspect only.
	LastUndone    string `protobuf:"bytes,6,opt,name=last_undone,json=lastUndone,proto3" json:"last_undone,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *Lock) Reset() {
	*x = Lock{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[44]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *Lock) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*Lock) ProtoMessage() {}

func (x *Lock) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[44]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use Lock.ProtoReflect.Descriptor instead.
func (*Lock) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{44}
}

func (x *Lock) GetName() string {
	if x != nil {
		return x.Name
	}
	return ""
}

func (x *Lock) GetHolder() *Holder {
	if x != nil {
		return x.Holder
	}
	return nil
}

func (x *Lock) GetWaiters() []*Waiter {
	if x != nil {
		return x.Waiters
	}
	return nil
}

func (x *Lock) GetQueueLength() int32 {
	if x != nil {
		return x.QueueLength
	}
	return 0
}

func (x *Lock) GetStagedRecords() int64 {
	if x != nil {
		return x.StagedRecords
	}
	return 0
}

func (x *Lock) GetLastUndone() string {
	if x != nil {
		return x.LastUndone
	}
	return ""
}

// Holder is who holds a lock.
type Holder struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The session's public id.
	Session string `protobuf:"bytes,1,opt,name=session,proto3" json:"session,omitempty"`
	// The request that acquired it.
	Request string `protobuf:"bytes,2,opt,name=request,proto3" json:"request,omitempty"`
	// Its label.
	Label string `protobuf:"bytes,3,opt,name=label,proto3" json:"label,omitempty"`
	// Its token. 0: unknown.
	Token int64 `protobuf:"varint,4,opt,name=token,proto3" json:"token,omitempty"`
	// When it was granted, by the clock of the server that granted it: for eyes only.
	Since *timestamppb.Timestamp `protobuf:"bytes,5,opt,name=since,proto3" json:"since,omitempty"`
	// The identity of whoever began its session. Empty: nobody was asked who they are.
	Identity string `protobuf:"bytes,6,opt,name=identity,proto3" json:"identity,omitempty"`
	// When it is evicted if it holds the lock still, by the same clock as `since`. Absent: never.
	Deadline *timestamppb.Timestamp `protobuf:"bytes,7,opt,name=deadline,proto3" json:"deadline,omitempty"`
	// How long its session lives on if no heartbeat comes any more. For eyes only, and may be two seconds old. Absent: the
	// server does not know. Inspect and List only.
	LeaseLeft *durationpb.Duration `protobuf:"bytes,8,opt,name=lease_left,json=leaseLeft,proto3" json:"lease_left,omitempty"`
	// How long ago its session's last heartbeat came. Likewise.
	HeartbeatAge  *durationpb.Duration `protobuf:"bytes,9,opt,name=heartbeat_age,json=heartbeatAge,proto3" json:"heartbeat_age,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *Holder) Reset() {
	*x = Holder{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[45]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *Holder) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*Holder) ProtoMessage() {}

func (x *Holder) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[45]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use Holder.ProtoReflect.Descriptor instead.
func (*Holder) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{45}
}

func (x *Holder) GetSession() string {
	if x != nil {
		return x.Session
	}
	return ""
}

func (x *Holder) GetRequest() string {
	if x != nil {
		return x.Request
	}
	return ""
}

func (x *Holder) GetLabel() string {
	if x != nil {
		return x.Label
	}
	return ""
}

func (x *Holder) GetToken() int64 {
	if x != nil {
		return x.Token
	}
	return 0
}

func (x *Holder) GetSince() *timestamppb.Timestamp {
	if x != nil {
		return x.Since
	}
	return nil
}

func (x *Holder) GetIdentity() string {
	if x != nil {
		return x.Identity
	}
	return ""
}

func (x *Holder) GetDeadline() *timestamppb.Timestamp {
	if x != nil {
		return x.Deadline
	}
	return nil
}

func (x *Holder) GetLeaseLeft() *durationpb.Duration {
	if x != nil {
		return x.LeaseLeft
	}
	return nil
}

func (x *Holder) GetHeartbeatAge() *durationpb.Duration {
	if x != nil {
		return x.HeartbeatAge
	}
	return nil
}

// Waiter is one place in a queue.
type Waiter struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The session's public id.
	Session string `protobuf:"bytes,1,opt,name=session,proto3" json:"session,omitempty"`
	// The request that waits.
	Request string `protobuf:"bytes,2,opt,name=request,proto3" json:"request,omitempty"`
	// Its label.
	Label string `protobuf:"bytes,3,opt,name=label,proto3" json:"label,omitempty"`
	// When it began to wait, by the clock of the server that queued it: for eyes only.
	Since *timestamppb.Timestamp `protobuf:"bytes,4,opt,name=since,proto3" json:"since,omitempty"`
	// The identity of whoever began its session. Empty: nobody was asked who they are.
	Identity string `protobuf:"bytes,5,opt,name=identity,proto3" json:"identity,omitempty"`
	// Its place in the queue, from 1. 0: that of where it is listed.
	Position      int32 `protobuf:"varint,6,opt,name=position,proto3" json:"position,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *Waiter) Reset() {
	*x = Waiter{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[46]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *Waiter) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*Waiter) ProtoMessage() {}

func (x *Waiter) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[46]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use Waiter.ProtoReflect.Descriptor instead.
func (*Waiter) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{46}
}

func (x *Waiter) GetSession() string {
	if x != nil {
		return x.Session
	}
	return ""
}

func (x *Waiter) GetRequest() string {
	if x != nil {
		return x.Request
	}
	return ""
}

func (x *Waiter) GetLabel() string {
	if x != nil {
		return x.Label
	}
	return ""
}

func (x *Waiter) GetSince() *timestamppb.Timestamp {
	if x != nil {
		return x.Since
	}
	return nil
}

func (x *Waiter) GetIdentity() string {
	if x != nil {
		return x.Identity
	}
	return ""
}

func (x *Waiter) GetPosition() int32 {
	if x != nil {
		return x.Position
	}
	return 0
}

// WatchRequest asks for events.
type WatchRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// What the locks' names begin with, byte for byte. Empty: all.
	Prefix string `protobuf:"bytes,1,opt,name=prefix,proto3" json:"prefix,omitempty"`
	// Instead of the state at the start, all that happened after this revision: not above etcd's, or it is INVALID_ARGUMENT.
	// It is COMPACTED if that is not known any more. 0: the state.
	Since         int64 `protobuf:"varint,2,opt,name=since,proto3" json:"since,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *WatchRequest) Reset() {
	*x = WatchRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[47]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *WatchRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*WatchRequest) ProtoMessage() {}

func (x *WatchRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[47]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use WatchRequest.ProtoReflect.Descriptor instead.
func (*WatchRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{47}
}

func (x *WatchRequest) GetPrefix() string {
	if x != nil {
		return x.Prefix
	}
	return ""
}

func (x *WatchRequest) GetSince() int64 {
	if x != nil {
		return x.Since
	}
	return 0
}

// WatchResponse is a run of events in order.
type WatchResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The events. None: this message only says how far the watch has come.
	Events []*Event `protobuf:"bytes,1,rep,name=events,proto3" json:"events,omitempty"`
	// All that happened up to this revision, this message's events included, was told; later events have a higher one. 0: a
	// part of the state at the start, more of which follows. So the first message with a revision ends the state, and one
	// comes even if nothing is held or waited for.
	Revision      int64 `protobuf:"varint,2,opt,name=revision,proto3" json:"revision,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *WatchResponse) Reset() {
	*x = WatchResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[48]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *WatchResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*WatchResponse) ProtoMessage() {}

func (x *WatchResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[48]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use WatchResponse.ProtoReflect.Descriptor instead.
func (*WatchResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{48}
}

func (x *WatchResponse) GetEvents() []*Event {
	if x != nil {
		return x.Events
	}
	return nil
}

func (x *WatchResponse) GetRevision() int64 {
	if x != nil {
		return x.Revision
	}
	return 0
}

// Event is one thing that happened to one lock.
type Event struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// What happened.
	Type Event_Type `protobuf:"varint,1,opt,name=type,proto3,enum=dlm.v1.Event_Type" json:"type,omitempty"`
	// The lock's name.
	Lock string `protobuf:"bytes,2,opt,name=lock,proto3" json:"lock,omitempty"`
	// The public id of the session that it happened to.
	Session string `protobuf:"bytes,3,opt,name=session,proto3" json:"session,omitempty"`
	// The request that it happened to.
	Request string `protobuf:"bytes,4,opt,name=request,proto3" json:"request,omitempty"`
	// Its label.
	Label string `protobuf:"bytes,5,opt,name=label,proto3" json:"label,omitempty"`
	// The token that it is about. 0: a waiter.
	Token int64 `protobuf:"varint,6,opt,name=token,proto3" json:"token,omitempty"`
	// The etcd revision at which it happened; several events may share one.
	Revision int64 `protobuf:"varint,7,opt,name=revision,proto3" json:"revision,omitempty"`
	// Why, for RELEASED, LOST and LEFT, where there is more to say.
	Reason string `protobuf:"bytes,8,opt,name=reason,proto3" json:"reason,omitempty"`
	// True for the events that describe the state at the start of the watch.
	Initial bool `protobuf:"varint,9,opt,name=initial,proto3" json:"initial,omitempty"`
	// The identity of whoever began its session. Empty: nobody was asked who they are, or it is not known any more.
	Identity      string `protobuf:"bytes,10,opt,name=identity,proto3" json:"identity,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *Event) Reset() {
	*x = Event{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[49]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *Event) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*Event) ProtoMessage() {}

func (x *Event) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[49]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use Event.ProtoReflect.Descriptor instead.
func (*Event) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{49}
}

func (x *Event) GetType() Event_Type {
	if x != nil {
		return x.Type
	}
	return Event_TYPE_UNSPECIFIED
}

func (x *Event) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

func (x *Event) GetSession() string {
	if x != nil {
		return x.Session
	}
	return ""
}

func (x *Event) GetRequest() string {
	if x != nil {
		return x.Request
	}
	return ""
}

func (x *Event) GetLabel() string {
	if x != nil {
		return x.Label
	}
	return ""
}

func (x *Event) GetToken() int64 {
	if x != nil {
		return x.Token
	}
	return 0
}

func (x *Event) GetRevision() int64 {
	if x != nil {
		return x.Revision
	}
	return 0
}

func (x *Event) GetReason() string {
	if x != nil {
		return x.Reason
	}
	return ""
}

func (x *Event) GetInitial() bool {
	if x != nil {
		return x.Initial
	}
	return false
}

func (x *Event) GetIdentity() string {
	if x != nil {
		return x.Identity
	}
	return ""
}

// EvictRequest takes a lock away.
type EvictRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The lock's name.
	Lock string `protobuf:"bytes,1,opt,name=lock,proto3" json:"lock,omitempty"`
	// The token to evict. 0: whoever holds it now; then a repeat may evict the next holder.
	Token int64 `protobuf:"varint,2,opt,name=token,proto3" json:"token,omitempty"`
	// Why, for the log and for whoever was evicted: 1 to 256 bytes of UTF-8 without control characters.
	Reason        string `protobuf:"bytes,3,opt,name=reason,proto3" json:"reason,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *EvictRequest) Reset() {
	*x = EvictRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[50]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *EvictRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*EvictRequest) ProtoMessage() {}

func (x *EvictRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[50]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use EvictRequest.ProtoReflect.Descriptor instead.
func (*EvictRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{50}
}

func (x *EvictRequest) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

func (x *EvictRequest) GetToken() int64 {
	if x != nil {
		return x.Token
	}
	return 0
}

func (x *EvictRequest) GetReason() string {
	if x != nil {
		return x.Reason
	}
	return ""
}

// EvictResponse says that the token no longer holds the lock.
type EvictResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// Who was evicted. Absent: it had already lost or left the lock.
	Evicted       *Holder `protobuf:"bytes,1,opt,name=evicted,proto3" json:"evicted,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *EvictResponse) Reset() {
	*x = EvictResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[51]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *EvictResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*EvictResponse) ProtoMessage() {}

func (x *EvictResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[51]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use EvictResponse.ProtoReflect.Descriptor instead.
func (*EvictResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{51}
}

func (x *EvictResponse) GetEvicted() *Holder {
	if x != nil {
		return x.Evicted
	}
	return nil
}

// ListProblemsRequest asks for malformed keys.
type ListProblemsRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The previous answer's next_page_token. Empty: from the start.
	PageToken     string `protobuf:"bytes,1,opt,name=page_token,json=pageToken,proto3" json:"page_token,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *ListProblemsRequest) Reset() {
	*x = ListProblemsRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[52]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *ListProblemsRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*ListProblemsRequest) ProtoMessage() {}

func (x *ListProblemsRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[52]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use ListProblemsRequest.ProtoReflect.Descriptor instead.
func (*ListProblemsRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{52}
}

func (x *ListProblemsRequest) GetPageToken() string {
	if x != nil {
		return x.PageToken
	}
	return ""
}

// ListProblemsResponse is a part of what is malformed.
type ListProblemsResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The keys that are, in their order. None: there are none in this part.
	Problems []*Problem `protobuf:"bytes,1,rep,name=problems,proto3" json:"problems,omitempty"`
	// To be given for the next part. Empty: this was the last.
	NextPageToken string `protobuf:"bytes,2,opt,name=next_page_token,json=nextPageToken,proto3" json:"next_page_token,omitempty"`
	// How many different malformed keys this server came upon by itself since it started, up to 1,000.
	Met int32 `protobuf:"varint,3,opt,name=met,proto3" json:"met,omitempty"`
	// How many panics of background work this server has recovered from since it started. Its log has the stacks.
	Panics        int64 `protobuf:"varint,4,opt,name=panics,proto3" json:"panics,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *ListProblemsResponse) Reset() {
	*x = ListProblemsResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[53]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *ListProblemsResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*ListProblemsResponse) ProtoMessage() {}

func (x *ListProblemsResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[53]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use ListProblemsResponse.ProtoReflect.Descriptor instead.
func (*ListProblemsResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{53}
}

func (x *ListProblemsResponse) GetProblems() []*Problem {
	if x != nil {
		return x.Problems
	}
	return nil
}

func (x *ListProblemsResponse) GetNextPageToken() string {
	if x != nil {
		return x.NextPageToken
	}
	return ""
}

func (x *ListProblemsResponse) GetMet() int32 {
	if x != nil {
		return x.Met
	}
	return 0
}

func (x *ListProblemsResponse) GetPanics() int64 {
	if x != nil {
		return x.Panics
	}
	return 0
}

// Problem is a key that is malformed.
type Problem struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The key, as it is: any bytes.
	Key []byte `protobuf:"bytes,1,opt,name=key,proto3" json:"key,omitempty"`
	// The key for people, what cannot be shown escaped.
	Name string `protobuf:"bytes,2,opt,name=name,proto3" json:"name,omitempty"`
	// What its family of keys holds: holder, waiter, session, record, marker, note, head, chunk and others.
	Kind string `protobuf:"bytes,3,opt,name=kind,proto3" json:"kind,omitempty"`
	// The lock that it belongs to. Empty: that cannot be told, or it belongs to none.
	Lock string `protobuf:"bytes,4,opt,name=lock,proto3" json:"lock,omitempty"`
	// What is wrong.
	Why string `protobuf:"bytes,5,opt,name=why,proto3" json:"why,omitempty"`
	// The revision at which it was put.
	Revision int64 `protobuf:"varint,6,opt,name=revision,proto3" json:"revision,omitempty"`
	// What may be lost with it if it is removed, for people. Empty: nothing.
	Loses string `protobuf:"bytes,7,opt,name=loses,proto3" json:"loses,omitempty"`
	// Whether it is none that a server removes: it concerns the whole cluster.
	Fixed         bool `protobuf:"varint,8,opt,name=fixed,proto3" json:"fixed,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *Problem) Reset() {
	*x = Problem{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[54]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *Problem) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*Problem) ProtoMessage() {}

func (x *Problem) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[54]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use Problem.ProtoReflect.Descriptor instead.
func (*Problem) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{54}
}

func (x *Problem) GetKey() []byte {
	if x != nil {
		return x.Key
	}
	return nil
}

func (x *Problem) GetName() string {
	if x != nil {
		return x.Name
	}
	return ""
}

func (x *Problem) GetKind() string {
	if x != nil {
		return x.Kind
	}
	return ""
}

func (x *Problem) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

func (x *Problem) GetWhy() string {
	if x != nil {
		return x.Why
	}
	return ""
}

func (x *Problem) GetRevision() int64 {
	if x != nil {
		return x.Revision
	}
	return 0
}

func (x *Problem) GetLoses() string {
	if x != nil {
		return x.Loses
	}
	return ""
}

func (x *Problem) GetFixed() bool {
	if x != nil {
		return x.Fixed
	}
	return false
}

// RepairRequest removes a malformed key.
type RepairRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The key, as ListProblems answered.
	Key []byte `protobuf:"bytes,1,opt,name=key,proto3" json:"key,omitempty"`
	// The revision, as ListProblems answered.
	Revision      int64 `protobuf:"varint,2,opt,name=revision,proto3" json:"revision,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *RepairRequest) Reset() {
	*x = RepairRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[55]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *RepairRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*RepairRequest) ProtoMessage() {}

func (x *RepairRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[55]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use RepairRequest.ProtoReflect.Descriptor instead.
func (*RepairRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{55}
}

func (x *RepairRequest) GetKey() []byte {
	if x != nil {
		return x.Key
	}
	return nil
}

func (x *RepairRequest) GetRevision() int64 {
	if x != nil {
		return x.Revision
	}
	return 0
}

// RepairResponse says that the key, as it was, is not there any more.
type RepairResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// Whether this call has removed it. False: it was gone, or was put anew since.
	Removed       bool `protobuf:"varint,1,opt,name=removed,proto3" json:"removed,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *RepairResponse) Reset() {
	*x = RepairResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[56]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *RepairResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*RepairResponse) ProtoMessage() {}

func (x *RepairResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[56]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use RepairResponse.ProtoReflect.Descriptor instead.
func (*RepairResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{56}
}

func (x *RepairResponse) GetRemoved() bool {
	if x != nil {
		return x.Removed
	}
	return false
}

// Retention says how much is kept of files, from their ends. Of a lock's files that counts, alone, which has the longest
// prefix of the lock's name.
type Retention struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// What the locks' names begin with. Empty: all locks.
	Prefix string `protobuf:"bytes,1,opt,name=prefix,proto3" json:"prefix,omitempty"`
	// Which of their files, as a shell's pattern: `*`, `?`, `[a-z]`, 128 bytes at most. Empty: all.
	Files string `protobuf:"bytes,2,opt,name=files,proto3" json:"files,omitempty"`
	// The most bytes of a file, but for its last section. It may have more for about a minute. 0: any number.
	MaxBytes int64 `protobuf:"varint,3,opt,name=max_bytes,json=maxBytes,proto3" json:"max_bytes,omitempty"`
	// How old what is in a file may become, in whole milliseconds, by the clocks of servers, from 1 min on. It may become
	// older by a sixteenth, and about a minute. Absent: any age.
	MaxAge        *durationpb.Duration `protobuf:"bytes,4,opt,name=max_age,json=maxAge,proto3" json:"max_age,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *Retention) Reset() {
	*x = Retention{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[57]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *Retention) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*Retention) ProtoMessage() {}

func (x *Retention) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[57]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use Retention.ProtoReflect.Descriptor instead.
func (*Retention) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{57}
}

func (x *Retention) GetPrefix() string {
	if x != nil {
		return x.Prefix
	}
	return ""
}

func (x *Retention) GetFiles() string {
	if x != nil {
		return x.Files
	}
	return ""
}

func (x *Retention) GetMaxBytes() int64 {
	if x != nil {
		return x.MaxBytes
	}
	return 0
}

func (x *Retention) GetMaxAge() *durationpb.Duration {
	if x != nil {
		return x.MaxAge
	}
	return nil
}

// SetRetentionRequest says how much is kept.
type SetRetentionRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// What is said of its prefix from now on. With neither max_bytes nor max_age: nothing.
	Retention     *Retention `protobuf:"bytes,1,opt,name=retention,proto3" json:"retention,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *SetRetentionRequest) Reset() {
	*x = SetRetentionRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[58]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *SetRetentionRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*SetRetentionRequest) ProtoMessage() {}

func (x *SetRetentionRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[58]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use SetRetentionRequest.ProtoReflect.Descriptor instead.
func (*SetRetentionRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{58}
}

func (x *SetRetentionRequest) GetRetention() *Retention {
	if x != nil {
		return x.Retention
	}
	return nil
}

// SetRetentionResponse says that every server will do so.
type SetRetentionResponse struct {
	state         protoimpl.MessageState `protogen:"open.v1"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *SetRetentionResponse) Reset() {
	*x = SetRetentionResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[59]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *SetRetentionResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*SetRetentionResponse) ProtoMessage() {}

func (x *SetRetentionResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[59]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use SetRetentionResponse.ProtoReflect.Descriptor instead.
func (*SetRetentionResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{59}
}

// ListRetentionRequest asks how much is kept.
type ListRetentionRequest struct {
	state         protoimpl.MessageState `protogen:"open.v1"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *ListRetentionRequest) Reset() {
	*x = ListRetentionRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[60]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *ListRetentionRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*ListRetentionRequest) ProtoMessage() {}

func (x *ListRetentionRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[60]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use ListRetentionRequest.ProtoReflect.Descriptor instead.
func (*ListRetentionRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{60}
}

// ListRetentionResponse says how much is kept.
type ListRetentionResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// In the order of prefixes, 256 at most.
	Retentions    []*Retention `protobuf:"bytes,1,rep,name=retentions,proto3" json:"retentions,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *ListRetentionResponse) Reset() {
	*x = ListRetentionResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[61]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *ListRetentionResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*ListRetentionResponse) ProtoMessage() {}

func (x *ListRetentionResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[61]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use ListRetentionResponse.ProtoReflect.Descriptor instead.
func (*ListRetentionResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{61}
}

func (x *ListRetentionResponse) GetRetentions() []*Retention {
	if x != nil {
		return x.Retentions
	}
	return nil
}

// SnapshotRequest asks for a snapshot.
type SnapshotRequest struct {
	state         protoimpl.MessageState `protogen:"open.v1"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *SnapshotRequest) Reset() {
	*x = SnapshotRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[62]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *SnapshotRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*SnapshotRequest) ProtoMessage() {}

func (x *SnapshotRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[62]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use SnapshotRequest.ProtoReflect.Descriptor instead.
func (*SnapshotRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{62}
}

// SnapshotResponse is a part of a snapshot. The first has no data, and what the others have not.
type SnapshotResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// Goes on where that of the last answer ended.
	Data []byte `protobuf:"bytes,1,opt,name=data,proto3" json:"data,omitempty"`
	// The cluster's id.
	Cluster string `protobuf:"bytes,2,opt,name=cluster,proto3" json:"cluster,omitempty"`
	// A revision that the snapshot has at least.
	Revision      int64 `protobuf:"varint,3,opt,name=revision,proto3" json:"revision,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *SnapshotResponse) Reset() {
	*x = SnapshotResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[63]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *SnapshotResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*SnapshotResponse) ProtoMessage() {}

func (x *SnapshotResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[63]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use SnapshotResponse.ProtoReflect.Descriptor instead.
func (*SnapshotResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{63}
}

func (x *SnapshotResponse) GetData() []byte {
	if x != nil {
		return x.Data
	}
	return nil
}

func (x *SnapshotResponse) GetCluster() string {
	if x != nil {
		return x.Cluster
	}
	return ""
}

func (x *SnapshotResponse) GetRevision() int64 {
	if x != nil {
		return x.Revision
	}
	return 0
}

// StreamRequest is one call.
type StreamRequest struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The call's number, chosen by the client; unique among its unanswered calls on this stream.
	Call uint64 `protobuf:"varint,1,opt,name=call,proto3" json:"call,omitempty"`
	// The call.
	//
	// Types that are valid to be assigned to Request:
	//
	//	*StreamRequest_Init
	//	*StreamRequest_Heartbeat
	//	*StreamRequest_Close
	//	*StreamRequest_Acquire
	//	*StreamRequest_Cancel
	//	*StreamRequest_Release
	//	*StreamRequest_Commit
	//	*StreamRequest_Discard
	//	*StreamRequest_Append
	//	*StreamRequest_Read
	//	*StreamRequest_ListFiles
	//	*StreamRequest_Inspect
	//	*StreamRequest_List
	//	*StreamRequest_Evict
	//	*StreamRequest_InspectCluster
	//	*StreamRequest_ListProblems
	//	*StreamRequest_Repair
	//	*StreamRequest_Publish
	//	*StreamRequest_Withdraw
	//	*StreamRequest_SetRetention
	//	*StreamRequest_ListRetention
	Request isStreamRequest_Request `protobuf_oneof:"request"`
	// The call's W3C trace context, as its header `traceparent` would have it: version 00, 55 bytes. Empty, or anything else: it
	// has none. A unary call has that header. It changes nothing but what the server tells where it sends its traces.
	Traceparent   string `protobuf:"bytes,19,opt,name=traceparent,proto3" json:"traceparent,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *StreamRequest) Reset() {
	*x = StreamRequest{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[64]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *StreamRequest) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*StreamRequest) ProtoMessage() {}

func (x *StreamRequest) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[64]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use StreamRequest.ProtoReflect.Descriptor instead.
func (*StreamRequest) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{64}
}

func (x *StreamRequest) GetCall() uint64 {
	if x != nil {
		return x.Call
	}
	return 0
}

func (x *StreamRequest) GetRequest() isStreamRequest_Request {
	if x != nil {
		return x.Request
	}
	return nil
}

func (x *StreamRequest) GetInit() *InitRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_Init); ok {
			return x.Init
		}
	}
	return nil
}

func (x *StreamRequest) GetHeartbeat() *HeartbeatRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_Heartbeat); ok {
			return x.Heartbeat
		}
	}
	return nil
}

func (x *StreamRequest) GetClose() *CloseRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_Close); ok {
			return x.Close
		}
	}
	return nil
}

func (x *StreamRequest) GetAcquire() *AcquireRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_Acquire); ok {
			return x.Acquire
		}
	}
	return nil
}

func (x *StreamRequest) GetCancel() *CancelRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_Cancel); ok {
			return x.Cancel
		}
	}
	return nil
}

func (x *StreamRequest) GetRelease() *ReleaseRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_Release); ok {
			return x.Release
		}
	}
	return nil
}

func (x *StreamRequest) GetCommit() *CommitRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_Commit); ok {
			return x.Commit
		}
	}
	return nil
}

func (x *StreamRequest) GetDiscard() *DiscardRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_Discard); ok {
			return x.Discard
		}
	}
	return nil
}

func (x *StreamRequest) GetAppend() *AppendRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_Append); ok {
			return x.Append
		}
	}
	return nil
}

func (x *StreamRequest) GetRead() *ReadRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_Read); ok {
			return x.Read
		}
	}
	return nil
}

func (x *StreamRequest) GetListFiles() *ListFilesRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_ListFiles); ok {
			return x.ListFiles
		}
	}
	return nil
}

func (x *StreamRequest) GetInspect() *InspectRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_Inspect); ok {
			return x.Inspect
		}
	}
	return nil
}

func (x *StreamRequest) GetList() *ListRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_List); ok {
			return x.List
		}
	}
	return nil
}

func (x *StreamRequest) GetEvict() *EvictRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_Evict); ok {
			return x.Evict
		}
	}
	return nil
}

func (x *StreamRequest) GetInspectCluster() *InspectClusterRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_InspectCluster); ok {
			return x.InspectCluster
		}
	}
	return nil
}

func (x *StreamRequest) GetListProblems() *ListProblemsRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_ListProblems); ok {
			return x.ListProblems
		}
	}
	return nil
}

func (x *StreamRequest) GetRepair() *RepairRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_Repair); ok {
			return x.Repair
		}
	}
	return nil
}

func (x *StreamRequest) GetPublish() *PublishRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_Publish); ok {
			return x.Publish
		}
	}
	return nil
}

func (x *StreamRequest) GetWithdraw() *WithdrawRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_Withdraw); ok {
			return x.Withdraw
		}
	}
	return nil
}

func (x *StreamRequest) GetSetRetention() *SetRetentionRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_SetRetention); ok {
			return x.SetRetention
		}
	}
	return nil
}

func (x *StreamRequest) GetListRetention() *ListRetentionRequest {
	if x != nil {
		if x, ok := x.Request.(*StreamRequest_ListRetention); ok {
			return x.ListRetention
		}
	}
	return nil
}

func (x *StreamRequest) GetTraceparent() string {
	if x != nil {
		return x.Traceparent
	}
	return ""
}

type isStreamRequest_Request interface {
	isStreamRequest_Request()
}

type StreamRequest_Init struct {
	// A call of Init.
	Init *InitRequest `protobuf:"bytes,2,opt,name=init,proto3,oneof"`
}

type StreamRequest_Heartbeat struct {
	// A call of Heartbeat.
	Heartbeat *HeartbeatRequest `protobuf:"bytes,3,opt,name=heartbeat,proto3,oneof"`
}

type StreamRequest_Close struct {
	// A call of Close.
	Close *CloseRequest `protobuf:"bytes,4,opt,name=close,proto3,oneof"`
}

type StreamRequest_Acquire struct {
	// A call of Acquire.
	Acquire *AcquireRequest `protobuf:"bytes,5,opt,name=acquire,proto3,oneof"`
}

type StreamRequest_Cancel struct {
	// A call of Cancel.
	Cancel *CancelRequest `protobuf:"bytes,6,opt,name=cancel,proto3,oneof"`
}

type StreamRequest_Release struct {
	// A call of Release.
	Release *ReleaseRequest `protobuf:"bytes,7,opt,name=release,proto3,oneof"`
}

type StreamRequest_Commit struct {
	// A call of Commit.
	Commit *CommitRequest `protobuf:"bytes,8,opt,name=commit,proto3,oneof"`
}

type StreamRequest_Discard struct {
	// A call of Discard.
	Discard *DiscardRequest `protobuf:"bytes,9,opt,name=discard,proto3,oneof"`
}

type StreamRequest_Append struct {
	// A call of Append.
	Append *AppendRequest `protobuf:"bytes,10,opt,name=append,proto3,oneof"`
}

type StreamRequest_Read struct {
	// A call of Read.
	Read *ReadRequest `protobuf:"bytes,11,opt,name=read,proto3,oneof"`
}

type StreamRequest_ListFiles struct {
	// A call of ListFiles.
	ListFiles *ListFilesRequest `protobuf:"bytes,12,opt,name=list_files,json=listFiles,proto3,oneof"`
}

type StreamRequest_Inspect struct {
	// A call of Inspect.
	Inspect *InspectRequest `protobuf:"bytes,13,opt,name=inspect,proto3,oneof"`
}

type StreamRequest_List struct {
	// A call of List.
	List *ListRequest `protobuf:"bytes,14,opt,name=list,proto3,oneof"`
}

type StreamRequest_Evict struct {
	// A call of Evict.
	Evict *EvictRequest `protobuf:"bytes,15,opt,name=evict,proto3,oneof"`
}

type StreamRequest_InspectCluster struct {
	// A call of InspectCluster.
	InspectCluster *InspectClusterRequest `protobuf:"bytes,16,opt,name=inspect_cluster,json=inspectCluster,proto3,oneof"`
}

type StreamRequest_ListProblems struct {
	// A call of ListProblems.
	ListProblems *ListProblemsRequest `protobuf:"bytes,17,opt,name=list_problems,json=listProblems,proto3,oneof"`
}

type StreamRequest_Repair struct {
	// A call of Repair.
	Repair *RepairRequest `protobuf:"bytes,18,opt,name=repair,proto3,oneof"`
}

type StreamRequest_Publish struct {
	// A call of Publish.
	Publish *PublishRequest `protobuf:"bytes,20,opt,name=publish,proto3,oneof"`
}

type StreamRequest_Withdraw struct {
	// A call of Withdraw.
	Withdraw *WithdrawRequest `protobuf:"bytes,21,opt,name=withdraw,proto3,oneof"`
}

type StreamRequest_SetRetention struct {
	// A call of SetRetention.
	SetRetention *SetRetentionRequest `protobuf:"bytes,22,opt,name=set_retention,json=setRetention,proto3,oneof"`
}

type StreamRequest_ListRetention struct {
	// A call of ListRetention.
	ListRetention *ListRetentionRequest `protobuf:"bytes,23,opt,name=list_retention,json=listRetention,proto3,oneof"`
}

func (*StreamRequest_Init) isStreamRequest_Request() {}

func (*StreamRequest_Heartbeat) isStreamRequest_Request() {}

func (*StreamRequest_Close) isStreamRequest_Request() {}

func (*StreamRequest_Acquire) isStreamRequest_Request() {}

func (*StreamRequest_Cancel) isStreamRequest_Request() {}

func (*StreamRequest_Release) isStreamRequest_Request() {}

func (*StreamRequest_Commit) isStreamRequest_Request() {}

func (*StreamRequest_Discard) isStreamRequest_Request() {}

func (*StreamRequest_Append) isStreamRequest_Request() {}

func (*StreamRequest_Read) isStreamRequest_Request() {}

func (*StreamRequest_ListFiles) isStreamRequest_Request() {}

func (*StreamRequest_Inspect) isStreamRequest_Request() {}

func (*StreamRequest_List) isStreamRequest_Request() {}

func (*StreamRequest_Evict) isStreamRequest_Request() {}

func (*StreamRequest_InspectCluster) isStreamRequest_Request() {}

func (*StreamRequest_ListProblems) isStreamRequest_Request() {}

func (*StreamRequest_Repair) isStreamRequest_Request() {}

func (*StreamRequest_Publish) isStreamRequest_Request() {}

func (*StreamRequest_Withdraw) isStreamRequest_Request() {}

func (*StreamRequest_SetRetention) isStreamRequest_Request() {}

func (*StreamRequest_ListRetention) isStreamRequest_Request() {}

// Lost tells, without being asked, that a hold or a whole session is over. It is sent only for sessions whose Init or
// Heartbeat over this stream said takes_lost. It may come late, twice, and beside the answer to the call that ended the
// hold: then the answer decides.
type Lost struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The session's public id.
	Session string `protobuf:"bytes,1,opt,name=session,proto3" json:"session,omitempty"`
	// The lock. Empty: the session has ended, and with it all that it held and waited for.
	Lock string `protobuf:"bytes,2,opt,name=lock,proto3" json:"lock,omitempty"`
	// The acquisition's request. Empty: the session has ended.
	Request string `protobuf:"bytes,3,opt,name=request,proto3" json:"request,omitempty"`
	// As of this revision the acquisition, which held, holds nothing; or there is no session. It says nothing of a token
	// above it.
	Revision int64 `protobuf:"varint,4,opt,name=revision,proto3" json:"revision,omitempty"`
	// Why, for people.
	Reason        string `protobuf:"bytes,5,opt,name=reason,proto3" json:"reason,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *Lost) Reset() {
	*x = Lost{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[65]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *Lost) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*Lost) ProtoMessage() {}

func (x *Lost) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[65]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use Lost.ProtoReflect.Descriptor instead.
func (*Lost) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{65}
}

func (x *Lost) GetSession() string {
	if x != nil {
		return x.Session
	}
	return ""
}

func (x *Lost) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

func (x *Lost) GetRequest() string {
	if x != nil {
		return x.Request
	}
	return ""
}

func (x *Lost) GetRevision() int64 {
	if x != nil {
		return x.Revision
	}
	return 0
}

func (x *Lost) GetReason() string {
	if x != nil {
		return x.Reason
	}
	return ""
}

// Ending tells, without being asked, that a hold's deadline is near: see Deadlines. It is sent under the same conditions as
// Lost, once for each stream, and may come late or not at all.
type Ending struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The session's public id.
	Session string `protobuf:"bytes,1,opt,name=session,proto3" json:"session,omitempty"`
	// The lock.
	Lock string `protobuf:"bytes,2,opt,name=lock,proto3" json:"lock,omitempty"`
	// The acquisition's request.
	Request string `protobuf:"bytes,3,opt,name=request,proto3" json:"request,omitempty"`
	// How much longer it may hold, counted from when this was sent.
	HoldLeft      *durationpb.Duration `protobuf:"bytes,4,opt,name=hold_left,json=holdLeft,proto3" json:"hold_left,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *Ending) Reset() {
	*x = Ending{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[66]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *Ending) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*Ending) ProtoMessage() {}

func (x *Ending) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[66]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use Ending.ProtoReflect.Descriptor instead.
func (*Ending) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{66}
}

func (x *Ending) GetSession() string {
	if x != nil {
		return x.Session
	}
	return ""
}

func (x *Ending) GetLock() string {
	if x != nil {
		return x.Lock
	}
	return ""
}

func (x *Ending) GetRequest() string {
	if x != nil {
		return x.Request
	}
	return ""
}

func (x *Ending) GetHoldLeft() *durationpb.Duration {
	if x != nil {
		return x.HoldLeft
	}
	return nil
}

// StreamResponse is one call's answer, or a message that nobody asked for.
type StreamResponse struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The call that it answers. 0: it answers none.
	Call uint64 `protobuf:"varint,1,opt,name=call,proto3" json:"call,omitempty"`
	// The answer.
	//
	// Types that are valid to be assigned to Response:
	//
	//	*StreamResponse_Error
	//	*StreamResponse_Init
	//	*StreamResponse_Heartbeat
	//	*StreamResponse_Close
	//	*StreamResponse_Acquire
	//	*StreamResponse_Cancel
	//	*StreamResponse_Release
	//	*StreamResponse_Commit
	//	*StreamResponse_Discard
	//	*StreamResponse_Append
	//	*StreamResponse_Read
	//	*StreamResponse_ListFiles
	//	*StreamResponse_Inspect
	//	*StreamResponse_List
	//	*StreamResponse_Evict
	//	*StreamResponse_Lost
	//	*StreamResponse_InspectCluster
	//	*StreamResponse_ListProblems
	//	*StreamResponse_Repair
	//	*StreamResponse_Ending
	//	*StreamResponse_Publish
	//	*StreamResponse_Withdraw
	//	*StreamResponse_SetRetention
	//	*StreamResponse_ListRetention
	Response      isStreamResponse_Response `protobuf_oneof:"response"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *StreamResponse) Reset() {
	*x = StreamResponse{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[67]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *StreamResponse) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*StreamResponse) ProtoMessage() {}

func (x *StreamResponse) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[67]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use StreamResponse.ProtoReflect.Descriptor instead.
func (*StreamResponse) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{67}
}

func (x *StreamResponse) GetCall() uint64 {
	if x != nil {
		return x.Call
	}
	return 0
}

func (x *StreamResponse) GetResponse() isStreamResponse_Response {
	if x != nil {
		return x.Response
	}
	return nil
}

func (x *StreamResponse) GetError() *Error {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_Error); ok {
			return x.Error
		}
	}
	return nil
}

func (x *StreamResponse) GetInit() *InitResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_Init); ok {
			return x.Init
		}
	}
	return nil
}

func (x *StreamResponse) GetHeartbeat() *HeartbeatResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_Heartbeat); ok {
			return x.Heartbeat
		}
	}
	return nil
}

func (x *StreamResponse) GetClose() *CloseResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_Close); ok {
			return x.Close
		}
	}
	return nil
}

func (x *StreamResponse) GetAcquire() *AcquireResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_Acquire); ok {
			return x.Acquire
		}
	}
	return nil
}

func (x *StreamResponse) GetCancel() *CancelResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_Cancel); ok {
			return x.Cancel
		}
	}
	return nil
}

func (x *StreamResponse) GetRelease() *ReleaseResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_Release); ok {
			return x.Release
		}
	}
	return nil
}

func (x *StreamResponse) GetCommit() *CommitResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_Commit); ok {
			return x.Commit
		}
	}
	return nil
}

func (x *StreamResponse) GetDiscard() *DiscardResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_Discard); ok {
			return x.Discard
		}
	}
	return nil
}

func (x *StreamResponse) GetAppend() *AppendResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_Append); ok {
			return x.Append
		}
	}
	return nil
}

func (x *StreamResponse) GetRead() *ReadResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_Read); ok {
			return x.Read
		}
	}
	return nil
}

func (x *StreamResponse) GetListFiles() *ListFilesResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_ListFiles); ok {
			return x.ListFiles
		}
	}
	return nil
}

func (x *StreamResponse) GetInspect() *InspectResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_Inspect); ok {
			return x.Inspect
		}
	}
	return nil
}

func (x *StreamResponse) GetList() *ListResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_List); ok {
			return x.List
		}
	}
	return nil
}

func (x *StreamResponse) GetEvict() *EvictResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_Evict); ok {
			return x.Evict
		}
	}
	return nil
}

func (x *StreamResponse) GetLost() *Lost {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_Lost); ok {
			return x.Lost
		}
	}
	return nil
}

func (x *StreamResponse) GetInspectCluster() *InspectClusterResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_InspectCluster); ok {
			return x.InspectCluster
		}
	}
	return nil
}

func (x *StreamResponse) GetListProblems() *ListProblemsResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_ListProblems); ok {
			return x.ListProblems
		}
	}
	return nil
}

func (x *StreamResponse) GetRepair() *RepairResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_Repair); ok {
			return x.Repair
		}
	}
	return nil
}

func (x *StreamResponse) GetEnding() *Ending {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_Ending); ok {
			return x.Ending
		}
	}
	return nil
}

func (x *StreamResponse) GetPublish() *PublishResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_Publish); ok {
			return x.Publish
		}
	}
	return nil
}

func (x *StreamResponse) GetWithdraw() *WithdrawResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_Withdraw); ok {
			return x.Withdraw
		}
	}
	return nil
}

func (x *StreamResponse) GetSetRetention() *SetRetentionResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_SetRetention); ok {
			return x.SetRetention
		}
	}
	return nil
}

func (x *StreamResponse) GetListRetention() *ListRetentionResponse {
	if x != nil {
		if x, ok := x.Response.(*StreamResponse_ListRetention); ok {
			return x.ListRetention
		}
	}
	return nil
}

type isStreamResponse_Response interface {
	isStreamResponse_Response()
}

type StreamResponse_Error struct {
	// The call failed: code, message and details as a unary call would carry them.
	Error *Error `protobuf:"bytes,2,opt,name=error,proto3,oneof"`
}

type StreamResponse_Init struct {
	// The answer to Init.
	Init *InitResponse `protobuf:"bytes,3,opt,name=init,proto3,oneof"`
}

type StreamResponse_Heartbeat struct {
	// The answer to Heartbeat.
	Heartbeat *HeartbeatResponse `protobuf:"bytes,4,opt,name=heartbeat,proto3,oneof"`
}

type StreamResponse_Close struct {
	// The answer to Close.
	Close *CloseResponse `protobuf:"bytes,5,opt,name=close,proto3,oneof"`
}

type StreamResponse_Acquire struct {
	// The answer to Acquire.
	Acquire *AcquireResponse `protobuf:"bytes,6,opt,name=acquire,proto3,oneof"`
}

type StreamResponse_Cancel struct {
	// The answer to Cancel.
	Cancel *CancelResponse `protobuf:"bytes,7,opt,name=cancel,proto3,oneof"`
}

type StreamResponse_Release struct {
	// The answer to Release.
	Release *ReleaseResponse `protobuf:"bytes,8,opt,name=release,proto3,oneof"`
}

type StreamResponse_Commit struct {
	// The answer to Commit.
	Commit *CommitResponse `protobuf:"bytes,9,opt,name=commit,proto3,oneof"`
}

type StreamResponse_Discard struct {
	// The answer to Discard.
	Discard *DiscardResponse `protobuf:"bytes,10,opt,name=discard,proto3,oneof"`
}

type StreamResponse_Append struct {
	// The answer to Append.
	Append *AppendResponse `protobuf:"bytes,11,opt,name=append,proto3,oneof"`
}

type StreamResponse_Read struct {
	// The answer to Read.
	Read *ReadResponse `protobuf:"bytes,12,opt,name=read,proto3,oneof"`
}

type StreamResponse_ListFiles struct {
	// The answer to ListFiles.
	ListFiles *ListFilesResponse `protobuf:"bytes,13,opt,name=list_files,json=listFiles,proto3,oneof"`
}

type StreamResponse_Inspect struct {
	// The answer to Inspect.
	Inspect *InspectResponse `protobuf:"bytes,14,opt,name=inspect,proto3,oneof"`
}

type StreamResponse_List struct {
	// The answer to List.
	List *ListResponse `protobuf:"bytes,15,opt,name=list,proto3,oneof"`
}

type StreamResponse_Evict struct {
	// The answer to Evict.
	Evict *EvictResponse `protobuf:"bytes,16,opt,name=evict,proto3,oneof"`
}

type StreamResponse_Lost struct {
	// A loss, which answers no call.
	Lost *Lost `protobuf:"bytes,17,opt,name=lost,proto3,oneof"`
}

type StreamResponse_InspectCluster struct {
	// The answer to InspectCluster.
	InspectCluster *InspectClusterResponse `protobuf:"bytes,18,opt,name=inspect_cluster,json=inspectCluster,proto3,oneof"`
}

type StreamResponse_ListProblems struct {
	// The answer to ListProblems.
	ListProblems *ListProblemsResponse `protobuf:"bytes,19,opt,name=list_problems,json=listProblems,proto3,oneof"`
}

type StreamResponse_Repair struct {
	// The answer to Repair.
	Repair *RepairResponse `protobuf:"bytes,20,opt,name=repair,proto3,oneof"`
}

type StreamResponse_Ending struct {
	// A hold's deadline is near, which answers no call.
	Ending *Ending `protobuf:"bytes,21,opt,name=ending,proto3,oneof"`
}

type StreamResponse_Publish struct {
	// The answer to Publish.
	Publish *PublishResponse `protobuf:"bytes,22,opt,name=publish,proto3,oneof"`
}

type StreamResponse_Withdraw struct {
	// The answer to Withdraw.
	Withdraw *WithdrawResponse `protobuf:"bytes,23,opt,name=withdraw,proto3,oneof"`
}

type StreamResponse_SetRetention struct {
	// The answer to SetRetention.
	SetRetention *SetRetentionResponse `protobuf:"bytes,24,opt,name=set_retention,json=setRetention,proto3,oneof"`
}

type StreamResponse_ListRetention struct {
	// The answer to ListRetention.
	ListRetention *ListRetentionResponse `protobuf:"bytes,25,opt,name=list_retention,json=listRetention,proto3,oneof"`
}

func (*StreamResponse_Error) isStreamResponse_Response() {}

func (*StreamResponse_Init) isStreamResponse_Response() {}

func (*StreamResponse_Heartbeat) isStreamResponse_Response() {}

func (*StreamResponse_Close) isStreamResponse_Response() {}

func (*StreamResponse_Acquire) isStreamResponse_Response() {}

func (*StreamResponse_Cancel) isStreamResponse_Response() {}

func (*StreamResponse_Release) isStreamResponse_Response() {}

func (*StreamResponse_Commit) isStreamResponse_Response() {}

func (*StreamResponse_Discard) isStreamResponse_Response() {}

func (*StreamResponse_Append) isStreamResponse_Response() {}

func (*StreamResponse_Read) isStreamResponse_Response() {}

func (*StreamResponse_ListFiles) isStreamResponse_Response() {}

func (*StreamResponse_Inspect) isStreamResponse_Response() {}

func (*StreamResponse_List) isStreamResponse_Response() {}

func (*StreamResponse_Evict) isStreamResponse_Response() {}

func (*StreamResponse_Lost) isStreamResponse_Response() {}

func (*StreamResponse_InspectCluster) isStreamResponse_Response() {}

func (*StreamResponse_ListProblems) isStreamResponse_Response() {}

func (*StreamResponse_Repair) isStreamResponse_Response() {}

func (*StreamResponse_Ending) isStreamResponse_Response() {}

func (*StreamResponse_Publish) isStreamResponse_Response() {}

func (*StreamResponse_Withdraw) isStreamResponse_Response() {}

func (*StreamResponse_SetRetention) isStreamResponse_Response() {}

func (*StreamResponse_ListRetention) isStreamResponse_Response() {}

// Error is a google.rpc.Status, field for field: one can be decoded as the other.
type Error struct {
	state protoimpl.MessageState `protogen:"open.v1"`
	// The gRPC status code.
	Code int32 `protobuf:"varint,1,opt,name=code,proto3" json:"code,omitempty"`
	// What went wrong, for people.
	Message string `protobuf:"bytes,2,opt,name=message,proto3" json:"message,omitempty"`
	// The details, the ErrorInfo first.
	Details       []*anypb.Any `protobuf:"bytes,3,rep,name=details,proto3" json:"details,omitempty"`
	unknownFields protoimpl.UnknownFields
	sizeCache     protoimpl.SizeCache
}

func (x *Error) Reset() {
	*x = Error{}
	mi := &file_dlm_v1_dlm_proto_msgTypes[68]
	ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
	ms.StoreMessageInfo(mi)
}

func (x *Error) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*Error) ProtoMessage() {}

func (x *Error) ProtoReflect() protoreflect.Message {
	mi := &file_dlm_v1_dlm_proto_msgTypes[68]
	if x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use Error.ProtoReflect.Descriptor instead.
func (*Error) Descriptor() ([]byte, []int) {
	return file_dlm_v1_dlm_proto_rawDescGZIP(), []int{68}
}

func (x *Error) GetCode() int32 {
	if x != nil {
		return x.Code
	}
	return 0
}

func (x *Error) GetMessage() string {
	if x != nil {
		return x.Message
	}
	return ""
}

func (x *Error) GetDetails() []*anypb.Any {
	if x != nil {
		return x.Details
	}
	return nil
}

var File_dlm_v1_dlm_proto protoreflect.FileDescriptor

const file_dlm_v1_dlm_proto_rawDesc = "" +
	"\n" +
	"\x10dlm/v1/dlm.proto\x12\x06dlm.v1\x1a\x19google/protobuf/any.proto\x1a\x1egoogle/protobuf/duration.proto\x1a\x1fgoogle/protobuf/timestamp.proto\"\xc4\x01\n" +
	"\vInitRequest\x12+\n" +
	"\x03ttl\x18\x01 \x01(\v2\x19.google.protobuf.DurationR\x03ttl\x12\x14\n" +
	"\x05label\x18\x02 \x01(\tR\x05label\x121\n" +
	"\x06linger\x18\x03 \x01(\v2\x19.google.protobuf.DurationR\x06linger\x12\x1d\n" +
	"\n" +
	"takes_lost\x18\x04 \x01(\bR\ttakesLost\x12 \n" +
	"\x04seen\x18\x05 \x01(\v2\f.dlm.v1.SeenR\x04seen\"<\n" +
	"\x04Seen\x12\x18\n" +
	"\acluster\x18\x01 \x01(\tR\acluster\x12\x1a\n" +
	"\brevision\x18\x02 \x01(\x03R\brevision\"\x9b\x01\n" +
	"\fInitResponse\x12\x18\n" +
	"\asession\x18\x01 \x01(\tR\asession\x12+\n" +
	"\x03ttl\x18\x02 \x01(\v2\x19.google.protobuf.DurationR\x03ttl\x12\x0e\n" +
	"\x02id\x18\x03 \x01(\tR\x02id\x12\x18\n" +
	"\acluster\x18\x04 \x01(\tR\acluster\x12\x1a\n" +
	"\brevision\x18\x05 \x01(\x03R\brevision\";\n" +
	"\vAcquisition\x12\x12\n" +
	"\x04lock\x18\x01 \x01(\tR\x04lock\x12\x18\n" +
	"\arequest\x18\x02 \x01(\tR\arequest\"\xeb\x01\n" +
	"\x10HeartbeatRequest\x12\x18\n" +
	"\asession\x18\x01 \x01(\tR\asession\x12'\n" +
	"\x0fhighest_request\x18\x02 \x01(\x04R\x0ehighestRequest\x123\n" +
	"\n" +
	"unfinished\x18\x03 \x03(\v2\x13.dlm.v1.AcquisitionR\n" +
	"unfinished\x12\x1e\n" +
	"\n" +
	"attachment\x18\x04 \x01(\x04R\n" +
	"attachment\x12\x1d\n" +
	"\n" +
	"takes_lost\x18\x05 \x01(\bR\ttakesLost\x12 \n" +
	"\x04seen\x18\x06 \x01(\v2\f.dlm.v1.SeenR\x04seen\"\xc8\x01\n" +
	"\x11HeartbeatResponse\x12+\n" +
	"\x03ttl\x18\x01 \x01(\v2\x19.google.protobuf.DurationR\x03ttl\x120\n" +
	"\x06states\x18\x02 \x03(\v2\x18.dlm.v1.AcquisitionStateR\x06states\x12\x1a\n" +
	"\brevision\x18\x03 \x01(\x03R\brevision\x12\x18\n" +
	"\acluster\x18\x04 \x01(\tR\acluster\x12\x1e\n" +
	"\n" +
	"attachment\x18\x05 \x01(\x04R\n" +
	"attachment\"\x9a\x02\n" +
	"\x10AcquisitionState\x12\x12\n" +
	"\x04lock\x18\x01 \x01(\tR\x04lock\x12\x18\n" +
	"\arequest\x18\x02 \x01(\tR\arequest\x124\n" +
	"\x05state\x18\x03 \x01(\x0e2\x1e.dlm.v1.AcquisitionState.StateR\x05state\x12\x14\n" +
	"\x05token\x18\x04 \x01(\x03R\x05token\x126\n" +
	"\thold_left\x18\x05 \x01(\v2\x19.google.protobuf.DurationR\bholdLeft\"T\n" +
	"\x05State\x12\x15\n" +
	"\x11STATE_UNSPECIFIED\x10\x00\x12\x11\n" +
	"\rSTATE_WAITING\x10\x01\x12\x11\n" +
	"\rSTATE_HOLDING\x10\x02\x12\x0e\n" +
	"\n" +
	"STATE_NONE\x10\x03\"(\n" +
	"\fCloseRequest\x12\x18\n" +
	"\asession\x18\x01 \x01(\tR\asession\"\x0f\n" +
	"\rCloseResponse\"\xd3\x01\n" +
	"\x0eAcquireRequest\x12\x18\n" +
	"\asession\x18\x01 \x01(\tR\asession\x12\x12\n" +
	"\x04lock\x18\x02 \x01(\tR\x04lock\x12\x18\n" +
	"\arequest\x18\x03 \x01(\tR\arequest\x12-\n" +
	"\x04wait\x18\x04 \x01(\v2\x19.google.protobuf.DurationR\x04wait\x12\x14\n" +
	"\x05label\x18\x05 \x01(\tR\x05label\x124\n" +
	"\bmax_hold\x18\x06 \x01(\v2\x19.google.protobuf.DurationR\amaxHold\"\xe3\x02\n" +
	"\x0fAcquireResponse\x129\n" +
	"\aoutcome\x18\x01 \x01(\x0e2\x1f.dlm.v1.AcquireResponse.OutcomeR\aoutcome\x12\x14\n" +
	"\x05token\x18\x02 \x01(\x03R\x05token\x12&\n" +
	"\x06holder\x18\x03 \x01(\v2\x0e.dlm.v1.HolderR\x06holder\x12\x1a\n" +
	"\bposition\x18\x04 \x01(\x05R\bposition\x12!\n" +
	"\fqueue_length\x18\x05 \x01(\x05R\vqueueLength\x126\n" +
	"\thold_left\x18\x06 \x01(\v2\x19.google.protobuf.DurationR\bholdLeft\"`\n" +
	"\aOutcome\x12\x17\n" +
	"\x13OUTCOME_UNSPECIFIED\x10\x00\x12\x13\n" +
	"\x0fOUTCOME_GRANTED\x10\x01\x12\x10\n" +
	"\fOUTCOME_BUSY\x10\x02\x12\x15\n" +
	"\x11OUTCOME_CANCELLED\x10\x03\"W\n" +
	"\rCancelRequest\x12\x18\n" +
	"\asession\x18\x01 \x01(\tR\asession\x12\x12\n" +
	"\x04lock\x18\x02 \x01(\tR\x04lock\x12\x18\n" +
	"\arequest\x18\x03 \x01(\tR\arequest\"&\n" +
	"\x0eCancelResponse\x12\x14\n" +
	"\x05token\x18\x01 \x01(\x03R\x05token\"\x84\x01\n" +
	"\x0eReleaseRequest\x12\x18\n" +
	"\asession\x18\x01 \x01(\tR\asession\x12\x12\n" +
	"\x04lock\x18\x02 \x01(\tR\x04lock\x12\x14\n" +
	"\x05token\x18\x03 \x01(\x03R\x05token\x12\x1a\n" +
	"\bappended\x18\x04 \x01(\bR\bappended\x12\x12\n" +
	"\x04last\x18\x05 \x03(\tR\x04last\"\x11\n" +
	"\x0fReleaseResponse\"\x83\x01\n" +
	"\rCommitRequest\x12\x18\n" +
	"\asession\x18\x01 \x01(\tR\asession\x12\x12\n" +
	"\x04lock\x18\x02 \x01(\tR\x04lock\x12\x14\n" +
	"\x05token\x18\x03 \x01(\x03R\x05token\x12\x1a\n" +
	"\bappended\x18\x04 \x01(\bR\bappended\x12\x12\n" +
	"\x04last\x18\x05 \x03(\tR\x04last\"&\n" +
	"\x0eCommitResponse\x12\x14\n" +
	"\x05token\x18\x01 \x01(\x03R\x05token\"p\n" +
	"\x0eDiscardRequest\x12\x18\n" +
	"\asession\x18\x01 \x01(\tR\asession\x12\x12\n" +
	"\x04lock\x18\x02 \x01(\tR\x04lock\x12\x14\n" +
	"\x05token\x18\x03 \x01(\x03R\x05token\x12\x1a\n" +
	"\bappended\x18\x04 \x01(\bR\bappended\"/\n" +
	"\x0fDiscardResponse\x12\x1c\n" +
	"\tpublished\x18\x01 \x01(\bR\tpublished\"\xde\x01\n" +
	"\rAppendRequest\x12\x18\n" +
	"\asession\x18\x01 \x01(\tR\asession\x12\x12\n" +
	"\x04lock\x18\x02 \x01(\tR\x04lock\x12\x14\n" +
	"\x05token\x18\x03 \x01(\x03R\x05token\x12\x18\n" +
	"\arequest\x18\x04 \x01(\tR\arequest\x12\x12\n" +
	"\x04file\x18\x05 \x01(\tR\x04file\x12\x12\n" +
	"\x04data\x18\x06 \x01(\fR\x04data\x12\x16\n" +
	"\x06number\x18\a \x01(\x04R\x06number\x12/\n" +
	"\toperation\x18\b \x01(\v2\x11.dlm.v1.OperationR\toperation\",\n" +
	"\x0eAppendResponse\x12\x1a\n" +
	"\brevision\x18\x01 \x01(\x03R\brevision\"-\n" +
	"\aVersion\x12\x14\n" +
	"\x05token\x18\x01 \x01(\x03R\x05token\x12\f\n" +
	"\x01n\x18\x02 \x01(\rR\x01n\"\x89\x01\n" +
	"\tOperation\x12\x12\n" +
	"\x04file\x18\x01 \x01(\tR\x04file\x12\x18\n" +
	"\x06append\x18\x02 \x01(\fH\x00R\x06append\x12\x1a\n" +
	"\areplace\x18\x03 \x01(\fH\x00R\areplace\x12\x18\n" +
	"\x06remove\x18\x04 \x01(\bH\x00R\x06remove\x12\x12\n" +
	"\x03cut\x18\x05 \x01(\x03H\x00R\x03cutB\x04\n" +
	"\x02do\"\xab\x02\n" +
	"\x0ePublishRequest\x12\x12\n" +
	"\x04lock\x18\x01 \x01(\tR\x04lock\x12\x12\n" +
	"\x04lane\x18\x02 \x01(\fR\x04lane\x12\x16\n" +
	"\x06number\x18\x03 \x01(\x04R\x06number\x12\x12\n" +
	"\x04born\x18\x04 \x01(\x03R\x04born\x121\n" +
	"\n" +
	"operations\x18\x05 \x03(\v2\x11.dlm.v1.OperationR\n" +
	"operations\x12/\n" +
	"\tcondition\x18\x06 \x01(\v2\x11.dlm.v1.ConditionR\tcondition\x12\x18\n" +
	"\asession\x18\a \x01(\tR\asession\x12\x18\n" +
	"\arequest\x18\b \x01(\tR\arequest\x12-\n" +
	"\x04wait\x18\t \x01(\v2\x19.google.protobuf.DurationR\x04wait\"]\n" +
	"\tCondition\x12#\n" +
	"\x04lock\x18\x01 \x01(\v2\x0f.dlm.v1.VersionR\x04lock\x12+\n" +
	"\x05files\x18\x02 \x03(\v2\x15.dlm.v1.FileConditionR\x05files\"\x86\x01\n" +
	"\rFileCondition\x12\x12\n" +
	"\x04file\x18\x01 \x01(\tR\x04file\x12+\n" +
	"\aversion\x18\x02 \x01(\v2\x0f.dlm.v1.VersionH\x00R\aversion\x12\x18\n" +
	"\x06absent\x18\x03 \x01(\bH\x00R\x06absent\x12\x14\n" +
	"\x04size\x18\x04 \x01(\x03H\x00R\x04sizeB\x04\n" +
	"\x02is\"\xf1\x02\n" +
	"\x0fPublishResponse\x129\n" +
	"\aoutcome\x18\x01 \x01(\x0e2\x1f.dlm.v1.PublishResponse.OutcomeR\aoutcome\x12)\n" +
	"\aversion\x18\x02 \x01(\v2\x0f.dlm.v1.VersionR\aversion\x12&\n" +
	"\x06holder\x18\x03 \x01(\v2\x0e.dlm.v1.HolderR\x06holder\x122\n" +
	"\flock_version\x18\x04 \x01(\v2\x0f.dlm.v1.VersionR\vlockVersion\x12\"\n" +
	"\x05files\x18\x05 \x03(\v2\f.dlm.v1.FileR\x05files\"x\n" +
	"\aOutcome\x12\x17\n" +
	"\x13OUTCOME_UNSPECIFIED\x10\x00\x12\x15\n" +
	"\x11OUTCOME_PUBLISHED\x10\x01\x12\x10\n" +
	"\fOUTCOME_BUSY\x10\x02\x12\x15\n" +
	"\x11OUTCOME_WITHDRAWN\x10\x03\x12\x14\n" +
	"\x10OUTCOME_CONFLICT\x10\x04\"e\n" +
	"\x0fWithdrawRequest\x12\x12\n" +
	"\x04lock\x18\x01 \x01(\tR\x04lock\x12\x12\n" +
	"\x04lane\x18\x02 \x01(\fR\x04lane\x12\x16\n" +
	"\x06number\x18\x03 \x01(\x04R\x06number\x12\x12\n" +
	"\x04born\x18\x04 \x01(\x03R\x04born\"A\n" +
	"\x10WithdrawResponse\x12-\n" +
	"\tpublished\x18\x01 \x01(\v2\x0f.dlm.v1.VersionR\tpublished\"\x88\x01\n" +
	"\vReadRequest\x12\x12\n" +
	"\x04lock\x18\x01 \x01(\tR\x04lock\x12\x12\n" +
	"\x04file\x18\x02 \x01(\tR\x04file\x12\x16\n" +
	"\x06offset\x18\x03 \x01(\x03R\x06offset\x12\x14\n" +
	"\x05limit\x18\x04 \x01(\x05R\x05limit\x12#\n" +
	"\x04life\x18\x05 \x01(\v2\x0f.dlm.v1.VersionR\x04life\"\xb2\x01\n" +
	"\fReadResponse\x12\x12\n" +
	"\x04data\x18\x01 \x01(\fR\x04data\x12\x12\n" +
	"\x04size\x18\x02 \x01(\x03R\x04size\x12\x14\n" +
	"\x05token\x18\x03 \x01(\x03R\x05token\x12)\n" +
	"\aversion\x18\x04 \x01(\v2\x0f.dlm.v1.VersionR\aversion\x12\x14\n" +
	"\x05start\x18\x05 \x01(\x03R\x05start\x12#\n" +
	"\x04life\x18\x06 \x01(\v2\x0f.dlm.v1.VersionR\x04life\"r\n" +
	"\vTailRequest\x12\x12\n" +
	"\x04lock\x18\x01 \x01(\tR\x04lock\x12\x12\n" +
	"\x04file\x18\x02 \x01(\tR\x04file\x12\x16\n" +
	"\x06offset\x18\x03 \x01(\x03R\x06offset\x12#\n" +
	"\x04life\x18\x04 \x01(\v2\x0f.dlm.v1.VersionR\x04life\"\xa7\x01\n" +
	"\fTailResponse\x12\x12\n" +
	"\x04data\x18\x01 \x01(\fR\x04data\x12\x16\n" +
	"\x06offset\x18\x02 \x01(\x03R\x06offset\x12#\n" +
	"\x04life\x18\x03 \x01(\v2\x0f.dlm.v1.VersionR\x04life\x12\x10\n" +
	"\x03cut\x18\x04 \x01(\bR\x03cut\x12\x1a\n" +
	"\breplaced\x18\x05 \x01(\bR\breplaced\x12\x18\n" +
	"\aremoved\x18\x06 \x01(\bR\aremoved\"b\n" +
	"\x10ListFilesRequest\x12\x12\n" +
	"\x04lock\x18\x01 \x01(\tR\x04lock\x12\x1b\n" +
	"\tpage_size\x18\x02 \x01(\x05R\bpageSize\x12\x1d\n" +
	"\n" +
	"page_token\x18\x03 \x01(\tR\tpageToken\"_\n" +
	"\x11ListFilesResponse\x12\"\n" +
	"\x05files\x18\x01 \x03(\v2\f.dlm.v1.FileR\x05files\x12&\n" +
	"\x0fnext_page_token\x18\x02 \x01(\tR\rnextPageToken\"\xbe\x01\n" +
	"\x04File\x12\x12\n" +
	"\x04lock\x18\x01 \x01(\tR\x04lock\x12\x12\n" +
	"\x04name\x18\x02 \x01(\tR\x04name\x12\x12\n" +
	"\x04size\x18\x03 \x01(\x03R\x04size\x12\x14\n" +
	"\x05token\x18\x04 \x01(\x03R\x05token\x12)\n" +
	"\aversion\x18\x05 \x01(\v2\x0f.dlm.v1.VersionR\aversion\x12\x14\n" +
	"\x05start\x18\x06 \x01(\x03R\x05start\x12#\n" +
	"\x04life\x18\a \x01(\v2\x0f.dlm.v1.VersionR\x04life\"$\n" +
	"\x0eInspectRequest\x12\x12\n" +
	"\x04lock\x18\x01 \x01(\tR\x04lock\"3\n" +
	"\x0fInspectResponse\x12 \n" +
	"\x04lock\x18\x01 \x01(\v2\f.dlm.v1.LockR\x04lock\"\x17\n" +
	"\x15InspectClusterRequest\"\xe0\x01\n" +
	"\x16InspectClusterResponse\x12\x18\n" +
	"\acluster\x18\x01 \x01(\tR\acluster\x12\x1a\n" +
	"\brevision\x18\x02 \x01(\x03R\brevision\x12\x18\n" +
	"\aversion\x18\x03 \x01(\tR\aversion\x12(\n" +
	"\amembers\x18\x04 \x03(\v2\x0e.dlm.v1.MemberR\amembers\x12'\n" +
	"\x0frecords_refused\x18\x05 \x01(\tR\x0erecordsRefused\x12#\n" +
	"\rlocks_refused\x18\x06 \x01(\tR\flocksRefused\"\xa2\x01\n" +
	"\x06Member\x12\x0e\n" +
	"\x02id\x18\x01 \x01(\tR\x02id\x12\x12\n" +
	"\x04name\x18\x02 \x01(\tR\x04name\x12\x14\n" +
	"\x05peers\x18\x03 \x03(\tR\x05peers\x12\x16\n" +
	"\x06leader\x18\x04 \x01(\bR\x06leader\x12\x18\n" +
	"\alearner\x18\x05 \x01(\bR\alearner\x12,\n" +
	"\x06status\x18\x06 \x01(\v2\x14.dlm.v1.MemberStatusR\x06status\"i\n" +
	"\fMemberStatus\x12\x18\n" +
	"\aversion\x18\x01 \x01(\tR\aversion\x12\x12\n" +
	"\x04file\x18\x02 \x01(\x03R\x04file\x12\x15\n" +
	"\x06in_use\x18\x03 \x01(\x03R\x05inUse\x12\x14\n" +
	"\x05quota\x18\x04 \x01(\x03R\x05quota\"\xab\x01\n" +
	"\vListRequest\x12\x16\n" +
	"\x06prefix\x18\x01 \x01(\tR\x06prefix\x12\x1b\n" +
	"\tpage_size\x18\x02 \x01(\x05R\bpageSize\x12\x1d\n" +
	"\n" +
	"page_token\x18\x03 \x01(\tR\tpageToken\x12\x18\n" +
	"\asession\x18\x04 \x01(\tR\asession\x12\x1a\n" +
	"\bidentity\x18\x05 \x01(\tR\bidentity\x12\x12\n" +
	"\x04mine\x18\x06 \x01(\bR\x04mine\"v\n" +
	"\fListResponse\x12\"\n" +
	"\x05locks\x18\x01 \x03(\v2\f.dlm.v1.LockR\x05locks\x12&\n" +
	"\x0fnext_page_token\x18\x02 \x01(\tR\rnextPageToken\x12\x1a\n" +
	"\brevision\x18\x03 \x01(\x03R\brevision\"\xd7\x01\n" +
	"\x04Lock\x12\x12\n" +
	"\x04name\x18\x01 \x01(\tR\x04name\x12&\n" +
	"\x06holder\x18\x02 \x01(\v2\x0e.dlm.v1.HolderR\x06holder\x12(\n" +
	"\awaiters\x18\x03 \x03(\v2\x0e.dlm.v1.WaiterR\awaiters\x12!\n" +
	"\fqueue_length\x18\x04 \x01(\x05R\vqueueLength\x12%\n" +
	"\x0estaged_records\x18\x05 \x01(\x03R\rstagedRecords\x12\x1f\n" +
	"\vlast_undone\x18\x06 \x01(\tR\n" +
	"lastUndone\"\xe8\x02\n" +
	"\x06Holder\x12\x18\n" +
	"\asession\x18\x01 \x01(\tR\asession\x12\x18\n" +
	"\arequest\x18\x02 \x01(\tR\arequest\x12\x14\n" +
	"\x05label\x18\x03 \x01(\tR\x05label\x12\x14\n" +
	"\x05token\x18\x04 \x01(\x03R\x05token\x120\n" +
	"\x05since\x18\x05 \x01(\v2\x1a.google.protobuf.TimestampR\x05since\x12\x1a\n" +
	"\bidentity\x18\x06 \x01(\tR\bidentity\x126\n" +
	"\bdeadline\x18\a \x01(\v2\x1a.google.protobuf.TimestampR\bdeadline\x128\n" +
	"\n" +
	"lease_left\x18\b \x01(\v2\x19.google.protobuf.DurationR\tleaseLeft\x12>\n" +
	"\rheartbeat_age\x18\t \x01(\v2\x19.google.protobuf.DurationR\fheartbeatAge\"\xbc\x01\n" +
	"\x06Waiter\x12\x18\n" +
	"\asession\x18\x01 \x01(\tR\asession\x12\x18\n" +
	"\arequest\x18\x02 \x01(\tR\arequest\x12\x14\n" +
	"\x05label\x18\x03 \x01(\tR\x05label\x120\n" +
	"\x05since\x18\x04 \x01(\v2\x1a.google.protobuf.TimestampR\x05since\x12\x1a\n" +
	"\bidentity\x18\x05 \x01(\tR\bidentity\x12\x1a\n" +
	"\bposition\x18\x06 \x01(\x05R\bposition\"<\n" +
	"\fWatchRequest\x12\x16\n" +
	"\x06prefix\x18\x01 \x01(\tR\x06prefix\x12\x14\n" +
	"\x05since\x18\x02 \x01(\x03R\x05since\"R\n" +
	"\rWatchResponse\x12%\n" +
	"\x06events\x18\x01 \x03(\v2\r.dlm.v1.EventR\x06events\x12\x1a\n" +
	"\brevision\x18\x02 \x01(\x03R\brevision\"\x95\x03\n" +
	"\x05Event\x12&\n" +
	"\x04type\x18\x01 \x01(\x0e2\x12.dlm.v1.Event.TypeR\x04type\x12\x12\n" +
	"\x04lock\x18\x02 \x01(\tR\x04lock\x12\x18\n" +
	"\asession\x18\x03 \x01(\tR\asession\x12\x18\n" +
	"\arequest\x18\x04 \x01(\tR\arequest\x12\x14\n" +
	"\x05label\x18\x05 \x01(\tR\x05label\x12\x14\n" +
	"\x05token\x18\x06 \x01(\x03R\x05token\x12\x1a\n" +
	"\brevision\x18\a \x01(\x03R\brevision\x12\x16\n" +
	"\x06reason\x18\b \x01(\tR\x06reason\x12\x18\n" +
	"\ainitial\x18\t \x01(\bR\ainitial\x12\x1a\n" +
	"\bidentity\x18\n" +
	" \x01(\tR\bidentity\"\x85\x01\n" +
	"\x04Type\x12\x14\n" +
	"\x10TYPE_UNSPECIFIED\x10\x00\x12\x10\n" +
	"\fTYPE_WAITING\x10\x01\x12\x10\n" +
	"\fTYPE_GRANTED\x10\x02\x12\x12\n" +
	"\x0eTYPE_COMMITTED\x10\x03\x12\x11\n" +
	"\rTYPE_RELEASED\x10\x04\x12\r\n" +
	"\tTYPE_LOST\x10\x05\x12\r\n" +
	"\tTYPE_LEFT\x10\x06\"P\n" +
	"\fEvictRequest\x12\x12\n" +
	"\x04lock\x18\x01 \x01(\tR\x04lock\x12\x14\n" +
	"\x05token\x18\x02 \x01(\x03R\x05token\x12\x16\n" +
	"\x06reason\x18\x03 \x01(\tR\x06reason\"9\n" +
	"\rEvictResponse\x12(\n" +
	"\aevicted\x18\x01 \x01(\v2\x0e.dlm.v1.HolderR\aevicted\"4\n" +
	"\x13ListProblemsRequest\x12\x1d\n" +
	"\n" +
	"page_token\x18\x01 \x01(\tR\tpageToken\"\x95\x01\n" +
	"\x14ListProblemsResponse\x12+\n" +
	"\bproblems\x18\x01 \x03(\v2\x0f.dlm.v1.ProblemR\bproblems\x12&\n" +
	"\x0fnext_page_token\x18\x02 \x01(\tR\rnextPageToken\x12\x10\n" +
	"\x03met\x18\x03 \x01(\x05R\x03met\x12\x16\n" +
	"\x06panics\x18\x04 \x01(\x03R\x06panics\"\xb1\x01\n" +
	"\aProblem\x12\x10\n" +
	"\x03key\x18\x01 \x01(\fR\x03key\x12\x12\n" +
	"\x04name\x18\x02 \x01(\tR\x04name\x12\x12\n" +
	"\x04kind\x18\x03 \x01(\tR\x04kind\x12\x12\n" +
	"\x04lock\x18\x04 \x01(\tR\x04lock\x12\x10\n" +
	"\x03why\x18\x05 \x01(\tR\x03why\x12\x1a\n" +
	"\brevision\x18\x06 \x01(\x03R\brevision\x12\x14\n" +
	"\x05loses\x18\a \x01(\tR\x05loses\x12\x14\n" +
	"\x05fixed\x18\b \x01(\bR\x05fixed\"=\n" +
	"\rRepairRequest\x12\x10\n" +
	"\x03key\x18\x01 \x01(\fR\x03key\x12\x1a\n" +
	"\brevision\x18\x02 \x01(\x03R\brevision\"*\n" +
	"\x0eRepairResponse\x12\x18\n" +
	"\aremoved\x18\x01 \x01(\bR\aremoved\"\x8a\x01\n" +
	"\tRetention\x12\x16\n" +
	"\x06prefix\x18\x01 \x01(\tR\x06prefix\x12\x14\n" +
	"\x05files\x18\x02 \x01(\tR\x05files\x12\x1b\n" +
	"\tmax_bytes\x18\x03 \x01(\x03R\bmaxBytes\x122\n" +
	"\amax_age\x18\x04 \x01(\v2\x19.google.protobuf.DurationR\x06maxAge\"F\n" +
	"\x13SetRetentionRequest\x12/\n" +
	"\tretention\x18\x01 \x01(\v2\x11.dlm.v1.RetentionR\tretention\"\x16\n" +
	"\x14SetRetentionResponse\"\x16\n" +
	"\x14ListRetentionRequest\"J\n" +
	"\x15ListRetentionResponse\x121\n" +
	"\n" +
	"retentions\x18\x01 \x03(\v2\x11.dlm.v1.RetentionR\n" +
	"retentions\"\x11\n" +
	"\x0fSnapshotRequest\"\\\n" +
	"\x10SnapshotResponse\x12\x12\n" +
	"\x04data\x18\x01 \x01(\fR\x04data\x12\x18\n" +
	"\acluster\x18\x02 \x01(\tR\acluster\x12\x1a\n" +
	"\brevision\x18\x03 \x01(\x03R\brevision\"\xba\t\n" +
	"\rStreamRequest\x12\x12\n" +
	"\x04call\x18\x01 \x01(\x04R\x04call\x12)\n" +
	"\x04init\x18\x02 \x01(\v2\x13.dlm.v1.InitRequestH\x00R\x04init\x128\n" +
	"\theartbeat\x18\x03 \x01(\v2\x18.dlm.v1.HeartbeatRequestH\x00R\theartbeat\x12,\n" +
	"\x05close\x18\x04 \x01(\v2\x14.dlm.v1.CloseRequestH\x00R\x05close\x122\n" +
	"\aacquire\x18\x05 \x01(\v2\x16.dlm.v1.AcquireRequestH\x00R\aacquire\x12/\n" +
	"\x06cancel\x18\x06 \x01(\v2\x15.dlm.v1.CancelRequestH\x00R\x06cancel\x122\n" +
	"\arelease\x18\a \x01(\v2\x16.dlm.v1.ReleaseRequestH\x00R\arelease\x12/\n" +
	"\x06commit\x18\b \x01(\v2\x15.dlm.v1.CommitRequestH\x00R\x06commit\x122\n" +
	"\adiscard\x18\t \x01(\v2\x16.dlm.v1.DiscardRequestH\x00R\adiscard\x12/\n" +
	"\x06append\x18\n" +
	" \x01(\v2\x15.dlm.v1.AppendRequestH\x00R\x06append\x12)\n" +
	"\x04read\x18\v \x01(\v2\x13.dlm.v1.ReadRequestH\x00R\x04read\x129\n" +
	"\n" +
	"list_files\x18\f \x01(\v2\x18.dlm.v1.ListFilesRequestH\x00R\tlistFiles\x122\n" +
	"\ainspect\x18\r \x01(\v2\x16.dlm.v1.InspectRequestH\x00R\ainspect\x12)\n" +
	"\x04list\x18\x0e \x01(\v2\x13.dlm.v1.ListRequestH\x00R\x04list\x12,\n" +
	"\x05evict\x18\x0f \x01(\v2\x14.dlm.v1.EvictRequestH\x00R\x05evict\x12H\n" +
	"\x0finspect_cluster\x18\x10 \x01(\v2\x1d.dlm.v1.InspectClusterRequestH\x00R\x0einspectCluster\x12B\n" +
	"\rlist_problems\x18\x11 \x01(\v2\x1b.dlm.v1.ListProblemsRequestH\x00R\flistProblems\x12/\n" +
	"\x06repair\x18\x12 \x01(\v2\x15.dlm.v1.RepairRequestH\x00R\x06repair\x122\n" +
	"\apublish\x18\x14 \x01(\v2\x16.dlm.v1.PublishRequestH\x00R\apublish\x125\n" +
	"\bwithdraw\x18\x15 \x01(\v2\x17.dlm.v1.WithdrawRequestH\x00R\bwithdraw\x12B\n" +
	"\rset_retention\x18\x16 \x01(\v2\x1b.dlm.v1.SetRetentionRequestH\x00R\fsetRetention\x12E\n" +
	"\x0elist_retention\x18\x17 \x01(\v2\x1c.dlm.v1.ListRetentionRequestH\x00R\rlistRetention\x12 \n" +
	"\vtraceparent\x18\x13 \x01(\tR\vtraceparentB\t\n" +
	"\arequest\"\x82\x01\n" +
	"\x04Lost\x12\x18\n" +
	"\asession\x18\x01 \x01(\tR\asession\x12\x12\n" +
	"\x04lock\x18\x02 \x01(\tR\x04lock\x12\x18\n" +
	"\arequest\x18\x03 \x01(\tR\arequest\x12\x1a\n" +
	"\brevision\x18\x04 \x01(\x03R\brevision\x12\x16\n" +
	"\x06reason\x18\x05 \x01(\tR\x06reason\"\x88\x01\n" +
	"\x06Ending\x12\x18\n" +
	"\asession\x18\x01 \x01(\tR\asession\x12\x12\n" +
	"\x04lock\x18\x02 \x01(\tR\x04lock\x12\x18\n" +
	"\arequest\x18\x03 \x01(\tR\arequest\x126\n" +
	"\thold_left\x18\x04 \x01(\v2\x19.google.protobuf.DurationR\bholdLeft\"\xa4\n" +
	"\n" +
	"\x0eStreamResponse\x12\x12\n" +
	"\x04call\x18\x01 \x01(\x04R\x04call\x12%\n" +
	"\x05error\x18\x02 \x01(\v2\r.dlm.v1.ErrorH\x00R\x05error\x12*\n" +
	"\x04init\x18\x03 \x01(\v2\x14.dlm.v1.InitResponseH\x00R\x04init\x129\n" +
	"\theartbeat\x18\x04 \x01(\v2\x19.dlm.v1.HeartbeatResponseH\x00R\theartbeat\x12-\n" +
	"\x05close\x18\x05 \x01(\v2\x15.dlm.v1.CloseResponseH\x00R\x05close\x123\n" +
	"\aacquire\x18\x06 \x01(\v2\x17.dlm.v1.AcquireResponseH\x00R\aacquire\x120\n" +
	"\x06cancel\x18\a \x01(\v2\x16.dlm.v1.CancelResponseH\x00R\x06cancel\x123\n" +
	"\arelease\x18\b \x01(\v2\x17.dlm.v1.ReleaseResponseH\x00R\arelease\x120\n" +
	"\x06commit\x18\t \x01(\v2\x16.dlm.v1.CommitResponseH\x00R\x06commit\x123\n" +
	"\adiscard\x18\n" +
	" \x01(\v2\x17.dlm.v1.DiscardResponseH\x00R\adiscard\x120\n" +
	"\x06append\x18\v \x01(\v2\x16.dlm.v1.AppendResponseH\x00R\x06append\x12*\n" +
	"\x04read\x18\f \x01(\v2\x14.dlm.v1.ReadResponseH\x00R\x04read\x12:\n" +
	"\n" +
	"list_files\x18\r \x01(\v2\x19.dlm.v1.ListFilesResponseH\x00R\tlistFiles\x123\n" +
	"\ainspect\x18\x0e \x01(\v2\x17.dlm.v1.InspectResponseH\x00R\ainspect\x12*\n" +
	"\x04list\x18\x0f \x01(\v2\x14.dlm.v1.ListResponseH\x00R\x04list\x12-\n" +
	"\x05evict\x18\x10 \x01(\v2\x15.dlm.v1.EvictResponseH\x00R\x05evict\x12\"\n" +
	"\x04lost\x18\x11 \x01(\v2\f.dlm.v1.LostH\x00R\x04lost\x12I\n" +
	"\x0finspect_cluster\x18\x12 \x01(\v2\x1e.dlm.v1.InspectClusterResponseH\x00R\x0einspectCluster\x12C\n" +
	"\rlist_problems\x18\x13 \x01(\v2\x1c.dlm.v1.ListProblemsResponseH\x00R\flistProblems\x120\n" +
	"\x06repair\x18\x14 \x01(\v2\x16.dlm.v1.RepairResponseH\x00R\x06repair\x12(\n" +
	"\x06ending\x18\x15 \x01(\v2\x0e.dlm.v1.EndingH\x00R\x06ending\x123\n" +
	"\apublish\x18\x16 \x01(\v2\x17.dlm.v1.PublishResponseH\x00R\apublish\x126\n" +
	"\bwithdraw\x18\x17 \x01(\v2\x18.dlm.v1.WithdrawResponseH\x00R\bwithdraw\x12C\n" +
	"\rset_retention\x18\x18 \x01(\v2\x1c.dlm.v1.SetRetentionResponseH\x00R\fsetRetention\x12F\n" +
	"\x0elist_retention\x18\x19 \x01(\v2\x1d.dlm.v1.ListRetentionResponseH\x00R\rlistRetentionB\n" +
	"\n" +
	"\bresponse\"e\n" +
	"\x05Error\x12\x12\n" +
	"\x04code\x18\x01 \x01(\x05R\x04code\x12\x18\n" +
	"\amessage\x18\x02 \x01(\tR\amessage\x12.\n" +
	"\adetails\x18\x03 \x03(\v2\x14.google.protobuf.AnyR\adetails2\x85\f\n" +
	"\vLockService\x121\n" +
	"\x04Init\x12\x13.dlm.v1.InitRequest\x1a\x14.dlm.v1.InitResponse\x12@\n" +
	"\tHeartbeat\x12\x18.dlm.v1.HeartbeatRequest\x1a\x19.dlm.v1.HeartbeatResponse\x124\n" +
	"\x05Close\x12\x14.dlm.v1.CloseRequest\x1a\x15.dlm.v1.CloseResponse\x12:\n" +
	"\aAcquire\x12\x16.dlm.v1.AcquireRequest\x1a\x17.dlm.v1.AcquireResponse\x127\n" +
	"\x06Cancel\x12\x15.dlm.v1.CancelRequest\x1a\x16.dlm.v1.CancelResponse\x12:\n" +
	"\aRelease\x12\x16.dlm.v1.ReleaseRequest\x1a\x17.dlm.v1.ReleaseResponse\x127\n" +
	"\x06Commit\x12\x15.dlm.v1.CommitRequest\x1a\x16.dlm.v1.CommitResponse\x12:\n" +
	"\aDiscard\x12\x16.dlm.v1.DiscardRequest\x1a\x17.dlm.v1.DiscardResponse\x127\n" +
	"\x06Append\x12\x15.dlm.v1.AppendRequest\x1a\x16.dlm.v1.AppendResponse\x12:\n" +
	"\aPublish\x12\x16.dlm.v1.PublishRequest\x1a\x17.dlm.v1.PublishResponse\x12=\n" +
	"\bWithdraw\x12\x17.dlm.v1.WithdrawRequest\x1a\x18.dlm.v1.WithdrawResponse\x121\n" +
	"\x04Read\x12\x13.dlm.v1.ReadRequest\x1a\x14.dlm.v1.ReadResponse\x123\n" +
	"\x04Tail\x12\x13.dlm.v1.TailRequest\x1a\x14.dlm.v1.TailResponse0\x01\x12@\n" +
	"\tListFiles\x12\x18.dlm.v1.ListFilesRequest\x1a\x19.dlm.v1.ListFilesResponse\x12:\n" +
	"\aInspect\x12\x16.dlm.v1.InspectRequest\x1a\x17.dlm.v1.InspectResponse\x121\n" +
	"\x04List\x12\x13.dlm.v1.ListRequest\x1a\x14.dlm.v1.ListResponse\x12O\n" +
	"\x0eInspectCluster\x12\x1d.dlm.v1.InspectClusterRequest\x1a\x1e.dlm.v1.InspectClusterResponse\x126\n" +
	"\x05Watch\x12\x14.dlm.v1.WatchRequest\x1a\x15.dlm.v1.WatchResponse0\x01\x124\n" +
	"\x05Evict\x12\x14.dlm.v1.EvictRequest\x1a\x15.dlm.v1.EvictResponse\x12I\n" +
	"\fListProblems\x12\x1b.dlm.v1.ListProblemsRequest\x1a\x1c.dlm.v1.ListProblemsResponse\x127\n" +
	"\x06Repair\x12\x15.dlm.v1.RepairRequest\x1a\x16.dlm.v1.RepairResponse\x12I\n" +
	"\fSetRetention\x12\x1b.dlm.v1.SetRetentionRequest\x1a\x1c.dlm.v1.SetRetentionResponse\x12L\n" +
	"\rListRetention\x12\x1c.dlm.v1.ListRetentionRequest\x1a\x1d.dlm.v1.ListRetentionResponse\x12?\n" +
	"\bSnapshot\x12\x17.dlm.v1.SnapshotRequest\x1a\x18.dlm.v1.SnapshotResponse0\x01\x12;\n" +
	"\x06Stream\x12\x15.dlm.v1.StreamRequest\x1a\x16.dlm.v1.StreamResponse(\x010\x01BAZ?github.com/distributed-lock-manager/dlm/facade/api/dlm/v1;dlmv1b\x06proto3"

var (
	file_dlm_v1_dlm_proto_rawDescOnce sync.Once
	file_dlm_v1_dlm_proto_rawDescData []byte
)

func file_dlm_v1_dlm_proto_rawDescGZIP() []byte {
	file_dlm_v1_dlm_proto_rawDescOnce.Do(func() {
		file_dlm_v1_dlm_proto_rawDescData = protoimpl.X.CompressGZIP(unsafe.Slice(unsafe.StringData(file_dlm_v1_dlm_proto_rawDesc), len(file_dlm_v1_dlm_proto_rawDesc)))
	})
	return file_dlm_v1_dlm_proto_rawDescData
}

var file_dlm_v1_dlm_proto_enumTypes = make([]protoimpl.EnumInfo, 4)
var file_dlm_v1_dlm_proto_msgTypes = make([]protoimpl.MessageInfo, 69)
var file_dlm_v1_dlm_proto_goTypes = []any{
	(AcquisitionState_State)(0),    // 0: dlm.v1.AcquisitionState.State
	(AcquireResponse_Outcome)(0),   // 1: dlm.v1.AcquireResponse.Outcome
	(PublishResponse_Outcome)(0),   // 2: dlm.v1.PublishResponse.Outcome
	(Event_Type)(0),                // 3: dlm.v1.Event.Type
	(*InitRequest)(nil),            // 4: dlm.v1.InitRequest
	(*Seen)(nil),                   // 5: dlm.v1.Seen
	(*InitResponse)(nil),           // 6: dlm.v1.InitResponse
	(*Acquisition)(nil),            // 7: dlm.v1.Acquisition
	(*HeartbeatRequest)(nil),       // 8: dlm.v1.HeartbeatRequest
	(*HeartbeatResponse)(nil),      // 9: dlm.v1.HeartbeatResponse
	(*AcquisitionState)(nil),       // 10: dlm.v1.AcquisitionState
	(*CloseRequest)(nil),           // 11: dlm.v1.CloseRequest
	(*CloseResponse)(nil),          // 12: dlm.v1.CloseResponse
	(*AcquireRequest)(nil),         // 13: dlm.v1.AcquireRequest
	(*AcquireResponse)(nil),        // 14: dlm.v1.AcquireResponse
	(*CancelRequest)(nil),          // 15: dlm.v1.CancelRequest
	(*CancelResponse)(nil),         // 16: dlm.v1.CancelResponse
	(*ReleaseRequest)(nil),         // 17: dlm.v1.ReleaseRequest
	(*ReleaseResponse)(nil),        // 18: dlm.v1.ReleaseResponse
	(*CommitRequest)(nil),          // 19: dlm.v1.CommitRequest
	(*CommitResponse)(nil),         // 20: dlm.v1.CommitResponse
	(*DiscardRequest)(nil),         // 21: dlm.v1.DiscardRequest
	(*DiscardResponse)(nil),        // 22: dlm.v1.DiscardResponse
	(*AppendRequest)(nil),          // 23: dlm.v1.AppendRequest
	(*AppendResponse)(nil),         // 24: dlm.v1.AppendResponse
	(*Version)(nil),                // 25: dlm.v1.Version
	(*Operation)(nil),              // 26: dlm.v1.Operation
	(*PublishRequest)(nil),         // 27: dlm.v1.PublishRequest
	(*Condition)(nil),              // 28: dlm.v1.Condition
	(*FileCondition)(nil),          // 29: dlm.v1.FileCondition
	(*PublishResponse)(nil),        // 30: dlm.v1.PublishResponse
	(*WithdrawRequest)(nil),        // 31: dlm.v1.WithdrawRequest
	(*WithdrawResponse)(nil),       // 32: dlm.v1.WithdrawResponse
	(*ReadRequest)(nil),            // 33: dlm.v1.ReadRequest
	(*ReadResponse)(nil),           // 34: dlm.v1.ReadResponse
	(*TailRequest)(nil),            // 35: dlm.v1.TailRequest
	(*TailResponse)(nil),           // 36: dlm.v1.TailResponse
	(*ListFilesRequest)(nil),       // 37: dlm.v1.ListFilesRequest
	(*ListFilesResponse)(nil),      // 38: dlm.v1.ListFilesResponse
	(*File)(nil),                   // 39: dlm.v1.File
	(*InspectRequest)(nil),         // 40: dlm.v1.InspectRequest
	(*InspectResponse)(nil),        // 41: dlm.v1.InspectResponse
	(*InspectClusterRequest)(nil),  // 42: dlm.v1.InspectClusterRequest
	(*InspectClusterResponse)(nil), // 43: dlm.v1.InspectClusterResponse
	(*Member)(nil),                 // 44: dlm.v1.Member
	(*MemberStatus)(nil),           // 45: dlm.v1.MemberStatus
	(*ListRequest)(nil),            // 46: dlm.v1.ListRequest
	(*ListResponse)(nil),           // 47: dlm.v1.ListResponse
	(*Lock)(nil),                   // 48: dlm.v1.Lock
	(*Holder)(nil),                 // 49: dlm.v1.Holder
	(*Waiter)(nil),                 // 50: dlm.v1.Waiter
	(*WatchRequest)(nil),           // 51: dlm.v1.WatchRequest
	(*WatchResponse)(nil),          // 52: dlm.v1.WatchResponse
	(*Event)(nil),                  // 53: dlm.v1.Event
	(*EvictRequest)(nil),           // 54: dlm.v1.EvictRequest
	(*EvictResponse)(nil),          // 55: dlm.v1.EvictResponse
	(*ListProblemsRequest)(nil),    // 56: dlm.v1.ListProblemsRequest
	(*ListProblemsResponse)(nil),   // 57: dlm.v1.ListProblemsResponse
	(*Problem)(nil),                // 58: dlm.v1.Problem
	(*RepairRequest)(nil),          // 59: dlm.v1.RepairRequest
	(*RepairResponse)(nil),         // 60: dlm.v1.RepairResponse
	(*Retention)(nil),              // 61: dlm.v1.Retention
	(*SetRetentionRequest)(nil),    // 62: dlm.v1.SetRetentionRequest
	(*SetRetentionResponse)(nil),   // 63: dlm.v1.SetRetentionResponse
	(*ListRetentionRequest)(nil),   // 64: dlm.v1.ListRetentionRequest
	(*ListRetentionResponse)(nil),  // 65: dlm.v1.ListRetentionResponse
	(*SnapshotRequest)(nil),        // 66: dlm.v1.SnapshotRequest
	(*SnapshotResponse)(nil),       // 67: dlm.v1.SnapshotResponse
	(*StreamRequest)(nil),          // 68: dlm.v1.StreamRequest
	(*Lost)(nil),                   // 69: dlm.v1.Lost
	(*Ending)(nil),                 // 70: dlm.v1.Ending
	(*StreamResponse)(nil),         // 71: dlm.v1.StreamResponse
	(*Error)(nil),                  // 72: dlm.v1.Error
	(*durationpb.Duration)(nil),    // 73: google.protobuf.Duration
	(*timestamppb.Timestamp)(nil),  // 74: google.protobuf.Timestamp
	(*anypb.Any)(nil),              // 75: google.protobuf.Any
}
var file_dlm_v1_dlm_proto_depIdxs = []int32{
	73,  // 0: dlm.v1.InitRequest.ttl:type_name -> google.protobuf.Duration
	73,  // 1: dlm.v1.InitRequest.linger:type_name -> google.protobuf.Duration
	5,   // 2: dlm.v1.InitRequest.seen:type_name -> dlm.v1.Seen
	73,  // 3: dlm.v1.InitResponse.ttl:type_name -> google.protobuf.Duration
	7,   // 4: dlm.v1.HeartbeatRequest.unfinished:type_name -> dlm.v1.Acquisition
	5,   // 5: dlm.v1.HeartbeatRequest.seen:type_name -> dlm.v1.Seen
	73,  // 6: dlm.v1.HeartbeatResponse.ttl:type_name -> google.protobuf.Duration
	10,  // 7: dlm.v1.HeartbeatResponse.states:type_name -> dlm.v1.AcquisitionState
	0,   // 8: dlm.v1.AcquisitionState.state:type_name -> dlm.v1.AcquisitionState.State
	73,  // 9: dlm.v1.AcquisitionState.hold_left:type_name -> google.protobuf.Duration
	73,  // 10: dlm.v1.AcquireRequest.wait:type_name -> google.protobuf.Duration
	73,  // 11: dlm.v1.AcquireRequest.max_hold:type_name -> google.protobuf.Duration
	1,   // 12: dlm.v1.AcquireResponse.outcome:type_name -> dlm.v1.AcquireResponse.Outcome
	49,  // 13: dlm.v1.AcquireResponse.holder:type_name -> dlm.v1.Holder
	73,  // 14: dlm.v1.AcquireResponse.hold_left:type_name -> google.protobuf.Duration
	26,  // 15: dlm.v1.AppendRequest.operation:type_name -> dlm.v1.Operation
	26,  // 16: dlm.v1.PublishRequest.operations:type_name -> dlm.v1.Operation
	28,  // 17: dlm.v1.PublishRequest.condition:type_name -> dlm.v1.Condition
	73,  // 18: dlm.v1.PublishRequest.wait:type_name -> google.protobuf.Duration
	25,  // 19: dlm.v1.Condition.lock:type_name -> dlm.v1.Version
	29,  // 20: dlm.v1.Condition.files:type_name -> dlm.v1.FileCondition
	25,  // 21: dlm.v1.FileCondition.version:type_name -> dlm.v1.Version
	2,   // 22: dlm.v1.PublishResponse.outcome:type_name -> dlm.v1.PublishResponse.Outcome
	25,  // 23: dlm.v1.PublishResponse.version:type_name -> dlm.v1.Version
	49,  // 24: dlm.v1.PublishResponse.holder:type_name -> dlm.v1.Holder
	25,  // 25: dlm.v1.PublishResponse.lock_version:type_name -> dlm.v1.Version
	39,  // 26: dlm.v1.PublishResponse.files:type_name -> dlm.v1.File
	25,  // 27: dlm.v1.WithdrawResponse.published:type_name -> dlm.v1.Version
	25,  // 28: dlm.v1.ReadRequest.life:type_name -> dlm.v1.Version
	25,  // 29: dlm.v1.ReadResponse.version:type_name -> dlm.v1.Version
	25,  // 30: dlm.v1.ReadResponse.life:type_name -> dlm.v1.Version
	25,  // 31: dlm.v1.TailRequest.life:type_name -> dlm.v1.Version
	25,  // 32: dlm.v1.TailResponse.life:type_name -> dlm.v1.Version
	39,  // 33: dlm.v1.ListFilesResponse.files:type_name -> dlm.v1.File
	25,  // 34: dlm.v1.File.version:type_name -> dlm.v1.Version
	25,  // 35: dlm.v1.File.life:type_name -> dlm.v1.Version
	48,  // 36: dlm.v1.InspectResponse.lock:type_name -> dlm.v1.Lock
	44,  // 37: dlm.v1.InspectClusterResponse.members:type_name -> dlm.v1.Member
	45,  // 38: dlm.v1.Member.status:type_name -> dlm.v1.MemberStatus
	48,  // 39: dlm.v1.ListResponse.locks:type_name -> dlm.v1.Lock
	49,  // 40: dlm.v1.Lock.holder:type_name -> dlm.v1.Holder
	50,  // 41: dlm.v1.Lock.waiters:type_name -> dlm.v1.Waiter
	74,  // 42: dlm.v1.Holder.since:type_name -> google.protobuf.Timestamp
	74,  // 43: dlm.v1.Holder.deadline:type_name -> google.protobuf.Timestamp
	73,  // 44: dlm.v1.Holder.lease_left:type_name -> google.protobuf.Duration
	73,  // 45: dlm.v1.Holder.heartbeat_age:type_name -> google.protobuf.Duration
	74,  // 46: dlm.v1.Waiter.since:type_name -> google.protobuf.Timestamp
	53,  // 47: dlm.v1.WatchResponse.events:type_name -> dlm.v1.Event
	3,   // 48: dlm.v1.Event.type:type_name -> dlm.v1.Event.Type
	49,  // 49: dlm.v1.EvictResponse.evicted:type_name -> dlm.v1.Holder
	58,  // 50: dlm.v1.ListProblemsResponse.problems:type_name -> dlm.v1.Problem
	73,  // 51: dlm.v1.Retention.max_age:type_name -> google.protobuf.Duration
	61,  // 52: dlm.v1.SetRetentionRequest.retention:type_name -> dlm.v1.Retention
	61,  // 53: dlm.v1.ListRetentionResponse.retentions:type_name -> dlm.v1.Retention
	4,   // 54: dlm.v1.StreamRequest.init:type_name -> dlm.v1.InitRequest
	8,   // 55: dlm.v1.StreamRequest.heartbeat:type_name -> dlm.v1.HeartbeatRequest
	11,  // 56: dlm.v1.StreamRequest.close:type_name -> dlm.v1.CloseRequest
	13,  // 57: dlm.v1.StreamRequest.acquire:type_name -> dlm.v1.AcquireRequest
	15,  // 58: dlm.v1.StreamRequest.cancel:type_name -> dlm.v1.CancelRequest
	17,  // 59: dlm.v1.StreamRequest.release:type_name -> dlm.v1.ReleaseRequest
	19,  // 60: dlm.v1.StreamRequest.commit:type_name -> dlm.v1.CommitRequest
	21,  // 61: dlm.v1.StreamRequest.discard:type_name -> dlm.v1.DiscardRequest
	23,  // 62: dlm.v1.StreamRequest.append:type_name -> dlm.v1.AppendRequest
	33,  // 63: dlm.v1.StreamRequest.read:type_name -> dlm.v1.ReadRequest
	37,  // 64: dlm.v1.StreamRequest.list_files:type_name -> dlm.v1.ListFilesRequest
	40,  // 65: dlm.v1.StreamRequest.inspect:type_name -> dlm.v1.InspectRequest
	46,  // 66: dlm.v1.StreamRequest.list:type_name -> dlm.v1.ListRequest
	54,  // 67: dlm.v1.StreamRequest.evict:type_name -> dlm.v1.EvictRequest
	42,  // 68: dlm.v1.StreamRequest.inspect_cluster:type_name -> dlm.v1.InspectClusterRequest
	56,  // 69: dlm.v1.StreamRequest.list_problems:type_name -> dlm.v1.ListProblemsRequest
	59,  // 70: dlm.v1.StreamRequest.repair:type_name -> dlm.v1.RepairRequest
	27,  // 71: dlm.v1.StreamRequest.publish:type_name -> dlm.v1.PublishRequest
	31,  // 72: dlm.v1.StreamRequest.withdraw:type_name -> dlm.v1.WithdrawRequest
	62,  // 73: dlm.v1.StreamRequest.set_retention:type_name -> dlm.v1.SetRetentionRequest
	64,  // 74: dlm.v1.StreamRequest.list_retention:type_name -> dlm.v1.ListRetentionRequest
	73,  // 75: dlm.v1.Ending.hold_left:type_name -> google.protobuf.Duration
	72,  // 76: dlm.v1.StreamResponse.error:type_name -> dlm.v1.Error
	6,   // 77: dlm.v1.StreamResponse.init:type_name -> dlm.v1.InitResponse
	9,   // 78: dlm.v1.StreamResponse.heartbeat:type_name -> dlm.v1.HeartbeatResponse
	12,  // 79: dlm.v1.StreamResponse.close:type_name -> dlm.v1.CloseResponse
	14,  // 80: dlm.v1.StreamResponse.acquire:type_name -> dlm.v1.AcquireResponse
	16,  // 81: dlm.v1.StreamResponse.cancel:type_name -> dlm.v1.CancelResponse
	18,  // 82: dlm.v1.StreamResponse.release:type_name -> dlm.v1.ReleaseResponse
	20,  // 83: dlm.v1.StreamResponse.commit:type_name -> dlm.v1.CommitResponse
	22,  // 84: dlm.v1.StreamResponse.discard:type_name -> dlm.v1.DiscardResponse
	24,  // 85: dlm.v1.StreamResponse.append:type_name -> dlm.v1.AppendResponse
	34,  // 86: dlm.v1.StreamResponse.read:type_name -> dlm.v1.ReadResponse
	38,  // 87: dlm.v1.StreamResponse.list_files:type_name -> dlm.v1.ListFilesResponse
	41,  // 88: dlm.v1.StreamResponse.inspect:type_name -> dlm.v1.InspectResponse
	47,  // 89: dlm.v1.StreamResponse.list:type_name -> dlm.v1.ListResponse
	55,  // 90: dlm.v1.StreamResponse.evict:type_name -> dlm.v1.EvictResponse
	69,  // 91: dlm.v1.StreamResponse.lost:type_name -> dlm.v1.Lost
	43,  // 92: dlm.v1.StreamResponse.inspect_cluster:type_name -> dlm.v1.InspectClusterResponse
	57,  // 93: dlm.v1.StreamResponse.list_problems:type_name -> dlm.v1.ListProblemsResponse
	60,  // 94: dlm.v1.StreamResponse.repair:type_name -> dlm.v1.RepairResponse
	70,  // 95: dlm.v1.StreamResponse.ending:type_name -> dlm.v1.Ending
	30,  // 96: dlm.v1.StreamResponse.publish:type_name -> dlm.v1.PublishResponse
	32,  // 97: dlm.v1.StreamResponse.withdraw:type_name -> dlm.v1.WithdrawResponse
	63,  // 98: dlm.v1.StreamResponse.set_retention:type_name -> dlm.v1.SetRetentionResponse
	65,  // 99: dlm.v1.StreamResponse.list_retention:type_name -> dlm.v1.ListRetentionResponse
	75,  // 100: dlm.v1.Error.details:type_name -> google.protobuf.Any
	4,   // 101: dlm.v1.LockService.Init:input_type -> dlm.v1.InitRequest
	8,   // 102: dlm.v1.LockService.Heartbeat:input_type -> dlm.v1.HeartbeatRequest
	11,  // 103: dlm.v1.LockService.Close:input_type -> dlm.v1.CloseRequest
	13,  // 104: dlm.v1.LockService.Acquire:input_type -> dlm.v1.AcquireRequest
	15,  // 105: dlm.v1.LockService.Cancel:input_type -> dlm.v1.CancelRequest
	17,  // 106: dlm.v1.LockService.Release:input_type -> dlm.v1.ReleaseRequest
	19,  // 107: dlm.v1.LockService.Commit:input_type -> dlm.v1.CommitRequest
	21,  // 108: dlm.v1.LockService.Discard:input_type -> dlm.v1.DiscardRequest
	23,  // 109: dlm.v1.LockService.Append:input_type -> dlm.v1.AppendRequest
	27,  // 110: dlm.v1.LockService.Publish:input_type -> dlm.v1.PublishRequest
	31,  // 111: dlm.v1.LockService.Withdraw:input_type -> dlm.v1.WithdrawRequest
	33,  // 112: dlm.v1.LockService.Read:input_type -> dlm.v1.ReadRequest
	35,  // 113: dlm.v1.LockService.Tail:input_type -> dlm.v1.TailRequest
	37,  // 114: dlm.v1.LockService.ListFiles:input_type -> dlm.v1.ListFilesRequest
	40,  // 115: dlm.v1.LockService.Inspect:input_type -> dlm.v1.InspectRequest
	46,  // 116: dlm.v1.LockService.List:input_type -> dlm.v1.ListRequest
	42,  // 117: dlm.v1.LockService.InspectCluster:input_type -> dlm.v1.InspectClusterRequest
	51,  // 118: dlm.v1.LockService.Watch:input_type -> dlm.v1.WatchRequest
	54,  // 119: dlm.v1.LockService.Evict:input_type -> dlm.v1.EvictRequest
	56,  // 120: dlm.v1.LockService.ListProblems:input_type -> dlm.v1.ListProblemsRequest
	59,  // 121: dlm.v1.LockService.Repair:input_type -> dlm.v1.RepairRequest
	62,  // 122: dlm.v1.LockService.SetRetention:input_type -> dlm.v1.SetRetentionRequest
	64,  // 123: dlm.v1.LockService.ListRetention:input_type -> dlm.v1.ListRetentionRequest
	66,  // 124: dlm.v1.LockService.Snapshot:input_type -> dlm.v1.SnapshotRequest
	68,  // 125: dlm.v1.LockService.Stream:input_type -> dlm.v1.StreamRequest
	6,   // 126: dlm.v1.LockService.Init:output_type -> dlm.v1.InitResponse
	9,   // 127: dlm.v1.LockService.Heartbeat:output_type -> dlm.v1.HeartbeatResponse
	12,  // 128: dlm.v1.LockService.Close:output_type -> dlm.v1.CloseResponse
	14,  // 129: dlm.v1.LockService.Acquire:output_type -> dlm.v1.AcquireResponse
	16,  // 130: dlm.v1.LockService.Cancel:output_type -> dlm.v1.CancelResponse
	18,  // 131: dlm.v1.LockService.Release:output_type -> dlm.v1.ReleaseResponse
	20,  // 132: dlm.v1.LockService.Commit:output_type -> dlm.v1.CommitResponse
	22,  // 133: dlm.v1.LockService.Discard:output_type -> dlm.v1.DiscardResponse
	24,  // 134: dlm.v1.LockService.Append:output_type -> dlm.v1.AppendResponse
	30,  // 135: dlm.v1.LockService.Publish:output_type -> dlm.v1.PublishResponse
	32,  // 136: dlm.v1.LockService.Withdraw:output_type -> dlm.v1.WithdrawResponse
	34,  // 137: dlm.v1.LockService.Read:output_type -> dlm.v1.ReadResponse
	36,  // 138: dlm.v1.LockService.Tail:output_type -> dlm.v1.TailResponse
	38,  // 139: dlm.v1.LockService.ListFiles:output_type -> dlm.v1.ListFilesResponse
	41,  // 140: dlm.v1.LockService.Inspect:output_type -> dlm.v1.InspectResponse
	47,  // 141: dlm.v1.LockService.List:output_type -> dlm.v1.ListResponse
	43,  // 142: dlm.v1.LockService.InspectCluster:output_type -> dlm.v1.InspectClusterResponse
	52,  // 143: dlm.v1.LockService.Watch:output_type -> dlm.v1.WatchResponse
	55,  // 144: dlm.v1.LockService.Evict:output_type -> dlm.v1.EvictResponse
	57,  // 145: dlm.v1.LockService.ListProblems:output_type -> dlm.v1.ListProblemsResponse
	60,  // 146: dlm.v1.LockService.Repair:output_type -> dlm.v1.RepairResponse
	63,  // 147: dlm.v1.LockService.SetRetention:output_type -> dlm.v1.SetRetentionResponse
	65,  // 148: dlm.v1.LockService.ListRetention:output_type -> dlm.v1.ListRetentionResponse
	67,  // 149: dlm.v1.LockService.Snapshot:output_type -> dlm.v1.SnapshotResponse
	71,  // 150: dlm.v1.LockService.Stream:output_type -> dlm.v1.StreamResponse
	126, // [126:151] is the sub-list for method output_type
	101, // [101:126] is the sub-list for method input_type
	101, // [101:101] is the sub-list for extension type_name
	101, // [101:101] is the sub-list for extension extendee
	0,   // [0:101] is the sub-list for field type_name
}

func init() { file_dlm_v1_dlm_proto_init() }
func file_dlm_v1_dlm_proto_init() {
	if File_dlm_v1_dlm_proto != nil {
		return
	}
	file_dlm_v1_dlm_proto_msgTypes[22].OneofWrappers = []any{
		(*Operation_Append)(nil),
		(*Operation_Replace)(nil),
		(*Operation_Remove)(nil),
		(*Operation_Cut)(nil),
	}
	file_dlm_v1_dlm_proto_msgTypes[25].OneofWrappers = []any{
		(*FileCondition_Version)(nil),
		(*FileCondition_Absent)(nil),
		(*FileCondition_Size)(nil),
	}
	file_dlm_v1_dlm_proto_msgTypes[64].OneofWrappers = []any{
		(*StreamRequest_Init)(nil),
		(*StreamRequest_Heartbeat)(nil),
		(*StreamRequest_Close)(nil),
		(*StreamRequest_Acquire)(nil),
		(*StreamRequest_Cancel)(nil),
		(*StreamRequest_Release)(nil),
		(*StreamRequest_Commit)(nil),
		(*StreamRequest_Discard)(nil),
		(*StreamRequest_Append)(nil),
		(*StreamRequest_Read)(nil),
		(*StreamRequest_ListFiles)(nil),
		(*StreamRequest_Inspect)(nil),
		(*StreamRequest_List)(nil),
		(*StreamRequest_Evict)(nil),
		(*StreamRequest_InspectCluster)(nil),
		(*StreamRequest_ListProblems)(nil),
		(*StreamRequest_Repair)(nil),
		(*StreamRequest_Publish)(nil),
		(*StreamRequest_Withdraw)(nil),
		(*StreamRequest_SetRetention)(nil),
		(*StreamRequest_ListRetention)(nil),
	}
	file_dlm_v1_dlm_proto_msgTypes[67].OneofWrappers = []any{
		(*StreamResponse_Error)(nil),
		(*StreamResponse_Init)(nil),
		(*StreamResponse_Heartbeat)(nil),
		(*StreamResponse_Close)(nil),
		(*StreamResponse_Acquire)(nil),
		(*StreamResponse_Cancel)(nil),
		(*StreamResponse_Release)(nil),
		(*StreamResponse_Commit)(nil),
		(*StreamResponse_Discard)(nil),
		(*StreamResponse_Append)(nil),
		(*StreamResponse_Read)(nil),
		(*StreamResponse_ListFiles)(nil),
		(*StreamResponse_Inspect)(nil),
		(*StreamResponse_List)(nil),
		(*StreamResponse_Evict)(nil),
		(*StreamResponse_Lost)(nil),
		(*StreamResponse_InspectCluster)(nil),
		(*StreamResponse_ListProblems)(nil),
		(*StreamResponse_Repair)(nil),
		(*StreamResponse_Ending)(nil),
		(*StreamResponse_Publish)(nil),
		(*StreamResponse_Withdraw)(nil),
		(*StreamResponse_SetRetention)(nil),
		(*StreamResponse_ListRetention)(nil),
	}
	type x struct{}
	out := protoimpl.TypeBuilder{
		File: protoimpl.DescBuilder{
			GoPackagePath: reflect.TypeOf(x{}).PkgPath(),
			RawDescriptor: unsafe.Slice(unsafe.StringData(file_dlm_v1_dlm_proto_rawDesc), len(file_dlm_v1_dlm_proto_rawDesc)),
			NumEnums:      4,
			NumMessages:   69,
			NumExtensions: 0,
			NumServices:   1,
		},
		GoTypes:           file_dlm_v1_dlm_proto_goTypes,
		DependencyIndexes: file_dlm_v1_dlm_proto_depIdxs,
		EnumInfos:         file_dlm_v1_dlm_proto_enumTypes,
		MessageInfos:      file_dlm_v1_dlm_proto_msgTypes,
	}.Build()
	File_dlm_v1_dlm_proto = out.File
	file_dlm_v1_dlm_proto_goTypes = nil
	file_dlm_v1_dlm_proto_depIdxs = nil
}
