package etcdstore_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// TestTwoStoresFoldAndSweep has two stores fold and sweep the same locks at once, while sections
// are published, dropped and lost through both, and compares every byte in the end.
func TestTwoStoresFoldAndSweep(t *testing.T) {
	t.Parallel()
	const (
		writers = 6
		rounds  = 12
		locks   = 2
	)
	etcd := startEtcd(t)
	stores := []*etcdstore.Store{openStore(t, etcd), openStore(t, etcd)}
	type section struct {
		token int64
		bytes map[string]string
	}
	var mu sync.Mutex
	published := map[string][]section{}

	written := make(chan struct{})
	var readers, running sync.WaitGroup
	for i, s := range stores {
		readers.Go(func() {
			for n := i; ; n++ {
				select {
				case <-written:
					return
				default:
				}
				if _, _, err := s.ListFiles(t.Context(), fmt.Sprint("l", n%locks), 0, ""); err != nil {
					t.Errorf("ListFiles: %v", err)
					return
				}
			}
		})
	}
	write := func(w int) error {
		rng := rand.New(rand.NewPCG(1, uint64(w)))
		var c etcdstore.Session
		for round := range rounds {
			s, ctx := stores[rng.IntN(2)], t.Context()
			var err error
			if c.ID == "" {
				if c, err = s.Init(ctx, etcdstore.InitArgs{Label: fmt.Sprint("w", w)}); err != nil {
					return err
				}
			}
			request := fmt.Sprint(round)
			lock := fmt.Sprint("l", rng.IntN(locks))
			g, err := s.Acquire(ctx, etcdstore.AcquireArgs{
				Credential: c.Credential, Acquisition: etcdstore.Acquisition{Lock: lock, Request: request}, Wait: etcdstore.WaitForever,
			})
			if err != nil || g.Outcome != etcdstore.Granted {
				return fmt.Errorf("acquire: %+v, %w", g, err)
			}
			sec := section{g.Token, map[string]string{}}
			for i := range 1 + rng.IntN(4) {
				file := string(rune('a' + rng.IntN(2)))
				size := rng.IntN(40)
				if rng.IntN(8) == 0 {
					size = 100_000
				}
				data := fmt.Sprintf("%d.%d%s;", g.Token, i, strings.Repeat("x", size))
				sec.bytes[file] += data
				s = stores[rng.IntN(2)]
				if err := storetest.AppendTo(ctx, s, etcdstore.Record{
					Credential: c.Credential, Lock: lock, Token: g.Token, Request: fmt.Sprintf("%s.%d", request, i),
					File: file, Data: []byte(data), Number: uint64(i + 1),
				}); err != nil {
					return fmt.Errorf("append: %w", err)
				}
			}
			end := etcdstore.Section{Credential: c.Credential, Lock: lock, Token: g.Token, Appended: true}
			s = stores[rng.IntN(2)]
			switch rng.IntN(6) {
			case 0:
				_, err = s.Discard(ctx, end)
			case 1:
				_, err = s.Evict(ctx, lock, g.Token, "one in six")
			case 2:
				err, c = s.CloseSession(ctx, c.Credential), etcdstore.Session{}
			default:
				if err = s.Release(ctx, end); err == nil {
					mu.Lock()
					published[lock] = append(published[lock], sec)
					mu.Unlock()
				}
			}
			if err != nil {
				return fmt.Errorf("end: %w", err)
			}
		}
		return nil
	}
	for w := range writers {
		running.Go(func() {
			if err := write(w); err != nil {
				t.Errorf("writer %d: %v", w, err)
			}
		})
	}
	running.Wait()
	close(written)
	readers.Wait()
	for lock, sections := range published {
		slices.SortFunc(sections, func(a, b section) int { return cmp.Compare(a.token, b.token) })
		for _, file := range []string{"a", "b"} {
			var want strings.Builder
			for _, sec := range sections {
				want.WriteString(sec.bytes[file])
			}
			for _, s := range stores {
				storetest.WantContents(t, s, lock, file, want.String())
			}
		}
	}
	gone(t, etcd, "commits/")
	gone(t, etcd, "staged/")
}
