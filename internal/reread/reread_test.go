package reread_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/distributed-lock-manager/dlm/internal/reread"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair is two files that are good only if they say the same, and what is made of them.
type pair struct {
	*reread.Files[string]
	t     *testing.T
	a, b  string
	loads int
	told  []string
}

// open has two files that say "old", and were written long ago.
func open(t *testing.T) *pair {
	t.Helper()
	dir := t.TempDir()
	p := &pair{t: t, a: filepath.Join(dir, "a"), b: filepath.Join(dir, "b")}
	p.write(p.a, "old", time.Hour)
	p.write(p.b, "old", time.Hour)
	load := func() (string, error) {
		p.loads++
		a, err := os.ReadFile(p.a)
		if err != nil {
			return "", err
		}
		b, err := os.ReadFile(p.b)
		if err == nil && string(a) != string(b) {
			err = errors.New(string(a) + " is not " + string(b))
		}
		return string(a), err
	}
	files, err := reread.Open(load, p.complain, p.a, "", p.b)
	if err != nil {
		t.Fatal(err)
	}
	p.Files = files
	return p
}

func (p *pair) complain(err error) {
	if err == nil {
		p.told = append(p.told, "well")
		return
	}
	p.told = append(p.told, err.Error())
}

// write writes a file in place, as if that was so long ago.
func (p *pair) write(path, content string, ago time.Duration) {
	p.t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.date(path, ago)
}

func (p *pair) date(path string, ago time.Duration) {
	p.t.Helper()
	at := time.Now().Add(-ago)
	if err := os.Chtimes(path, at, at); err != nil {
		p.t.Fatal(err)
	}
}

// want looks, and says whether that is to find a change, and what is to count then.
func (p *pair) want(changed bool, content string) {
	p.t.Helper()
	if got := p.Look(); got != changed || p.Get() != content {
		p.t.Errorf("changed %v, %q; want %v, %q", got, p.Get(), changed, content)
	}
}

func TestWhatHasNotChangedIsNotLoadedAgain(t *testing.T) {
	t.Parallel()
	p := open(t)
	p.want(false, "old")
	p.want(false, "old")
	if p.loads != 1 {
		t.Errorf("loaded %d times, want once", p.loads)
	}
}

func TestAChangeIsLoaded(t *testing.T) {
	t.Parallel()
	p := open(t)
	p.write(p.a, "new", 30*time.Minute)
	p.write(p.b, "new", 30*time.Minute)
	p.want(true, "new")
	p.want(false, "new")
}

func TestAnotherTimeIsNoChange(t *testing.T) {
	t.Parallel()
	p := open(t)
	p.write(p.a, "old", time.Minute)
	p.want(false, "old")
	if p.loads != 1 {
		t.Errorf("loaded %d times, want once", p.loads)
	}
}

func TestAChangeWithinOneTickOfTheFileSystemIsFound(t *testing.T) {
	t.Parallel()
	p := open(t)
	moment := time.Now()
	for _, content := range []string{"one", "two"} { // of one length, at one time, in one file
		for _, path := range []string{p.a, p.b} {
			p.write(path, content, 0)
			if err := os.Chtimes(path, moment, moment); err != nil {
				t.Fatal(err)
			}
		}
		p.want(true, content)
	}
}

func TestALinkThatIsSwappedIsAChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link := filepath.Join(dir, "..data", "file"), filepath.Join(dir, "..data")
	at := time.Now().Add(-time.Hour)
	// As Kubernetes does: versions in directories, and a link to that of the moment.
	for _, version := range []string{"one", "two"} {
		path := filepath.Join(dir, version, "file")
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(version), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(version, filepath.Join(dir, version+".link")); err != nil {
			t.Fatal(err)
		}
	}
	swap := func(to string) {
		if err := os.Rename(filepath.Join(dir, to+".link"), link); err != nil {
			t.Fatal(err)
		}
	}
	swap("one")
	f, err := reread.Open(func() (string, error) {
		text, err := os.ReadFile(file)
		return string(text), err
	}, func(error) {}, file)
	if err != nil {
		t.Fatal(err)
	}
	swap("two")
	if changed := f.Look(); !changed || f.Get() != "two" {
		t.Errorf("changed %v, %q; want true, two", changed, f.Get())
	}
}

func TestOpenFailsIfTheFilesAreWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, path := range map[string]string{"absent": filepath.Join(dir, "no"), "directory": dir} {
		if _, err := reread.Open(func() (int, error) { return 0, nil }, func(error) {}, path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want an error that names it", name, err)
		}
	}
	wrong := errors.New("wrong")
	if _, err := reread.Open(func() (int, error) { return 0, wrong }, func(error) {}); !errors.Is(err, wrong) {
		t.Errorf("%v, want what loading fails with", err)
	}
}

func TestFilesThatDoNotMatchForAMomentAreNotComplainedOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		p.write(p.a, "newer", time.Hour)
		p.want(false, "old")
		p.write(p.b, "newer", time.Hour)
		p.want(true, "newer")
		if len(p.told) > 0 {
			t.Errorf("told %q, want nothing", p.told)
		}
	})
}

func TestWhatStaysWrongIsComplainedOfOnceAndTheLastGoodOneKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		look := func() {
			p.want(false, "old")
			time.Sleep(time.Second) //nolint:forbidigo // of the bubble's clock
		}
		p.write(p.a, "newer", time.Hour)
		for range 4 {
			look()
		}
		if err := p.Err(); err == nil || err.Error() != "newer is not old" {
			t.Errorf("Err: %v, want what was complained of", err)
		}
		if err := os.Remove(p.a); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			look()
		}
		p.write(p.a, "old", time.Minute)
		for range 2 {
			look()
		}
		if err := p.Err(); err != nil {
			t.Errorf("Err: %v, though all is well again", err)
		}
		if len(p.told) != 3 || p.told[0] != "newer is not old" || !strings.Contains(p.told[1], "no such file") || p.told[2] != "well" {
			t.Errorf("told %q, want the two errors, each once, and that all is well again", p.told)
		}
		if p.loads != 5 {
			t.Errorf("loaded %d times, want once when opened and once for each look while the files are wrong", p.loads)
		}
	})
}

func TestRunTellsOfChangesWhoeverFindsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t)
		both := func(content string) {
			p.write(p.a, content, time.Hour)
			p.write(p.b, content, time.Hour)
		}
		both("before")
		p.want(true, "before")
		ctx, cancel := context.WithCancel(t.Context())
		var told []string
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			p.Run(ctx, time.Second, func(now string) { told = append(told, now) })
		}()
		pass := func() {
			time.Sleep(3 * time.Second) //nolint:forbidigo // of the bubble's clock
			synctest.Wait()
		}
		pass()
		both("found by Run")
		pass()
		both("found by Look")
		p.want(true, "found by Look")
		pass()
		cancel()
		<-ended
		if got := strings.Join(told, ", "); got != "before, found by Run, found by Look" {
			t.Errorf("told of %s", got)
		}
	})
}
