package etcdstore

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// A section that is published in one call is one key, a bundle, until it is folded. Its token is
// the revision at which it is put, and so not in the key's name: that has a server and one of its
// slots, which is used again once the bundle is folded. With a name of its own for each, etcd would
// have to pass over all that were ever folded, until history is dropped, whenever a fold looks for
// the next. Of those that are put at one revision, which are all one server's, the slot says which
// comes first.

// Version says which section was the last that was published to a file, or to a lock. Those that
// were published in one call may share a token, and differ in N, from 1; N of one that was held is
// 0.
type Version struct {
	Token int64
	N     uint32
}

// What a publish may have at most. A section that is larger is held.
const (
	MaxPublish      = 1 << 20 // bytes of data
	MaxOperations   = 256
	MaxPublishFiles = 50
)

const (
	// What of a lock a store lets wait for the fold before it has publishes wait.
	unfoldedMost  = 1024     // bundles
	unfoldedBytes = 32 << 20 // of data

	maxSlots = 1 << 20
)

// encodeBundle writes a bundle, which may have no operations: of each operation what it does and to
// which file, the length of what it is done with, and that.
func encodeBundle(ops []Operation) []byte {
	size := 0
	for _, o := range ops {
		size += 2 + 3*binary.MaxVarintLen32 + len(o.File) + len(o.Data)
	}
	b := make([]byte, 0, size)
	for _, o := range ops {
		with := o.with()
		b = appendTarget(b, o)
		b = binary.AppendUvarint(b, uint64(len(with)))
		b = append(b, with...)
	}
	return b
}

// decodeBundle reads what encodeBundle writes; the data aliases b.
func decodeBundle(b []byte) (ops []Operation, err error) {
	size := len(b)
	for len(b) > 0 {
		o, rest, ok := cutTarget(b)
		var length uint64
		if ok {
			length, rest, ok = uvarint(rest)
		}
		if !ok || len(ops) == MaxOperations || length > MaxPublish || length > uint64(len(rest)) || !o.take(rest[:length]) {
			return nil, fmt.Errorf("a bundle of %d bytes is malformed", size)
		}
		ops, b = append(ops, o), rest[length:]
	}
	return ops, nil
}

// bundleOf returns the section that a bundle's key stands for, without what it does.
func (k keys) bundleOf(kv *mvccpb.KeyValue) (sec publishedSection, lock string, err error) {
	lock, _, slot, ok := k.parseBundle(string(kv.Key))
	if !ok {
		return publishedSection{}, k.lockIn(k.allBundles(), kv), errKey
	}
	if kv.CreateRevision != kv.ModRevision {
		return publishedSection{}, lock, errors.New("it was put twice")
	}
	return publishedSection{Version: Version{kv.ModRevision, slotN(slot)}, bundle: string(kv.Key)}, lock, nil
}

// slotN is the N of what is published in a slot.
func slotN(slot int) uint32 { return uint32(slot) + 1 } //nolint:gosec // a slot is below maxSlots

// bundles are those of this store's that are not folded yet, as far as it knows.
type bundles struct {
	server string // of their keys' names: 16 hex digits

	mu    sync.Mutex
	locks map[string]*lockBundles
	ended error // why nothing is let in any more; nil: it is
}

type lockBundles struct {
	next     int   // the lowest slot that was never used
	free     []int // slots that can be used again
	asked    int   // how many slots are of publishes that are on their way
	unfolded map[string]ownBundle
	bytes    int64
	waiting  []*roomWait
}

// ownBundle is one bundle.
type ownBundle struct {
	rev   int64 // at which it was put
	slot  int
	ops   []Operation
	bytes int64
}

// roomWait is a publish that waits for room. Whoever takes it off the list has it begin.
type roomWait struct {
	begin func(slot int, err error)
	stop  func() // the watch over its context
}

func newBundles() *bundles {
	name := make([]byte, 8)
	rand.Read(name)
	name[0] &= 0x7f // as hex16 writes a number that is not negative
	return &bundles{server: hex.EncodeToString(name), locks: map[string]*lockBundles{}}
}

// of is what there is of a lock. mu is held.
func (b *bundles) of(lock string) *lockBundles {
	l := b.locks[lock]
	if l == nil {
		l = &lockBundles{unfolded: map[string]ownBundle{}}
		b.locks[lock] = l
	}
	return l
}

// full reports whether more is not to be put before some is folded.
func (l *lockBundles) full() bool {
	return len(l.unfolded)+l.asked >= unfoldedMost || l.bytes >= unfoldedBytes
}

// enter has a publish begin, with a slot of its own, when there is room; at once, if there is.
// begin is told an error if there will be none, or ctx ends before there is, or there is none for
// too long.
func (b *bundles) enter(ctx context.Context, lock string, begin func(slot int, err error)) {
	b.mu.Lock()
	slot, err := 0, b.ended
	if err == nil {
		l := b.of(lock)
		if l.full() {
			w := &roomWait{begin: begin}
			waiting, over := context.WithTimeoutCause(ctx, resolveTimeout, notFolded())
			unwatch := context.AfterFunc(waiting, func() { b.giveUp(lock, w, context.Cause(waiting)) })
			w.stop = func() { unwatch(); over() }
			l.waiting = append(l.waiting, w)
			b.mu.Unlock()
			return
		}
		slot = l.take()
	}
	b.mu.Unlock()
	begin(slot, err)
}

// giveUp ends a wait for room.
func (b *bundles) giveUp(lock string, w *roomWait, why error) {
	b.mu.Lock()
	waited := false
	if l := b.locks[lock]; l != nil {
		if i := slices.Index(l.waiting, w); i >= 0 {
			l.waiting = slices.Delete(l.waiting, i, i+1)
			waited = true
		}
	}
	b.mu.Unlock()
	if waited {
		w.stop()
		w.begin(0, why)
	}
}

// notFolded is what a publish comes to that has waited for too long.
func notFolded() error {
	return fmt.Errorf("%w: what was published before is not folded in time", ErrNoQuorum)
}

// take is a slot for a publish that has had its turn.
func (b *bundles) take(lock string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of(lock).take()
}

func (l *lockBundles) take() int {
	l.asked++
	if n := len(l.free); n > 0 {
		slot := l.free[n-1]
		l.free = l.free[:n-1]
		return slot
	}
	slot := l.next
	l.next = (l.next + 1) % maxSlots
	return slot
}

// leave takes back the slot of a publish that has come to nothing. used: there may be a bundle in
// it all the same, and it is not used again.
func (b *bundles) leave(lock string, slot int, used bool) {
	b.mu.Lock()
	l := b.of(lock)
	l.asked--
	if !used {
		l.free = append(l.free, slot)
	}
	b.settle(lock, l)
}

// put notes a bundle, and with it the end of its publish. It reports whether there are just so many
// now that they are not to wait for more.
func (b *bundles) put(lock, key string, own ownBundle) (many bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.of(lock)
	l.asked--
	was := l.many()
	l.unfolded[key] = own
	l.bytes += own.bytes
	return !was && l.many()
}

// many reports whether so many are not folded that a fold does not wait for more.
func (b *bundles) many(lock string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.locks[lock]
	return l != nil && l.many()
}

func (l *lockBundles) many() bool {
	return len(l.unfolded) >= mergeBundles || l.bytes >= mergeBundleBytes
}

// get is what a bundle of this store's does, if it is the one of that revision.
func (b *bundles) get(lock, key string, rev int64) ([]Operation, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.locks[lock]
	if l == nil {
		return nil, false
	}
	own, ok := l.unfolded[key]
	return own.ops, ok && own.rev == rev
}

// left notes which bundles of a lock there were at a revision: all others that were put up to then
// are folded, by whomever.
func (b *bundles) left(lock string, rev int64, there func(key string) bool) {
	b.mu.Lock()
	l := b.locks[lock]
	if l == nil {
		b.mu.Unlock()
		return
	}
	for key, own := range l.unfolded {
		if own.rev <= rev && !there(key) {
			delete(l.unfolded, key)
			l.bytes -= own.bytes
			l.free = append(l.free, own.slot)
		}
	}
	b.settle(lock, l)
}

// settle has begin who may now, and drops what there is of a lock if that is nothing. mu is held,
// and released.
func (b *bundles) settle(lock string, l *lockBundles) {
	type start struct {
		w    *roomWait
		slot int
	}
	var starts []start
	for len(l.waiting) > 0 && !l.full() {
		starts = append(starts, start{l.waiting[0], l.take()})
		l.waiting = l.waiting[1:]
	}
	if l.asked == 0 && len(l.unfolded) == 0 && len(l.waiting) == 0 {
		delete(b.locks, lock)
	}
	b.mu.Unlock()
	for _, s := range starts {
		s.w.stop()
		s.w.begin(s.slot, nil)
	}
}

// endWaits ends the waits for room, as nothing is folded any more. forGood: nor will it be.
func (b *bundles) endWaits(why error, forGood bool) {
	b.mu.Lock()
	if forGood {
		b.ended = why
	}
	var waiting []*roomWait
	for _, l := range b.locks {
		waiting = append(waiting, l.waiting...)
		l.waiting = nil
	}
	b.mu.Unlock()
	for _, w := range waiting {
		w.stop()
		w.begin(0, why)
	}
}
