package facadetest

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// Main runs the tests of a package with a node that is all theirs, which use is told of before the
// first: nobody may stop it. It returns the exit code of the process.
func Main(m *testing.M, use func(*Node), opts ...Option) (code int) {
	t := &mainTB{}
	defer func() {
		for i := len(t.cleanups) - 1; i >= 0; i-- {
			t.cleanups[i]()
		}
		if t.failed {
			code = 1
		}
	}()
	use(Start(t, opts...))
	return m.Run()
}

// mainTB lets TestMain start what belongs to all tests.
type mainTB struct {
	testing.TB // not for use: only what is overridden below works
	cleanups   []func()
	failed     bool
}

func (*mainTB) Helper()                   {}
func (*mainTB) Context() context.Context  { return context.Background() }
func (t *mainTB) Cleanup(f func())        { t.cleanups = append(t.cleanups, f) }
func (*mainTB) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
func (*mainTB) Fatal(a ...any)            { panic(fmt.Sprint(a...)) }

func (t *mainTB) Errorf(f string, a ...any) {
	fmt.Fprintf(os.Stderr, f+"\n", a...)
	t.failed = true
}

func (t *mainTB) TempDir() string {
	dir, err := os.MkdirTemp("", "dlm-node-")
	if err != nil {
		panic(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
