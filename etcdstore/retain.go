package etcdstore

import (
	"context"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// What is too much of a file, or too old, is cut off from its beginning, by any server, without its
// lock: it may be held all the time. It is no section: the file's version stays, and nobody who
// publishes on a condition notices.
//
// A file is cut where a section ends, else its reader would get half a line. Where that was, and
// when, is told by marks in its head, which folds put there while something is to be retained of
// the file. They are few: each is a sixteenth of the bytes, or of the age, from the one before.
//
//	at most 160 KB, 16 minutes; it is 12:21
//	marks of  12:00   12:01   12:01   12:12   12:21
//	which had 30 KB   40 KB   200 KB  205 KB  206 KB
//
//	16 minutes  it starts at 200 KB: all before that is older; what follows may not be
//	160 KB      it starts at 200 KB: what follows 40 KB is more
//
// The last mark is where the file ends now, and moves on with it until it is far enough from the
// one before. So a file that is not written to any more has one, too, and all of it gets old.
//
// Clocks of servers say what may go, and never what is right: what moves the start compares the
// head that it was reckoned from, as a fold does.

const (
	markParts  = 16
	maxMarks   = 2*markParts + 8
	retainPage = 16 // heads of one transaction
)

// fileMark is a time, in ms since 1970, and where a file ended then at the latest.
type fileMark [2]int64

func (m fileMark) at() int64  { return m[0] }
func (m fileMark) end() int64 { return m[1] }

// apart reports whether two marks are as far from each other as those that stay.
func (r *Retention) apart(a, b fileMark) bool {
	return r.MaxAge > 0 && b.at()-a.at() >= r.MaxAge.Milliseconds()/markParts ||
		r.MaxBytes > 0 && b.end()-a.end() >= r.MaxBytes/markParts
}

// marked returns a file's marks if it ends at a position at a time.
func (r *Retention) marked(h headValue, end int64, now time.Time) []fileMark {
	last := fileMark{millis(now), end}
	marks := make([]fileMark, 0, len(h.Marks)+1)
	for _, m := range h.Marks {
		if m.end() > h.Start {
			marks = append(marks, m)
		}
	}
	n := len(marks)
	if n > 0 {
		last[0] = max(last.at(), marks[n-1].at())
	}
	switch {
	case end == h.Start, n > 0 && marks[n-1].end() == end:
	case n > 1 && !r.apart(marks[n-2], marks[n-1]):
		marks[n-1] = last
	default:
		marks = append(marks, last)
	}
	if len(marks) > maxMarks { // the start will not stop at those before where it may be now
		start := r.retained(headValue{Start: h.Start, Size: end, Marks: marks}, now)
		marks = slices.DeleteFunc(marks, func(m fileMark) bool { return m.end() < start })
	}
	if len(marks) > maxMarks {
		return thinned(marks)
	}
	return marks
}

// thinned drops every second mark, but for the last.
func thinned(marks []fileMark) (rest []fileMark) {
	for i, m := range marks {
		if (len(marks)-1-i)%2 == 0 {
			rest = append(rest, m)
		}
	}
	return rest
}

// retained is from where on a file is kept at a time, by its marks.
func (r *Retention) retained(h headValue, now time.Time) (start int64) {
	start = h.Start
	old := millis(now) - r.MaxAge.Milliseconds()
	for _, m := range h.Marks {
		if r.MaxAge > 0 && m.at() <= old || r.MaxBytes > 0 && h.Size-start > r.MaxBytes && m.end() < h.Size {
			start = max(start, m.end())
		}
	}
	return start
}

// mark puts a mark of a moment where a section of a file ends that is being folded. What nothing is
// retained of has none; until it is known what is, they stay as they are.
func (s *Store) mark(f fileKey, g *growth, now time.Time) {
	rules := s.retentions.Load()
	if rules == nil {
		return
	}
	if r := rules.of(f); r == nil || g.Gone != 0 {
		g.Marks = nil
	} else {
		g.Marks = r.marked(g.headValue, g.end(), now)
	}
}

// retaining is a head that is moved on.
type retaining struct {
	fileKey
	from, to head
}

// retain cuts off what there is too much of in files, or what is too old at a time. A file that has
// not grown since something is retained of it gets its mark.
func (s *Store) retain(ctx context.Context, now time.Time) error {
	if _, err := s.Retentions(ctx); err != nil {
		return err
	}
	rules := *s.retentions.Load()
	var files, bytes int64
	defer func() {
		if files > 0 {
			s.log.Info("of files was cut off what their retention says", "files", files, "bytes", bytes)
		}
	}()
	for _, prefix := range rules.outermost() {
		for heads, err := range s.pages(ctx, scanOf(s.keys.allHeads()+prefix, listPage)) {
			if err != nil {
				return err
			}
			for part := range slices.Chunk(s.toMove(rules, heads.Kvs, now), retainPage) {
				cut, err := s.moveStarts(ctx, part)
				if err != nil {
					return err
				}
				for _, r := range cut {
					files++
					bytes += r.to.Start - r.from.Start
				}
			}
		}
	}
	return nil
}

// toMove are those of some heads that are to be moved on.
func (s *Store) toMove(rules retentions, heads []*mvccpb.KeyValue, now time.Time) (some []retaining) {
	for _, kv := range heads {
		lock, file, ok := s.keys.parseHead(string(kv.Key))
		h, err := headIn(kv)
		r := rules.of(fileKey{lock, file})
		if !ok || err != nil || r == nil || !h.exists() {
			continue
		}
		to := h
		to.Start = r.retained(h.headValue, now)
		if n := len(h.Marks); n == 0 || h.Marks[n-1].end() != h.Size {
			to.Marks = r.marked(to.headValue, h.Size, now)
		}
		if to.Start != h.Start || !slices.Equal(to.Marks, h.Marks) {
			some = append(some, retaining{fileKey{lock, file}, h, to})
		}
	}
	return some
}

// moveStarts puts heads that are as they were read, and returns those of whose files something is
// cut off thereby.
func (s *Store) moveStarts(ctx context.Context, some []retaining) (cut []retaining, err error) {
	var t commit.Txn
	for _, r := range some {
		head := s.keys.head(r.lock, r.file)
		then := []*pb.RequestOp{op.Put(head, encode(r.to.headValue))}
		if r.to.Start != r.from.Start {
			then = append(then, op.Put(s.keys.garbage(r.lock, r.file), encode(r.to.garbage())))
		}
		t.Then = append(t.Then, commit.Txn{If: []*pb.Compare{op.ModifiedAt(head, r.from.rev)}, Then: then}.Op())
		s.space.puts()
	}
	resp, err := s.engine.Alone(ctx, t)
	if err != nil {
		return nil, err
	}
	for i, r := range some {
		s.heads.drop(s.keys.head(r.lock, r.file))
		if op.Nested(resp, i).Succeeded && r.to.Start != r.from.Start {
			s.cleans.add(r.fileKey)
			cut = append(cut, r)
		}
	}
	return cut, nil
}
