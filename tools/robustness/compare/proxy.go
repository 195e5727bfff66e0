package main

import (
	"net"
	"sync"
	"time"
)

// proxy is between one worker and the service of its lock.
type proxy struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu     sync.Mutex
	pairs  map[*pair]struct{}
	healed chan struct{} // closed when the cut ends; nil: there is none
}

// pair is a connection of the worker's, and what carries it on.
type pair struct{ worker, service net.Conn }

func (p *pair) close() {
	p.worker.Close()
	p.service.Close()
}

func newProxy(to string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{listener: l, to: to, pairs: map[*pair]struct{}{}}
	p.running.Go(p.accept)
	return p, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.serve(c) })
	}
}

func (p *proxy) serve(worker net.Conn) {
	defer worker.Close()
	if healed := p.isCut(); healed != nil {
		<-healed
		return
	}
	service, err := net.DialTimeout("tcp", p.to, 2*time.Second)
	if err != nil {
		return
	}
	c := &pair{worker, service}
	p.mu.Lock()
	p.pairs[c] = struct{}{}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.relay(c, service, worker) })
	both.Go(func() { p.relay(c, worker, service) })
	both.Wait()
	p.mu.Lock()
	delete(p.pairs, c)
	p.mu.Unlock()
}

// relay relays one direction. What it has read when there is a cut is dropped, and so is the end of
// a connection: it comes when the cut has ended.
func (p *proxy) relay(c *pair, to, from net.Conn) {
	defer c.close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if healed := p.isCut(); healed != nil {
			<-healed
			return
		}
		if err != nil {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) isCut() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.healed
}

// cut has nothing pass until heal.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.healed = make(chan struct{})
}

// forget ends the service's side of all connections.
func (p *proxy) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		c.service.Close()
	}
}

// heal ends a cut, and with it the connections that it hit.
func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.healed == nil {
		return
	}
	close(p.healed)
	p.healed = nil
	for c := range p.pairs {
		c.close()
	}
}

func (p *proxy) close() {
	p.listener.Close()
	p.heal()
	p.mu.Lock()
	for c := range p.pairs {
		c.close()
	}
	p.mu.Unlock()
	p.running.Wait()
}
