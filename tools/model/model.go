package main

// model is one configuration of the protocol: who calls what, and which faults there may be.
type model struct {
	name    string
	scripts []script
	faults  budget
	// Each client's heartbeats come, now and then.
	heartbeats bool
	// A fold reads and writes in one step, to keep the states few; otherwise in any order, beside
	// the other server's.
	foldAtOnce bool
	progress   bool // also look whether everybody can always be served
	batches    bool // also look at each two transactions that may be committed as one
	open       holes
}

// script is an acquisition of the lock, the calls of its client one after another:
//
//	A acquire    T acquire without a wait
//	a append     C commit           R release
//	D discard    d discard, whose answer the client does not wait for
//	u append, whose answer does not come: the client does not know, and can only discard
//	b hands the credential out: another process appends with it, once, whenever it likes
//	x release with the token of the first acquisition, by a session that has only seen it
//	y release with a token that was never granted
type script struct {
	session int8
	calls   string
}

// holes are the fixes that are switched off.
type holes uint64

type hole uint8

func (h holes) has(o hole) bool { return h&(1<<o) != 0 }

const (
	acquireByMirror hole = iota
	tryByMirror
	forgetByMirror
	ownWaiterUnseen
	promoteByMirror
	commitKeepsToken
	commitLeavesTombs
	truthBySession
	truthBySessionID
	sweepHeld
	sweepPublished
	sweepFolded
	sweepWithoutNote
	discardWithoutNote
	evictWithoutNote
	foldWithoutHead
	foldWithoutMarker
	heartbeatWithoutNumber
	guardByToken
	forgetWithoutHorizon
	truthByWord
	markerOfAnybody
	noteAsOfNow
	sessionAsOfNow
	readAtToken
	goneIsNever
	handIsOwn
	credentialIsNoAppend
	lastIsNotNamed
	oneLastIsNamed
	fullDropsEvidence
	fullNeedsPut
	markerByLooking
	refusalForAll
	grantBesidePlace
	cancelBesideHandOver
)

func (m *model) with(open ...hole) *model {
	n := *m
	for _, h := range open {
		n.open |= 1 << h
	}
	return &n
}
