package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
)

// etcdFaults are those of etcd itself: of its leader, its quorum, its space and its history.
func etcdFaults() []fault {
	return []fault{
		{"leader killed", 2, func(ctx context.Context, r *run, rnd *rand.Rand) error {
			return r.leader(ctx, func(i int) error { return r.restart(ctx, rnd, syscall.SIGKILL, r.l.members[i]) })
		}},
		{"leader stopped", 2, func(ctx context.Context, r *run, rnd *rand.Rand) error {
			return r.leader(ctx, func(i int) error { return r.freeze(ctx, rnd, r.l.members[i]) })
		}},
		{"quorum killed", 1, func(ctx context.Context, r *run, rnd *rand.Rand) error {
			left := rnd.IntN(len(r.l.members))
			var lost []*process
			for i, p := range r.l.members {
				if i != left {
					lost = append(lost, p)
				}
			}
			return r.restart(ctx, rnd, syscall.SIGKILL, lost...)
		}},
		{"no space", 1, noSpace},
		{"history compacted", 3, compacted},
	}
}

// leader does something to the member that leads, by its number.
func (r *run) leader(ctx context.Context, do func(member int) error) error {
	if i := r.whoLeads(ctx); i >= 0 {
		return do(i)
	}
	return errNotNow
}

// whoLeads is which member most others take for the leader; -1: no one.
func (r *run) whoLeads(ctx context.Context) int {
	ids := make([]uint64, len(r.l.admin))
	votes := map[uint64]int{}
	for i, addr := range r.l.admin {
		asked, cancel := context.WithTimeout(ctx, time.Second)
		status, err := r.watching.etcd.Status(asked, addr)
		cancel()
		if err == nil { // else it is down, or stopped
			ids[i] = status.Header.MemberId
			votes[status.Leader]++
		}
	}
	return slices.IndexFunc(ids, func(id uint64) bool { return id != 0 && votes[id] > len(ids)/2 })
}

// noSpace has etcd refuse what would make it larger, as when its quota is exceeded.
func noSpace(ctx context.Context, r *run, rnd *rand.Rand) error {
	return r.leader(ctx, func(i int) error {
		etcd := r.watching.etcd
		asking, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		status, err := etcd.Status(asking, r.l.admin[i])
		if err != nil {
			return errNotNow
		}
		maintenance := etcdserverpb.NewMaintenanceClient(etcd.ActiveConnection())
		alarm := &etcdserverpb.AlarmRequest{
			Action: etcdserverpb.AlarmRequest_ACTIVATE, MemberID: status.Header.MemberId, Alarm: etcdserverpb.AlarmType_NOSPACE,
		}
		over := r.truth.noSpace()
		_, raised := maintenance.Alarm(asking, alarm)
		if raised == nil {
			pause(ctx, time.Duration(500+rnd.IntN(4000))*time.Millisecond)
		}
		if err := r.disarm(ctx); err != nil {
			return err
		}
		if raised != nil { // or it will be, some seconds later: it is not over
			return errNotNow
		}
		over()
		return nil
	})
}

// compacted drops the history that the run has seen, and what the members keep of it on disk, while
// servers may not have seen it.
func compacted(ctx context.Context, r *run, rnd *rand.Rand) error {
	asking, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	etcd := r.watching.etcd
	_, err := etcd.Compact(asking, r.truth.compacting())
	if err == nil {
		_, err = etcd.Defragment(asking, pick(rnd, r.l.admin))
	}
	if err != nil {
		return errors.Join(errNotNow, err)
	}
	return nil
}
