package reread

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// patience is how long files may be wrong before that is complained of.
	patience = time.Second
	// unsettled is how old a file's time has to be when the file is read, or else a later version
	// may have the same time: file systems, and those of other machines, count in ticks.
	unsettled = 2 * time.Second
)

// Files is what a function makes of files. It is safe for concurrent use.
type Files[T any] struct {
	load     func() (T, error)
	complain func(error)
	paths    []string

	now   atomic.Pointer[T]
	first *T // what Open has loaded

	mu       sync.Mutex
	seen     []fs.FileInfo // of the files when they were read last; nil: they are to be read again
	contents [][sha256.Size]byte
	wrong    time.Time // since when; zero: all is well
	said     string    // the last complaint; empty: none, or that all is well again
}

// Open loads what the files say, and fails if that fails. Paths that are empty do not count.
//
// Later errors are given to complain, each once, and nil when all is well again. It must not call
// what it complains of.
func Open[T any](load func() (T, error), complain func(error), paths ...string) (*Files[T], error) {
	paths = slices.DeleteFunc(slices.Clone(paths), func(path string) bool { return path == "" })
	f := &Files[T]{load: load, complain: complain, paths: paths}
	if _, err := f.read(); err != nil {
		return nil, err
	}
	f.first = f.now.Load()
	return f, nil
}

// Get returns the last that could be made of the files.
func (f *Files[T]) Get() T { return *f.now.Load() }

// Err returns what was complained of last; nil: all is well.
func (f *Files[T]) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.said == "" {
		return nil
	}
	return errors.New(f.said)
}

// Look loads the files again if they have changed since they were loaded, or could not be. It
// reports whether there is something new.
func (f *Files[T]) Look() (changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wrong.IsZero() && f.settled() {
		return false
	}
	changed, err := f.read()
	f.tell(err)
	return changed
}

// Run looks at the files time and again until ctx ends. It calls changed after each change, also
// after one that somebody else's Look has found since Open.
func (f *Files[T]) Run(ctx context.Context, every time.Duration, changed func(T)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for last := f.first; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f.Look()
		}
		if now := f.now.Load(); now != last {
			last = now
			changed(*now)
		}
	}
}

// settled reports whether the files are surely those that were read. The mutex is held.
func (f *Files[T]) settled() bool {
	if f.seen == nil {
		return false
	}
	for i, path := range f.paths {
		info, err := os.Stat(path)
		if was := f.seen[i]; err != nil || !os.SameFile(info, was) || info.Size() != was.Size() || !info.ModTime().Equal(was.ModTime()) {
			return false
		}
	}
	return true
}

// read loads the files if they have another content than those loaded last. The mutex is held, but
// by Open. The files are looked at before they are loaded, so that a change meanwhile is found the
// next time.
func (f *Files[T]) read() (changed bool, err error) {
	began := time.Now()
	settled := true
	seen := make([]fs.FileInfo, len(f.paths))
	contents := make([][sha256.Size]byte, len(f.paths))
	for i, path := range f.paths {
		if seen[i], contents[i], err = digest(path); err != nil {
			return false, err
		}
		settled = settled && began.Sub(seen[i].ModTime()) >= unsettled
	}
	if f.now.Load() == nil || !slices.Equal(contents, f.contents) {
		made, err := f.load()
		if err != nil {
			return false, err
		}
		f.now.Store(&made)
		f.contents, changed = contents, true
	}
	f.seen = nil
	if settled {
		f.seen = seen
	}
	return changed, nil
}

// tell complains of what is wrong, if it stays so and is not known. The mutex is held.
func (f *Files[T]) tell(err error) {
	switch {
	case err == nil:
		if f.wrong = (time.Time{}); f.said != "" {
			f.said = ""
			f.complain(nil)
		}
	case f.wrong.IsZero():
		f.wrong = time.Now()
	case time.Since(f.wrong) >= patience && err.Error() != f.said:
		f.said = err.Error()
		f.complain(err)
	}
}

// digest returns what a file is, and a hash of its content. One that cannot be read again and again
// is refused: it would block, or never end.
func digest(path string) (info fs.FileInfo, sum [sha256.Size]byte, err error) {
	if info, err = os.Stat(path); err != nil {
		return nil, sum, err
	}
	if !info.Mode().IsRegular() {
		return nil, sum, fmt.Errorf("%s is not a regular file, and is to be read more than once", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, sum, err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return nil, sum, err
	}
	return info, [sha256.Size]byte(hash.Sum(nil)), nil
}
