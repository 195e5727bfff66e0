package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// threeMembers configures a cluster that is not started.
func threeMembers(t *testing.T) []embedded.Config {
	t.Helper()
	members := map[string]string{}
	for i := range 3 {
		members[fmt.Sprintf("m%d", i)] = storetest.FreeAddr(t)
	}
	var cfgs []embedded.Config
	for i := range 3 {
		name := fmt.Sprintf("m%d", i)
		cfgs = append(cfgs, embedded.Config{
			DataDir: t.TempDir(), Name: name, PeerListen: members[name], Members: members,
		})
	}
	return cfgs
}

// startAll starts members side by side: each waits for a quorum.
func startAll(t *testing.T, cfgs []embedded.Config) []*embedded.Server {
	t.Helper()
	servers := make([]*embedded.Server, len(cfgs))
	errs := make(chan error, len(cfgs))
	ctx, cancel := context.WithTimeout(t.Context(), bounded)
	defer cancel()
	for i, cfg := range cfgs {
		cfg.UnsafeNoFsync = true
		go func() {
			var err error
			servers[i], err = embedded.Start(ctx, cfg)
			errs <- err
		}()
	}
	var err error
	for range cfgs {
		err = errors.Join(err, <-errs)
	}
	t.Cleanup(func() { stopAll(t, servers) })
	if err != nil {
		t.Fatalf("start %d members: %v", len(cfgs), err)
	}
	return servers
}

// stopAll stops members side by side: the last ones of a cluster would wait for successors that are
// gone.
func stopAll(t *testing.T, servers []*embedded.Server) {
	t.Helper()
	var wg sync.WaitGroup
	for _, s := range servers {
		if s != nil {
			wg.Go(func() { stop(t, s) })
		}
	}
	wg.Wait()
}

func TestThreeMembersServeWithoutOne(t *testing.T) {
	t.Parallel()
	cfgs := threeMembers(t)
	servers := startAll(t, cfgs)
	put(t, servers[0], "k", "v")
	for i, s := range servers {
		if got := get(t, s, "k"); got != "v" {
			t.Errorf("member %d: k = %q, want v", i, got)
		}
	}

	stop(t, servers[0])
	put(t, servers[1], "k", "w")
	if got := get(t, servers[2], "k"); got != "w" {
		t.Errorf("with one member stopped k = %q, want w", got)
	}

	back := start(t, cfgs[0])
	if got := get(t, back, "k"); got != "w" {
		t.Errorf("member back: k = %q, want w", got)
	}
}

func TestOneOfThreeGivesUpInTime(t *testing.T) {
	t.Parallel()
	cfg := threeMembers(t)[0]
	began := time.Now()
	_, err := tryStart(t, cfg, 3*time.Second)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Start alone: %v, want its deadline", err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("gave up after %v", took)
	}
	if _, err := tryStart(t, cfg, time.Second); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second Start alone: %v, want its deadline", err)
	}
}

func TestLostMemberIsReplaced(t *testing.T) {
	t.Parallel()
	cfgs := threeMembers(t)
	cfgs[1].ClientListen = "127.0.0.1:0"
	servers := startAll(t, cfgs)
	put(t, servers[0], "k", "v")

	// The member and its disk are gone. With an empty disk it may not come back as if nothing had
	// happened.
	lost := cfgs[0]
	stop(t, servers[0])
	lost.DataDir = t.TempDir()
	if _, err := tryStart(t, lost, short); !errors.Is(err, embedded.ErrEmptied) {
		t.Fatalf("start with an empty data directory under the old identity: %v, want ErrEmptied", err)
	}
	joining := lost
	joining.DataDir, joining.Existing = t.TempDir(), true
	if _, err := tryStart(t, joining, bounded); !errors.Is(err, embedded.ErrEmptied) {
		t.Fatalf("join with an empty data directory under the old identity: %v, want ErrEmptied", err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), bounded)
	defer cancel()
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{servers[1].ClientAddr()}, Context: ctx, Logger: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	list, err := client.MemberList(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list.Members {
		if m.Name != lost.Name {
			continue
		}
		if _, err := client.MemberRemove(ctx, m.ID); err != nil {
			t.Fatalf("remove the lost member: %v", err)
		}
		// etcd refuses additions until the remaining members have been connected for a while.
		for {
			_, err := client.MemberAdd(ctx, []string{"http://" + lost.PeerListen})
			if err == nil {
				break
			}
			t.Logf("add the replacement: %v", err)
			wait(t, ctx, 500*time.Millisecond)
		}
	}

	lost.Existing = true
	replacement := start(t, lost)
	if got := get(t, replacement, "k", clientv3.WithSerializable()); got != "v" {
		t.Errorf("the replacement has k = %q, want v", got)
	}

	// It counts: without another one there is still a quorum.
	stop(t, servers[2])
	put(t, replacement, "k", "w")
	if got := get(t, servers[1], "k"); got != "w" {
		t.Errorf("k = %q, want w", got)
	}
	stopAll(t, []*embedded.Server{replacement, servers[1]})

	// From now on it starts like any other.
	startAll(t, []embedded.Config{lost, cfgs[1], cfgs[2]})
}

func TestRemovedMemberIsTold(t *testing.T) {
	t.Parallel()
	cfgs := threeMembers(t)
	servers := startAll(t, cfgs)
	ctx, cancel := context.WithTimeout(t.Context(), bounded)
	defer cancel()
	list, err := servers[0].Client().MemberList(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list.Members {
		if m.Name == "m2" {
			for {
				if _, err = servers[0].Client().MemberRemove(ctx, m.ID); err == nil {
					break
				}
				t.Logf("remove a member: %v", err)
				wait(t, ctx, 500*time.Millisecond)
			}
		}
	}
	select {
	case err := <-servers[2].Err():
		if !errors.Is(err, embedded.ErrRemoved) {
			t.Errorf("Err: %v, want ErrRemoved", err)
		}
	case <-ctx.Done():
		t.Fatal("the removed member does not say so")
	}
	stop(t, servers[2])
	put(t, servers[1], "k", "v")
	if s, err := tryStart(t, cfgs[2], 30*time.Second); err == nil {
		t.Error("a removed member started again", s)
	} else {
		t.Logf("start of a removed member: %v", err)
	}
}

func TestSingleNodeBecomesACluster(t *testing.T) {
	t.Parallel()
	cfgs := threeMembers(t)
	dir := cfgs[0].DataDir
	s := start(t, embedded.Config{DataDir: dir})
	put(t, s, "k", "v")
	stop(t, s)

	if _, err := tryStart(t, cfgs[0], bounded); !errors.Is(err, embedded.ErrOtherCluster) {
		t.Fatalf("with new members at once: %v, want ErrOtherCluster", err)
	}

	all := cfgs[0].Members
	first, second := cfgs[0], cfgs[1]
	first.Members = map[string]string{"m0": all["m0"]}
	s = start(t, first)
	ctx, cancel := context.WithTimeout(t.Context(), bounded)
	defer cancel()
	if _, err := s.Client().MemberAdd(ctx, []string{"http://" + second.PeerListen}); err != nil {
		t.Fatal(err)
	}
	second.Members = map[string]string{"m0": all["m0"], "m1": all["m1"]}
	second.Existing = true
	joined := start(t, second)
	if got := get(t, joined, "k"); got != "v" {
		t.Errorf("second member: k = %q, want v", got)
	}
	stopAll(t, []*embedded.Server{joined, s})

	if _, err := tryStart(t, embedded.Config{DataDir: dir}, bounded); !errors.Is(err, embedded.ErrOtherCluster) {
		t.Fatalf("without members: %v, want ErrOtherCluster", err)
	}
	first.Members = second.Members
	startAll(t, []embedded.Config{first, second})
}
