package etcdstore

import (
	"sync"
)

// heads remembers what a store learned of files by folding, and the sections that it published, so
// that a fold reads nothing but records, and those only where there are some. Of files it may be
// wrong: every fold is guarded by what it was computed from, and one that fails forgets.
type heads struct {
	mu        sync.Mutex
	files     map[string]head        // by the head's key
	published map[string]publication // by lock
	through   map[string]int64       // by lock: all sections up to this token are folded, or never will be published
	asOf      map[string]int64       // by lock: what was published up to this revision is folded
}

// publication is a section that this store published, the latest of its lock.
type publication struct{ token, rev int64 }

// maxHeads bounds what is remembered; when it is reached, all is forgotten.
const maxHeads = 10_000

// publish notes that a section is published, to be folded. A fold is asked for with the first
// section that is not folded; those that follow while it waits are folded with it.
func (s *Store) publish(lock string, token, rev, bytes int64) {
	s.space.published(lock, token, bytes)
	s.heads.mu.Lock()
	if s.heads.published == nil {
		s.heads.published = map[string]publication{}
	}
	before := s.heads.published[lock].token
	if before < token {
		s.heads.published[lock] = publication{token, rev}
	}
	s.heads.mu.Unlock()
	if before == 0 {
		s.foldLater(lock)
	}
}

// latest is the latest section of a lock that this store published and has not folded; zero: none.
func (h *heads) latest(lock string) publication {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.published[lock]
}

// folded notes that a lock's sections were folded, up to a token, as they were at a revision. What
// this store has published since is still to be folded.
func (h *heads) folded(lock string, token, rev int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p, ok := h.published[lock]; ok && p.token <= token && p.rev <= rev {
		delete(h.published, lock)
	}
	if h.through == nil || len(h.through) >= maxHeads {
		h.through = map[string]int64{}
	}
	h.through[lock] = max(h.through[lock], token)
}

// rest is the least token that a section of a lock may have that is still to be folded. Sections
// are published in the order of their tokens: once 7 is published and all up to it are folded, none
// at or below 7 will follow. To read a lock's sections from there on spares etcd the keys of all
// that were folded, which it passes over one by one until history is dropped.
func (h *heads) rest(lock string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.through[lock] + 1
}

// whole notes that what was published of a lock up to a revision is folded. Whatever is published
// later puts latest/L. Of a server that does not do so nobody relies on this: see featurePublish.
func (h *heads) whole(lock string, rev int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asOf == nil || len(h.asOf) >= maxHeads {
		h.asOf = map[string]int64{}
	}
	h.asOf[lock] = max(h.asOf[lock], rev)
}

// wholeAsOf is up to which revision all that was published of a lock is folded; 0: not known.
func (h *heads) wholeAsOf(lock string) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asOf[lock]
}

// get returns a file's head, if it is remembered.
func (h *heads) get(key string) (head, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f, ok := h.files[key]
	return f, ok
}

func (h *heads) set(key string, f head) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.files == nil || len(h.files) >= maxHeads {
		h.files = map[string]head{}
	}
	h.files[key] = f
}

func (h *heads) drop(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.files, key)
}
