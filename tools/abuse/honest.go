package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
)

// Where the honest client locks.
const (
	honestPrefix = "honest/"
	honestLock   = honestPrefix + "lock"
)

// beingHonest is the honest client's process: until its input ends it locks and unlocks, and writes
// down each cycle: when it ended, how long it took, in nanoseconds, and what went wrong.
func beingHonest(args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("honest", flag.ContinueOnError)
	addr := flags.String("addr", "", "of the server")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, end := untilEnd(in)
	defer end()
	c, err := client.Open(client.Config{Endpoints: []string{*addr}, Label: "honest"})
	if err != nil {
		return err
	}
	defer c.Close()
	for ctx.Err() == nil {
		began := time.Now()
		err := c.Do(ctx, honestLock, func(context.Context, *client.Lock) error { return nil })
		took, text := time.Since(began), ""
		if err != nil {
			text = err.Error()
		}
		if _, err := fmt.Fprintf(out, "%d %d %q\n", time.Now().UnixNano(), took, text); err != nil {
			return err
		}
		if err != nil {
			pause(ctx, 10*time.Millisecond)
		}
	}
	return nil
}

// holding is a holder's process, to be killed: it says when it holds the lock.
func holding(args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("hold", flag.ContinueOnError)
	addr := flags.String("addr", "", "of the server")
	lock := flags.String("lock", "", "what it holds")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, end := untilEnd(in)
	defer end()
	c, err := client.Open(client.Config{Endpoints: []string{*addr}, TTL: victimTTL, Label: "victim"})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Lock(ctx, *lock); err != nil {
		return err
	}
	fmt.Fprintln(out, "held")
	<-ctx.Done()
	return nil
}

// honest is what is known of an honest client's process.
type honest struct {
	process *process

	mu     sync.Mutex
	cycles []cycle
}

func beginHonest(addr string) (*honest, error) {
	h := &honest{process: &process{name: "the honest client"}}
	return h, h.process.start(self("honest", "-addr", addr), nil, func(out io.Reader) {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if c, err := parseCycle(lines.Text()); err == nil {
				h.mu.Lock()
				h.cycles = append(h.cycles, c)
				h.mu.Unlock()
			}
		}
	})
}

func parseCycle(line string) (c cycle, err error) {
	fields := strings.SplitN(line, " ", 3)
	if len(fields) != 3 {
		return c, fmt.Errorf("no cycle: %q", line)
	}
	ended, err1 := strconv.ParseInt(fields[0], 10, 64)
	took, err2 := strconv.ParseInt(fields[1], 10, 64)
	text, err3 := strconv.Unquote(fields[2])
	return cycle{time.Unix(0, ended), time.Duration(took), text}, errors.Join(err1, err2, err3)
}

func (h *honest) all() []cycle {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]cycle(nil), h.cycles...)
}

// warm waits until it has gone through so many cycles.
func (h *honest) warm(ctx context.Context, cycles int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for len(h.all()) < cycles {
		if pause(ctx, 20*time.Millisecond); ctx.Err() != nil {
			return fmt.Errorf("the honest client does not get through: %d cycles", len(h.all()))
		}
	}
	return nil
}
