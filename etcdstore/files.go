package etcdstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// Read returns a piece of a file, from an offset on: at most Limit bytes. It sees every section
// that was published before it began, and may see later ones. All of it is of one life; to read on
// in the same one, pass the piece's with the next.
//
//   - a piece, nil: Data is all of that range that the file has: nothing, if the offset is at its
//     end or behind it.
//   - [ErrFileNotFound]: the lock has no such file (yet, or any more).
//   - [ErrFileChanged]: it is another life than the one that was passed.
//   - [ErrOffsetGone]: the offset was cut off.
//   - [ErrNoSpace]: etcd is full, and sections that were published cannot be folded; and they are
//     too much, [MaxSection] or more, to be read as they are.
//   - [ErrMalformed]: the file, or a section that is published and not folded, cannot be read.
//   - [ErrInvalidName], [ErrInvalidArgument]: nothing was asked of etcd.
//   - any other, ctx's included: the file was not read. The call may be repeated.
func (s *Store) Read(ctx context.Context, args ReadArgs) (Piece, error) {
	if err := errors.Join(CheckLock(args.Lock), checkFile(args.File), args.Life.check()); err != nil {
		return Piece{}, err
	}
	if args.Offset < 0 || args.Limit < 0 {
		return Piece{}, fmt.Errorf("%w: offset %d, limit %d: want neither negative", ErrInvalidArgument, args.Offset, args.Limit)
	}
	if args.Limit == 0 || args.Limit > MaxRead {
		args.Limit = MaxRead
	}
	g, err := s.current(ctx, args.Lock, args.File)
	if err != nil {
		return Piece{}, err
	}
	for {
		p, late, err := s.piece(ctx, args, g)
		if !late {
			return p, err
		}
		// What was read may have been cleaned away, or be of another file, if the head was changed
		// since.
		again, looked := s.current(ctx, args.Lock, args.File)
		if looked != nil {
			return Piece{}, looked
		}
		if again.was.is(g.was) {
			return p, err
		}
		g = again
	}
}

// check is [ErrInvalidArgument] of what is no version.
func (v Version) check() error {
	if v.Token < 0 || v.Token == 0 && v.N != 0 {
		return fmt.Errorf("%w: version %d.%d: want a token above 0, or none", ErrInvalidArgument, v.Token, v.N)
	}
	return nil
}

// current is a file as it is with all that was published before the call. If that cannot be folded,
// it is what it comes to.
func (s *Store) current(ctx context.Context, lock, file string) (*growth, error) {
	h, err := s.published(ctx, lock, file)
	if errors.Is(err, ErrNoSpace) {
		return s.unfoldedFile(ctx, lock, file, err)
	}
	return growthOf(h, 0), err
}

// piece reads a piece of a file. late: it relies on chunks that are gone, or were made after the
// file's head was put: whether the head is still that has to be looked at.
func (s *Store) piece(ctx context.Context, args ReadArgs, g *growth) (p Piece, late bool, err error) {
	p = Piece{Offset: args.Offset, Size: g.end() - g.Base, Token: g.Token, N: g.N, Start: g.Start - g.Base, Life: g.life()}
	switch {
	case !g.exists():
		return Piece{}, false, fmt.Errorf("%w: %s of lock %s", ErrFileNotFound, quoted(args.File), quoted(args.Lock))
	case args.Life != Version{} && args.Life != p.Life:
		return Piece{}, false, fmt.Errorf("%w: %s of lock %s", ErrFileChanged, quoted(args.File), quoted(args.Lock))
	case args.Offset < p.Start:
		return Piece{}, false, &OffsetGoneError{p.Start, p.Life}
	case args.Offset >= p.Size:
		return p, false, nil
	}
	from := g.Base + args.Offset
	to := min(from+int64(args.Limit), g.end())
	if from < g.Size {
		p.Data, late, err = s.bytes(ctx, args.Lock, args.File, g, from, min(to, g.Size))
	}
	if to > g.Size {
		p.Data = append(p.Data, g.data[max(from-g.Size, 0):to-g.Size]...)
	}
	return p, late, err
}

// published is a file's head, with every section in it that was published before the call: those
// that are not folded yet are folded first, or it is [ErrNoSpace]. One that is published meanwhile
// may be in it, and is not waited for. A file that was never made has a head of revision 0.
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

// bytes reads a file from one position to before another, which lies within the head. The chunks
// may go on beyond that: behind the head is what a fold has put there that is not finished, or
// never will be.
//
//	head at 3000, one chunk at 0 with 3500 bytes: the last 500 are of a fold whose last step
//	has not come yet, and which may still be broken off
//
// What lies within the head never changes, though a chunk may grow. So the pages need not be of one
// revision. But chunks that can go are cleaned away; and once a head is buried, others may be put
// at the same positions. These were made after the head was put. late: either looks so.
func (s *Store) bytes(ctx context.Context, lock, file string, g *growth, from, to int64) (data []byte, late bool, err error) {
	data = make([]byte, 0, to-from)
	chunks := scan{
		from: s.keys.chunk(lock, file, max(0, from-g.Chunk+1)), // the chunk with `from` in it begins here or later
		end:  s.keys.chunk(lock, file, to),
		page: MaxRead / smallChunk,
	}
	at := from
	for resp, err := range s.pages(ctx, &chunks) {
		if err != nil {
			return nil, false, err
		}
		for _, kv := range resp.Kvs {
			begin, ok := s.keys.parseChunk(lock, file, string(kv.Key))
			if !ok {
				s.quarantine.add(string(kv.Key), errKey)
				continue
			}
			if begin > at || int64(len(kv.Value)) > g.Chunk {
				return nil, true, notWhole(lock, file, at-g.Base)
			}
			if have := begin + int64(len(kv.Value)); have > at {
				upto := min(have, to)
				data = append(data, kv.Value[at-begin:upto-begin]...)
				at = upto
				late = late || kv.CreateRevision > g.was.rev
			}
		}
	}
	if at < to {
		return nil, true, notWhole(lock, file, at-g.Base)
	}
	return data, late, nil
}

// notWhole is that no chunk holds a byte of a file, or one that no fold has written.
func notWhole(lock, file string, at int64) error {
	return fmt.Errorf("%w: file %s of lock %s is not whole at byte %d, and only a backup has that", ErrMalformed, quoted(file), quoted(lock), at)
}

// tailPiece bounds what a tail has on its way to its client, of hundreds that may be slow.
const tailPiece = 128 << 10

// Tail sends a file's bytes from an offset on, and then those of every section that is published,
// in pieces of at most 128 KiB. A file that does not exist is waited for. What was cut off before
// it was sent is left out, and a file that is replaced begins anew, at offset 0 of its new life;
// lives may be left out, and are never mixed. The piece says so. send is called in the caller's
// goroutine. Tail goes on until there is an error, which it returns:
//
//   - send's error, as it is.
//   - the cause of ctx's end.
//   - [ErrNoQuorum], [ErrClosed]: this store cannot read any more; another may, from the offset
//     behind the last piece on, of its life.
//   - [ErrInvalidName], [ErrInvalidArgument]: nothing was asked of etcd.
//   - any other, as from [Store.Read].
func (s *Store) Tail(ctx context.Context, args TailArgs, send func(Piece) error) error {
	if err := errors.Join(CheckLock(args.Lock), checkFile(args.File), args.Life.check()); err != nil {
		return err
	}
	if args.Offset < 0 {
		return fmt.Errorf("%w: offset %d: want 0 or more", ErrInvalidArgument, args.Offset)
	}
	// A section is published with a change of its lock's key, or of latest/L. What is published
	// from now on is told, and what was before is in what is read next.
	t := s.mirror.feed.joinTail(args.Lock)
	defer s.mirror.feed.leaveTail(args.Lock, t)
	s.tails.join(s)
	defer s.tails.leave()
	f := following{s: s, at: ReadArgs{args.Lock, args.File, args.Offset, tailPiece, args.Life}, send: send, told: args.Life}
	for {
		if err := f.catchUp(ctx); err != nil {
			return err
		}
		if err := s.hear(ctx, t.wink); err != nil {
			return err
		}
	}
}

// following is a tail on its way.
type following struct {
	s    *Store
	at   ReadArgs // what it reads next
	send func(Piece) error

	told    Version // the life of what was sent; zero: nothing was
	removed bool    // that it ended with a removal was sent, and nothing since
	next    Piece   // what is to be said with the next piece
}

// catchUp sends what a file has that was not sent.
func (f *following) catchUp(ctx context.Context) error {
	for {
		p, err := f.s.Read(ctx, f.at)
		gone, isGone := errors.AsType[*OffsetGoneError](err)
		switch {
		case errors.Is(err, ErrFileNotFound):
			return f.isRemoved()
		case errors.Is(err, ErrFileChanged):
			f.restart()
			continue
		case isGone:
			f.at.Offset, f.at.Life = gone.Start, gone.Life
			f.next.Cut = true
			continue
		case err != nil:
			return err
		}
		p.Cut, p.Replaced = f.next.Cut, f.next.Replaced
		f.at.Life, f.told, f.removed = p.Life, p.Life, false
		if len(p.Data) == 0 && !p.Cut && !p.Replaced {
			return nil
		}
		if err := f.send(p); err != nil {
			return err
		}
		f.at.Offset += int64(len(p.Data))
		f.next = Piece{}
	}
}

// isRemoved says that there is no such file any more, once.
func (f *following) isRemoved() error {
	if f.removed || f.told == (Version{}) {
		return nil
	}
	if err := f.send(Piece{Offset: f.at.Offset, Life: f.told, Removed: true}); err != nil {
		return err
	}
	f.removed = true
	f.restart()
	return nil
}

// restart has it go on with another life.
func (f *following) restart() {
	f.at.Offset, f.at.Life = 0, Version{}
	f.next = Piece{Replaced: true}
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
	var missing map[string]*File // in what is folded
	if err = s.space.foldable(); err == nil && after == "" {
		err = fold(ctx)
	}
	if errors.Is(err, ErrNoSpace) {
		missing, err = s.filesUnfolded(ctx, lock, err)
	}
	if err != nil {
		return nil, "", err
	}
	found := map[string]File{} // by key
	last, more := from, true   // all before last is found
	for more && len(found) < limit {
		resp, err := s.get(ctx, last, clientv3.WithRange(end), clientv3.WithLimit(int64(limit)))
		if err != nil {
			return nil, "", err
		}
		for _, kv := range resp.Kvs {
			if f, ok := s.fileOf(kv); ok {
				found[string(kv.Key)] = f
			}
		}
		begin := last
		if last, more = end, resp.More; more {
			last = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
		}
		for key, f := range missing {
			switch was := found[key]; {
			case key < begin || key >= last:
			case f == nil:
				delete(found, key)
			case f.Version().compare(was.Version()) >= 0: // else it is folded by now
				found[key] = *f
			}
		}
	}
	keys := slices.Sorted(maps.Keys(found))
	more = more || len(keys) > limit
	for _, key := range keys[:min(limit, len(keys))] {
		files = append(files, found[key])
		next = key[len(family):]
	}
	if !more {
		next = ""
	}
	return files, next, nil
}

// fileOf is the file that a head's key stands for, if there is one.
func (s *Store) fileOf(kv *mvccpb.KeyValue) (File, bool) {
	lock, name, ok := s.keys.parseHead(string(kv.Key))
	h, err := headIn(kv)
	if !ok {
		err = errKey
	}
	if err != nil {
		s.quarantine.add(string(kv.Key), err)
		return File{}, false
	}
	return growthOf(h, 0).file(lock, name), h.exists()
}

// file is what is known of a file.
func (g *growth) file(lock, name string) File {
	return File{Lock: lock, Name: name, Size: g.end() - g.Base, Token: g.Token, N: g.N, Start: g.Start - g.Base, Life: g.life()}
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
