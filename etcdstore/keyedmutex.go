package etcdstore

import (
	"context"
	"sync"
)

// keyedMutex serialises work by key. Unlike a mutex, its wait ends with a context, and a key that
// nobody uses costs nothing.
type keyedMutex struct {
	mu   sync.Mutex
	held map[string]*keyed
}

type keyed struct {
	slot  chan struct{} // of size 1, full while the key is locked
	users int           // who has it, and who waits for it
}

// lock waits for the key, or for ctx, whose cause is then returned.
func (m *keyedMutex) lock(ctx context.Context, key string) (unlock func(), err error) {
	m.mu.Lock()
	if m.held == nil {
		m.held = map[string]*keyed{}
	}
	k := m.held[key]
	if k == nil {
		k = &keyed{slot: make(chan struct{}, 1)}
		m.held[key] = k
	}
	k.users++
	m.mu.Unlock()

	leave := func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if k.users--; k.users == 0 {
			delete(m.held, key)
		}
	}
	select {
	case k.slot <- struct{}{}:
		return func() { <-k.slot; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}
