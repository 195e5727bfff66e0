//go:build soak

package etcdstore_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// TestSoak runs two million cycles of acquire, append and release, or as many as DLM_SOAK says, and
// wants etcd's database to end on a plateau: once compaction has begun to drop history, cycles must
// not make it grow.
func TestSoak(t *testing.T) {
	cycles := int64(2_000_000)
	if v := os.Getenv("DLM_SOAK"); v != "" {
		var err error
		if cycles, err = strconv.ParseInt(v, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	const (
		clients = 128
		history = 20 * time.Second
		quota   = 4 << 30
	)
	e, err := embedded.Start(t.Context(), embedded.Config{DataDir: t.TempDir(), Logger: zap.NewNop(), Quota: quota})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	s, err := etcdstore.Open(t.Context(), etcdstore.Config{
		Client: e.Client(), Local: e.Local(), History: history, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()

	var done, appended atomic.Int64
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var running sync.WaitGroup
	for i := range clients {
		running.Go(func() {
			if err := soak(ctx, s, i, cycles, &done, &appended); err != nil {
				cancel(err)
			}
		})
	}

	size := func() (inUse, file int64) {
		st, err := e.Client().Status(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		return st.DbSizeInUse, st.DbSize
	}
	// Written files stay, so the plateau is what is in use beyond them. It is looked at from when
	// history has been dropped a few times; the first half then bounds the second.
	var first, second int64
	start, tick := time.Now(), time.NewTicker(time.Second)
	defer tick.Stop()
	for done.Load() < cycles && ctx.Err() == nil {
		<-tick.C
		inUse, file := size()
		beyond := inUse - appended.Load()*soakRecord
		if n := done.Load(); time.Since(start) > 2*history && n < cycles/2 {
			first = max(first, beyond)
		} else if n >= cycles/2 {
			second = max(second, beyond)
		}
		if int(time.Since(start).Seconds())%10 == 0 {
			t.Logf("%v: %d cycles, %d MiB in use, file of %d MiB", time.Since(start).Round(time.Second), done.Load(), inUse>>20, file>>20)
		}
	}
	running.Wait()
	if err := context.Cause(ctx); err != nil && t.Context().Err() == nil {
		t.Fatal(err)
	}
	t.Logf("%d cycles in %v: at most %d MiB beyond the files in the first half, %d MiB in the second", cycles, time.Since(start).Round(time.Second), first>>20, second>>20)
	if first == 0 {
		t.Logf("too few cycles to see a plateau")
		return
	}
	if second > first+first/4 {
		t.Errorf("in use beyond the files: got %d MiB in the second half, want about the %d MiB of the first", second>>20, first>>20)
	}
}

const soakRecord = 32 // bytes

// soak is one client: nine cycles in ten on one of a few shared locks without an append, one with.
func soak(ctx context.Context, s *etcdstore.Store, client int, cycles int64, done, appended *atomic.Int64) error {
	sess, err := s.Init(ctx, etcdstore.InitArgs{TTL: time.Minute, Label: fmt.Sprint("soak ", client)})
	if err != nil {
		return err
	}
	beat := time.Now()
	for n := uint64(1); ; n++ {
		if done.Add(1) > cycles {
			return s.CloseSession(ctx, sess.Credential)
		}
		if time.Since(beat) > 10*time.Second {
			if _, err := s.Heartbeat(ctx, etcdstore.HeartbeatArgs{Credential: sess.Credential, Highest: n - 1}); err != nil {
				return err
			}
			beat = time.Now()
		}
		a := etcdstore.Acquisition{Lock: fmt.Sprint("soak/", client), Request: strconv.FormatUint(n, 10)}
		if n%4 == 0 {
			a.Lock = "soak/shared"
		}
		g, err := s.Acquire(ctx, etcdstore.AcquireArgs{Credential: sess.Credential, Acquisition: a, Wait: etcdstore.WaitForever})
		if err != nil {
			return err
		}
		section := etcdstore.Section{Credential: sess.Credential, Lock: a.Lock, Token: g.Token, Appended: n%10 == 0}
		if section.Appended {
			err := storetest.AppendTo(ctx, s, etcdstore.Record{
				Credential: sess.Credential, Lock: a.Lock, Token: g.Token, Request: "a" + a.Request, File: "log", Data: make([]byte, soakRecord),
			})
			if err != nil {
				return err
			}
			appended.Add(1)
		}
		if err := s.Release(ctx, section); err != nil {
			return err
		}
	}
}
