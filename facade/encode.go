package facade

import (
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/internal/text"
)

// decodeTTL returns 0, which makes the store take its default, only if no TTL was sent.
func decodeTTL(d *durationpb.Duration) (time.Duration, error) {
	return decodeNonzero(d, etcdstore.ErrInvalidTTL)
}

// decodeLinger returns 0, by which a session does not linger, only if nothing was sent.
func decodeLinger(d *durationpb.Duration) (time.Duration, error) {
	return decodeNonzero(d, fmt.Errorf("%w: linger", etcdstore.ErrInvalidArgument))
}

// decodeHold returns 0, by which a lock is held for ever, only if nothing was sent.
func decodeHold(d *durationpb.Duration) (time.Duration, error) {
	return decodeNonzero(d, fmt.Errorf("%w: hold", etcdstore.ErrInvalidArgument))
}

// decodeNonzero returns 0 only if nothing was sent.
func decodeNonzero(d *durationpb.Duration, invalid error) (time.Duration, error) {
	if d == nil {
		return 0, nil
	}
	if err := d.CheckValid(); err != nil {
		return 0, fmt.Errorf("%w: %w", invalid, err)
	}
	if d.AsDuration() == 0 {
		return 0, fmt.Errorf("%w: 0s", invalid)
	}
	return d.AsDuration(), nil
}

// decodeWait returns WaitForever only if no wait was sent.
func decodeWait(d *durationpb.Duration) (time.Duration, error) {
	if d == nil {
		return etcdstore.WaitForever, nil
	}
	if err := d.CheckValid(); err != nil {
		return 0, fmt.Errorf("%w: wait: %w", etcdstore.ErrInvalidArgument, err)
	}
	if d.AsDuration() < 0 {
		return 0, fmt.Errorf("%w: wait of %v", etcdstore.ErrInvalidArgument, d.AsDuration())
	}
	return d.AsDuration(), nil
}

func decodeSeen(seen *dlmv1.Seen) etcdstore.Seen {
	return etcdstore.Seen{Cluster: seen.GetCluster(), Revision: seen.GetRevision()}
}

// decodeSection returns what Release, Commit and Discard have in common.
func decodeSection(req interface {
	GetSession() string
	GetLock() string
	GetToken() int64
	GetAppended() bool
}) etcdstore.Section {
	sec := etcdstore.Section{
		Credential: req.GetSession(),
		Lock:       req.GetLock(),
		Token:      req.GetToken(),
		Appended:   req.GetAppended(),
	}
	if publishes, ok := req.(interface{ GetLast() []string }); ok {
		sec.Last = publishes.GetLast()
	}
	return sec
}

// decodePublishID returns what names a publish. A lane of another length is none.
func decodePublishID(req interface {
	GetLane() []byte
	GetNumber() uint64
	GetBorn() int64
}) etcdstore.PublishID {
	id := etcdstore.PublishID{Number: req.GetNumber(), Born: req.GetBorn()}
	if len(req.GetLane()) == len(id.Lane) {
		copy(id.Lane[:], req.GetLane())
	}
	return id
}

// decodeCondition refuses what is asked of a file if it is not known, which a later client may
// send.
func decodeCondition(c *dlmv1.Condition) (d etcdstore.Condition, err error) {
	if v := c.GetLock(); v != nil {
		d.Lock = &etcdstore.Version{Token: v.GetToken(), N: v.GetN()}
	}
	for _, f := range c.GetFiles() {
		fc := etcdstore.FileCondition{File: f.GetFile()}
		switch is := f.GetIs().(type) {
		case *dlmv1.FileCondition_Version:
			fc.Version = etcdstore.Version{Token: is.Version.GetToken(), N: is.Version.GetN()}
		case *dlmv1.FileCondition_Absent:
			fc.Absent = is.Absent
		case *dlmv1.FileCondition_Size:
			fc.Size = &is.Size
		default:
			return d, fmt.Errorf("%w: a condition on a file that asks for nothing that this server knows", etcdstore.ErrInvalidArgument)
		}
		d.Files = append(d.Files, fc)
	}
	return d, nil
}

// encodePublication is what came of a publish.
func encodePublication(p etcdstore.Publication) *dlmv1.PublishResponse {
	resp := &dlmv1.PublishResponse{
		Outcome: encodePublishOutcome(p.Outcome), Version: encodeVersion(p.Version), Holder: encodeHolder(p.Holder),
		Files: encodeAll(p.Files, encodeFile),
	}
	if p.Outcome == etcdstore.Conflict {
		resp.Version, resp.LockVersion = nil, resp.GetVersion()
	}
	return resp
}

func decodeOperations(all []*dlmv1.Operation) ([]etcdstore.Operation, error) {
	operations := make([]etcdstore.Operation, len(all))
	for i, o := range all {
		var err error
		if operations[i], err = decodeOperation(o); err != nil {
			return nil, fmt.Errorf("operation %d: %w", i+1, err)
		}
	}
	return operations, nil
}

// decodeOperation refuses what is to be done if it is not known, which a later client may send.
func decodeOperation(o *dlmv1.Operation) (etcdstore.Operation, error) {
	is := etcdstore.Operation{File: o.GetFile(), Kind: etcdstore.Append}
	switch do := o.GetDo().(type) {
	case *dlmv1.Operation_Append:
		is.Data = do.Append
	case *dlmv1.Operation_Replace:
		is.Kind, is.Data = etcdstore.Replace, do.Replace
	case *dlmv1.Operation_Remove:
		is.Kind = etcdstore.Remove
		if !do.Remove {
			return is, fmt.Errorf("%w: remove is false: want true", etcdstore.ErrInvalidArgument)
		}
	case *dlmv1.Operation_Cut:
		is.Kind, is.Offset = etcdstore.Cut, do.Cut
	default:
		return is, fmt.Errorf("%w: it says nothing that this server knows how to do", etcdstore.ErrInvalidArgument)
	}
	return is, nil
}

// decodeRecord returns what an append, or another operation in its place, stages.
func decodeRecord(req *dlmv1.AppendRequest) (etcdstore.Record, error) {
	o := etcdstore.Operation{File: req.GetFile(), Data: req.GetData()}
	if other := req.GetOperation(); other != nil {
		if o.File != "" || len(o.Data) > 0 {
			return etcdstore.Record{}, fmt.Errorf("%w: an operation besides a file or data: want one of them", etcdstore.ErrInvalidArgument)
		}
		var err error
		if o, err = decodeOperation(other); err != nil {
			return etcdstore.Record{}, err
		}
	}
	return etcdstore.Record{
		Credential: req.GetSession(), Lock: req.GetLock(), Token: req.GetToken(), Request: req.GetRequest(), Number: req.GetNumber(),
		File: o.File, Kind: o.Kind, Data: o.Data, Offset: o.Offset,
	}, nil
}

func decodeVersion(v *dlmv1.Version) etcdstore.Version {
	return etcdstore.Version{Token: v.GetToken(), N: v.GetN()}
}

// encodeVersion returns nil for none.
func encodeVersion(v etcdstore.Version) *dlmv1.Version {
	if v.Token == 0 {
		return nil
	}
	return &dlmv1.Version{Token: v.Token, N: v.N}
}

func encodePublishOutcome(o etcdstore.PublishOutcome) dlmv1.PublishResponse_Outcome {
	switch o {
	case etcdstore.Published:
		return dlmv1.PublishResponse_OUTCOME_PUBLISHED
	case etcdstore.Occupied:
		return dlmv1.PublishResponse_OUTCOME_BUSY
	case etcdstore.Withdrawn:
		return dlmv1.PublishResponse_OUTCOME_WITHDRAWN
	case etcdstore.Conflict:
		return dlmv1.PublishResponse_OUTCOME_CONFLICT
	}
	return dlmv1.PublishResponse_OUTCOME_UNSPECIFIED
}

func encodeAll[From, To any](all []From, encode func(From) To) []To {
	encoded := make([]To, len(all))
	for i, one := range all {
		encoded[i] = encode(one)
	}
	return encoded
}

func encodeState(s etcdstore.AcquisitionState) *dlmv1.AcquisitionState {
	state := dlmv1.AcquisitionState_STATE_NONE
	switch s.State {
	case etcdstore.None:
	case etcdstore.Waiting:
		state = dlmv1.AcquisitionState_STATE_WAITING
	case etcdstore.Holding:
		state = dlmv1.AcquisitionState_STATE_HOLDING
	}
	return &dlmv1.AcquisitionState{Lock: s.Lock, Request: s.Request, State: state, Token: s.Token, HoldLeft: encodeLeft(s.HoldLeft)}
}

func encodeOutcome(o etcdstore.Outcome) dlmv1.AcquireResponse_Outcome {
	switch o {
	case etcdstore.Granted:
		return dlmv1.AcquireResponse_OUTCOME_GRANTED
	case etcdstore.Busy:
		return dlmv1.AcquireResponse_OUTCOME_BUSY
	case etcdstore.Cancelled:
		return dlmv1.AcquireResponse_OUTCOME_CANCELLED
	}
	return dlmv1.AcquireResponse_OUTCOME_UNSPECIFIED
}

func encodeFile(f etcdstore.File) *dlmv1.File {
	return &dlmv1.File{Lock: f.Lock, Name: f.Name, Size: f.Size, Token: f.Token, Version: encodeVersion(f.Version()), Start: f.Start, Life: encodeVersion(f.Life)}
}

func encodeLock(l etcdstore.LockInfo) *dlmv1.Lock {
	return &dlmv1.Lock{
		Name:          l.Name,
		Holder:        encodeHolder(l.Holder),
		Waiters:       encodeAll(l.Waiters, encodeWaiter),
		QueueLength:   count(l.QueueLength),
		StagedRecords: l.Staged,
		LastUndone:    text.Escape(l.LastUndone),
	}
}

func encodeCluster(c etcdstore.ClusterInfo) *dlmv1.InspectClusterResponse {
	resp := &dlmv1.InspectClusterResponse{
		Cluster: c.Cluster, Revision: c.Revision, Version: c.Version, Members: encodeAll(c.Members, encodeMember),
	}
	if c.RecordsRefused != nil {
		resp.RecordsRefused = text.Escape(c.RecordsRefused.Error())
	}
	if c.LocksRefused != nil {
		resp.LocksRefused = text.Escape(c.LocksRefused.Error())
	}
	return resp
}

func encodeMember(m etcdstore.MemberInfo) *dlmv1.Member {
	member := &dlmv1.Member{Id: m.ID, Name: text.Escape(m.Name), Peers: encodeAll(m.Peers, text.Escape), Leader: m.Leader, Learner: m.Learner}
	if s := m.Status; s != nil {
		member.Status = &dlmv1.MemberStatus{Version: text.Escape(s.Version), File: s.File, InUse: s.InUse, Quota: s.Quota}
	}
	return member
}

func encodeHolder(h *etcdstore.Holder) *dlmv1.Holder {
	if h == nil {
		return nil
	}
	return &dlmv1.Holder{
		Session: h.Session, Request: h.Request, Label: text.Escape(h.Label), Token: h.Token, Since: encodeTime(h.Since),
		Identity: text.Escape(h.Owner), Deadline: encodeTime(h.Deadline),
		LeaseLeft: encodeKnown(h.LeaseLeft), HeartbeatAge: encodeKnown(h.HeartbeatAge),
	}
}

// encodeKnown returns nil for a duration that is not known.
func encodeKnown(d time.Duration) *durationpb.Duration {
	if d < 0 {
		return nil
	}
	return durationpb.New(d)
}

func encodeWaiter(w etcdstore.Waiter) *dlmv1.Waiter {
	return &dlmv1.Waiter{
		Session: w.Session, Request: w.Request, Label: text.Escape(w.Label), Since: encodeTime(w.Since), Identity: text.Escape(w.Owner),
		Position: count(w.Position),
	}
}

func encodeEvent(e etcdstore.Event) *dlmv1.Event {
	return &dlmv1.Event{
		Type:     encodeEventType(e.Type),
		Lock:     e.Lock,
		Session:  e.Session,
		Request:  e.Request,
		Label:    text.Escape(e.Label),
		Token:    e.Token,
		Revision: e.Revision,
		Reason:   text.Escape(e.Reason),
		Initial:  e.Initial,
		Identity: text.Escape(e.Owner),
	}
}

func encodeEventType(t etcdstore.EventType) dlmv1.Event_Type {
	switch t {
	case etcdstore.EventWaiting:
		return dlmv1.Event_TYPE_WAITING
	case etcdstore.EventGranted:
		return dlmv1.Event_TYPE_GRANTED
	case etcdstore.EventCommitted:
		return dlmv1.Event_TYPE_COMMITTED
	case etcdstore.EventReleased:
		return dlmv1.Event_TYPE_RELEASED
	case etcdstore.EventLost:
		return dlmv1.Event_TYPE_LOST
	case etcdstore.EventLeft:
		return dlmv1.Event_TYPE_LEFT
	}
	return dlmv1.Event_TYPE_UNSPECIFIED
}

func decodeRetention(r *dlmv1.Retention) (etcdstore.Retention, error) {
	if r == nil {
		return etcdstore.Retention{}, fmt.Errorf("%w: no retention", etcdstore.ErrInvalidArgument)
	}
	age, err := decodeNonzero(r.GetMaxAge(), fmt.Errorf("%w: max_age", etcdstore.ErrInvalidArgument))
	return etcdstore.Retention{Prefix: r.GetPrefix(), Files: r.GetFiles(), MaxBytes: r.GetMaxBytes(), MaxAge: age}, err
}

func encodeRetention(r etcdstore.Retention) *dlmv1.Retention {
	bounds := &dlmv1.Retention{Prefix: r.Prefix, Files: r.Files, MaxBytes: r.MaxBytes}
	if r.MaxAge != 0 {
		bounds.MaxAge = durationpb.New(r.MaxAge)
	}
	return bounds
}

func encodeProblem(p etcdstore.Problem) *dlmv1.Problem {
	return &dlmv1.Problem{
		Key:      []byte(p.Key),
		Name:     text.Escape(p.Key),
		Kind:     p.Kind,
		Lock:     p.Lock,
		Why:      text.Escape(p.Why),
		Revision: p.Revision,
		Loses:    p.Loses,
		Fixed:    p.Fixed,
	}
}

// encodeTime returns nil for a time that is not known.
func encodeTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// encodeLeft returns nil for a hold without an end.
func encodeLeft(left time.Duration) *durationpb.Duration {
	if left == 0 {
		return nil
	}
	return durationpb.New(left)
}

// count encodes a number of things, which may be more than the field has room for.
func count(n int) int32 {
	return int32(min(n, math.MaxInt32)) //nolint:gosec // bounded in this line
}
