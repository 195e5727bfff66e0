package etcdstore

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// keys builds and parses every key of the store. It is the prefix that all of them begin with.
//
//	locks/<lock>                           the holder
//	queue/<lock>//<session>.<request>      a waiter
//	sessions/<session>                     a session
//	waited/<lock>                          put with each place that is taken, at times in vain
//	bundles/<lock>//<server>.<slot>        a section that was published in one call
//	applied/<lock>//<lane>                 what became of the last publish of a lane
//	forgotten                              up to this revision lanes may have no note
//	latest/<lock>                          put whenever something may have been published
//	folded/<lock>                          the version of the last section that is folded
//	staged/<lock>//<token>/<request>       a record
//	commits/<lock>//<token>                the section is readable
//	undone/<lock>//<token>                 the section was not published
//	files/<lock>//<file>                   a file's head
//	chunks/<lock>//<file>//<position>      a file's bytes
//	garbage/<lock>//<file>                 what of them can go
//	keep/<prefix>                          how much is retained of the files of such locks
//	horizon                                the highest token whose undone note was dropped
//	clients/<id>                           what a server remembers of a client with a numbered id
//	cluster/meta                           the format of all this, and whose it is: see meta.go
//	cluster/features                       what is switched on: see features.go
//	cluster/servers/<lease>                a server that runs: see servers.go
//	cluster/defragment                     the member whose turn it is: see defragment.go
//	cluster/numbered                       the highest of these ids
//	cluster/secret                         what only servers know: see secret.go
//	numbered                               the same, where an older server keeps it
//
// A lock's name has no empty segment, so "//" ends it and no name reaches into another's keys. With
// a single slash, the range of all records of lock a, staged/a/, would have those of lock a/b in
// it. Where nothing follows the name, as in locks/, a key is the name and no range is needed.
//
// Tokens and positions are 16 hex digits, so that they sort as numbers.
//
// The mirror watches one range, from locks/ to the end of sessions/, since a session's end and that
// of its locks must be told together. Whatever sorts in between is sent to every store, so other
// families had better not; numbered does, and the mirror passes over it.
type keys string

func (k keys) lock(lock string) string       { return string(k) + "locks/" + lock }
func (k keys) queue(lock string) string      { return string(k) + "queue/" + lock + "//" }
func (k keys) session(session string) string { return string(k) + "sessions/" + session }
func (k keys) waited(lock string) string     { return k.allWaited() + lock }
func (k keys) latest(lock string) string     { return k.allLatest() + lock }
func (k keys) folded(lock string) string     { return k.allFolded() + lock }
func (k keys) bundles(lock string) string    { return k.allBundles() + lock + "//" }
func (k keys) applied(lock string, lane Lane) string {
	return k.allApplied() + lock + "//" + hex.EncodeToString(lane[:])
}
func (k keys) forgotten() string          { return string(k) + "forgotten" }
func (k keys) horizon() string            { return string(k) + "horizon" }
func (k keys) meta() string               { return string(k) + "cluster/meta" }
func (k keys) features() string           { return string(k) + "cluster/features" }
func (k keys) server(lease string) string { return k.allServers() + lease }
func (k keys) turn() string               { return string(k) + "cluster/defragment" }
func (k keys) secret() string             { return string(k) + "cluster/secret" }
func (k keys) numbered() string           { return string(k) + "cluster/numbered" }
func (k keys) numberedBefore() string     { return string(k) + "numbered" }
func (k keys) client(id int32) string     { return k.allClients() + fmt.Sprintf("%08x", uint32(id)) }
func (k keys) allClients() string         { return string(k) + "clients/" }

// parseClient parses what client makes.
func (k keys) parseClient(key string) (id int32, ok bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(key, k.allClients()), 16, 31)
	return int32(n), err == nil && n > 0 && k.client(int32(n)) == key
}

func (k keys) waiter(a acquisition) string { return k.queue(a.lock) + a.session + "." + a.request }

func (k keys) sections(lock string) string { return string(k) + "staged/" + lock + "//" }

func (k keys) records(lock string, token int64) string {
	return k.sections(lock) + hex16(token) + "/"
}

func (k keys) record(lock string, token int64, request string) string {
	return k.records(lock, token) + request
}

func (k keys) marker(lock string, token int64) string { return k.markers(lock) + hex16(token) }
func (k keys) markers(lock string) string             { return string(k) + "commits/" + lock + "//" }
func (k keys) note(lock string, token int64) string   { return k.notes(lock) + hex16(token) }
func (k keys) notes(lock string) string               { return string(k) + "undone/" + lock + "//" }
func (k keys) head(lock, file string) string          { return k.heads(lock) + file }
func (k keys) heads(lock string) string               { return string(k) + "files/" + lock + "//" }
func (k keys) garbage(lock, file string) string       { return k.allGarbage() + lock + "//" + file }
func (k keys) chunk(lock, file string, at int64) string {
	return k.chunks(lock, file) + hex16(at)
}
func (k keys) chunks(lock, file string) string {
	return k.allChunks() + lock + "//" + file + "//"
}

// A family is all keys that begin with one of these. They are for scans.
func (k keys) allLocks() string   { return string(k) + "locks/" }
func (k keys) allQueues() string  { return string(k) + "queue/" }
func (k keys) allWaited() string  { return string(k) + "waited/" }
func (k keys) allLatest() string  { return string(k) + "latest/" }
func (k keys) allFolded() string  { return string(k) + "folded/" }
func (k keys) allBundles() string { return string(k) + "bundles/" }
func (k keys) allApplied() string { return string(k) + "applied/" }
func (k keys) allStaged() string  { return string(k) + "staged/" }
func (k keys) allMarkers() string { return string(k) + "commits/" }
func (k keys) allNotes() string   { return string(k) + "undone/" }
func (k keys) allHeads() string   { return string(k) + "files/" }
func (k keys) allChunks() string  { return string(k) + "chunks/" }
func (k keys) allGarbage() string { return string(k) + "garbage/" }
func (k keys) allServers() string { return string(k) + "cluster/servers/" }

func (k keys) allRetentions() string          { return string(k) + "keep/" }
func (k keys) retention(prefix string) string { return k.allRetentions() + prefix }

// families is what the keys of this store begin with behind its prefix, but for those that are one
// key. Another store's prefix must not begin so behind this one.
func families() []string {
	return []string{
		"applied/", "bundles/", "chunks/", "clients/", "cluster/", "commits/", "files/", "folded/", "garbage/", "keep/", "latest/",
		"locks/", "queue/", "sessions/", "staged/", "undone/", "waited/",
	}
}

// mirrored is the range that the mirror watches.
func (k keys) mirrored() (from, end string) {
	return k.allLocks(), clientv3.GetPrefixRangeEnd(string(k) + "sessions/")
}

// hex16 writes a token or a position.
func hex16(n int64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	return hex.EncodeToString(b[:])
}

// What is parsed below is what is built above, and nothing else: a key has one form. Of any other,
// however near, the parsers report that it is not ok, so that no two keys, and no two names that a
// client sends, can stand for the same thing. "A0" for "a0" in a session's id would be a second
// name of the session, under which nothing of it is found.

// parseHex16 parses what hex16 writes of a number that is not negative.
func parseHex16(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 16, 63)
	return int64(n), err == nil && len(s) == 16 && lowerHex(s)
}

// lowerHex reports whether s has only digits and the letters a to f.
func lowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// parseSessionID parses the public half of a session's credential: its lease.
func parseSessionID(id string) (clientv3.LeaseID, bool) {
	lease, ok := parseHex16(id)
	return clientv3.LeaseID(lease), ok && lease != 0
}

// parseLock parses a key of a holder.
func (k keys) parseLock(key string) (lock string, ok bool) {
	lock, ok = strings.CutPrefix(key, k.allLocks())
	return lock, ok && isLock(lock)
}

// parseWaited parses the key that is put with every place in a lock's queue.
func (k keys) parseWaited(key string) (lock string, ok bool) {
	lock, ok = strings.CutPrefix(key, k.allWaited())
	return lock, ok && isLock(lock)
}

// parseLatest parses the key that is put with whatever is published.
func (k keys) parseLatest(key string) (lock string, ok bool) {
	lock, ok = strings.CutPrefix(key, k.allLatest())
	return lock, ok && isLock(lock)
}

// parseFolded parses what folded makes.
func (k keys) parseFolded(key string) (lock string, ok bool) {
	lock, ok = strings.CutPrefix(key, k.allFolded())
	return lock, ok && isLock(lock)
}

// bundle is the key of a section that a store publishes in one call.
func (k keys) bundle(lock, server string, slot int) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(slot)) //nolint:gosec // a slot is below maxSlots
	return k.bundles(lock) + server + "." + hex.EncodeToString(b[:])
}

// parseBundle parses what bundle makes.
func (k keys) parseBundle(key string) (lock, server string, slot int, ok bool) {
	lock, name, ok := k.cut(key, k.allBundles())
	if !ok {
		return "", "", 0, false
	}
	server, slot8, ok := strings.Cut(name, ".")
	_, isServer := parseHex16(server)
	n, err := strconv.ParseUint(slot8, 16, 31)
	return lock, server, int(n), ok && isServer && err == nil && len(slot8) == 8 && lowerHex(slot8) && n < maxSlots
}

// parseApplied parses the key of a lane's note.
func (k keys) parseApplied(key string) (lock string, lane Lane, ok bool) {
	lock, name, ok := k.cut(key, k.allApplied())
	if !ok {
		return "", Lane{}, false
	}
	n, err := hex.Decode(lane[:], []byte(name[:min(len(name), 2*len(lane))]))
	return lock, lane, err == nil && n == len(lane) && len(name) == 2*len(lane) && lowerHex(name)
}

// parseSession parses a session's key.
func (k keys) parseSession(key string) (session string, ok bool) {
	if session, ok = strings.CutPrefix(key, string(k)+"sessions/"); ok {
		_, ok = parseSessionID(session)
	}
	return session, ok
}

// parseWaiter parses a waiter's key.
func (k keys) parseWaiter(key string) (a acquisition, ok bool) {
	lock, name, ok := k.cut(key, k.allQueues())
	if !ok {
		return a, false
	}
	return parseName(lock, name)
}

// parseName parses whose a place or a hold is, from the lock and what the place's key ends with,
// or the holder's value begins with.
func parseName(lock, name string) (a acquisition, ok bool) {
	session, request, _ := strings.Cut(name, ".")
	_, ok = parseSessionID(session)
	return acquisition{lock, session, request}, ok && isRequest(request)
}

// parseSection parses the section that a key belongs to. family is that of records, markers or
// notes.
func (k keys) parseSection(family, key string) (sec sectionKey, ok bool) {
	lock, rest, ok := k.cut(key, family)
	if !ok {
		return sectionKey{}, false
	}
	if family == k.allStaged() {
		var request string
		if rest, request, ok = strings.Cut(rest, "/"); !ok || !isRequest(request) {
			return sectionKey{}, false
		}
	}
	token, ok := parseHex16(rest)
	return sectionKey{lock, token}, ok && token > 0
}

// parseHead parses a file's key.
func (k keys) parseHead(key string) (lock, file string, ok bool) {
	lock, file, ok = k.cut(key, k.allHeads())
	return lock, file, ok && isFile(file)
}

// parseGarbage parses the key that says what of a file can go.
func (k keys) parseGarbage(key string) (lock, file string, ok bool) {
	lock, file, ok = k.cut(key, k.allGarbage())
	return lock, file, ok && isFile(file)
}

// parseChunk parses the position in the key of a chunk of a file.
func (k keys) parseChunk(lock, file, key string) (at int64, ok bool) {
	at16, ok := strings.CutPrefix(key, k.chunks(lock, file))
	if !ok {
		return 0, false
	}
	return parseHex16(at16)
}

// cut parses the lock that a key of a family begins with.
func (k keys) cut(key, family string) (lock, rest string, ok bool) {
	key, ok = strings.CutPrefix(key, family)
	if !ok {
		return "", "", false
	}
	lock, rest, ok = strings.Cut(key, "//")
	return lock, rest, ok && isLock(lock)
}

// parseDecimal parses what strconv.FormatInt writes of a number that is not negative.
func parseDecimal(s string, bits int) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, bits)
	return n, err == nil && n >= 0 && strconv.FormatInt(n, 10) == s
}
