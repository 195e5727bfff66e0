package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// highwater remembers the highest revision seen, outside etcd's own directory, which a restored
// backup replaces.
type highwater struct {
	path string
	seen int64
}

// readHighwater reads what raise wrote; without a file nothing has been seen. A file with anything
// else in it is an error: to take it for nothing would let the revision go back unnoticed.
func readHighwater(dir string) (*highwater, error) {
	h := &highwater{path: filepath.Join(dir, "highwater")}
	text, err := os.ReadFile(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read highest revision: %w", err)
	}
	h.seen, err = strconv.ParseInt(strings.TrimSuffix(string(text), "\n"), 10, 64)
	if err == nil && (h.seen <= 0 || fmt.Sprintln(h.seen) != string(text)) {
		err = fmt.Errorf("%q is not what raise writes", text)
	}
	if err != nil {
		return nil, fmt.Errorf("read highest revision: %s: %w", h.path, err)
	}
	return h, nil
}

// check compares the cluster's revision with the highest one seen.
func (h *highwater) check(revision int64) error {
	if revision >= h.seen {
		return nil
	}
	return fmt.Errorf("%w: the cluster is at revision %d, this member has seen %d (%s). A backup was restored without "+
		"raising its revision, and fencing tokens would be issued a second time; restore it with `etcdutl snapshot "+
		"restore --bump-revision %d --mark-compacted`", ErrRevisionBack, revision, h.seen, h.path, h.seen-revision+slack)
}

// slack is added to the advised bump, for revisions made after the last write of the file or seen
// by other members only.
const slack = 1_000_000_000

// raise writes the revision down if it is higher. The file is replaced whole: a crash leaves the
// old one or the new one.
func (h *highwater) raise(revision int64) error {
	if revision <= h.seen {
		return nil
	}
	// Nobody else writes it: the directory is locked. What a crash leaves of it is overwritten.
	tmp, err := os.OpenFile(h.path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write highest revision: %w", err)
	}
	_, err = fmt.Fprintln(tmp, revision)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), h.path)
	}
	if err != nil {
		return fmt.Errorf("write highest revision: %w", err)
	}
	h.seen = revision
	return nil
}
