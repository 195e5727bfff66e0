package bench

import (
	"context"
	"errors"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/cmd/internal/load"
)

// dlm is the system that is measured: so many SDK clients, of one connection each, that the clients
// of the load share.
type dlm struct {
	clients []*client.Client
}

// open makes the SDK's clients. They dial when they are first used.
func (c Config) open(clients int) (*dlm, error) {
	d := &dlm{}
	for i := range min(c.Connections, clients) {
		sdk, err := c.client(i)
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		d.clients = append(d.clients, sdk)
	}
	return d, nil
}

// Client makes sure that the connection, and a session, are there before the load begins.
func (d *dlm) Client(ctx context.Context, i int) (load.Client, error) {
	c := dlmClient{d.clients[i%len(d.clients)]}
	if i < len(d.clients) {
		return c, c.Cycle(ctx, ctx, load.Prefix())
	}
	return c, nil
}

func (d *dlm) Connections() int { return len(d.clients) }

func (d *dlm) Close() error {
	var err error
	for _, c := range d.clients {
		err = errors.Join(err, c.Close())
	}
	return err
}

// dlmClient is one client of the load.
type dlmClient struct{ sdk *client.Client }

func (c dlmClient) Cycle(ctx, wait context.Context, lock string) error {
	l, err := c.sdk.Lock(wait, lock)
	if err != nil {
		return err
	}
	return l.Unlock(ctx)
}

func (c dlmClient) Try(ctx context.Context, lock string) error {
	l, err := c.sdk.TryLock(ctx, lock)
	if errors.Is(err, client.ErrBusy) {
		return nil
	}
	if err != nil {
		return err
	}
	return l.Unlock(ctx)
}

// Append appends a section: it takes the lock, appends, and publishes by releasing it.
func (c dlmClient) Append(ctx context.Context, s *load.Section) error {
	l, err := c.sdk.Lock(ctx, s.Lock)
	if err != nil {
		return err
	}
	if err := s.Each(func(record []byte) error { return l.Append(ctx, s.File, record) }); err != nil {
		return errors.Join(err, l.Discard(ctx))
	}
	return l.Unlock(ctx)
}

// Publish publishes a section of one record, in one call.
func (c dlmClient) Publish(ctx context.Context, lock, file string, record []byte) error {
	_, err := c.sdk.Publish(ctx, lock, client.Append(file, record))
	return err
}

func (c dlmClient) Read(ctx context.Context, lock, file string) ([]byte, error) {
	return c.sdk.Read(ctx, lock, file)
}

// Close does nothing: the SDK's client is closed with the system.
func (dlmClient) Close() error { return nil }
