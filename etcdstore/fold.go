package etcdstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// Folding turns a published section's records into file chunks. The section is readable from its
// marker on; folding only moves bytes to where they are read from. Who reads folds first, so that a
// section that nobody has folded yet is read as well; without space for that: see unfolded.go.
//
// Any store may fold, several at once, and one may be broken off anywhere. Two things make that
// harmless:
//
//   - Every step, not only the last, compares the markers and the heads that it was made from
//     (guard).
//   - Only the last step moves the heads. What the steps before it put lies beyond the heads, where
//     nobody reads, and is the same whoever puts it.
//
// Two stores fold sections 5 and 6, of 10 KiB each, into a file of 100 KiB:
//
//	A                             B                       without that compare A's step would
//	remembers the head, at 100
//	                              folds 5: head at 110
//	reads 6, puts it at 100                               the head: overwrite 5, which is readable
//
//	reads marker 5
//	                              folds 5: head at 110
//	reads the head, puts 5 at 110                         the marker: have 5 in the file twice
//
// docs/protocol.md has these as the holes H8a and H8b.

const (
	chunkSize  = 64 << 10 // the most bytes in a chunk of a new file
	smallChunk = 4 << 10  // a chunk that stays within this is grown by the next section, not followed by another
	stepBytes  = 1 << 20  // the most bytes that one step puts, under etcd's 1.5 MiB a request
	stepOps    = 100      // the most operations of one step, under etcd's 128
	tailsPage  = 32       // the most chunks that are read at once
)

// A section within its bounds is folded by transactions that etcd takes as they are: the last one
// compares its marker and every head, and moves all heads.
const _ = uint(commit.MaxOps - MaxSectionFiles - 2)

// foldDelay is how long a published section waits for others to be folded with.
const foldDelay = 200 * time.Millisecond

// foldPublished folds a lock's sections up to the latest that this store knows to have published.
// If it knows of none it was asked by what has found a marker, and folds all that is published.
func (s *Store) foldPublished(ctx context.Context, lock string) error {
	latest := s.heads.latest(lock)
	if latest.token == 0 {
		return s.foldAll(ctx, lock)
	}
	if err := s.foldUpTo(ctx, lock, latest.token); err != nil {
		return err
	}
	switch {
	case s.heads.latest(lock).token == 0:
	case s.bundles.many(lock): // published meanwhile
		s.folds.add(lock)
	default:
		s.foldLater(lock)
	}
	return nil
}

// foldLater asks for a fold of what this store has published of a lock, after a moment in which
// more may be.
func (s *Store) foldLater(lock string) {
	time.AfterFunc(foldDelay, func() {
		if s.heads.latest(lock).token != 0 { // no reader has been faster
			s.folds.add(lock)
		}
	})
}

// foldAll folds every section of a lock that is published now.
func (s *Store) foldAll(ctx context.Context, lock string) error {
	told := s.features.on(featurePublish)
	resp, err := s.engine.Commit(ctx, commit.Txn{Then: s.lookForNewest(lock)})
	if err != nil {
		return err
	}
	return s.foldNewest(ctx, lock, resp, told)
}

// lookForNewest reads the last sections of a lock that are published and not folded.
func (s *Store) lookForNewest(lock string) []*pb.RequestOp {
	bundles := op.Prefix(s.keys.bundles(lock))
	bundles.KeysOnly = true
	return []*pb.RequestOp{op.Range(op.Last(s.keys.markers(lock))), op.Range(bundles)}
}

// foldNewest folds the sections of a lock up to those that lookForNewest has found, by the first
// two answers of a transaction. told: before that was asked, all servers told by latest/L what they
// publish.
func (s *Store) foldNewest(ctx context.Context, lock string, resp *pb.TxnResponse, told bool) error {
	newest, err := s.newestIn(ctx, lock, resp)
	if err != nil {
		return err
	}
	if newest > 0 {
		if err := s.foldUpTo(ctx, lock, newest); err != nil {
			return err
		}
	}
	if told {
		s.heads.whole(lock, resp.Header.Revision)
	}
	return nil
}

// newestIn is the token of the last section that lookForNewest has found, by the first two answers
// of a transaction; 0: there is none.
func (s *Store) newestIn(ctx context.Context, lock string, resp *pb.TxnResponse) (newest int64, err error) {
	if marker := op.First(resp, 0); marker != nil {
		if newest, err = s.lastMarked(ctx, lock, marker); err != nil {
			return 0, err
		}
	}
	for _, kv := range op.Ranged(resp, 1) {
		if sec, _, err := s.keys.bundleOf(kv); err == nil {
			newest = max(newest, sec.Token)
		}
	}
	return newest, nil
}

// foldUpTo folds a lock's published sections, oldest first, up to a token. One goroutine of a store
// at a time does so for a lock, for several would only overtake each other.
func (s *Store) foldUpTo(ctx context.Context, lock string, token int64) error {
	unlock, err := s.folding.lock(ctx, lock)
	if err != nil {
		return err
	}
	defer unlock()
	overtaken := false
	for {
		oldest, err := s.oldest(ctx, lock, token, overtaken)
		if err == nil && len(oldest.secs) > 0 {
			oldest.through, err = s.fold(ctx, lock, oldest)
		}
		overtaken = errors.Is(err, errOvertaken)
		switch {
		case overtaken:
		case err != nil:
			return fmt.Errorf("fold %s: %w", quoted(lock), err)
		case oldest.through >= token:
			s.heads.folded(lock, token, oldest.rev)
			s.space.folded(lock, token)
			return nil
		}
	}
}

// errOvertaken: what a step was made from has changed, by a fold of another store; or what was
// remembered of a head was wrong.
var errOvertaken = errors.New("overtaken")

// fold folds the oldest sections of a lock, all in one step. If that is too much for one step, it
// folds the first of them alone, in as many as that takes. It returns the token up to which all are
// folded then.
//
// Only a single section may take several steps. If a fold is broken off between two, whoever takes
// it up must put the same chunks; and what several sections come to depends on which of them are
// folded together: 5 with 6 fills a chunk that 5 alone does not.
//
// Of a section that was held the marker is compared. Of bundles the oldest is: sections are folded
// in order, so that none of the others is folded before it. The heads would not do. A section that
// removes a file which is not there changes none; and one that was removed is buried at some time,
// after which there is no head, as before it.
//
// A section has more files than its bound if its client went back and forth between servers, each
// of which counts by itself; and what can go of files is put beside their heads. What compares and
// puts as many etcd does not take. So instead of its own heads all of the lock's are compared, as
// one range: none was put since the revision, so that each is what was read after it, and is not to
// be remembered from before. And they are moved by transactions inside the last one.
func (s *Store) fold(ctx context.Context, lock string, o oldestSections) (through int64, err error) {
	secs, rev := o.secs, o.rev
	var guard []*pb.Compare
	var files []string
	sizes, soiled := map[string]int{}, map[string]struct{}{}
	bundled := false
	for _, sec := range secs {
		if sec.bundle == "" {
			guard = append(guard, op.ModifiedAt(s.keys.marker(lock, sec.Token), sec.marker))
		} else if !bundled {
			bundled = true
			guard = append(guard, op.ModifiedAt(sec.bundle, sec.Token))
		}
		for _, r := range sec.records {
			if _, ok := sizes[r.File]; !ok {
				files = append(files, r.File)
			}
			sizes[r.File] += len(r.Data)
			if r.Kind != Append {
				soiled[r.File] = struct{}{}
			}
		}
	}
	many := len(files)+len(soiled) > MaxSectionFiles
	if many {
		guard = append(guard, op.AllModifiedBy(s.keys.heads(lock), rev))
	}
	var chunks, last []*pb.RequestOp
	grown := make(map[string]*growth, len(files))
	for _, file := range files {
		key := s.keys.head(lock, file)
		f, known := s.heads.get(key)
		if !known || many {
			if f, err = s.headOf(ctx, lock, file); err != nil {
				return 0, err
			}
		}
		if !many {
			guard = append(guard, op.ModifiedAt(key, f.rev))
		}
		grown[file] = growthOf(f, sizes[file])
	}
	named, now := s.features.on(featureLife), time.Now()
	for _, sec := range secs {
		for _, r := range sec.records {
			grown[r.File].operate(r.Operation, sec.Version, named)
		}
		for _, r := range sec.records {
			s.mark(fileKey{lock, r.File}, grown[r.File], now)
		}
	}
	tails, err := s.lastChunks(ctx, lock, files, grown)
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		g := grown[file]
		if !g.changed {
			continue
		}
		puts, err := s.grow(lock, file, &g.headValue, tails[file], g.data)
		if err != nil {
			return 0, err
		}
		chunks = append(chunks, puts...)
		last = append(last, op.Put(s.keys.head(lock, file), encode(g.headValue)))
		if g.soils {
			last = append(last, op.Put(s.keys.garbage(lock, file), encode(g.garbage())))
		}
	}
	// The last step moves the heads, and does away with what the file now has.
	for _, sec := range secs {
		if sec.bundle != "" {
			last = append(last, op.Delete(sec.bundle))
			continue
		}
		last = append(last, op.Delete(s.keys.marker(lock, sec.Token)), op.DeletePrefix(s.keys.records(lock, sec.Token)))
	}
	if bundled || s.features.on(featurePublish) {
		last = append(last, op.Put(s.keys.folded(lock), encode(foldedValue(secs[len(secs)-1].Version))))
	}
	inParts := many || bundled && len(last) > stepOps/2
	steps := split(chunks)
	if n := len(steps); n > 0 && (inParts && n == 1 && bundled || len(steps[n-1])+len(last) <= stepOps) {
		last = append(steps[n-1], last...)
		steps = steps[:n-1]
	}
	if len(steps) > 0 && len(secs) > 1 {
		return s.fold(ctx, lock, o.first(1))
	}
	for _, ops := range append(steps, last) {
		bytes := bytesOf(ops)
		if inParts {
			ops = commit.Nested(ops)
		}
		t, run := commit.Txn{If: guard, Then: ops}, s.engine.Alone // a large one would hold up a batch
		if !inParts && t.Small() {
			run = s.engine.Commit
		}
		if err := s.awaitRoom(ctx, lock, bytes); err != nil {
			return 0, err
		}
		resp, err := run(ctx, t)
		s.space.answered(stepTakes(bytes))
		if err == nil && !resp.Succeeded {
			err = errOvertaken
		}
		if err != nil {
			for _, file := range files { // what is remembered of them may be the reason
				s.heads.drop(s.keys.head(lock, file))
			}
			return 0, err
		}
		rev = resp.Header.Revision
	}
	for _, file := range files {
		g := grown[file]
		if !g.changed {
			continue
		}
		s.heads.set(s.keys.head(lock, file), head{g.headValue, rev, cmp.Or(g.was.made, rev)})
		if g.soils {
			s.cleans.add(fileKey{lock, file})
		}
	}
	return o.through, nil
}

func (s *Store) headOf(ctx context.Context, lock, file string) (head, error) {
	resp, err := s.get(ctx, s.keys.head(lock, file))
	if err != nil {
		return head{}, err
	}
	if len(resp.Kvs) == 0 {
		return noHead(), nil
	}
	return parseHead(resp.Kvs[0])
}

// parseHead is the head that a file's key has.
func parseHead(kv *mvccpb.KeyValue) (head, error) {
	h, err := headIn(kv)
	if err != nil {
		return head{}, malformedKey(kv, err)
	}
	return h, nil
}

// lastChunks reads the last chunks of files that stay small with what is new, as far as their heads
// say that they are readable.
//
// One that is not there may be cleaned away, if the head is not what it was any more.
func (s *Store) lastChunks(ctx context.Context, lock string, files []string, grown map[string]*growth) (map[string][]byte, error) {
	var small []string
	for _, file := range files {
		if grown[file].joins() {
			small = append(small, file)
		}
	}
	tails := make(map[string][]byte, len(small))
	for part := range slices.Chunk(small, tailsPage) {
		var gets []*pb.RequestOp
		for _, file := range part {
			gets = append(gets, op.Get(s.keys.chunk(lock, file, grown[file].Last)))
		}
		resp, err := s.engine.Commit(ctx, commit.Txn{Then: gets})
		if err != nil {
			return nil, err
		}
		for n, file := range part {
			g, kv := grown[file], op.First(resp, n)
			old := g.Size - g.Last
			if kv == nil || int64(len(kv.Value)) < old {
				return nil, s.unlessOvertaken(ctx, lock, file, g)
			}
			tails[file] = kv.Value[:old:old]
		}
	}
	return tails, nil
}

// unlessOvertaken is that the last chunk of a file is not whole, or [errOvertaken] if its head is
// another one by now.
func (s *Store) unlessOvertaken(ctx context.Context, lock, file string, g *growth) error {
	now, err := s.headOf(ctx, lock, file)
	switch {
	case err != nil:
		return err
	case now.is(g.was):
		return notWhole(lock, file, g.Last-g.Base)
	}
	s.heads.drop(s.keys.head(lock, file))
	return errOvertaken
}

// grow moves a head over new bytes, and returns the puts of the chunks that hold them. They depend
// on nothing but the head, the bytes and what the head says is readable, so that whoever does it
// again puts the same.
//
// A last chunk that stays small, the tail, is put again with the new bytes behind the old, else
// thousands of short sections would be as many keys. Of what is in it only the bytes within the
// head count: behind them may be what a fold has left that was broken off.
func (s *Store) grow(lock, file string, h *headValue, tail, data []byte) ([]*pb.RequestOp, error) {
	if len(data) == 0 {
		return nil, nil
	}
	if int64(len(data)) > mostFile-h.Size {
		return nil, fmt.Errorf("%w: file %s of lock %s has %d bytes", ErrMalformed, quoted(file), quoted(lock), h.Size)
	}
	at := h.Size
	if len(tail) > 0 {
		at = h.Last
		data = append(tail, data...)
	}
	var puts []*pb.RequestOp
	h.Size = at + int64(len(data))
	for part := range slices.Chunk(data, int(h.Chunk)) {
		puts = append(puts, op.Put(s.keys.chunk(lock, file, at), part))
		h.Last = at
		at += int64(len(part))
	}
	return puts, nil
}

// bytesOf is how much operations put.
func bytesOf(ops []*pb.RequestOp) (bytes int64) {
	for _, o := range ops {
		bytes += int64(len(o.GetRequestPut().GetValue()))
	}
	return bytes
}

// split cuts puts into steps, each within what etcd takes in a transaction.
func split(puts []*pb.RequestOp) [][]*pb.RequestOp {
	var steps [][]*pb.RequestOp
	var bytes int
	for i, o := range puts {
		size := len(o.GetRequestPut().GetValue())
		if i == 0 || bytes+size > stepBytes || len(steps[len(steps)-1]) == stepOps {
			steps = append(steps, nil)
			bytes = 0
		}
		steps[len(steps)-1] = append(steps[len(steps)-1], o)
		bytes += size
	}
	return steps
}
