package etcdstore

import (
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
)

// Census counts what is kept under one prefix, from all keys of an etcd as they are at one
// revision, in any order. It is for those who have etcd's file and no etcd. What is published and
// not in its file yet is counted as if it were appended; a removal, or a cut, is not.
type Census struct {
	keys     keys
	counts   Counts
	meta     *mvccpb.KeyValue
	features *mvccpb.KeyValue
	sections map[sectionKey]*stagedCount
	files    map[string]struct{} // the keys of their heads
}

type stagedCount struct {
	records   int
	bytes     int64
	files     []string // the keys of their heads
	published bool
}

// Counts is what there is under a prefix.
type Counts struct {
	Cluster  string   `json:"cluster"` // its id; empty: there is none
	Format   int      `json:"format"`
	Features []string `json:"features"` // that are on

	Keys     int   `json:"keys"`
	Sessions int   `json:"sessions"`
	Held     int   `json:"held"`    // locks
	Waiting  int   `json:"waiting"` // acquisitions
	Files    int   `json:"files"`
	Bytes    int64 `json:"bytes"`    // published
	Staged   int   `json:"staged"`   // sections with records that are not published
	Unfolded int   `json:"unfolded"` // sections that are published and not in their files yet

	// Others are the prefixes of other clusters of the same etcd.
	Others []string `json:"others,omitempty"`
}

// NewCensus returns the census of a prefix; empty: [DefaultPrefix].
func NewCensus(prefix string) *Census {
	return &Census{keys: keysOf(prefix), sections: map[sectionKey]*stagedCount{}, files: map[string]struct{}{}}
}

// Add counts a key.
func (c *Census) Add(kv *mvccpb.KeyValue) {
	key, k := string(kv.Key), c.keys
	if other, ok := strings.CutSuffix(key, keys("").meta()); ok && other != string(k) && isMeta(kv) {
		c.counts.Others = append(c.counts.Others, other)
	}
	if !strings.HasPrefix(key, string(k)) {
		return
	}
	c.counts.Keys++
	switch key {
	case k.meta():
		c.meta = kv
		return
	case k.features():
		c.features = kv
		return
	}
	if _, ok := k.parseLock(key); ok {
		c.counts.Held++
	} else if _, ok := k.parseWaiter(key); ok {
		c.counts.Waiting++
	} else if _, ok := k.parseSession(key); ok {
		c.counts.Sessions++
	} else if _, _, ok := k.parseHead(key); ok {
		h, err := decodeHead(kv.Value)
		if err != nil || h.Gone == 0 {
			c.files[key] = struct{}{}
		}
		if err == nil {
			c.counts.Bytes += h.Size - h.Start
		}
	} else if sec, ok := k.parseSection(k.allStaged(), key); ok {
		of := c.section(sec)
		of.records++
		if _, o, err := decodeRecord(kv.Value); err == nil && !o.frees() {
			of.bytes += int64(len(o.Data))
			if head := k.head(sec.lock, o.File); !slices.Contains(of.files, head) {
				of.files = append(of.files, head)
			}
		}
	} else if sec, ok := k.parseSection(k.allMarkers(), key); ok {
		c.section(sec).published = true
	} else if _, lock, err := k.bundleOf(kv); err == nil {
		c.counts.Unfolded++
		ops, _ := decodeBundle(kv.Value)
		for _, o := range ops {
			if !o.frees() {
				c.counts.Bytes += int64(len(o.Data))
				c.files[k.head(lock, o.File)] = struct{}{}
			}
		}
	}
}

func (c *Census) section(sec sectionKey) *stagedCount {
	of := c.sections[sec]
	if of == nil {
		of = &stagedCount{}
		c.sections[sec] = of
	}
	return of
}

// Counts returns what was counted. With [ErrFormatTooNew] it is what this version could make of it:
// a server of this version would not start on that. A repeat returns the same.
func (c *Census) Counts() (Counts, error) {
	n := c.counts
	for _, of := range c.sections {
		switch {
		case of.published:
			n.Unfolded++
			n.Bytes += of.bytes
			for _, head := range of.files {
				c.files[head] = struct{}{}
			}
		case of.records > 0:
			n.Staged++
		}
	}
	n.Files = len(c.files)
	if c.meta == nil {
		return n, nil
	}
	var is metaValue
	if decode(c.meta.Value, &is) == nil {
		n.Cluster, n.Format = is.ID, is.Format
	}
	if _, err := checkMeta(c.meta); err != nil || c.features == nil {
		return n, err
	}
	var err error
	if n.Features, err = decodeFeatures(c.features); err == nil {
		err = new(features).learn(c.features)
	}
	return n, err
}
