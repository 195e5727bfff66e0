package etcdstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// A publish may depend on what is published already. So who read something can add to what it read,
// and to nothing else, without holding the lock in between:
//
//	client                     server                           etcd
//
//	read f  ────────────────▶  f is of version 45.1
//	publish, if f is 45.1 ──▶  f is 45.1, latest/l is of 45 ──▶ latest/l is of 45: published at 51
//	publish, if f is 45.1 ──▶  latest/l is of 51, f is 51.1 ──▶ (nothing) a conflict: f is 51.1
//
// Whatever is published to a lock puts latest/l. So the condition, whatever it asks, is evaluated
// on state that is read with the revision of latest/l, and the publish compares that one revision.
// If something else was published in between, be it to another file, the condition is evaluated
// anew. A conflict is told for a condition that was false only, never for one that nobody has
// looked at; and with it the lane's note is read, since the condition may be false because of an
// earlier delivery of this very publish.
//
// The server that has published on a condition knows what it comes to: the next one of a chain is
// one commit, as the first.

// Condition is what has to hold when a section is published. The zero value always does.
type Condition struct {
	// Lock is the version of the last section that was published to the lock; zero: none was. nil:
	// it does not matter.
	Lock  *Version
	Files []FileCondition // MaxPublishFiles at most
}

// FileCondition is what has to hold of a file. Exactly one of the others is set.
type FileCondition struct {
	File    string
	Version Version // of the last section that was published to it
	Absent  bool    // there is no such file
	Size    *int64  // in bytes, with what was cut; 0 also if there is no such file
}

func (c Condition) empty() bool { return c.Lock == nil && len(c.Files) == 0 }

func (c Condition) check() error {
	if len(c.Files) > MaxPublishFiles {
		return fmt.Errorf("%w: a condition on %d files: want at most %d", ErrQuota, len(c.Files), MaxPublishFiles)
	}
	if c.Lock != nil && !c.Lock.valid() {
		return fmt.Errorf("%w: a condition on version %d.%d of a lock: want one that was told", ErrInvalidArgument, c.Lock.Token, c.Lock.N)
	}
	for _, f := range c.Files {
		if err := checkFile(f.File); err != nil {
			return err
		}
		asks := 0
		for _, asked := range []bool{f.Version != (Version{}), f.Absent, f.Size != nil} {
			if asked {
				asks++
			}
		}
		if asks != 1 || !f.Version.valid() || f.Size != nil && *f.Size < 0 {
			return fmt.Errorf("%w: a condition on file %s: want either a version, or that it is absent, or a size", ErrInvalidArgument, quoted(f.File))
		}
	}
	return nil
}

// valid reports whether a version is one, or none.
func (v Version) valid() bool { return v.Token > 0 || v == Version{} }

// lockState is what conditions ask about, as it is for as long as latest/L is not put anew.
type lockState struct {
	latest  int64               // at which that was put; 0: never
	version *Version            // of the lock; nil: not known
	files   map[string]lockFile // those that are known
}

// lockFile is one file. One that is not there has no version.
type lockFile struct {
	Version
	size int64
}

// knows reports whether what a condition asks about is known.
func (st *lockState) knows(c Condition) bool {
	if st == nil || c.Lock != nil && st.version == nil {
		return false
	}
	for _, f := range c.Files {
		if _, ok := st.files[f.File]; !ok {
			return false
		}
	}
	return true
}

// meets reports whether a condition holds, of which all is known.
func (st *lockState) meets(c Condition) bool {
	if c.Lock != nil && *st.version != *c.Lock {
		return false
	}
	for _, want := range c.Files {
		f := st.files[want.File]
		there := f.Version != Version{}
		switch {
		case want.Absent && there,
			want.Version != Version{} && f.Version != want.Version,
			want.Size != nil && *want.Size != f.size:
			return false
		}
	}
	return true
}

// conflict is what a publish is told whose condition does not hold.
func (st *lockState) conflict(lock string, c Condition) *Publication {
	p := &Publication{Outcome: Conflict}
	if c.Lock != nil {
		p.Version = *st.version
	}
	for _, name := range slices.Sorted(maps.Keys(st.files)) {
		f := st.files[name]
		asked := slices.ContainsFunc(c.Files, func(c FileCondition) bool { return c.File == name })
		if asked && f.Version != (Version{}) {
			p.Files = append(p.Files, File{Lock: lock, Name: name, Size: f.size, Token: f.Token, N: f.N})
		}
	}
	return p
}

// after is the state after a publish on a condition that held.
func (st *lockState) after(ops []Operation, v Version) *lockState {
	next := &lockState{latest: v.Token, version: &v, files: maps.Clone(st.files)}
	for _, o := range ops {
		if f, known := next.files[o.File]; known {
			next.files[o.File] = f.after(o, v)
		}
	}
	return next
}

// after is the file after an operation of a section: see [growth.operate].
func (f lockFile) after(o Operation, by Version) lockFile {
	switch {
	case o.Kind == Append:
		return lockFile{by, f.size + int64(len(o.Data))}
	case o.Kind == Replace:
		return lockFile{by, int64(len(o.Data))}
	case o.Kind == Cut && f.Version != Version{}:
		return lockFile{by, f.size}
	}
	return lockFile{}
}

// states are those that a store knows, by lock. A state may be older than etcd's: whoever relies on
// one compares latest/L.
type states struct {
	mu sync.Mutex
	of map[string]*lockState
}

// maxStates bounds what is known; when it is reached, all is forgotten.
const maxStates = 10_000

func (ss *states) get(lock string) *lockState {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	return ss.of[lock]
}

func (ss *states) set(lock string, st *lockState) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.of == nil || len(ss.of) >= maxStates {
		ss.of = map[string]*lockState{}
	}
	ss.of[lock] = st
}

// evaluations is how often a condition is evaluated, while others publish, before its publish is
// told that they do.
const evaluations = 16

// evaluate reads what a publish's condition asks about: as this store knows it, if that still is
// so, and else folds what is published first. With the state it returns what there is to tell of
// the publish, if it is not to be made: what became of it before, or that there is a conflict.
func (p *publishing) evaluate(ctx context.Context) (st *lockState, told *Publication, err error) {
	s, lock := p.s, p.args.Lock
	for ; p.looks < evaluations; p.looks++ {
		known := s.lockStates.get(lock)
		var read commit.Txn
		if !known.knows(p.args.If) {
			known, read.Then = nil, s.lookForState(lock, p.args.If)
		}
		at := len(read.Then)
		read.Then, read.Caller = append(read.Then, append(s.lookAtLane(lock, p.args.Lane), op.GetKey(s.keys.latest(lock)))...), callerOf(ctx)
		resp, err := s.engine.Commit(ctx, read)
		if err != nil {
			return nil, nil, changedNothing{err}
		}
		p.notes(op.First(resp, at))
		told, err = s.laneSaid(ctx, p.args.PublishID, resp, at)
		if err != nil || told != nil {
			return nil, told, err
		}
		latest := modifiedAt(op.First(resp, at+2))
		if known == nil {
			if known, err = s.stateIn(ctx, lock, p.args.If, resp); err != nil {
				return nil, nil, err
			}
			if known == nil {
				continue
			}
			known.latest = latest
			s.lockStates.set(lock, known)
		}
		if known.latest != latest {
			s.lockStates.set(lock, nil)
			continue
		}
		if !known.meets(p.args.If) {
			return nil, known.conflict(lock, p.args.If), nil
		}
		return known, nil, nil
	}
	return nil, &Publication{Outcome: Occupied}, nil
}

// lookForState reads what a condition asks about, and whether anything is not folded.
func (s *Store) lookForState(lock string, c Condition) []*pb.RequestOp {
	reads := append(s.lookForNewest(lock), op.Get(s.keys.folded(lock)))
	for _, f := range c.Files {
		reads = append(reads, op.Get(s.keys.head(lock, f.File)))
	}
	return reads
}

// stateIn is the state that lookForState has found. nil: something was not folded, and is now.
func (s *Store) stateIn(ctx context.Context, lock string, c Condition, resp *pb.TxnResponse) (*lockState, error) {
	newest, err := s.newestIn(ctx, lock, resp)
	if err != nil || newest > 0 {
		if err == nil {
			err = s.foldUpTo(ctx, lock, newest)
		}
		return nil, err
	}
	st := &lockState{files: map[string]lockFile{}}
	for i, f := range c.Files {
		h := noHead()
		if kv := op.First(resp, 3+i); kv != nil {
			if h, err = parseHead(kv); err != nil {
				return nil, err
			}
		}
		st.files[f.File] = lockFile{}
		if h.exists() {
			st.files[f.File] = lockFile{Version{h.Token, h.N}, h.Size - h.Base}
		}
	}
	if c.Lock == nil {
		return st, nil
	}
	v, err := s.newestHead(ctx, lock, resp.Header.Revision)
	if err != nil {
		return nil, err
	}
	if kv := op.First(resp, 2); kv != nil {
		folded, err := decodeFolded(kv.Value)
		if err != nil {
			return nil, malformedKey(kv, err)
		}
		if folded.compare(v) > 0 { // by a section that has changed no file, or removed one
			v = folded
		}
	}
	st.version = &v
	return st, nil
}

// newestHead is the version of the last section that a lock's files have, as of a revision. That is
// the lock's, but for sections that leave no file behind, of which folded/L tells. A store that has
// not heard yet that the feature is on does not put that.
func (s *Store) newestHead(ctx context.Context, lock string, rev int64) (newest Version, err error) {
	sc := scanOf(s.keys.heads(lock), listPage)
	sc.rev = rev
	for resp, err := range s.pages(ctx, sc) {
		if err != nil {
			return Version{}, err
		}
		for _, kv := range resp.Kvs {
			h, err := parseHead(kv)
			if err != nil {
				return Version{}, err
			}
			if v := (Version{h.Token, h.N}); v.compare(newest) > 0 {
				newest = v
			}
		}
	}
	return newest, nil
}
