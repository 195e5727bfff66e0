package etcdstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore/internal/commit"
)

// ClusterInfo is what a store knows of the etcd behind it.
type ClusterInfo struct {
	Cluster  string // its id; empty: it has none
	Revision int64
	Version  string // of this server's program
	Members  []MemberInfo
	// Why records, and locks and sessions, are refused for space, as of the last look; nil: they
	// are not.
	RecordsRefused, LocksRefused error
}

// MemberInfo is a member of etcd's cluster.
type MemberInfo struct {
	ID      string   // 16 hex digits
	Name    string   // empty: it has not started yet
	Peers   []string // the URLs that its peers reach it by
	Leader  bool
	Learner bool          // it does not vote until it has caught up
	Status  *MemberStatus // nil: it was not asked, or has not answered
}

// MemberStatus is what a member says of itself.
type MemberStatus struct {
	Version            string // etcd's
	File, InUse, Quota int64  // bytes; a quota of 0 is not known
}

// InspectCluster returns what this store can find out about the cluster: what each member says of
// itself, if it can be asked, which in an embedded etcd is the own member alone; and all members,
// as the own one knows them, unless that is forbidden. It needs no quorum. [ErrNoQuorum]: no member
// answers.
func (s *Store) InspectCluster(ctx context.Context) (ClusterInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	info := ClusterInfo{Cluster: s.id, Version: s.info.Version}
	info.RecordsRefused, info.LocksRefused = s.space.refusals()
	members, leader := map[uint64]*MemberInfo{}, uint64(0)
	member := func(id uint64) *MemberInfo {
		if members[id] == nil {
			members[id] = &MemberInfo{ID: hex16(int64(id))}
		}
		return members[id]
	}
	for _, st := range s.statuses(ctx) {
		m := member(st.Header.MemberId)
		m.Status = &MemberStatus{Version: st.Version, File: st.DbSize, InUse: st.DbSizeInUse, Quota: st.DbSizeQuota}
		m.Learner = st.IsLearner
		info.Revision = max(info.Revision, st.Header.Revision)
		leader = cmp.Or(st.Leader, leader)
		if alarmed(st) { // which may be news
			info.RecordsRefused, info.LocksRefused = commit.ErrAlarm, commit.ErrAlarm
		}
	}
	list, err := s.etcd().MemberList(ctx, clientv3.WithSerializable())
	if err == nil {
		for _, m := range list.Members {
			known := member(m.ID)
			known.Name, known.Peers, known.Learner = m.Name, m.PeerURLs, m.IsLearner
		}
	}
	if len(members) == 0 {
		return ClusterInfo{}, fmt.Errorf("%w: no member answers: %w", ErrNoQuorum, err)
	}
	for id, m := range members {
		m.Leader = id == leader
		info.Members = append(info.Members, *m)
	}
	slices.SortFunc(info.Members, func(a, b MemberInfo) int { return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID)) })
	return info, nil
}
