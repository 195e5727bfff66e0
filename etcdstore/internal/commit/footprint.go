package commit

import (
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Footprint is what a transaction may write, in whichever branch.
type Footprint struct {
	Keys   []string
	Ranges [][2]string // from, end
	Touch  string      // put along; others may touch it as well, but not write it
	Shares string      // not written by any other; others may rely on that as well
	Bytes  int         // about how much it puts
}

// footprint finds out what a transaction may write.
func (t Txn) footprint() Footprint {
	f := Footprint{Touch: t.Touch, Shares: t.Shares}
	if t.Besides != "" {
		f.Keys = append(f.Keys, t.Besides)
	}
	f.of(t.Then)
	f.of(t.Else)
	return f
}

func (f *Footprint) of(ops []*pb.RequestOp) {
	for _, o := range ops {
		switch r := o.Request.(type) {
		case *pb.RequestOp_RequestTxn:
			f.of(r.RequestTxn.Success)
			f.of(r.RequestTxn.Failure)
		case *pb.RequestOp_RequestPut:
			f.Keys = append(f.Keys, string(r.RequestPut.Key))
			f.Bytes += len(r.RequestPut.Key) + len(r.RequestPut.Value)
		case *pb.RequestOp_RequestDeleteRange:
			if from, end := string(r.RequestDeleteRange.Key), string(r.RequestDeleteRange.RangeEnd); end == "" {
				f.Keys = append(f.Keys, from)
			} else {
				f.Ranges = append(f.Ranges, [2]string{from, end})
			}
		}
	}
}

// puts reports whether there is a put, in whichever branch.
func (f Footprint) puts() bool { return f.Bytes > 0 || f.Touch != "" }

func (f Footprint) empty() bool { return len(f.Keys) == 0 && len(f.Ranges) == 0 }

// writes is what the members of a batch may write.
type writes struct {
	keys    map[string]struct{}
	ranges  [][2]string
	touched map[string]struct{}
	shared  map[string]struct{} // nil: none is
}

func (w *writes) add(f Footprint) {
	if f.Touch != "" {
		w.touched[f.Touch] = struct{}{}
	}
	if f.Shares != "" {
		if w.shared == nil {
			w.shared = map[string]struct{}{}
		}
		w.shared[f.Shares] = struct{}{}
	}
	for _, k := range f.Keys {
		w.keys[k] = struct{}{}
	}
	w.ranges = append(w.ranges, f.Ranges...)
}

// meet reports whether a transaction may write a key in common with them, or one of both a key that
// the other touches or relies on, and which key, or range of keys by its first, of the transaction
// that is. No range has keys that are relied on.
func (w *writes) meet(f Footprint) (key string, met bool) {
	for _, k := range f.Keys {
		if w.writes(k) {
			return k, true
		}
		if _, ok := w.shared[k]; ok {
			return k, true
		}
		if _, ok := w.touched[k]; ok {
			return k, true
		}
	}
	for _, k := range []string{f.Shares, f.Touch} {
		if k != "" && w.writes(k) {
			return k, true
		}
	}
	for _, r := range f.Ranges {
		for k := range w.keys {
			if within(k, [][2]string{r}) {
				return r[0], true
			}
		}
		if slices.ContainsFunc(w.ranges, func(x [2]string) bool { return x[0] < r[1] && r[0] < x[1] }) {
			return r[0], true
		}
	}
	return "", false
}

// writes reports whether one of them may write a key by itself.
func (w *writes) writes(key string) bool {
	_, ok := w.keys[key]
	return ok || within(key, w.ranges)
}

func within(key string, ranges [][2]string) bool {
	return slices.ContainsFunc(ranges, func(r [2]string) bool { return r[0] <= key && key < r[1] })
}
