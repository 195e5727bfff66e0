package coursework

import (
	"context"
	"errors"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// A client of this API that goes away without a word leaves its record. It is kept for a while, as
// the client may come back, and then forgotten. Every server looks for such records: each change is
// made only if the record is as it was read, so that they do not mind each other, and a client that
// comes back at that very moment is not forgotten.

const (
	// clientKept is how long a client is remembered whose session has ended.
	clientKept = 24 * time.Hour
	sweepEvery = time.Hour
)

// Run forgets clients that have not been heard of for a day, and drops what their records need not
// have, at once and then every hour, until ctx ends.
func (s *Service) Run(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := recovered(func() error { return s.Sweep(ctx, time.Now()) }); err != nil && ctx.Err() == nil {
			s.log.Warn("the records of clients were not all looked through", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Sweep looks through the records of all clients, once: those whose session has ended are marked
// with the time, those that were marked a day ago are deleted, and credentials that no server needs
// are dropped. Records that cannot be read are left alone. It may be repeated, and broken off.
func (s *Service) Sweep(ctx context.Context, now time.Time) error {
	forgotten := 0
	for stored, err := range s.store.Clients(ctx) {
		if err != nil {
			return err
		}
		gone, err := s.sweepClient(ctx, stored, now)
		if err != nil && !errors.Is(err, etcdstore.ErrClientChanged) && !errors.Is(err, etcdstore.ErrNoSpace) {
			return err
		}
		if gone {
			forgotten++
		}
	}
	if forgotten > 0 {
		s.log.Info("clients were forgotten that had not been heard of", "clients", forgotten, "for", clientKept)
	}
	return nil
}

func (s *Service) sweepClient(ctx context.Context, stored etcdstore.Client, now time.Time) (gone bool, err error) {
	c, err := s.parse(stored)
	if err != nil {
		return false, nil //nolint:nilerr // its own calls fail, and say so
	}
	changed := s.store.BareClients() && c.bare()
	switch {
	case c.Ended == 0:
		lives, err := s.store.SessionLives(ctx, c.id)
		if err != nil {
			return false, err
		}
		if !lives {
			c.Ended, changed = now.UnixMilli(), true
		}
	case now.Sub(time.UnixMilli(c.Ended)) >= clientKept:
		err := s.store.ForgetClient(ctx, stored)
		return err == nil, err
	}
	if !changed {
		return false, nil
	}
	return false, s.save(ctx, c)
}
