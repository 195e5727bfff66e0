package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// process is a child process.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
	err   error         // of its end
}

// launch starts a process whose output is added to a file; as somebody else, unless as is nil.
func launch(log string, as *syscall.Credential, args ...string) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = childOf()
	if as != nil {
		if cmd.SysProcAttr == nil {
			cmd.SysProcAttr = &syscall.SysProcAttr{}
		}
		cmd.SysProcAttr.Credential = as
		cmd.Dir = "/"
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// signal signals a process, which may have ended.
func (p *process) signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

// end ends a process with a signal; after a while it kills.
func (p *process) end(sig syscall.Signal) {
	p.signal(syscall.SIGCONT)
	p.signal(sig)
	if !p.await(20 * time.Second) {
		p.signal(syscall.SIGKILL)
		<-p.ended
	}
}

// await reports whether a process ends within a time.
func (p *process) await(within time.Duration) bool {
	select {
	case <-p.ended:
		return true
	case <-time.After(within):
		return false
	}
}

// freeAddr is an address of the loopback interface that nobody listens on just now. Its port is
// below those that systems give to whoever asks for any: none of these is to take it before the
// service that it is for listens there.
func freeAddr() (addr string, err error) {
	for range 100 {
		addr = fmt.Sprint("127.0.0.1:", 10_000+rand.IntN(20_000))
		l, listening := net.Listen("tcp", addr)
		if listening == nil {
			return addr, l.Close()
		}
		err = listening
	}
	return "", err
}

// awaitPort waits until a process accepts connections.
func awaitPort(addr string, p *process) error {
	const within = time.Minute
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(within); ; {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("nobody listens on %s: %w", addr, err)
		}
		select {
		case <-p.ended:
			return errors.Join(fmt.Errorf("%s has ended", p.cmd.Path), p.err)
		case <-tick.C:
		}
	}
}
