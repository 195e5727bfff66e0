package etcdstore

import (
	"context"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// The chunks of what was replaced, removed or cut off are deleted after the fold that did so, a few
// at a time: 64 MiB in one transaction would hold up every member. What can go is noted in the
// fold's own transaction. If it were noted afterwards, a store that crashes in between would leave
// chunks that nobody knows of.

const (
	cleanChunks = 256 // deleted by one transaction
	goneKept    = 24 * time.Hour
	buryEvery   = time.Hour
)

// fileKey names a file.
type fileKey struct{ lock, file string }

// clean deletes the chunks of a file that can go, the lowest first, and then the note that says so.
// Any number of stores may do so at once, each step again, or break off anywhere: what can go is
// never put again.
func (s *Store) clean(ctx context.Context, f fileKey) error {
	note := s.keys.garbage(f.lock, f.file)
	for {
		resp, err := s.get(ctx, note)
		if err != nil || len(resp.Kvs) == 0 {
			return err
		}
		g, err := decodeGarbage(resp.Kvs[0].Value)
		if err != nil { // until the file is replaced, cut, or buried, or somebody has it repaired
			s.quarantine.add(note, err)
			return nil
		}
		chunks, err := s.get(ctx, s.keys.chunk(f.lock, f.file, 0), clientv3.WithRange(s.keys.chunk(f.lock, f.file, g.upTo())),
			clientv3.WithKeysOnly(), clientv3.WithLimit(cleanChunks))
		if err != nil {
			return err
		}
		del, n := op.Delete(note), len(chunks.Kvs)
		if n > 0 {
			del = op.DeleteRange(string(chunks.Kvs[0].Key), string(chunks.Kvs[n-1].Key)+"\x00")
		}
		done, err := s.engine.Alone(ctx, commit.Txn{If: []*pb.Compare{op.ModifiedAt(note, resp.Kvs[0].ModRevision)}, Then: []*pb.RequestOp{del}})
		if err != nil || done.Succeeded && n == 0 {
			return err
		}
	}
}

// findGarbage asks for every file to be cleaned of which something can go.
func (s *Store) findGarbage(ctx context.Context) error {
	sc := scanOf(s.keys.allGarbage(), listPage)
	sc.keysOnly = true
	for resp, err := range s.pages(ctx, sc) {
		if err != nil {
			return err
		}
		for _, kv := range resp.Kvs {
			lock, file, ok := s.keys.parseGarbage(string(kv.Key))
			if !ok {
				s.quarantine.add(string(kv.Key), errKey)
				continue
			}
			s.cleans.add(fileKey{lock, file})
		}
	}
	return nil
}

// bury deletes the heads of files that were removed a day before a moment, once they are cleaned.
// After that their positions come back. So all that is left of chunks goes with the head: what a
// fold may have put that was not finished. One that goes on finds the head changed, or, if it began
// before there was a head, its section folded. And a reader finds chunks that were put after the
// head that it goes by, and looks at that again.
func (s *Store) bury(ctx context.Context, now time.Time) error {
	for heads, err := range s.pages(ctx, scanOf(s.keys.allHeads(), listPage)) {
		if err != nil {
			return err
		}
		for _, kv := range heads.Kvs {
			h, err := headIn(kv)
			lock, file, ok := s.keys.parseHead(string(kv.Key))
			if !ok || err != nil || h.Gone == 0 || h.Gone > millis(now.Add(-goneKept)) {
				continue
			}
			if _, err := s.engine.Alone(ctx, commit.Txn{
				If:   []*pb.Compare{op.ModifiedAt(string(kv.Key), h.rev), op.Absent(s.keys.garbage(lock, file))},
				Then: s.deleteFile(lock, file),
			}); err != nil {
				return err
			}
			s.heads.drop(string(kv.Key))
		}
	}
	return nil
}

// deleteFile deletes all that there is of a file. Its positions begin anew afterwards.
func (s *Store) deleteFile(lock, file string) []*pb.RequestOp {
	return []*pb.RequestOp{
		op.Delete(s.keys.head(lock, file)), op.Delete(s.keys.garbage(lock, file)), op.DeletePrefix(s.keys.chunks(lock, file)),
	}
}
