package auth

import (
	"fmt"
	"strings"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	lockservice "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
)

// Verb is what a caller may be allowed to do.
type Verb uint8

// The verbs of policies.
const (
	Acquire Verb = iota // to take a lock
	Append              // to publish to a lock's files
	Read                // to read and list them
	Inspect             // to see who holds a lock, and who waits
	Evict               // to take a lock away
	Admin               // to see and mend the cluster: not of single locks

	verbs // how many there are
)

func (v Verb) String() string {
	switch v {
	case Acquire:
		return "acquire"
	case Append:
		return "append"
	case Read:
		return "read"
	case Inspect:
		return "inspect"
	case Evict:
		return "evict"
	case Admin:
		return "admin"
	}
	return fmt.Sprintf("verb %d", uint8(v))
}

// ParseVerb is the verb of that name.
func ParseVerb(name string) (Verb, error) {
	var names []string
	for v := range verbs {
		if v.String() == name {
			return v, nil
		}
		names = append(names, v.String())
	}
	return 0, fmt.Errorf("verb %q: want one of %s", name, strings.Join(names, ", "))
}

// Need is what a call needs besides that its caller is known.
type Need struct {
	Verb  Verb
	Scope Scope
	// Holds: the verb [Acquire] as well, where the other is needed. A publish is all that a holder
	// does who appends, and whoever may append only what others hold may not.
	Holds bool
}

// Scope is where a verb has to be allowed.
type Scope uint8

// The scopes.
const (
	Exempt    Scope = iota + 1 // nothing is asked, not even who calls
	Known                      // nothing more: it is a stream of calls that are asked about themselves
	Anything                   // any verb, anywhere
	Owner                      // the call is about a session, and its owner makes it: the store compares
	OfLock                     // the verb, for the lock that the call names
	Somewhere                  // the verb, for any lock: what is answered is filtered
	Cluster                    // the verb, for all locks
)

// NeedOf returns what a method's calls need. found is false for one that is not here: no call of it
// may go on.
func NeedOf(method string) (need Need, found bool) {
	switch method {
	case healthpb.Health_Check_FullMethodName, healthpb.Health_List_FullMethodName, healthpb.Health_Watch_FullMethodName:
		return Need{Scope: Exempt}, true

	case dlmv1.LockService_Stream_FullMethodName, lockservice.LockService_Ping_FullMethodName:
		return Need{Scope: Known}, true

	case dlmv1.LockService_Init_FullMethodName, lockservice.LockService_ClientInit_FullMethodName:
		return Need{Scope: Anything}, true

	case dlmv1.LockService_Heartbeat_FullMethodName, dlmv1.LockService_Close_FullMethodName,
		dlmv1.LockService_Cancel_FullMethodName, dlmv1.LockService_Discard_FullMethodName,
		dlmv1.LockService_Release_FullMethodName, // but to publish takes Append
		lockservice.LockService_Heartbeat_FullMethodName, lockservice.LockService_ClientClose_FullMethodName:
		return Need{Scope: Owner}, true

	case dlmv1.LockService_Acquire_FullMethodName, lockservice.LockService_LockAcquire_FullMethodName:
		return Need{Verb: Acquire, Scope: OfLock}, true

	case dlmv1.LockService_Append_FullMethodName, dlmv1.LockService_Commit_FullMethodName,
		lockservice.LockService_FileAppend_FullMethodName, lockservice.LockService_LockRelease_FullMethodName: // which publishes
		return Need{Verb: Append, Scope: OfLock}, true

	case dlmv1.LockService_Publish_FullMethodName, dlmv1.LockService_Withdraw_FullMethodName:
		return Need{Verb: Append, Scope: OfLock, Holds: true}, true

	case dlmv1.LockService_Read_FullMethodName, dlmv1.LockService_Tail_FullMethodName,
		dlmv1.LockService_ListFiles_FullMethodName: // of all locks: wherever it is allowed
		return Need{Verb: Read, Scope: OfLock}, true

	case dlmv1.LockService_Inspect_FullMethodName, lockservice.LockService_GetCurrentLockHolder_FullMethodName:
		return Need{Verb: Inspect, Scope: OfLock}, true

	case dlmv1.LockService_List_FullMethodName, dlmv1.LockService_Watch_FullMethodName:
		return Need{Verb: Inspect, Scope: Somewhere}, true

	case dlmv1.LockService_Evict_FullMethodName:
		return Need{Verb: Evict, Scope: OfLock}, true

	case dlmv1.LockService_InspectCluster_FullMethodName, dlmv1.LockService_ListProblems_FullMethodName,
		dlmv1.LockService_Repair_FullMethodName, dlmv1.LockService_Snapshot_FullMethodName,
		dlmv1.LockService_SetRetention_FullMethodName, dlmv1.LockService_ListRetention_FullMethodName,
		reflectionpb.ServerReflection_ServerReflectionInfo_FullMethodName,
		reflectionv1alpha.ServerReflection_ServerReflectionInfo_FullMethodName:
		return Need{Verb: Admin, Scope: Cluster}, true
	}
	return Need{}, false
}
