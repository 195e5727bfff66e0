package main

import (
	"context"
	"errors"
	"hash/fnv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
)

// postgresClose bounds the good-bye to a server.
const postgresClose = 5 * time.Second

// postgresSystem is PostgreSQL's advisory locks. They belong to a connection, so that each client
// needs one of its own.
type postgresSystem struct {
	url   string
	conns atomic.Int64
}

func openPostgres(ctx context.Context, url string) (load.System, error) {
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	return &postgresSystem{url: url}, c.Close(ctx)
}

func (s *postgresSystem) Client(ctx context.Context, _ int) (load.Client, error) {
	c, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return nil, err
	}
	s.conns.Add(1)
	return postgresClient{c}, nil
}

func (s *postgresSystem) Connections() int { return int(s.conns.Load()) }
func (s *postgresSystem) Close() error     { return nil }

type postgresClient struct{ conn *pgx.Conn }

// Cycle is not cut off: that would end the connection.
func (c postgresClient) Cycle(ctx, _ context.Context, lock string) error {
	if _, err := c.conn.Exec(ctx, "select pg_advisory_lock($1)", key(lock)); err != nil {
		return err
	}
	return c.unlock(ctx, lock)
}

func (c postgresClient) Try(ctx context.Context, lock string) error {
	var locked bool
	if err := c.conn.QueryRow(ctx, "select pg_try_advisory_lock($1)", key(lock)).Scan(&locked); err != nil || !locked {
		return err
	}
	return c.unlock(ctx, lock)
}

func (c postgresClient) unlock(ctx context.Context, lock string) error {
	var held bool
	err := c.conn.QueryRow(ctx, "select pg_advisory_unlock($1)", key(lock)).Scan(&held)
	if err == nil && !held {
		err = errors.New("the lock was lost")
	}
	return err
}

func (c postgresClient) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), postgresClose)
	defer cancel()
	return c.conn.Close(ctx)
}

// key is the number of a lock.
func key(lock string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(lock)) // never fails
	return int64(h.Sum64())      //nolint:gosec // any number will do
}
