package etcdstore_test

import (
	"context"
	"errors"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// What sections do to the file g, beside what they append to f, is told by what they append there:
// so f says in which order it was done.

// operationOf is what the section does that appends a text to f.
func operationOf(text string) etcdstore.Operation {
	h := fnv.New32a()
	h.Write([]byte(text))
	switch n := h.Sum32(); n % 8 {
	case 0:
		return remove("g")
	case 1, 2:
		return replace("g", strings.Repeat(text, 1+int(n%50)))
	case 3:
		return cutBefore("g", int64(n%1000))
	default:
		return appendTo("g", text)
	}
}

// lifeSeen is a run of bytes that somebody was given as those of one life.
type lifeSeen struct {
	from int64
	text string
}

// livesSeen is what readers have seen of a file.
type livesSeen struct {
	retained bool // by a retention, so that more of it may be cut off than sections do

	mu  sync.Mutex
	all []lifeSeen
}

func (l *livesSeen) add(seen ...lifeSeen) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, seen...)
}

// readRandomly reads the file in small pieces, each of the life of the first, until ctx ends.
func (l *livesSeen) readRandomly(ctx context.Context, s storetest.Subject, lock string) {
	for ctx.Err() == nil {
		args := etcdstore.ReadArgs{Lock: lock, File: "g", Limit: 100}
		var seen lifeSeen
		for ctx.Err() == nil {
			p, err := s.Read(ctx, args)
			if first, is := errors.AsType[*etcdstore.OffsetGoneError](err); is && seen.text == "" {
				args.Offset, args.Life, seen.from = first.Start, first.Life, first.Start
				continue
			}
			if err != nil || len(p.Data) == 0 {
				break
			}
			seen.text += string(p.Data)
			args.Offset, args.Life = args.Offset+int64(len(p.Data)), p.Life
		}
		l.add(seen)
	}
}

// tail follows the file until ctx ends, and begins anew where a store cannot go on.
func (l *livesSeen) tail(ctx context.Context, s storetest.Subject, lock string) {
	args := etcdstore.TailArgs{Lock: lock, File: "g"}
	var seen lifeSeen
	for ctx.Err() == nil {
		_ = s.Tail(ctx, args, func(p etcdstore.Piece) error {
			if p.Cut || p.Replaced || p.Removed {
				l.add(seen)
				seen = lifeSeen{from: p.Offset}
			}
			seen.text += string(p.Data)
			args.Offset, args.Life = p.Offset+int64(len(p.Data)), p.Life
			return nil
		})
	}
	l.add(seen)
}

// check holds the file, and what was seen of it, against what f says was done.
func (l *livesSeen) check(t *testing.T, s storetest.Subject, lock, f string) {
	t.Helper()
	var ops []etcdstore.Operation
	for text := range strings.SplitAfterSeq(f, ">") {
		if text != "" && !strings.HasPrefix(text, "<held") {
			ops = append(ops, operationOf(text))
		}
	}
	defer func() {
		if t.Failed() {
			t.Logf("the file f of %s: %q", lock, f)
		}
	}()
	lives := wantLife(t, s, lock, ops, l.retained)
	pieces := 0
	for _, seen := range l.all {
		if seen.text == "" {
			continue
		}
		pieces++
		is := false
		for _, life := range lives {
			is = is || int64(len(life)) >= seen.from && strings.HasPrefix(life[seen.from:], seen.text)
		}
		if !is {
			t.Errorf("of %s was seen %q from %d, which no life of the file was", lock, seen.text, seen.from)
		}
	}
	t.Logf("%s had %d lives, of which %d runs were seen", lock, len(lives), pieces)
}

// wantLife checks that the file is what operations come to; if it is retained, from where one of
// them ends on. It returns all of each life that it had.
func wantLife(t *testing.T, s storetest.Subject, lock string, ops []etcdstore.Operation, retained bool) (lives []string) {
	t.Helper()
	there, start := false, int64(0)
	var ends []int64
	for _, o := range ops {
		last := len(lives) - 1
		switch o.Kind {
		case etcdstore.Append, etcdstore.Replace:
			if !there || o.Kind == etcdstore.Replace {
				lives, there, start, ends = append(lives, ""), true, 0, nil
				last++
			}
			lives[last] += string(o.Data)
			ends = append(ends, int64(len(lives[last])))
		case etcdstore.Remove:
			there = false
		case etcdstore.Cut:
			if there {
				start = max(start, min(o.Offset, int64(len(lives[last]))))
			}
		}
	}
	if there && retained {
		got := storetest.Contents(t, s, lock, "g")
		if at := int64(len(lives[len(lives)-1]) - len(got)); at > start && slices.Contains(ends, at) {
			start = at
		}
	}
	if there {
		storetest.WantContents(t, s, lock, "g", lives[len(lives)-1][start:])
	} else {
		storetest.WantNoFile(t, s, lock, "g")
	}
	return lives
}
