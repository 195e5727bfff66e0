package etcdstore

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// acquisition is one attempt to get one lock, named in full.
type acquisition struct{ lock, session, request string }

// name is what a holder's value begins with, before the NUL, and what a place's key ends with.
func (a acquisition) name() string { return a.session + "." + a.request }

// The values are JSON, for whoever reads them with etcdctl at night; records, which are many and
// large, are not.

// sessionValue is who a session is.
type sessionValue struct {
	Label  string `json:"label,omitempty"`
	Owner  string `json:"owner,omitempty"`  // empty: nobody's
	Issued int64  `json:"issued,omitempty"` // what the owner was known by, in ms since 1970; 0: unknown
	Secret []byte `json:"secret"`           // SHA-256

	// Only of a session that lingers.

	Linger int64  `json:"linger,omitempty"` // ms
	At     uint64 `json:"at,omitempty"`     // the number of its last attachment
	Over   bool   `json:"over,omitempty"`   // its linger is over, and its lease is being revoked
}

func decodeSession(b []byte) (v sessionValue, err error) {
	if err := decode(b, &v); err != nil {
		return sessionValue{}, err
	}
	if len(v.Label) > MaxLabel || len(v.Owner) > MaxOwner || len(v.Secret) != sha256.Size || !isTime(v.Issued) || v.Linger < 0 || v.Linger > MaxTTL.Milliseconds() {
		return sessionValue{}, fmt.Errorf("a label of %d bytes, an owner of %d, a secret of %d, a linger of %d ms",
			len(v.Label), len(v.Owner), len(v.Secret), v.Linger)
	}
	return v, nil
}

func (v sessionValue) linger() time.Duration { return time.Duration(v.Linger) * time.Millisecond }

// foldedValue is the version of the last section of a lock that is folded.
type foldedValue struct {
	Token int64  `json:"token"`
	N     uint32 `json:"n,omitempty"`
}

func decodeFolded(b []byte) (v Version, err error) {
	var f foldedValue
	if err := decode(b, &f); err != nil {
		return Version{}, err
	}
	if f.Token <= 0 {
		return Version{}, fmt.Errorf("folded up to token %d", f.Token)
	}
	return Version(f), nil
}

// waiterValue is what a waiter said of itself. It becomes its holderValue when the lock is handed
// to it.
type waiterValue struct {
	Label string `json:"label,omitempty"`
	Owner string `json:"owner,omitempty"` // its session's, for eyes only
	Since int64  `json:"since"`           // ms since 1970
	Hold  int64  `json:"hold,omitempty"`  // its hold deadline in ms, counted from the grant
}

func decodeWaiter(b []byte) (v waiterValue, err error) {
	if err := decode(b, &v); err != nil {
		return waiterValue{}, err
	}
	return v, checkClaim(v.Label, v.Owner, v.Since, v.Hold)
}

// checkClaim checks what a waiter and a holder say of themselves. Times beyond those that a message
// has room for, or a deadline that overflows, would be everybody's trouble who looks at them.
func checkClaim(label, owner string, since, hold int64) error {
	if len(label) > MaxLabel || len(owner) > MaxOwner || !isTime(since) || hold < 0 || hold > MaxHold.Milliseconds() {
		return fmt.Errorf("a label of %d bytes, an owner of %d, since %d ms, a hold deadline of %d ms", len(label), len(owner), since, hold)
	}
	return nil
}

// isTime reports whether a time in ms lies before the year 10000, and not before 1970.
func isTime(ms int64) bool { return ms >= 0 && ms < 253_402_300_800_000 }

// holderValue is a holder. Session and request stand before a NUL, so that one compare of the value
// finds out whose a lock is, whatever comes after them: etcd compares values as bytes, and knows no
// fields.
type holderValue struct {
	session, request string
	Label            string `json:"label,omitempty"`
	Owner            string `json:"owner,omitempty"` // its session's, for eyes only
	Since            int64  `json:"since"`           // ms since 1970
	Hold             int64  `json:"hold,omitempty"`  // its hold deadline in ms, counted from the grant
	Prev             int64  `json:"prev,omitempty"`  // the token before a mid-way commit
}

func (v holderValue) encode() string { return v.session + "." + v.request + "\x00" + encode(v) }

func decodeHolder(b []byte) (v holderValue, err error) {
	name, rest, ok := bytes.Cut(b, []byte{0})
	a, canonical := parseName("", string(name))
	if !ok || !canonical {
		return v, fmt.Errorf("a holder's value of %d bytes is malformed", len(b))
	}
	if err := decode(rest, &v); err != nil {
		return holderValue{}, err
	}
	if v.Prev < 0 {
		return holderValue{}, fmt.Errorf("a holder's token before is %d", v.Prev)
	}
	v.session, v.request = a.session, a.request
	return v, checkClaim(v.Label, v.Owner, v.Since, v.Hold)
}

// noteValue is why a section was undone.
type noteValue struct {
	Why    undoing `json:"why"`
	Reason string  `json:"reason,omitempty"` // the evicter's; of what is overdue, how long it might be held
	At     int64   `json:"at"`               // ms since 1970
}

// undoing is how a section came to be undone.
type undoing string

const (
	evicted   undoing = "evicted"
	overdue   undoing = "held too long"
	abandoned undoing = "abandoned" // held, but no longer known to its client
	discarded undoing = "discarded"
	swept     undoing = "expired" // its holder's session ended
)

// maxUndoing bounds the first half of a note, whose words later versions may choose.
const maxUndoing = 64

func decodeNote(b []byte) (v noteValue, err error) {
	if err := decode(b, &v); err != nil {
		return noteValue{}, err
	}
	if len(v.Why) > maxUndoing || len(v.Reason) > MaxReason || !isTime(v.At) {
		return noteValue{}, fmt.Errorf("a cause of %d bytes, a reason of %d, at %d ms", len(v.Why), len(v.Reason), v.At)
	}
	return v, nil
}

func (n noteValue) String() string {
	switch {
	case n.Why == swept:
		return sessionEnded
	case n.Why == overdue && n.Reason != "":
		return "held longer than " + n.Reason
	case n.Reason != "":
		return string(n.Why) + ": " + n.Reason
	}
	return string(n.Why)
}

// sessionEnded is why most locks are lost.
const sessionEnded = "its session ended"

// headValue is a file's head: what of its chunks is readable. Size, Last, Base and Start are
// positions, as the keys of chunks have them: see life.go. A file that was never replaced or cut
// has its offsets for positions.
type headValue struct {
	Size  int64 `json:"size"`  // where it ends
	Chunk int64 `json:"chunk"` // the most bytes in one of its chunks, fixed when the file is made
	Last  int64 `json:"last"`  // where its last chunk begins
	Token int64 `json:"token"` // the last section published to it

	N uint32 `json:"n,omitempty"` // which of that token; 0: it was held

	Base  int64 `json:"base,omitempty"`  // where its life begins: offset 0
	Start int64 `json:"start,omitempty"` // what is before it was cut off

	// The section that began its life; Life 0: the file was made before that was kept.

	Life  int64  `json:"life,omitempty"`
	LifeN uint32 `json:"lifeN,omitempty"`

	Gone int64 `json:"gone,omitempty"` // when it was removed, in ms since 1970; 0: it was not

	Marks []fileMark `json:"marks,omitempty"` // in the order of time: see retain.go
}

// The bounds of heads. All that there are have chunkSize; a chunk that is much smaller would make
// more keys of a section than etcd takes, and a much larger one is more than a request may have.
const (
	leastChunk = smallChunk
	mostChunk  = 1 << 20
	mostFile   = 1 << 50 // bytes: far from where sums overflow
)

// decodeHead reads a head. One that no fold writes is an error: what is reckoned from it would go
// astray.
func decodeHead(b []byte) (h headValue, err error) {
	if err := decode(b, &h); err != nil {
		return headValue{}, err
	}
	last := h.Size - h.Last // bytes in the last chunk
	if h.Chunk < leastChunk || h.Chunk > mostChunk || h.Size < 0 || h.Size > mostFile || h.Last < 0 || h.Token <= 0 || last < 0 || last > h.Chunk || last == 0 && h.Size > h.Base {
		return headValue{}, fmt.Errorf("a head of size %d, chunk %d, last %d, token %d", h.Size, h.Chunk, h.Last, h.Token)
	}
	if h.Base < 0 || h.Base > h.Start || h.Start > h.Size || h.Last < h.Base || h.Life < 0 || h.Life > h.Token || h.Life == 0 && h.LifeN != 0 || !isTime(h.Gone) || h.Gone != 0 && h.Size > h.Base {
		return headValue{}, fmt.Errorf("a head of size %d, base %d, start %d, last %d, life %d.%d, gone at %d ms",
			h.Size, h.Base, h.Start, h.Last, h.Life, h.LifeN, h.Gone)
	}
	before := fileMark{0, h.Base}
	for _, m := range h.Marks {
		if !isTime(m.at()) || m.at() < before.at() || m.end() <= before.end() || m.end() > h.Size || len(h.Marks) > maxMarks {
			return headValue{}, fmt.Errorf("a head of size %d, with %d marks, one at %d ms of %d", h.Size, len(h.Marks), m.at(), m.end())
		}
		before = m
	}
	return h, nil
}

// garbageValue says what of a file's chunks can go: those before Base, and those that end at Upto
// or before it. Both only rise.
type garbageValue struct {
	Base  int64 `json:"base"`
	Upto  int64 `json:"upto"`
	Chunk int64 `json:"chunk"` // as the head has it
}

func decodeGarbage(b []byte) (g garbageValue, err error) {
	if err := decode(b, &g); err != nil {
		return garbageValue{}, err
	}
	if g.Chunk < leastChunk || g.Chunk > mostChunk || g.Base < 0 || g.Upto < g.Base || g.Upto > mostFile {
		return garbageValue{}, fmt.Errorf("garbage before %d, and up to %d, in chunks of %d", g.Base, g.Upto, g.Chunk)
	}
	return g, nil
}

// garbage is what of a head's chunks can go.
func (h headValue) garbage() garbageValue { return garbageValue{h.Base, h.Start, h.Chunk} }

// upTo is the position before which every chunk that begins there can go. Of those at Upto only one
// goes that begins a whole chunk before it: a fold that was not finished may have left a shorter
// one than the file has.
func (g garbageValue) upTo() int64 { return max(g.Base, g.Upto-g.Chunk+1) }

// encode cannot fail: the values above have nothing that JSON lacks.
func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func decode(b []byte, v any) error { return json.Unmarshal(b, v) }

// encodeRecord writes a record: its number, what it does and to which file, and what that is done
// with.
func encodeRecord(number uint64, o Operation) []byte {
	with := o.with()
	b := make([]byte, 0, 2+2*binary.MaxVarintLen64+len(o.File)+len(with))
	b = binary.AppendUvarint(b, number)
	b = appendTarget(b, o)
	return append(b, with...)
}

// decodeRecord reads what encodeRecord writes; the data aliases b.
func decodeRecord(b []byte) (number uint64, o Operation, err error) {
	number, rest, ok := uvarint(b)
	if ok {
		o, rest, ok = cutTarget(rest)
	}
	if !ok || len(rest) > MaxRecord || !o.take(rest) {
		return 0, Operation{}, fmt.Errorf("a record of %d bytes is malformed", len(b))
	}
	return number, o, nil
}

// uvarint reads a number in its shortest form, as it is written. A longer form of the same number
// ends with a zero byte.
func uvarint(b []byte) (n uint64, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || size > 1 && b[size-1] == 0 {
		return 0, nil, false
	}
	return n, b[size:], true
}

func millis(t time.Time) int64      { return t.UnixMilli() }
func fromMillis(ms int64) time.Time { return time.UnixMilli(ms) }

// holds reports whether a holder's key is this acquisition's.
func holds(kv *mvccpb.KeyValue, a acquisition) bool {
	v, err := decodeHolder(kv.Value)
	return err == nil && v.session == a.session && v.request == a.request
}
