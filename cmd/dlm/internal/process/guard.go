//go:build unix

package process

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// The parts that this binary plays for a wrapper that has died.
const (
	guardRole  = "guard"  // waits for the wrapper's end; where there is no shell that would
	killerRole = "killer" // ends what a wrapper that has died has left
)

// A guard's descriptors.
const (
	wordFD   = 0 // its end tells the guard that the wrapper is gone
	readyFD  = 1 // on which it says that it listens
	ordersFD = 3 // and the next: the files
	binaryFD = 5 // this binary, whatever an upgrade has put in its place
)

// shellPath is where the shell is, if there is one.
const shellPath = "/bin/sh"

// done is the last word of a wrapper that ended its tree by itself.
const done = "done"

// guardScript is a guard as a shell plays it. It ends with its pipe and by nothing else: a SIGTERM
// for all processes of a service must not come between.
const guardScript = `trap '' HUP INT QUIT PIPE ALRM TERM USR1 USR2 VTALRM PROF XCPU TSTP TTIN TTOU
echo; exec >/dev/null
read -r word && exit
exec "$1" "$2" "$3"`

// guard is the process that ends a tree when the wrapper can no longer do it.
type guard struct {
	pid    int
	word   *os.File
	ready  *os.File
	orders *orders
}

// startGuard starts it, and does not wait until it is ready. arg is what makes the
// binary a helper; where there is no shell, it is that from the beginning.
func startGuard(arg, shell string) (*guard, error) {
	orders, err := newOrders()
	if err != nil {
		return nil, err
	}
	g := &guard{orders: orders}
	if err := g.start(arg, shell); err != nil {
		return nil, errors.Join(fmt.Errorf("start the guard: %w", err), g.close())
	}
	return g, nil
}

func (g *guard) start(arg, shell string) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	var wordOut, readyIn *os.File
	if wordOut, g.word, err = os.Pipe(); err != nil {
		return err
	}
	defer wordOut.Close()
	if g.ready, readyIn, err = os.Pipe(); err != nil {
		return err
	}
	defer readyIn.Close()
	binary, err := openBinary()
	if err != nil {
		return err
	}
	defer binary.Close()

	name := filepath.Base(os.Args[0])
	attr := &syscall.ProcAttr{
		// None of the wrapper's standard streams, nor what else it inherited: who reads one to its
		// end must not wait for the guard. And no terminal, and no directory that it would keep
		// from being unmounted.
		Files: []uintptr{wordOut.Fd(), readyIn.Fd(), null.Fd(), g.orders.files[0].Fd(), g.orders.files[1].Fd(), binary.Fd()},
		Dir:   "/",
		Sys:   &syscall.SysProcAttr{Setsid: true},
		// Nothing of the environment: it may hold a credential, and a guard needs neither that nor
		// a second thread.
		Env: []string{"GOMAXPROCS=1"},
	}
	g.pid, err = syscall.ForkExec(shell, []string{"sh", "-c", guardScript, name, binaryPath(binary), arg, killerRole}, attr)
	if err != nil {
		g.pid, err = syscall.ForkExec(binaryPath(nil), []string{name, arg, guardRole}, attr)
	}
	return err
}

// await returns when the guard is ready.
func (g *guard) await() error {
	if _, err := g.ready.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("the guard, process %d, did not start: %w", g.pid, err)
	}
	return nil
}

// dismiss has the guard end without doing anything. A repeat does nothing.
func (g *guard) dismiss() {
	fmt.Fprintln(g.word, done) // A guard that is gone already needs no telling.
}

func (g *guard) close() error {
	var err error
	for _, f := range []*os.File{g.word, g.ready} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return errors.Join(err, g.orders.close())
}

// Helper is the life of a helper process: the binary's main must call it, before anything else,
// when it was called with the argument that Prepare was given and one more, the role. afterwards is
// called for a wrapper that has died, with what that said by [Tree.Afterwards], if it did, once
// nothing of the tree runs any more. Helper returns the exit code.
func Helper(role string, afterwards func(order []byte)) int {
	signal.Ignore()
	switch role {
	case guardRole:
		if _, err := fmt.Fprintln(os.NewFile(readyFD, "ready")); err != nil {
			return 1
		}
		syscall.Close(readyFD)
		if n, _ := os.NewFile(wordFD, "word").Read(make([]byte, 1)); n > 0 {
			return 0
		}
	case killerRole:
	default:
		return 1
	}
	left, err := readOrders([2]*os.File{os.NewFile(ordersFD, "orders"), os.NewFile(ordersFD+1, "orders")})
	if err != nil {
		return 1
	}
	left.end(time.Now().Add(killGrace))
	if left.then != nil {
		afterwards(left.then)
	}
	return 0
}
