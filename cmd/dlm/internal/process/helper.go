//go:build unix

package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// The two parts that this binary plays in a process of its own.
const (
	guardRole   = "guard"
	starterRole = "starter"
)

// A helper's pipes: orders come in on one, answers go out on the other.
const (
	ordersFD  = 3
	answersFD = 4
)

// helper is a process of this binary with a pipe in each direction.
type helper struct {
	process *os.Process
	orders  *os.File // its end tells the helper that the wrapper is gone
	answers *os.File
}

// startHelper starts this binary with arg and a role, which must then call Helper. It does not wait
// for it.
func startHelper(arg, role string, stdio [3]*os.File, dir string, attr *syscall.SysProcAttr) (*helper, error) {
	self, err := executable()
	if err != nil {
		return nil, fmt.Errorf("find this binary: %w", err)
	}
	ordersOut, orders, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ordersOut.Close()
	answers, answersIn, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, orders.Close())
	}
	defer answersIn.Close()
	process, err := os.StartProcess(self, []string{filepath.Base(os.Args[0]), arg, role}, &os.ProcAttr{
		Files: append(stdio[:], ordersOut, answersIn),
		// Nothing of the environment: it may hold a credential, and a helper needs neither that nor
		// a second thread.
		Env: []string{"GOMAXPROCS=1"},
		Dir: dir,
		Sys: attr,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the %s: %w", role, err), orders.Close(), answers.Close())
	}
	return &helper{process: process, orders: orders, answers: answers}, nil
}

// executable is the path of the running binary. On Linux it is the binary itself, even if an
// upgrade has put another one in its place.
func executable() (string, error) {
	const self = "/proc/self/exe"
	if _, err := os.Stat(self); err == nil {
		return self, nil
	}
	return os.Executable()
}

// Helper is the life of a helper process: the binary's main must call it, before anything else,
// when it was called with the argument that Prepare was given and one more, the role. afterwards is
// called by the guard of a wrapper that has died, with what that said by [Group.Afterwards], if it
// did, once nothing of the group runs any more. Helper returns the exit code.
func Helper(role string, afterwards func(order []byte)) int {
	unix.CloseOnExec(ordersFD)
	unix.CloseOnExec(answersFD)
	orders := os.NewFile(ordersFD, "orders")
	answers := os.NewFile(answersFD, "answers")
	switch role {
	case guardRole:
		return guard(orders, answers, afterwards)
	case starterRole:
		return starter(orders, answers)
	}
	return 1
}
