package etcdstore

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// disk is one file as folds put it.
type disk struct {
	head   head
	chunks map[int64][]byte
}

// fold does to it what a fold of sections does, the first of which has this version.
func (d *disk) fold(t *testing.T, sections [][]Operation, first int64) {
	t.Helper()
	g := growthOf(d.head, 0)
	for i, ops := range sections {
		for _, o := range ops {
			g.operate(o, Version{Token: first + int64(i)}, true)
		}
	}
	if !g.changed {
		return
	}
	var tail []byte
	if g.joins() {
		tail = bytes.Clone(d.chunks[g.Last][:g.Size-g.Last])
	}
	puts, err := new(Store).grow("l", "f", &g.headValue, tail, g.data)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range puts {
		at, _ := keys("").parseChunk("l", "f", string(o.GetRequestPut().GetKey()))
		if at < d.head.Size && at != d.head.Last {
			t.Errorf("a chunk is put at %d, within a head of %d", at, d.head.Size)
		}
		d.chunks[at] = bytes.Clone(o.GetRequestPut().GetValue())
	}
	d.head = head{g.headValue, first + 1000, max(d.head.made, 1)}
	if _, err := decodeHead([]byte(encode(d.head.headValue))); err != nil {
		t.Fatal(err)
	}
	if !g.soils {
		return
	}
	for at := range d.chunks { // and all of it is cleaned at once
		if at < d.head.garbage().upTo() {
			delete(d.chunks, at)
		}
	}
}

// read is all of it, from where it begins.
func (d *disk) read(t *testing.T) (all []byte) {
	t.Helper()
	at := d.head.Start
	for _, begin := range slices.Sorted(maps.Keys(d.chunks)) {
		end := min(begin+int64(len(d.chunks[begin])), d.head.Size)
		if begin <= at && at < end {
			all = append(all, d.chunks[begin][at-begin:end-begin]...)
			at = end
		}
	}
	if at < d.head.Size {
		t.Fatalf("no chunk has the byte at %d of %+v", at, d.head)
	}
	return all
}

// truth is a file by the words of what its operations do.
type truth struct {
	exists bool
	life   Version
	data   []byte
	start  int64
}

func (f *truth) operate(o Operation, by Version) {
	switch o.Kind {
	case Append, Replace:
		if !f.exists || o.Kind == Replace {
			*f = truth{exists: true, life: by}
		}
		f.data = append(f.data, o.Data...)
	case Remove:
		*f = truth{}
	case Cut:
		if f.exists {
			f.start = max(f.start, min(o.Offset, int64(len(f.data))))
		}
	}
}

// TestGrowth: whichever sections one fold takes, the file is what the operations come to, one after
// the other, and its lives are at the same positions. So what is never put, as a fold has its end
// as well, is counted: without that, the hole F1, a chunk that another fold has put would be in the
// next life.
func TestGrowth(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		var sections [][]Operation
		for range 8 {
			var ops []Operation
			for range 1 + rng.IntN(4) {
				o := Operation{File: "f", Kind: []OperationKind{Append, Append, Append, Replace, Remove, Cut}[rng.IntN(6)]}
				switch o.Kind {
				case Append, Replace:
					o.Data = bytes.Repeat([]byte{byte('a' + rng.IntN(26))}, []int{0, 1, 5, 3000, 4096, 5000, 70_000}[rng.IntN(7)])
				case Cut:
					o.Offset = rng.Int64N(10_000)
				}
				ops = append(ops, o)
			}
			sections = append(sections, ops)
		}
		var want truth
		one, merged := disk{noHead(), map[int64][]byte{}}, disk{noHead(), map[int64][]byte{}}
		for done := 0; done < len(sections); {
			n := min(1+rng.IntN(4), len(sections)-done)
			for i, ops := range sections[done : done+n] {
				for _, o := range ops {
					want.operate(o, Version{Token: int64(1 + done + i)})
				}
				one.fold(t, [][]Operation{ops}, int64(1+done+i))
			}
			merged.fold(t, sections[done:done+n], int64(1+done))
			done += n
			a, b := one.head, merged.head
			if a.Base != b.Base || a.Start != b.Start || a.Size != b.Size || a.life() != b.life() || a.exists() != b.exists() {
				t.Fatalf("section by section it has the head %+v, and by merged folds %+v", a, b)
			}
			if !want.exists && !a.exists() {
				continue
			}
			if want.exists != a.exists() || want.life != a.life() || want.start != a.Start-a.Base {
				t.Fatalf("the head is %+v; want %t, life %v, from %d", a, want.exists, want.life, want.start)
			}
			for _, d := range []disk{one, merged} {
				if !bytes.Equal(d.read(t), want.data[want.start:]) {
					t.Fatalf("the file is not what the operations come to: %+v", d.head)
				}
			}
		}
	}
}
