package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/pprof"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/term"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/process"
	"github.com/distributed-lock-manager/dlm/config"
)

// control is what signals have a running server do, besides to stop.
type control struct {
	logs  logs
	load  func() (config.Config, error)
	began config.Config // what this server was started with

	last config.Config // what parts have taken over

	mu     sync.Mutex
	parts  []rereadable
	reopen []func() error
}

// rereadable is a part of the configuration that a running server takes over when it is reread.
type rereadable struct {
	keys []string
	take func(config.Config) error
}

// on adds a part.
func (c *control) on(take func(config.Config) error, keys ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parts = append(c.parts, rereadable{keys, take})
}

// always adds what is done whatever the configuration says by then: files are opened anew.
func (c *control) always(reopen func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reopen = append(c.reopen, reopen)
}

// run obeys signals until stop is called. hungUp is called when the terminal that the server was
// started at is gone, unless such a signal was to be ignored.
func (c *control) run(terminal *os.File, hungUp func(error)) (stop func()) {
	attended := term.IsTerminal(int(terminal.Fd())) && !signal.Ignored(syscall.SIGHUP)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGQUIT)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case sig := <-signals:
				switch {
				case sig == syscall.SIGQUIT:
					c.dump()
				case attended && !term.IsTerminal(int(terminal.Fd())):
					hungUp(process.Caught{Signal: sig})
				default:
					c.reread()
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		signal.Stop(signals)
		cancel()
		running.Wait()
	}
}

// dump shows what every goroutine is doing, in the form of a panic.
func (c *control) dump() { _ = pprof.Lookup("goroutine").WriteTo(c.logs.sink, 2) }

// reread opens files anew, and takes over what has changed in the configuration, as far as that can
// be done. What is in the certificates, policies and keys that it names needs no signal.
func (c *control) reread() {
	log := c.logs.own
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, reopen := range c.reopen {
		if err := reopen(); err != nil {
			log.Error("a file could not be opened anew: it is gone on with as it is", "err", err)
		}
	}
	cfg, err := c.load()
	if err != nil {
		log.Error("the configuration was reread and is refused: the old one is kept", "err", err)
		return
	}
	var taken []string
	for _, part := range c.parts {
		if err := part.take(cfg); err != nil {
			log.Error("a part of the configuration was not taken over", "keys", part.keys, "err", err)
			continue
		}
		for _, key := range part.keys {
			taken = append(taken, key)
			log.Info("reread", "key", key, "changed", slices.Contains(c.last.Changed(cfg), key))
		}
	}
	c.last = cfg
	rest := slices.DeleteFunc(c.began.Changed(cfg), func(key string) bool { return slices.Contains(taken, key) })
	if len(rest) > 0 {
		log.Warn("keys were changed that need a restart", "keys", rest)
	}
}
