package faults

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
)

type watcher struct {
	clientv3.Watcher
	f *Faults
}

type watch struct{ cut context.CancelFunc }

func (w *watcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	ctx, cut := context.WithCancel(ctx)
	opened := &watch{cut}
	w.f.mu.Lock()
	w.f.opened++
	w.f.watches[opened] = struct{}{}
	w.f.mu.Unlock()

	in, out := w.Watcher.Watch(ctx, key, opts...), make(chan clientv3.WatchResponse)
	go func() { // ends with the watch, or when it is cut
		defer func() {
			cut()
			w.f.mu.Lock()
			delete(w.f.watches, opened)
			w.f.mu.Unlock()
			close(out)
		}()
		for resp := range in {
			if change := w.f.events.Load(); change != nil {
				(*change)(resp.Events)
			}
			if !w.f.deliver(ctx, out, resp) {
				return
			}
		}
	}()
	return out
}

// deliver passes on what a watch has brought, once the gate is open. It reports whether it did
// before the watch ended.
func (f *Faults) deliver(ctx context.Context, out chan<- clientv3.WatchResponse, resp clientv3.WatchResponse) bool {
	select {
	case <-f.gate:
	case <-ctx.Done():
		return false
	}
	defer func() { f.gate <- struct{}{} }()
	select {
	case out <- resp:
		return true
	case <-ctx.Done():
		return false
	}
}

// Events sets what may change the events of watches before they are delivered.
func (f *Faults) Events(change func([]*clientv3.Event)) { f.events.Store(&change) }

// HoldWatches holds back everything that the watches bring, until release is called. A watch that
// delivers just then has delivered when HoldWatches returns. What is held back is not lost, unless
// BreakWatches ends the watch meanwhile.
func (f *Faults) HoldWatches() (release func()) {
	<-f.gate
	return func() { f.gate <- struct{}{} }
}

// BreakWatches ends every watch that is open.
func (f *Faults) BreakWatches() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watches {
		w.cut()
	}
}

// Watches is how many watches were opened so far, and how many are open.
func (f *Faults) Watches() (opened, open int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.opened, len(f.watches)
}
