package etcdstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// A publish is made once however often it is repeated, since each is numbered within a lane, and a
// note says what became of the last one. It is overwritten by the next: a note of each would fill
// etcd within the hour, and a client that sends the next one has given the last one up.
//
//	client                       server                     etcd: applied/l//lane
//
//	publish 1  ───────────────▶  published at 45  ────────  1, at 45
//	(no answer) publish 1 ────▶  the note has 1   ────────▶ published, at 45
//	publish 2  ───────────────▶  published at 51  ────────  2, at 51
//	(late) publish 1 ─────────▶  the note has 2: it is superseded, and never made again
//
// A note is dropped some time after the last publish. Then nothing but the publish itself says when
// it is from: the revision that its client had seen before it was first sent (born). In the
// transaction that drops notes, forgotten is raised to the highest of their revisions. What was
// born before that, and has no note, is refused.

// Lane is a client's choice, at random, for what it publishes to one lock one after the other.
// Whoever knows it can find out what became of the last of that, and withdraw the next.
type Lane [16]byte

// PublishID names a publish: a repeat has the same.
type PublishID struct {
	Lane   Lane
	Number uint64 // from 1 to [MaxPublishNumber], higher with each publish of the lane
	// Born is a revision that the client had seen before it first sent this. 0: it has seen none,
	// and a repeat is known as one for as long as its note is kept, a day at most.
	Born int64
}

// MaxPublishNumber is the highest number of a publish.
const MaxPublishNumber = math.MaxInt64 - 1

func (id PublishID) check() error {
	if id.Lane == (Lane{}) {
		return fmt.Errorf("%w: want a lane of %d bytes, chosen at random", ErrInvalidArgument, len(id.Lane))
	}
	if id.Number == 0 || id.Number > MaxPublishNumber {
		return fmt.Errorf("%w: number %d of a publish: want 1 to %d", ErrInvalidArgument, id.Number, MaxPublishNumber)
	}
	if id.Born < 0 {
		return fmt.Errorf("%w: born at %d: want a revision", ErrInvalidArgument, id.Born)
	}
	return nil
}

// number16 is the number as it sorts.
func (id PublishID) number16() string {
	return hex16(int64(id.Number)) //nolint:gosec // at most MaxPublishNumber
}

// laneNote is what became of the last publish of a lane. Its number stands before it, so that one
// compare of the value finds out whether a number is above it.
type laneNote struct {
	number    uint64
	N         uint32 `json:"n,omitempty"`         // which of its token
	Token     int64  `json:"token,omitempty"`     // of the section; 0: the revision of the note
	Withdrawn bool   `json:"withdrawn,omitempty"` // it was not published
	At        int64  `json:"at"`                  // ms since 1970
}

func (v laneNote) encode() string {
	return PublishID{Number: v.number}.number16() + encode(v)
}

func decodeLaneNote(b []byte) (v laneNote, err error) {
	if len(b) < 16 {
		return laneNote{}, fmt.Errorf("a lane's note of %d bytes", len(b))
	}
	number, ok := parseHex16(string(b[:16]))
	if err := decode(b[16:], &v); err != nil {
		return laneNote{}, err
	}
	if !ok || number == 0 || !isTime(v.At) || v.Token < 0 {
		return laneNote{}, fmt.Errorf("a lane's note of number %s, at %d ms", quoted(string(b[:16])), v.At)
	}
	v.number = uint64(number)
	return v, nil
}

// freshNoted holds while a publish was neither made nor withdrawn, and neither was a later one of
// its lane, if there is a note of that.
func (s *Store) freshNoted(lock string, id PublishID) []*pb.Compare {
	return []*pb.Compare{op.ValueBelow(s.keys.applied(lock, id.Lane), id.number16())}
}

// freshUnnoted is freshNoted if there is no note. It relies on forgotten, which has to be there.
func (s *Store) freshUnnoted(lock string, id PublishID) []*pb.Compare {
	return []*pb.Compare{op.Absent(s.keys.applied(lock, id.Lane)), op.ValueBelow(s.keys.forgotten(), hex16(id.Born+1))}
}

// ifFresh makes the transaction that puts something if a publish is fresh, in whichever way.
// The second operation reads the lane's note, and the third what is forgotten.
func (s *Store) ifFresh(lock string, id PublishID, besides []*pb.Compare, then []*pb.RequestOp) []*pb.RequestOp {
	second := commit.Txn{If: append(s.freshNoted(lock, id), besides...), Then: then}
	first := commit.Txn{If: append(s.freshUnnoted(lock, id), besides...), Then: then, Else: []*pb.RequestOp{second.Op()}}
	return append([]*pb.RequestOp{first.Op()}, s.lookAtLane(lock, id.Lane)...)
}

// wasFresh reports whether what ifFresh makes has put something.
func wasFresh(resp *pb.TxnResponse) bool {
	first := op.Nested(resp, 0)
	return first.Succeeded || op.Nested(first, 0).Succeeded
}

// lookAtLane reads what says what became of a publish.
func (s *Store) lookAtLane(lock string, lane Lane) []*pb.RequestOp {
	return []*pb.RequestOp{op.Get(s.keys.applied(lock, lane)), op.Get(s.keys.forgotten())}
}

// laneSays is what a lane's note and what is forgotten say of a publish: its outcome; nil: nothing
// yet. [ErrOutcomeUnknown]: nobody can tell any more, and it will not be made.
func (s *Store) laneSays(id PublishID, note, horizon *mvccpb.KeyValue) (*Publication, error) {
	if note == nil {
		upTo, err := forgottenIn(horizon)
		if err != nil {
			return nil, malformedKey(horizon, err)
		}
		if horizon != nil && id.Born < upTo {
			return nil, fmt.Errorf("%w: the publish was begun before revision %d, and what was done then is not remembered any more",
				ErrOutcomeUnknown, upTo)
		}
		return nil, nil
	}
	v, err := decodeLaneNote(note.Value)
	switch {
	case err != nil:
		return nil, malformedKey(note, err)
	case v.number > id.Number:
		return nil, fmt.Errorf("%w: number %d of its lane was sent since", ErrOutcomeUnknown, v.number)
	case v.number < id.Number:
		return nil, nil
	case v.Withdrawn:
		return &Publication{Outcome: Withdrawn}, nil
	}
	return &Publication{Outcome: Published, Version: Version{Token: cmp.Or(v.Token, note.ModRevision), N: v.N}}, nil
}

// laneSaid is laneSays by the answers to lookAtLane, which begin at an index. Should forgotten not
// be there, it is made.
func (s *Store) laneSaid(ctx context.Context, id PublishID, resp *pb.TxnResponse, at int) (told *Publication, err error) {
	note, horizon := op.First(resp, at), op.First(resp, at+1)
	told, err = s.laneSays(id, note, horizon)
	if err == nil && told == nil && horizon == nil {
		err = s.remember(ctx, resp.Header.Revision)
	}
	return told, err
}

// forgottenIn reads up to which revision notes may be gone.
func forgottenIn(kv *mvccpb.KeyValue) (int64, error) {
	if kv == nil {
		return 0, nil
	}
	upTo, ok := parseHex16(string(kv.Value))
	if !ok {
		return 0, errors.New("it is no revision")
	}
	return upTo, nil
}

// remember makes forgotten, which was not there at a revision: no compare of its value holds before
// it is. Somebody has deleted it, and what it said is not known. But no note was dropped without
// it, and so none after that revision.
func (s *Store) remember(ctx context.Context, rev int64) error {
	key := s.keys.forgotten()
	_, err := s.engine.Commit(ctx, commit.Txn{If: []*pb.Compare{op.Absent(key)}, Then: []*pb.RequestOp{op.Put(key, hex16(rev))}})
	return err
}

// Notes are kept this long after the last publish of their lane; of very many only as long as
// anybody repeats a call.
const (
	laneKept    = 24 * time.Hour
	laneKeptFew = 10 * time.Minute
	manyLanes   = 100_000
)

// forget drops the notes of lanes that are not used any more. Another store that does so at the
// same time, or a publish of such a lane, is found by the compares, and the page left for the next
// time.
func (s *Store) forget(ctx context.Context, now time.Time) error {
	kept := laneKept
	count, err := s.engine.Commit(ctx, commit.Txn{Then: []*pb.RequestOp{op.Range(op.Count(s.keys.allApplied()))}})
	if err != nil {
		return err
	}
	if count.Responses[0].GetResponseRange().Count > manyLanes {
		kept = laneKeptFew
	}
	for notes, err := range s.pages(ctx, scanOf(s.keys.allApplied(), notesPage)) {
		if err != nil {
			return err
		}
		if err := s.forgetOf(ctx, notes.Kvs, now.Add(-kept)); err != nil {
			return err
		}
	}
	return nil
}

// forgetOf drops those of some notes that are older than a moment.
func (s *Store) forgetOf(ctx context.Context, notes []*mvccpb.KeyValue, before time.Time) error {
	key := s.keys.forgotten()
	resp, err := s.get(ctx, key)
	if err != nil || len(resp.Kvs) == 0 { // which the next publish makes
		return err
	}
	highest, err := forgottenIn(resp.Kvs[0])
	if err != nil { // which nobody may lower
		s.quarantine.add(key, err)
		return nil
	}
	t := commit.Txn{If: []*pb.Compare{op.ModifiedAt(key, resp.Kvs[0].ModRevision)}}
	for _, kv := range notes {
		v, malformed := decodeLaneNote(kv.Value)
		if _, _, ok := s.keys.parseApplied(string(kv.Key)); !ok || malformed != nil || v.At >= millis(before) {
			continue
		}
		t.If = append(t.If, op.ModifiedAt(string(kv.Key), kv.ModRevision))
		t.Then = append(t.Then, op.Delete(string(kv.Key)))
		highest = max(highest, kv.ModRevision)
	}
	if len(t.Then) == 0 {
		return nil
	}
	t.Then = append(t.Then, op.Put(key, hex16(highest)))
	_, err = s.engine.Alone(ctx, t)
	return err
}
