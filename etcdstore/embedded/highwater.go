package embedded

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	// The bound is raised when a revision comes closer to it than this, to twice this above the
	// revision: once for at least as many revisions.
	highwaterStep = 100_000
	// slack is added to the advised bump, for revisions that other members only have seen.
	slack = 1_000_000_000
)

// highwater remembers, outside etcd's own directory, which a restored backup replaces, how far the
// revision has come: a revision that was surely reached, and a bound above which this member has
// handed out none. The second is raised ahead of need, so it never lags. That the file is there
// says that the directory has belonged to a cluster.
type highwater struct {
	path  string
	store string // the file that holds the id of etcd's directory

	mu     sync.Mutex // held while the file is written
	now    marks
	exists bool
	raised chan struct{} // closed, and made anew, whenever the file was written

	bound atomic.Int64
	need  chan struct{} // of size 1: the bound is to be raised
}

// marks is what the file says.
type marks struct {
	Seen     int64  `json:"seen"`
	Bound    int64  `json:"bound"`
	Etcd     string `json:"etcd"`               // the id of etcd's directory; empty: not known
	Remember string `json:"remember,omitempty"` // see Server.Remember
}

// readHighwater reads what write wrote; without a file nothing has been seen. A file with anything
// else in it is an error: to take it for nothing would let the revision go back unnoticed.
func readHighwater(dir, etcdDir string) (*highwater, error) {
	h := &highwater{
		path:   filepath.Join(dir, "highwater"),
		store:  filepath.Join(etcdDir, "member", "id"),
		raised: make(chan struct{}),
		need:   make(chan struct{}, 1),
	}
	text, err := os.ReadFile(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read highest revision: %w", err)
	}
	if h.now, err = parseMarks(text); err != nil {
		return nil, fmt.Errorf("read highest revision: %s is empty or torn (%w), so it is not known how far fencing tokens had come. "+
			"Etcd's own data is not concerned: if no backup was restored here since the server last ran, delete the file; if one was, "+
			"restore it once more with `dlm snapshot restore`, and delete the file before",
			h.path, err)
	}
	h.exists = true
	h.bound.Store(h.now.Bound)
	return h, nil
}

// parseMarks also takes a single number, which was all that servers wrote once.
func parseMarks(text []byte) (marks, error) {
	if n, err := strconv.ParseInt(strings.TrimSuffix(string(text), "\n"), 10, 64); err == nil {
		if n <= 0 || fmt.Sprintln(n) != string(text) {
			return marks{}, fmt.Errorf("%q is no revision", text)
		}
		return marks{Seen: n, Bound: n}, nil
	}
	var m marks
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return marks{}, err
	}
	if d.More() || m.Seen <= 0 || m.Bound < m.Seen {
		return marks{}, fmt.Errorf("%q says nothing", text)
	}
	return m, nil
}

// begin marks the directory as one that belongs to a cluster, from when etcd has a log in it.
func (h *highwater) begin() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.exists {
		return nil
	}
	return h.write(marks{Seen: 1, Bound: 1})
}

// check compares the cluster's revision with what this member remembers. If etcd's directory is
// another one than it was, a backup was restored, and every revision that may have been handed out
// counts.
func (h *highwater) check(revision int64) error {
	replaced := false
	if h.now.Etcd != "" {
		id, err := h.storeID()
		if err != nil {
			return err
		}
		replaced = id != h.now.Etcd
	}
	switch {
	case replaced && revision < h.now.Bound, revision < h.now.Seen:
		return fmt.Errorf("%w: the cluster is at revision %d, and this member may have handed out revisions up to %d (%s). A backup was "+
			"restored without raising its revision, and fencing tokens would be issued a second time; restore it with `dlm snapshot "+
			"restore --raise %d`", ErrRevisionBack, revision, h.now.Bound, h.path, h.now.Bound-revision+slack)
	}
	return nil
}

// storeID is the id of etcd's directory; empty: it has none yet.
func (h *highwater) storeID() (string, error) {
	text, err := os.ReadFile(h.store)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the id of etcd's directory: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// adopt gives etcd's directory an id if it has none, and writes that and the revision down.
func (h *highwater) adopt(revision int64) error {
	id, err := h.storeID()
	if err == nil && id == "" {
		id = rand.Text()
		err = replaceFile(h.store, []byte(id+"\n"))
	}
	if err != nil {
		return fmt.Errorf("mark etcd's directory: %w", err)
	}
	return h.update(revision, func(m *marks) { m.Etcd = id })
}

// raise writes down that the revision was reached, and raises the bound if it has come close.
func (h *highwater) raise(revision int64) error {
	return h.update(revision, func(*marks) {})
}

// remember keeps a line of the caller's.
func (h *highwater) remember(line string) error {
	return h.update(0, func(m *marks) { m.Remember = line })
}

// update writes the file if there is news for it.
func (h *highwater) update(revision int64, change func(*marks)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.now
	m.Seen = max(m.Seen, revision)
	if m.Bound-m.Seen < highwaterStep {
		m.Bound = m.Seen + 2*highwaterStep
	}
	if change(&m); m == h.now {
		return nil
	}
	return h.write(m)
}

// write replaces the file. mu is held.
func (h *highwater) write(m marks) error {
	text, err := json.Marshal(m)
	if err == nil {
		err = replaceFile(h.path, append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write highest revision: %w", err)
	}
	h.now, h.exists = m, true
	h.bound.Store(m.Bound)
	close(h.raised)
	h.raised = make(chan struct{})
	return nil
}

// cover returns when a revision may be handed out. That is at once: the bound is far above it, or
// has been asked to be raised before the revision reached it.
func (h *highwater) cover(ctx context.Context, revision int64) error {
	bound := h.bound.Load()
	if revision <= bound-highwaterStep {
		return nil
	}
	select {
	case h.need <- struct{}{}:
	default:
	}
	for revision > h.bound.Load() {
		h.mu.Lock()
		raised := h.raised
		h.mu.Unlock()
		if revision <= h.bound.Load() {
			return nil
		}
		select {
		case <-raised:
		case <-ctx.Done():
			return fmt.Errorf("revision %d is not written down yet: %w", revision, context.Cause(ctx))
		}
	}
	return nil
}
