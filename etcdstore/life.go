package etcdstore

import (
	"fmt"
	"math"
	"time"
)

// A life of a file is what it is from its making, or its replacement, to the next, or to its
// removal. It is named by the version of the section that began it.
//
// Chunks are put at positions, and those of a file's name never come back: a life begins where the
// one before has ended. Clients are told offsets, which begin at 0 with each life.
//
//	            positions 0         10        20        30
//	append of 12 bytes    ├───────────┤
//	replacement by 14                 ├─────────────┤    base 12, which is offset 0
//	cut before offset 5               ┊    ├────────┤    start 17
//
// So what a fold has put that was not finished, or what is cleaned away of an earlier life, is
// never where a later one is. Where a life begins depends on the operations alone, and not on which
// of them one fold takes: bytes that are never put, since a merged fold has their end as well, are
// counted too.
//
//	5 appends 4 bytes at 12, 6 replaces the file: the new life begins at 16, though a fold of both
//	puts nothing at 12. Another one, of 5 alone and broken off, has put the 4 bytes there.
//
// What can go is noted in the transaction that moves the head, as garbage/L//F, and cleaned away
// afterwards: see clean.go.

// growth is what a file comes to by operations that are not folded into it yet.
type growth struct {
	was       head // as it is in etcd
	headValue      // what it comes to, but for data
	data      []byte
	soils     bool // something of it can go
	began     bool // a life that is not in etcd
	changed   bool
}

// growthOf is what a head comes to by nothing so far. size is how many bytes operations have at
// most.
func growthOf(h head, size int) *growth {
	return &growth{was: h, headValue: h.headValue, data: make([]byte, 0, size)}
}

// exists reports whether there is a file.
func (g *growth) exists() bool { return g.began || g.was.exists() && g.Gone == 0 }

// end is the position behind all of it.
func (g *growth) end() int64 { return g.Size + int64(len(g.data)) }

// life names its life; the zero Version: there is no name for it before it is folded.
func (g *growth) life() Version {
	if g.began {
		return Version{g.Life, g.LifeN}
	}
	return g.was.life()
}

// operate does what an operation of a section does to a file. named: lives have names.
func (g *growth) operate(o Operation, by Version, named bool) {
	switch o.Kind {
	case Append:
		if !g.exists() {
			g.begin(by, named || g.was.rev != 0)
		}
		g.data = append(g.data, o.Data...)
	case Replace:
		g.finish()
		g.begin(by, true)
		g.data = append(g.data, o.Data...)
	case Remove:
		if !g.exists() {
			return
		}
		g.finish()
		g.began, g.Life, g.LifeN, g.Gone = false, 0, 0, max(1, millis(time.Now()))
	case Cut:
		if !g.exists() {
			return
		}
		g.Start = max(g.Start, g.Base+min(o.Offset, g.end()-g.Base))
		g.soils = true
	}
	g.Token, g.N = by.Token, by.N
	g.changed = true
}

// begin begins a life.
func (g *growth) begin(by Version, named bool) {
	g.began, g.Gone = true, 0
	if named {
		g.Life, g.LifeN = by.Token, by.N
	}
}

// finish ends a life, if there is one. What was not put of it yet never is.
func (g *growth) finish() {
	if !g.exists() {
		return
	}
	g.Size = g.end()
	g.Base, g.Start, g.Last = g.Size, g.Size, g.Size
	g.data, g.Marks = g.data[:0], nil
	g.soils = true
}

// joins reports whether what is new goes into the last chunk, which stays small with it.
func (g *growth) joins() bool {
	old := g.Size - g.Last
	return old > 0 && len(g.data) > 0 && old+int64(len(g.data)) <= smallChunk
}

// head is a file's head, when it was put, and when it was made: 0 if there is none.
type head struct {
	headValue
	rev, made int64
}

// noHead is that of a file which was never made, or is buried.
func noHead() head { return head{headValue: headValue{Chunk: chunkSize}} }

// exists reports whether there is a file.
func (h head) exists() bool { return h.rev != 0 && h.Gone == 0 }

// is reports whether a head is that of a file of another moment, and unchanged since. A head may be
// buried, and made anew: see bury.
func (h head) is(other head) bool { return h.rev == other.rev && h.made == other.made }

// unnamed is the N of a life that has no name of its own: that of a file which was made before
// lives had one. It is named by when its head was made. No section has that N.
const unnamed = math.MaxUint32

// life names the file's life.
func (h head) life() Version {
	if h.Life == 0 && h.exists() {
		return Version{h.made, unnamed}
	}
	return Version{h.Life, h.LifeN}
}

// OffsetGoneError says that what is at an offset was cut off. errors.Is(err, ErrOffsetGone) holds.
type OffsetGoneError struct {
	Start int64   // the first offset that there is
	Life  Version // of the file
}

func (e *OffsetGoneError) Error() string {
	return fmt.Sprintf("%s: the file begins at offset %d", ErrOffsetGone, e.Start)
}

// Is makes an OffsetGoneError an [ErrOffsetGone].
func (e *OffsetGoneError) Is(target error) bool { return target == ErrOffsetGone }
