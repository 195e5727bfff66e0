package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// redisProgram is the server that is looked for on the PATH.
const redisProgram = "redis-server"

// redisStart is how long a server may take until it answers.
const redisStart = 10 * time.Second

// redisList is the list that all clients push to.
const redisList = "list"

// redis starts a Redis server without any data, which syncs before it answers.
func (b *bench) redis(ctx context.Context) (addr string, stop func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	addr = l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	data := filepath.Join(b.dir, "redis")
	if err := os.Mkdir(data, 0o700); err != nil {
		return "", nil, err
	}
	serving, end := context.WithCancel(ctx)
	var said strings.Builder
	server := exec.CommandContext(serving, redisProgram, "--bind", "127.0.0.1", "--port", port, "--dir", data,
		"--appendonly", "yes", "--appendfsync", "always", "--save", "")
	server.Cancel = func() error { return server.Process.Signal(syscall.SIGTERM) }
	server.WaitDelay = stopTimeout
	server.Stdout, server.Stderr = &said, &said
	if err := server.Start(); err != nil {
		end()
		return "", nil, err
	}
	stop = func() error {
		end()
		_ = server.Wait() // it was told to end, and says so
		return os.RemoveAll(data)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(redisStart); ; <-tick.C {
		c, err := dialRedis(ctx, addr)
		if err == nil {
			_, err = c.command("PING")
			c.Close()
		}
		if err == nil {
			return addr, stop, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			err = errors.Join(fmt.Errorf("%s: %w", redisProgram, err), stop())
			return "", nil, fmt.Errorf("%w\n%s", err, said.String())
		}
	}
}

// redisConn is a connection to Redis, for one command at a time.
type redisConn struct {
	net.Conn
	from *bufio.Reader
}

func dialRedis(ctx context.Context, addr string) (*redisConn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &redisConn{conn, bufio.NewReader(conn)}, nil
}

// command sends a command, and returns its answer, which is a line.
func (c *redisConn) command(words ...string) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := io.WriteString(c, b.String()); err != nil {
		return "", err
	}
	line, err := c.from.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if strings.HasPrefix(line, "-") {
		return "", fmt.Errorf("redis says %q", line)
	}
	return line, nil
}

// pushing measures clients that push to one list, each over a connection of its own.
func (b *bench) pushing(ctx context.Context) (m measured, err error) {
	addr, stop, err := b.redis(ctx)
	if err != nil {
		return measured{}, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	cs := make([]*redisConn, manyClients)
	for i := range cs {
		if cs[i], err = dialRedis(ctx, addr); err != nil {
			return measured{}, err
		}
		defer cs[i].Close()
	}
	m, _, done, err := load(ctx, manyClients, b.lasts, func(_ context.Context, i, n int) error {
		_, err := cs[i].command("RPUSH", redisList, string(record(i, n)))
		return err
	})
	if err != nil {
		return measured{}, err
	}
	acknowledged := 0
	for _, n := range done {
		acknowledged += n
	}
	length, err := cs[0].command("LLEN", redisList)
	if want := fmt.Sprint(":", acknowledged); err == nil && length != want {
		err = fmt.Errorf("the list has %s, and acknowledged were %d", length, acknowledged)
	}
	return m, err
}
