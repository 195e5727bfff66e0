package etcdstore

import (
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// footprint is what a transaction may write, in whichever branch.
type footprint struct {
	keys   []string
	ranges [][2]string // from, end
	touch  string      // put along; others may as well
	bytes  int         // about how much it puts
}

// footprint finds out what a transaction may write.
func (t txn) footprint() footprint {
	f := footprint{touch: t.touch}
	if t.besides != "" {
		f.keys = append(f.keys, t.besides)
	}
	f.of(t.then)
	f.of(t.els)
	return f
}

func (f *footprint) of(ops []*pb.RequestOp) {
	for _, op := range ops {
		switch r := op.Request.(type) {
		case *pb.RequestOp_RequestTxn:
			f.of(r.RequestTxn.Success)
			f.of(r.RequestTxn.Failure)
		case *pb.RequestOp_RequestPut:
			f.keys = append(f.keys, string(r.RequestPut.Key))
			f.bytes += len(r.RequestPut.Key) + len(r.RequestPut.Value)
		case *pb.RequestOp_RequestDeleteRange:
			if from, end := string(r.RequestDeleteRange.Key), string(r.RequestDeleteRange.RangeEnd); end == "" {
				f.keys = append(f.keys, from)
			} else {
				f.ranges = append(f.ranges, [2]string{from, end})
			}
		}
	}
}

// puts tells whether there is a put, in whichever branch.
func (f footprint) puts() bool { return f.bytes > 0 || f.touch != "" }

func (f footprint) empty() bool { return len(f.keys) == 0 && len(f.ranges) == 0 }

// writes is what the members of a batch may write.
type writes struct {
	keys    map[string]struct{}
	ranges  [][2]string
	touched map[string]struct{}
}

func (w *writes) add(f footprint) {
	if f.touch != "" {
		w.touched[f.touch] = struct{}{}
	}
	for _, k := range f.keys {
		w.keys[k] = struct{}{}
	}
	w.ranges = append(w.ranges, f.ranges...)
}

// meet tells whether a transaction may write a key in common with them.
func (w *writes) meet(f footprint) bool {
	for _, k := range f.keys {
		if _, ok := w.keys[k]; ok || within(k, w.ranges) {
			return true
		}
	}
	for _, r := range f.ranges {
		for k := range w.keys {
			if within(k, [][2]string{r}) {
				return true
			}
		}
		if slices.ContainsFunc(w.ranges, func(x [2]string) bool { return x[0] < r[1] && r[0] < x[1] }) {
			return true
		}
	}
	return false
}

func within(key string, ranges [][2]string) bool {
	return slices.ContainsFunc(ranges, func(r [2]string) bool { return r[0] <= key && key < r[1] })
}
