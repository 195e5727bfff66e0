package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// Read returns a piece of a file, from offset on: at most limit bytes, and never more than
// [MaxRead], which limit 0 stands for. It sees every section that was published before it began,
// and may see later ones.
//
//   - a piece, nil: Data is all of that range that the file has: nothing, if offset is at its end
//     or behind it.
//   - [ErrFileNotFound]: the lock has no such file (yet).
//   - [ErrNoSpace]: etcd is full, and sections that were published cannot be folded; and they are
//     too much, [MaxSection] or more, to be read as they are.
//   - [ErrMalformed]: the file, or a section that is published and not folded, cannot be read.
//   - [ErrInvalidName], [ErrInvalidArgument]: nothing was asked of etcd.
//   - any other, ctx's included: the file was not read. The call may be repeated.
func (s *Store) Read(ctx context.Context, lock, file string, offset int64, limit int) (Piece, error) {
	if err := errors.Join(CheckLock(lock), checkFile(file)); err != nil {
		return Piece{}, err
	}
	if offset < 0 || limit < 0 {
		return Piece{}, fmt.Errorf("%w: offset %d, limit %d: want neither negative", ErrInvalidArgument, offset, limit)
	}
	if limit == 0 || limit > MaxRead {
		limit = MaxRead
	}
	h, err := s.published(ctx, lock, file)
	if errors.Is(err, ErrNoSpace) {
		return s.readUnfolded(ctx, lock, file, offset, limit, err)
	}
	if err != nil {
		return Piece{}, err
	}
	if h.rev == 0 {
		return Piece{}, fmt.Errorf("%w: %s of lock %s", ErrFileNotFound, quoted(file), quoted(lock))
	}
	p := Piece{Offset: offset, Size: h.Size, Token: h.Token, N: h.N}
	if offset < h.Size {
		p.Data, err = s.bytes(ctx, lock, file, h.headValue, offset, min(offset+int64(limit), h.Size))
	}
	return p, err
}

// published is a file's head, with every section in it that was published before the call: those
// that are not folded yet are folded first, or it is [ErrNoSpace]. One that is published meanwhile
// may be in it, and is not waited for. A file that does not exist has a head of revision 0.
func (s *Store) published(ctx context.Context, lock, file string) (head, error) {
	told, whole := s.features.on(featurePublish), int64(0)
	if told {
		whole = s.heads.wholeAsOf(lock)
	}
	var read commit.Txn
	if whole == 0 {
		read.Then = s.lookForNewest(lock)
	}
	read.Then = append(read.Then, op.Get(s.keys.head(lock, file)), op.GetKey(s.keys.latest(lock)))
	resp, err := s.engine.Commit(ctx, read)
	if err != nil {
		return head{}, err
	}
	n := len(read.Then)
	kv, latest := op.First(resp, n-2), op.First(resp, n-1)
	switch {
	case whole > 0 && (latest == nil || latest.ModRevision <= whole):
	case whole == 0 && op.First(resp, 0) == nil && op.First(resp, 1) == nil:
		err = s.foldNewest(ctx, lock, resp, told) // which is nothing, and remembered
	default:
		if err = s.space.foldable(); err == nil && whole == 0 {
			err = s.foldNewest(ctx, lock, resp, told)
		} else if err == nil {
			err = s.foldAll(ctx, lock)
		}
		if err == nil {
			return s.headOf(ctx, lock, file)
		}
	}
	if err != nil || kv == nil {
		return head{}, err
	}
	return parseHead(kv)
}

// bytes reads a file from one offset to before another, which lies within the head. The chunks may
// go on beyond that: behind the head is what a fold has put there that is not finished, or never
// will be.
//
//	head at 3000, one chunk at 0 with 3500 bytes: the last 500 are of a fold whose last step
//	has not come yet, and which may still be broken off
//
// What lies within the head never changes, though a chunk may grow. So the pages need not be of one
// revision.
func (s *Store) bytes(ctx context.Context, lock, file string, h headValue, from, to int64) ([]byte, error) {
	data := make([]byte, 0, to-from)
	chunks := scan{
		from: s.keys.chunk(lock, file, max(0, from-h.Chunk+1)), // the chunk with `from` in it begins here or later
		end:  s.keys.chunk(lock, file, to),
		page: MaxRead / smallChunk,
	}
	at := from
	for resp, err := range s.pages(ctx, &chunks) {
		if err != nil {
			return nil, err
		}
		for _, kv := range resp.Kvs {
			begin, ok := s.keys.parseChunk(lock, file, string(kv.Key))
			if !ok {
				s.quarantine.add(string(kv.Key), errKey)
				continue
			}
			if begin > at || int64(len(kv.Value)) > h.Chunk {
				return nil, notWhole(lock, file, at)
			}
			if have := begin + int64(len(kv.Value)); have > at {
				upto := min(have, to)
				data = append(data, kv.Value[at-begin:upto-begin]...)
				at = upto
			}
		}
	}
	if at < to {
		return nil, notWhole(lock, file, at)
	}
	return data, nil
}

// notWhole is that no chunk holds a byte of a file, or one that no fold has written.
func notWhole(lock, file string, at int64) error {
	return fmt.Errorf("%w: file %s of lock %s is not whole at byte %d, and only a backup has that", ErrMalformed, quoted(file), quoted(lock), at)
}

// tailPiece bounds what a tail has on its way to its client, of hundreds that may be slow.
const tailPiece = 128 << 10

// Tail sends a file's bytes from offset on, and then those of every section that is published, in
// pieces of at most 128 KiB. A file that does not exist is waited for. send is called in the
// caller's goroutine. Tail goes on until there is an error, which it returns:
//
//   - send's error, as it is.
//   - the cause of ctx's end.
//   - [ErrNoQuorum], [ErrClosed]: this store cannot read any more; another may, from the offset
//     behind the last piece on.
//   - [ErrInvalidName], [ErrInvalidArgument]: nothing was asked of etcd.
//   - any other, as from [Store.Read].
func (s *Store) Tail(ctx context.Context, lock, file string, offset int64, send func(Piece) error) error {
	if err := errors.Join(CheckLock(lock), checkFile(file)); err != nil {
		return err
	}
	if offset < 0 {
		return fmt.Errorf("%w: offset %d: want 0 or more", ErrInvalidArgument, offset)
	}
	// A section is published with a change of its lock's key, or of latest/L. What is published
	// from now on is told, and what was before is in what is read next.
	t := s.mirror.feed.joinTail(lock)
	defer s.mirror.feed.leaveTail(lock, t)
	s.tails.join(s)
	defer s.tails.leave()
	for {
		var err error
		if offset, err = s.catchUp(ctx, lock, file, offset, send); err != nil {
			return err
		}
		if err := s.hear(ctx, t.wink); err != nil {
			return err
		}
	}
}

// catchUp sends what a file has from offset on, and returns the offset behind it.
func (s *Store) catchUp(ctx context.Context, lock, file string, offset int64, send func(Piece) error) (int64, error) {
	for {
		p, err := s.Read(ctx, lock, file, offset, tailPiece)
		if errors.Is(err, ErrFileNotFound) {
			return offset, nil
		}
		if err != nil {
			return offset, err
		}
		if len(p.Data) == 0 {
			return offset, nil
		}
		if err := send(p); err != nil {
			return offset, err
		}
		offset += int64(len(p.Data))
	}
}

// ListFiles returns the files of a lock or, if lock is empty, of all locks, by name, in pages of at
// most limit files, 0 for [MaxPage]. For the next page, pass next as after; an empty next says that
// there are no more. The first page has every section in it that was published before the call. The
// pages are not of one revision.
//
//   - [ErrNoSpace], and for one lock [ErrMalformed]: as from [Store.Read]. Of all locks, those are
//     left out, or shown as they were, of which something is malformed.
//   - [ErrInvalidName], [ErrInvalidArgument]: limit is negative, after is not what a page returned,
//     or no lock can have that name.
//   - any other, ctx's included: the files were not read. The call may be repeated.
func (s *Store) ListFiles(ctx context.Context, lock string, limit int, after string) (files []File, next string, err error) {
	return sealed(ctx, s, "files", lock, after, func(after string) ([]File, string, error) {
		return s.listFiles(ctx, lock, limit, after)
	})
}

// listFiles is ListFiles with the names that pages end with.
func (s *Store) listFiles(ctx context.Context, lock string, limit int, after string) (files []File, next string, err error) {
	family, fold := s.keys.allHeads(), s.findAndFold
	if lock != "" {
		if err := CheckLock(lock); err != nil {
			return nil, "", err
		}
		family, fold = s.keys.heads(lock), func(ctx context.Context) error { return s.foldAll(ctx, lock) }
	}
	from, end, limit, err := page(family, limit, after, func(key string) bool {
		_, _, ok := s.keys.parseHead(key)
		return ok
	})
	if err != nil {
		return nil, "", err
	}
	var missing map[string]File // in what is folded
	if err = s.space.foldable(); err == nil && after == "" {
		err = fold(ctx)
	}
	if errors.Is(err, ErrNoSpace) {
		missing, err = s.filesUnfolded(ctx, lock, err)
	}
	if err != nil {
		return nil, "", err
	}
	resp, err := s.get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(int64(limit)))
	if err != nil {
		return nil, "", err
	}
	found := map[string]File{} // by key
	last := end
	for _, kv := range resp.Kvs {
		lock, name, ok := s.keys.parseHead(string(kv.Key))
		h, err := headIn(kv)
		if !ok {
			err = errKey
		}
		if err != nil {
			s.quarantine.add(string(kv.Key), err)
			continue
		}
		found[string(kv.Key)] = File{Lock: lock, Name: name, Size: h.Size, Token: h.Token, N: h.N}
	}
	if resp.More {
		last = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
	}
	for key, f := range missing {
		if key >= from && key < last && f.Size >= found[key].Size {
			found[key] = f
		}
	}
	keys := slices.Sorted(maps.Keys(found))
	more := resp.More || len(keys) > limit
	for _, key := range keys[:min(limit, len(keys))] {
		files = append(files, found[key])
		next = key[len(family):]
	}
	if !more {
		next = ""
	}
	return files, next, nil
}

// findAndFold folds what is published of every lock, before it returns, but for those of which
// something is malformed.
func (s *Store) findAndFold(ctx context.Context) error {
	var locks []string
	if err := s.unfoldedLocks(ctx, func(lock string) { locks = append(locks, lock) }); err != nil {
		return err
	}
	for _, lock := range locks {
		if err := s.foldAll(ctx, lock); err != nil && !errors.Is(err, ErrMalformed) {
			return err
		}
	}
	return nil
}

// page turns a listing's arguments into a range of a family's keys. A page's token, after, is what
// the last key of the page before has behind the family's name; isKey reports whether there can be
// such a key.
func page(family string, limit int, after string, isKey func(key string) bool) (from, end string, n int, err error) {
	if limit < 0 {
		return "", "", 0, fmt.Errorf("%w: page of %d: want 0 to %d", ErrInvalidArgument, limit, MaxPage)
	}
	if after != "" && !isKey(family+after) {
		return "", "", 0, badPage(after)
	}
	if limit == 0 || limit > MaxPage {
		limit = MaxPage
	}
	from = family
	if after != "" {
		from += after + "\x00"
	}
	return from, clientv3.GetPrefixRangeEnd(family), limit, nil
}
