package embedded

import (
	"maps"
	"net/url"
	"slices"
)

// Membership is what etcd knows of this member and of the others, and where that differs from the
// configuration: etcd goes by what it knows.
type Membership struct {
	Cluster, Member uint64 // etcd's own ids

	Registered, Configured string   // the address of this member, in etcd and in the configuration, if they differ
	Unlisted               []string // name=host:port of members that [Config.Members] does not have
	NoMembers              []string // the opposite
}

// Membership compares the members that etcd has with those of the configuration. A single node has
// none to compare.
func (s *Server) Membership(cfg Config) Membership {
	m := Membership{Cluster: uint64(s.etcd.Server.Cluster().ID()), Member: uint64(s.etcd.Server.MemberID())}
	if len(cfg.Members) == 0 {
		return m
	}
	ours := maps.Clone(cfg.Members)
	own := s.etcd.Config().AdvertisePeerUrls[0].String()
	for _, member := range s.etcd.Server.Cluster().Members() {
		if uint64(member.ID) == m.Member {
			delete(ours, s.etcd.Config().Name)
			if !slices.Contains(member.PeerURLs, own) && len(member.PeerURLs) > 0 {
				m.Registered, m.Configured = member.PeerURLs[0], own
			}
			continue
		}
		// Not by name: one that has not started yet has none.
		before := len(ours)
		maps.DeleteFunc(ours, func(_, addr string) bool {
			return slices.ContainsFunc(member.PeerURLs, func(peer string) bool { return hostOf(peer) == addr })
		})
		if len(ours) == before && len(member.PeerURLs) > 0 {
			m.Unlisted = append(m.Unlisted, member.Name+"="+hostOf(member.PeerURLs[0]))
		}
	}
	for name, addr := range ours {
		m.NoMembers = append(m.NoMembers, name+"="+addr)
	}
	slices.Sort(m.Unlisted)
	slices.Sort(m.NoMembers)
	return m
}

// hostOf is the host:port of a URL, or all of it if it is none.
func hostOf(peer string) string {
	if u, err := url.Parse(peer); err == nil && u.Host != "" {
		return u.Host
	}
	return peer
}
