package embedded_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
)

// short is for starts that are to fail because somebody is waited for.
const short = 5 * time.Second

// Two of three disks are lost while the third member is down: nothing is founded, whether it comes
// back or not, and with the disks put back nothing is missing.
func TestEmptiedMajorityFoundsNothing(t *testing.T) {
	t.Parallel()
	cfgs := threeMembers(t)
	servers := startAll(t, cfgs)
	before := put(t, servers[0], "k", "v")
	stopAll(t, servers)

	emptied := []embedded.Config{cfgs[0], cfgs[1]}
	for i := range emptied {
		emptied[i].DataDir = t.TempDir()
	}
	both := func(want error, words ...string) {
		t.Helper()
		errs := make(chan error, len(emptied))
		for _, cfg := range emptied {
			go func() {
				_, err := tryStart(t, cfg, short)
				errs <- err
			}()
		}
		for range emptied {
			err := <-errs
			if !errors.Is(err, want) {
				t.Errorf("Start with an empty directory: %v, want %v", err, want)
				continue
			}
			for _, word := range words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%v; want it to say %q", err, word)
				}
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	both(context.DeadlineExceeded, "m2 at "+cfgs[2].PeerListen+" does not answer", "start them", "dlm member")

	third := make(chan error, 1)
	go func() {
		_, err := tryStart(t, cfgs[2], 4*short)
		third <- err
	}()
	waitForPeer(t, cfgs[2])
	both(embedded.ErrEmptied, "m2 at "+cfgs[2].PeerListen+" has data", "dlm member remove", "state existing", "operations.md")
	if err := <-third; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the member with data: %v, want its deadline", err)
	}

	servers = startAll(t, cfgs)
	if got := get(t, servers[2], "k"); got != "v" {
		t.Errorf("with the disks back k = %q, want v", got)
	}
	if after := put(t, servers[1], "k", "w"); after <= before {
		t.Errorf("revision %d, it was %d before", after, before)
	}
}

// waitForPeer returns when a member's etcd answers at its peer address.
func waitForPeer(t *testing.T, cfg embedded.Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bounded)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+cfg.PeerListen+"/members", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		wait(t, ctx, 50*time.Millisecond)
	}
}

// Members that start one after the other, each giving up and starting again until all are there,
// found a cluster when the last one has come.
func TestMembersFoundOneAfterTheOther(t *testing.T) {
	t.Parallel()
	cfgs := threeMembers(t)
	for i, cfg := range cfgs[:2] {
		if _, err := tryStart(t, cfg, 500*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Start of member %d: %v, want its deadline", i, err)
		}
		if _, err := os.Stat(filepath.Join(cfg.DataDir, "etcd", "member", "wal")); err == nil {
			t.Fatalf("member %d has begun without the others", i)
		}
	}
	servers := startAll(t, cfgs)
	put(t, servers[0], "k", "v")
	for _, cfg := range cfgs {
		if _, err := os.Stat(filepath.Join(cfg.DataDir, "founding")); err == nil {
			t.Errorf("%s still has a note of the founding", cfg.Name)
		}
	}
	stopAll(t, servers)
	startAll(t, cfgs)
}

// A founder that ends after all have agreed, and before its etcd has written anything, goes on much
// later, when the others have data.
func TestLateFounderGoesOn(t *testing.T) {
	t.Parallel()
	cfgs := threeMembers(t)
	late := cfgs[2]
	obstacle := filepath.Join(late.DataDir, "etcd") // where etcd's directory would be
	if err := os.WriteFile(obstacle, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// The late one may be the first to see that all have agreed, and end before the others have
	// heard that it has, so it is started again, as a supervisor does, until they found.
	var founded atomic.Bool
	failed := make(chan error, 1)
	go func() {
		var err error
		for !founded.Load() && t.Context().Err() == nil {
			_, err = tryStart(t, late, bounded)
		}
		failed <- err
	}()
	servers := startAll(t, cfgs[:2])
	founded.Store(true)
	if err := <-failed; err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Start: %v, want etcd's fault", err)
	}
	put(t, servers[0], "k", "v")

	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	s := start(t, late)
	if got := get(t, s, "k"); got != "v" {
		t.Errorf("the late founder has k = %q, want v", got)
	}
	stop(t, servers[0])
	put(t, s, "k", "w") // it counts
}

func TestMembersWithOtherListsFoundNothing(t *testing.T) {
	t.Parallel()
	cfgs := threeMembers(t)[:2]
	cfgs[0].Members = map[string]string{"m0": cfgs[0].PeerListen, "m1": cfgs[1].PeerListen}
	errs := make(chan error, 2)
	for _, cfg := range cfgs {
		go func() {
			_, err := tryStart(t, cfg, short)
			errs <- err
		}()
	}
	for range cfgs {
		if err := <-errs; !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "same cluster.members") {
			t.Errorf("Start: %v, want it to say that the lists differ", err)
		}
	}
}

func TestMemberThatWasNotAddedIsTold(t *testing.T) {
	t.Parallel()
	cfgs := threeMembers(t)
	first := cfgs[0]
	first.Members = map[string]string{"m0": first.PeerListen}
	start(t, first)
	second := cfgs[1]
	second.Existing = true
	second.Members = map[string]string{"m0": first.PeerListen, "m1": second.PeerListen}
	if _, err := tryStart(t, second, bounded); err == nil || !strings.Contains(err.Error(), "dlm member add m1 "+second.PeerListen) {
		t.Errorf("Start: %v, want it to say how to add the member", err)
	}
}
