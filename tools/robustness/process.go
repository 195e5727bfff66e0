package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"
)

// process is one process of a run, started again and again with the same arguments.
type process struct {
	name string
	args []string
	env  []string // besides the run's own
	log  string   // a file that its output is added to

	mu    sync.Mutex
	cmd   *exec.Cmd
	input io.WriteCloser // its end tells a worker to end
	ended chan struct{}
	aside bool  // not to be started, by a fault
	asked bool  // to end
	codes []int // with which it ended and was not asked to
}

func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.aside {
		return nil
	}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	if len(p.env) > 0 {
		cmd.Env = append(os.Environ(), p.env...)
	}
	cmd.SysProcAttr = childOf()
	if p.input, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	p.cmd, p.ended, p.asked = cmd, ended, false
	go func() {
		_ = cmd.Wait()
		p.mu.Lock()
		if !p.asked {
			p.codes = append(p.codes, cmd.ProcessState.ExitCode())
		}
		p.mu.Unlock()
		close(ended)
	}()
	return nil
}

func (p *process) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// signal sends a signal to a process that runs.
func (p *process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd != nil {
		_ = p.cmd.Process.Signal(sig) // it may have ended
		p.asked = p.asked || sig != syscall.SIGSTOP && sig != syscall.SIGCONT
	}
}

// end ends a process with a signal, and waits for that; after a while it kills.
func (p *process) end(sig syscall.Signal) {
	if !p.running() {
		return
	}
	p.signal(syscall.SIGCONT)
	p.signal(sig)
	p.mu.Lock()
	ended := p.ended
	p.mu.Unlock()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		p.signal(syscall.SIGKILL)
		<-ended
	}
}

// itself are the exit codes with which a process has ended that was not asked to.
func (p *process) itself() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.codes)
}

// pid is the id of a process that runs, or 0.
func (p *process) pid() int {
	if !p.running() {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cmd.Process.Pid
}

// setAside has a process not be started by anybody, or be again.
func (p *process) setAside(aside bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.aside = aside
}

func (p *process) isAside() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.aside
}

// use sets a flag for all starts to come.
func (p *process) use(flag, value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.args, flag) {
		p.args = append(p.args, flag, value)
	}
}

// proxy is a relay to one server: what clients connect to, so that their connections can be cut.
type proxy struct {
	listener net.Listener
	to       string
	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	shut     bool // nobody comes through
	running  sync.WaitGroup
}

func newProxy(to string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, to: to, conns: map[net.Conn]struct{}{}}
	p.running.Go(p.accept)
	return p, nil
}

func (p *proxy) accept() {
	for {
		from, err := p.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.DialTimeout("tcp", p.to, 2*time.Second)
		if err != nil {
			from.Close()
			continue
		}
		p.mu.Lock()
		shut := p.shut
		if !shut {
			p.conns[from], p.conns[to] = struct{}{}, struct{}{}
		}
		p.mu.Unlock()
		if shut {
			from.Close()
			to.Close()
			continue
		}
		p.running.Go(func() { p.relay(from, to) })
		p.running.Go(func() { p.relay(to, from) })
	}
}

func (p *proxy) relay(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	from.Close()
	to.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, from)
}

// shutOut lets nobody come through from now on, or again.
func (p *proxy) shutOut(shut bool) {
	p.mu.Lock()
	p.shut = shut
	p.mu.Unlock()
	if shut {
		p.cut()
	}
}

// cut closes every connection there is.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

func (p *proxy) close() {
	p.listener.Close()
	p.cut()
	p.running.Wait()
}

// freeAddr is an address of the loopback interface that nobody listens on just now. Its port is below
// those that systems give to whoever asks for any: none of these is to take it while a process that
// listens there is being restarted.
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
