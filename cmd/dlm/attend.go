package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/distributed-lock-manager/dlm/client"
)

const (
	attendAfter = 500 * time.Millisecond // most calls are answered by then
	attendEvery = time.Second
)

// opened is open for a command that waits for answers, or for what happens: while no server can
// give any, or a limit is in the way, it says so, and why. The end of the command is to be told by
// calling done.
func (c *connection) opened(ctx context.Context, s *streams) (_ *client.Client, done func(), err error) {
	cfg, err := c.config(0, "")
	if err != nil {
		return nil, nil, err
	}
	opened, err := client.Open(cfg)
	if err != nil {
		return nil, nil, err
	}
	stop := attending(ctx, cfg, opened, s)
	return opened, func() {
		stop()
		_ = opened.Close()
	}, nil
}

// attending has a client attended to until stop is called.
func attending(ctx context.Context, cfg client.Config, c *client.Client, s *streams) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { attend(ctx, cfg, c.Limited, s) })
	return func() {
		cancel()
		running.Wait()
	}
}

// attend asks the servers how they are, and the client which limit it waits for, until ctx ends.
func attend(ctx context.Context, cfg client.Config, limited func() *client.Error, s *streams) {
	timer := time.NewTimer(attendAfter)
	defer timer.Stop()
	endpoints := slices.Compact(slices.Sorted(slices.Values(cfg.Endpoints)))
	asked := make([]func(context.Context) (state string, well bool), 0, len(endpoints))
	said, saidLimit := "", false
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		limit := limited()
		if limit != nil && !saidLimit {
			s.printf("waiting, because %s", limitText(limit))
		}
		saidLimit = saidLimit || limit != nil
		if len(asked) == 0 {
			for _, endpoint := range endpoints {
				conn, err := direct(cfg).Server(endpoint)
				if err != nil {
					return // which the command is about to say
				}
				defer conn.Close()
				asked = append(asked, func(ctx context.Context) (string, bool) {
					state, err := healthOf(ctx, conn, true)
					switch {
					case status.Code(err) == codes.DeadlineExceeded:
						state = "it does not answer"
					case err != nil:
						state = status.Convert(err).Message()
					}
					return endpoint + ": " + state, err == nil && state == serving
				})
			}
		}
		text := outage(ctx, asked)
		if ctx.Err() != nil {
			return
		}
		if (text == "") != (said == "") {
			s.printf("%s", cmp.Or(text, "a server can serve again"))
			said = text
		}
		timer.Reset(attendEvery)
	}
}

// outage asks all servers at once, and returns why none of them can serve; empty: one can.
func outage(ctx context.Context, asked []func(context.Context) (string, bool)) string {
	ctx, cancel := context.WithTimeout(ctx, attendEvery/2)
	defer cancel()
	states, able := make([]string, len(asked)), make([]bool, len(asked))
	var asking sync.WaitGroup
	for i, ask := range asked {
		asking.Go(func() { states[i], able[i] = ask(ctx) })
	}
	asking.Wait()
	if slices.Contains(able, true) {
		return ""
	}
	return fmt.Sprintf("waiting, because no server can serve: %s", strings.Join(states, "; "))
}
