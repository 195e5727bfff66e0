package etcdstore

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
	"github.com/distributed-lock-manager/dlm/etcdstore/internal/op"
)

// Others may write to the etcd as well: by hand, by mistake, or since a disk has rotted. What is
// not as a store writes it is malformed. It is passed over where it is read, logged once, and
// listed for operators, who may have it removed; whoever needs what it should be is told so
// ([ErrMalformed]), and nobody else notices.
//
//	a holder     holds its lock all the same, is shown by its token, and can be evicted
//	a place      is served to nobody
//	a session    authorises nothing, and is granted nothing
//	a marker     publishes nothing
//	a record     with a key of another form is in no file; one that cannot be read, under a key as a
//	             client's append has it, may have been acknowledged: its section is not folded
//	a bundle     may have been acknowledged, and is not folded, nor what is published after it
//	a lane       its next publish is refused
//	a head       its file can neither be read nor grow, nor what is published after that
//	a garbage    its file is not cleaned, until it is replaced or cut once more
//	a retention  bounds nothing
//
// Tokens are revisions. So what is about a token was put after it, and a higher one is malformed.

// kind is what one family of keys, or one key, holds.
type kind struct {
	name string // for people
	key  string // behind the prefix; of a family, what its keys begin with
	page int64  // keys that a scan reads at once; 0: listPage
	// check returns the lock that a key belongs to, empty if that cannot be told, and what is wrong
	// with it; nil: nothing.
	check func(keys, *mvccpb.KeyValue) (lock string, err error)
	// loses is what may be lost with a key whose value only is malformed; empty: nothing.
	loses string

	keysOnly bool // check needs no value
	cluster  bool // it is everybody's, and not removed by a server
}

// family reports whether the kind is a family, and not one key.
func (kd kind) family() bool { return strings.HasSuffix(kd.key, "/") }

// span is the range of a kind's keys.
func (kd kind) span(k keys) (from, end string) {
	from = string(k) + kd.key
	if kd.family() {
		return from, clientv3.GetPrefixRangeEnd(from)
	}
	return from, from + "\x00"
}

// kinds are all kinds, in the order of their keys.
func kinds() []kind {
	return []kind{
		{name: "lane", key: "applied/", check: checkApplied, loses: "what became of the last publish of its lane"},
		{name: "bundle", key: "bundles/", page: 16, check: checkBundle, loses: "what was published with it"},
		{name: "chunk", key: "chunks/", check: checkChunk, keysOnly: true},
		{name: "client", key: "clients/", check: checkClient, keysOnly: true},
		{name: "turn", key: "cluster/defragment", check: checkTurn},
		{name: "features", key: "cluster/features", check: checkFeatures, cluster: true},
		{name: "meta", key: "cluster/meta", check: checkMetaKey, cluster: true},
		{name: "number", key: "cluster/numbered", check: checkDecimal(32), cluster: true},
		{name: "secret", key: "cluster/secret", check: checkSecret, cluster: true},
		{name: "server", key: "cluster/servers/", check: checkServer},
		{name: "marker", key: "commits/", check: checkMarker, loses: "what its section has appended"},
		{name: "head", key: "files/", check: checkHead, loses: "its file"},
		{name: "folded", key: "folded/", check: checkFolded},
		{name: "forgotten", key: "forgotten", check: checkForgotten, cluster: true},
		{name: "garbage", key: "garbage/", check: checkGarbage, loses: "what of its file can go, which then stays until the file is replaced or cut once more"},
		{name: "horizon", key: "horizon", check: checkDecimal(64), cluster: true},
		{name: "retention", key: "keep/", check: checkRetentionKey},
		{name: "latest", key: "latest/", check: checkLatest, keysOnly: true},
		{name: "holder", key: "locks/", check: checkHolder},
		{name: "number", key: "numbered", check: checkDecimal(32), cluster: true},
		{name: "waiter", key: "queue/", check: checkPlace},
		{name: "session", key: "sessions/", check: checkSession},
		{name: "record", key: "staged/", page: 16, check: checkRecord, loses: "what was appended with it"},
		{name: "note", key: "undone/", check: checkNote, loses: "that its section was not published"},
		{name: "waited", key: "waited/", check: checkWaited, keysOnly: true},
	}
}

// kindOf is the kind of a key.
func (k keys) kindOf(key string) (kind, bool) {
	for _, kd := range kinds() {
		if from, end := kd.span(k); key >= from && key < end {
			return kd, true
		}
	}
	return kind{}, false
}

var (
	errKey   = errors.New("no key has this form")
	errLease = errors.New("it is not on its session's lease")
	errToken = errors.New("its token is above its own revision")
)

// malformedKey is the [ErrMalformed] that a key is.
func malformedKey(kv *mvccpb.KeyValue, why error) error {
	return fmt.Errorf(`%w: %s: %w; "dlm status --problems" lists it, "dlm repair" removes it`, ErrMalformed, quoted(string(kv.Key)), why)
}

// onLease is errLease if a key is not on the lease of a session.
func onLease(kv *mvccpb.KeyValue, session string) error {
	if lease, ok := parseSessionID(session); !ok || kv.Lease != int64(lease) {
		return errLease
	}
	return nil
}

// lockIn is the lock that a key of a family begins with; empty: that cannot be told.
func (k keys) lockIn(family string, kv *mvccpb.KeyValue) string {
	if lock, _, ok := k.cut(string(kv.Key), family); ok {
		return lock
	}
	return ""
}

func checkHolder(k keys, kv *mvccpb.KeyValue) (lock string, err error) {
	lock, ok := k.parseLock(string(kv.Key))
	if !ok {
		return "", errKey
	}
	v, err := decodeHolder(kv.Value)
	if err == nil && v.Prev >= kv.ModRevision {
		err = errToken
	}
	if err == nil {
		err = onLease(kv, v.session)
	}
	return lock, err
}

func checkPlace(k keys, kv *mvccpb.KeyValue) (lock string, err error) {
	a, ok := k.parseWaiter(string(kv.Key))
	if !ok {
		return k.lockIn(k.allQueues(), kv), errKey
	}
	if _, err := decodeWaiter(kv.Value); err != nil {
		return a.lock, err
	}
	return a.lock, onLease(kv, a.session)
}

func checkSession(k keys, kv *mvccpb.KeyValue) (string, error) {
	id, ok := k.parseSession(string(kv.Key))
	if !ok {
		return "", errKey
	}
	if _, err := decodeSession(kv.Value); err != nil {
		return "", err
	}
	return "", onLease(kv, id)
}

func checkWaited(k keys, kv *mvccpb.KeyValue) (lock string, err error) {
	lock, ok := k.parseWaited(string(kv.Key))
	if !ok {
		return "", errKey
	}
	return lock, nil
}

func checkLatest(k keys, kv *mvccpb.KeyValue) (lock string, err error) {
	lock, ok := k.parseLatest(string(kv.Key))
	if !ok {
		return "", errKey
	}
	return lock, nil
}

func checkFolded(k keys, kv *mvccpb.KeyValue) (lock string, err error) {
	lock, ok := k.parseFolded(string(kv.Key))
	if !ok {
		return "", errKey
	}
	v, err := decodeFolded(kv.Value)
	if err == nil && v.Token > kv.ModRevision {
		err = errToken
	}
	return lock, err
}

func checkApplied(k keys, kv *mvccpb.KeyValue) (lock string, err error) {
	lock, _, ok := k.parseApplied(string(kv.Key))
	if !ok {
		return k.lockIn(k.allApplied(), kv), errKey
	}
	_, err = decodeLaneNote(kv.Value)
	return lock, err
}

func checkBundle(k keys, kv *mvccpb.KeyValue) (lock string, err error) {
	_, lock, err = k.bundleOf(kv)
	if err == nil {
		_, err = decodeBundle(kv.Value)
	}
	return lock, err
}

func checkForgotten(_ keys, kv *mvccpb.KeyValue) (string, error) {
	_, err := forgottenIn(kv)
	return "", err
}

// sectionOf returns the section that a record, a marker or a note belongs to.
func (k keys) sectionOf(family string, kv *mvccpb.KeyValue) (sec sectionKey, err error) {
	sec, ok := k.parseSection(family, string(kv.Key))
	switch {
	case !ok:
		return sectionKey{lock: k.lockIn(family, kv)}, errKey
	case sec.token >= kv.ModRevision:
		return sec, errToken
	}
	return sec, nil
}

// isRecord reports whether a key is one that an append has put.
func (k keys) isRecord(kv *mvccpb.KeyValue) bool {
	_, err := k.sectionOf(k.allStaged(), kv)
	return err == nil
}

func checkRecord(k keys, kv *mvccpb.KeyValue) (lock string, err error) {
	sec, err := k.sectionOf(k.allStaged(), kv)
	if err == nil {
		_, _, err = decodeRecord(kv.Value)
	}
	return sec.lock, err
}

func checkMarker(k keys, kv *mvccpb.KeyValue) (lock string, err error) {
	sec, err := k.sectionOf(k.allMarkers(), kv)
	if err == nil && len(kv.Value) > 0 { // earlier servers put none
		if _, ok := parseSessionID(string(kv.Value)); !ok {
			err = errors.New("it names no session")
		}
	}
	return sec.lock, err
}

func checkNote(k keys, kv *mvccpb.KeyValue) (lock string, err error) {
	sec, err := k.sectionOf(k.allNotes(), kv)
	if err == nil {
		_, err = decodeNote(kv.Value)
	}
	return sec.lock, err
}

func checkHead(k keys, kv *mvccpb.KeyValue) (lock string, err error) {
	lock, _, ok := k.parseHead(string(kv.Key))
	if !ok {
		return k.lockIn(k.allHeads(), kv), errKey
	}
	_, err = headIn(kv)
	return lock, err
}

// headIn is the head that a file's key has.
func headIn(kv *mvccpb.KeyValue) (head, error) {
	h, err := decodeHead(kv.Value)
	if err == nil && h.Token >= kv.ModRevision {
		err = errToken
	}
	return head{h, kv.ModRevision, kv.CreateRevision}, err
}

func checkGarbage(k keys, kv *mvccpb.KeyValue) (lock string, err error) {
	lock, _, ok := k.parseGarbage(string(kv.Key))
	if !ok {
		return k.lockIn(k.allGarbage(), kv), errKey
	}
	_, err = decodeGarbage(kv.Value)
	return lock, err
}

func checkRetentionKey(k keys, kv *mvccpb.KeyValue) (string, error) {
	_, err := k.retentionOf(kv)
	return "", err
}

func checkChunk(k keys, kv *mvccpb.KeyValue) (lock string, err error) {
	lock, rest, ok := k.cut(string(kv.Key), k.allChunks())
	if !ok {
		return "", errKey
	}
	file, at16, ok := strings.Cut(rest, "//")
	if _, is := parseHex16(at16); !ok || !is || !isFile(file) {
		return lock, errKey
	}
	return lock, nil
}

func checkClient(k keys, kv *mvccpb.KeyValue) (string, error) {
	if _, ok := k.parseClient(string(kv.Key)); !ok {
		return "", errKey
	}
	return "", nil
}

func checkServer(k keys, kv *mvccpb.KeyValue) (string, error) {
	if _, ok := parseSessionID(strings.TrimPrefix(string(kv.Key), k.allServers())); !ok {
		return "", errKey
	}
	return "", decode(kv.Value, &ServerInfo{})
}

func checkTurn(_ keys, kv *mvccpb.KeyValue) (string, error) {
	if kv.Lease == 0 {
		return "", errors.New("it is on no lease, and keeps every member from being defragmented")
	}
	return "", nil
}

func checkFeatures(_ keys, kv *mvccpb.KeyValue) (string, error) {
	_, err := decodeFeatures(kv)
	return "", err
}

func checkMetaKey(_ keys, kv *mvccpb.KeyValue) (string, error) {
	_, err := checkMeta(kv)
	return "", err
}

// checkDecimal is the check of a key that has a number of so many bits.
func checkDecimal(bits int) func(keys, *mvccpb.KeyValue) (string, error) {
	return func(_ keys, kv *mvccpb.KeyValue) (string, error) {
		if _, ok := parseDecimal(string(kv.Value), bits); !ok {
			return "", errors.New("it is no number")
		}
		return "", nil
	}
}

// Problem is a key that is malformed.
type Problem struct {
	Key      string // may be anything, and need not be UTF-8
	Kind     string // what its family holds
	Lock     string // that it belongs to; empty: that cannot be told, or it belongs to none
	Why      string // what is wrong
	Revision int64  // at which it was put
	Loses    string // what may be lost if it is removed; empty: nothing
	Fixed    bool   // it is not removed by a server
}

// problem is what is wrong with a key of a kind; nil: nothing.
func (k keys) problem(kd kind, kv *mvccpb.KeyValue) *Problem {
	lock, err := kd.check(k, kv)
	if err == nil {
		return nil
	}
	p := &Problem{Key: string(kv.Key), Kind: kd.name, Lock: lock, Why: err.Error(), Revision: kv.ModRevision, Fixed: kd.cluster}
	if !errors.Is(err, errKey) && !errors.Is(err, errToken) || kd.name == "head" && !errors.Is(err, errKey) {
		p.Loses = kd.loses
	}
	return p
}

const (
	scanPages    = 8   // of etcd, full ones, that one call of Problems reads at most
	problemsPage = 100 // problems of one call, at most
)

// Problems returns the keys that are malformed, in order, and how to go on. It reads all that there
// is, a part with each call: for the next part, pass next as after; an empty next says that there
// is no more. A part may have no problem while there is more to be read.
//
//   - [ErrInvalidArgument]: after is not what a call returned.
//   - any other: it could not be read.
func (s *Store) Problems(ctx context.Context, after string) (problems []Problem, next string, err error) {
	return sealed(ctx, s, "problems", "", after, func(after string) ([]Problem, string, error) {
		return s.problems(ctx, after)
	})
}

// problems is Problems with the keys that pages end with.
func (s *Store) problems(ctx context.Context, after string) (problems []Problem, next string, err error) {
	raw, err := hex.DecodeString(after)
	if err != nil {
		return nil, "", badPage(after)
	}
	from := string(s.keys) + string(raw)
	full := 0
	for _, kd := range kinds() {
		begin, end := kd.span(s.keys)
		if end <= from {
			continue
		}
		sc := &scan{from: max(begin, from), end: end, page: cmp.Or(kd.page, listPage), keysOnly: kd.keysOnly}
		for resp, err := range s.pages(ctx, sc) {
			if err != nil {
				return nil, "", err
			}
			for _, kv := range resp.Kvs {
				if p := s.keys.problem(kd, kv); p != nil {
					problems = append(problems, *p)
				}
				if len(problems) == problemsPage {
					return problems, s.after(string(kv.Key) + "\x00"), nil
				}
			}
			if !resp.More {
				break
			}
			if full++; full == scanPages {
				return problems, s.after(sc.from), nil
			}
		}
	}
	return problems, "", nil
}

// after is the token of the part of a scan that begins at a key.
func (s *Store) after(key string) string {
	return hex.EncodeToString([]byte(strings.TrimPrefix(key, string(s.keys))))
}

// Repair removes a key that is malformed, as it was put at a revision. A holder's is removed as by
// an eviction, so that the next who waits gets the lock. With a file's head go its chunks, which
// nobody could tell any more what they are of, so that its positions may begin anew. It returns
//
//   - true, nil: it was removed.
//   - false, nil: it is not there, or was put anew since: a repeat finds it so.
//   - [ErrInvalidArgument]: it is not malformed, or none that a server removes. Nothing was
//     changed.
//   - any other, ctx's included: indeterminate.
func (s *Store) Repair(ctx context.Context, key string, rev int64) (removed bool, err error) {
	kd, ok := s.keys.kindOf(key)
	if !ok || kd.cluster {
		return false, fmt.Errorf("%w: %s is not removed by a server", ErrInvalidArgument, quoted(key))
	}
	resp, err := s.get(ctx, key)
	if err != nil || len(resp.Kvs) == 0 || resp.Kvs[0].ModRevision != rev {
		return false, err
	}
	p := s.keys.problem(kd, resp.Kvs[0])
	if p == nil {
		return false, fmt.Errorf("%w: %s is as it should be", ErrInvalidArgument, quoted(key))
	}
	if lock, ok := s.keys.parseLock(key); ok { // the rest is as at any end of a section
		removed, err = s.evict(ctx, lock, rev, noteValue{Why: evicted, Reason: "its entry was malformed"})
	} else {
		removed, err = s.remove(ctx, key, rev)
	}
	if err != nil {
		return false, fmt.Errorf("repair: %w", err)
	}
	if removed {
		s.log.Warn("a malformed key was removed", "key", quoted(key), "kind", kd.name, "why", p.Why, "revision", rev)
	}
	return removed, nil
}

// remove deletes a key that was put at a revision.
func (s *Store) remove(ctx context.Context, key string, rev int64) (removed bool, err error) {
	t := commit.Txn{If: []*pb.Compare{op.ModifiedAt(key, rev)}, Then: []*pb.RequestOp{op.Delete(key)}}
	if lock, file, ok := s.keys.parseHead(key); ok {
		t.Then = s.deleteFile(lock, file)
	}
	resp, err := s.engine.Alone(ctx, t)
	if err != nil {
		return false, err
	}
	s.heads.drop(key)
	return resp.Succeeded, nil
}

// quarantine is which malformed keys were met, so that each is logged once. It has room for
// maxQuarantined of them: of further ones only the number is known.
type quarantine struct {
	mu    sync.Mutex
	keys  map[string]struct{}
	found *backlog[finding] // to be logged
}

// finding is a malformed key that is to be logged.
type finding struct{ key, why string }

const (
	maxQuarantined = 1000
	maxShownKey    = 512 // bytes of a key that are kept
)

func newQuarantine() *quarantine {
	return &quarantine{keys: map[string]struct{}{}, found: newBacklog[finding]()}
}

// add notes that a malformed key was met, which is passed over. It does not block.
func (q *quarantine) add(key string, why error) {
	f := finding{key[:min(len(key), maxShownKey)], why.Error()}
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, known := q.keys[f.key]; known || len(q.keys) >= maxQuarantined {
		return
	}
	q.keys[f.key] = struct{}{}
	if len(q.keys) == maxQuarantined {
		f.why += "; further ones are not logged"
	}
	q.found.add(f)
}

// count is how many were met, up to maxQuarantined.
func (q *quarantine) count() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.keys)
}

// logFinding logs a malformed key.
func (s *Store) logFinding(_ context.Context, f finding) error {
	s.log.Warn(`a malformed key is passed over: "dlm status --problems" lists all`, "key", strconv.Quote(f.key), "why", f.why)
	return nil
}

// Faults is what a store has met that should not be.
type Faults struct {
	Malformed int   // different malformed keys that it came upon, up to 1,000
	Panics    int64 // of background work, which went on after each
}

// Faults returns what the store has met since it was opened.
func (s *Store) Faults() Faults {
	return Faults{Malformed: s.quarantine.count(), Panics: s.panics.Load()}
}
