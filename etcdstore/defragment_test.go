package etcdstore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

// loosen makes each member's file take two thirds of a small quota, of which nearly nothing is in
// use. What it writes is small: a large value has its neighbours in bolt's page written again with
// it, and how much that makes the file grow depends on how busy the machine is.
func loosen(t *testing.T, members ...*clientv3.Client) {
	t.Helper()
	ctx, etcd := storetest.Bounded(t), members[0]
	all := func(holds func(*clientv3.StatusResponse) bool) bool {
		for _, member := range members {
			if !holds(statusOf(t, member, "")) {
				return false
			}
		}
		return true
	}
	put := func(value string) (rev int64) { // 0: a slow etcd has not said that it has taken it
		put, err := etcd.Put(ctx, "/fill", value)
		if errors.Is(err, rpctypes.ErrTimeout) || errors.Is(err, rpctypes.ErrTimeoutDueToLeaderFail) {
			return 0
		} else if err != nil {
			t.Errorf("put: %v", err)
			return 0
		}
		return put.Header.Revision
	}
	storetest.Eventually(t, "a large file", func() bool {
		var filling sync.WaitGroup
		for range 8 { // at once, so that a slow disk is waited for once
			filling.Go(func() { put(strings.Repeat("x", 32<<10)) })
		}
		filling.Wait()
		return all(func(st *clientv3.StatusResponse) bool { return st.DbSize > smallQuota*65/100 })
	})
	now := int64(0)
	storetest.Eventually(t, "a small value", func() bool {
		now = put("")
		return now > 0
	})
	if _, err := etcd.Compact(ctx, now, clientv3.WithCompactPhysical()); err != nil {
		t.Fatalf("compact: %v", err)
	}
	storetest.Eventually(t, "a loose file", func() bool { // etcd counts what is free when it writes the next time
		return put("") > 0 && all(func(st *clientv3.StatusResponse) bool { return st.DbSizeInUse < st.DbSize/2 })
	})
}

func statusOf(t *testing.T, etcd *clientv3.Client, endpoint string) *clientv3.StatusResponse {
	t.Helper()
	st, err := etcd.Status(storetest.Bounded(t), endpoint)
	if err != nil {
		t.Fatalf("status: %v", err)
	}
	return st
}

// A file that has grown and was freed does not stay as large as it was: the server makes it small,
// without anybody's help, and goes on.
func TestFreedFileIsMadeSmall(t *testing.T) {
	t.Parallel()
	etcd, _ := smallEtcd(t)
	loosen(t, etcd)
	s := openStore(t, etcd)
	c := begin(t, s)
	h := c.Acquire("l")
	c.Append(h, "f", "before")
	storetest.Eventually(t, "a small file", func() bool { return statusOf(t, etcd, "").DbSize < smallQuota/4 })
	c.Append(h, "f", ", after")
	c.Release(h)
	storetest.WantContents(t, s, "l", "f", "before, after")
}

// The members of a cluster make their files small one at a time, a leader after it has handed over.
func TestMembersDefragmentInTurn(t *testing.T) {
	t.Parallel()
	m := startMembersWith(t, smallQuota)
	var clients []*clientv3.Client
	for _, server := range m.servers {
		clients = append(clients, server.Client())
	}
	first := clients[0]
	loosen(t, clients...)
	term := statusOf(t, first, "").RaftTerm
	watch := first.Watch(t.Context(), "/dlm/cluster/defragment", clientv3.WithRev(1+statusOf(t, first, "").Header.Revision))
	var logs []*logged
	for _, server := range m.servers {
		log := &logged{}
		logs = append(logs, log)
		openStoreWith(t, etcdstore.Config{Client: server.Client(), Local: server.Local(), Logger: log.logger()})
	}
	t.Cleanup(func() {
		for i, log := range logs {
			if t.Failed() {
				t.Logf("member %d logged\n%s", i, log.String()) // they are closed
			}
		}
	})
	await.Eventually(t, 3*patience, "three small files", func() bool {
		for _, client := range clients {
			if statusOf(t, client, "").DbSize > smallQuota/4 {
				return false
			}
		}
		return true
	})
	turns := 0
	for turns < 3 { // of each there are two events: it begins, and ends
		resp, ok := <-watch
		if !ok || resp.Err() != nil {
			t.Fatalf("watch: %v", resp.Err())
		}
		for _, e := range resp.Events {
			if e.Type == clientv3.EventTypeDelete {
				turns++
			} else if !e.IsCreate() {
				t.Error("two were at it at once")
			}
		}
	}
	for i, log := range logs {
		storetest.Eventually(t, fmt.Sprintf("member %d's word of how long it took", i), func() bool {
			return log.count("took=") > 0
		})
	}
	if statusOf(t, first, "").RaftTerm == term {
		t.Error("the leader has not handed over")
	}
}

// Of an etcd that is not this server's the operator is told, in words that can be run.
func TestLooseExternalFileIsTold(t *testing.T) {
	t.Parallel()
	etcd, ops := smallEtcd(t)
	loosen(t, etcd)
	log := &logged{}
	openStoreWith(t, etcdstore.Config{Client: ops, Logger: log.logger()})
	storetest.Eventually(t, "the command in the log", func() bool {
		return log.count("etcdctl defrag --endpoints "+ops.Endpoints()[0]) > 0
	})
	if st := statusOf(t, etcd, ""); st.DbSize < smallQuota/2 {
		t.Errorf("the file has %d bytes: somebody else's etcd was defragmented", st.DbSize)
	}
}
