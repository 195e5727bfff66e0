package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/distributed-lock-manager/dlm/client"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// serverStatus is what one server said of its cluster, and what `dlm status --cluster --json`
// prints of that.
type serverStatus struct {
	Endpoint       string `json:"endpoint"`
	Version        string `json:"version,omitempty"`
	Error          string `json:"error,omitempty"` // it has not answered
	RecordsRefused string `json:"recordsRefused,omitempty"`
	LocksRefused   string `json:"locksRefused,omitempty"`

	answer *dlmv1.InspectClusterResponse
	denied error // it does not tell this client; nil: that is not why
}

// inspectServer asks one server about its cluster.
func inspectServer(ctx context.Context, endpoint string, cfg client.Config) serverStatus {
	s := serverStatus{Endpoint: endpoint}
	ctx, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
	defer cancel()
	conn, err := direct(cfg).Server(endpoint)
	if err == nil {
		defer conn.Close()
		s.answer, err = dlmv1.NewLockServiceClient(conn).InspectCluster(ctx, &dlmv1.InspectClusterRequest{})
	}
	if isDenied(err) {
		s.denied = &client.Error{Code: status.Code(err), Message: status.Convert(err).Message()}
	}
	switch {
	case status.Code(err) == codes.Unimplemented:
		s.Error = "an earlier version, which does not tell of its cluster"
	case err != nil:
		s.Error = status.Convert(err).Message()
	default:
		s.Version, s.RecordsRefused, s.LocksRefused = s.answer.GetVersion(), s.answer.GetRecordsRefused(), s.answer.GetLocksRefused()
	}
	return s
}

// cluster asks every server, and puts what they say together: with embedded etcd each can only ask
// its own member how it is.
func (st *statusCommand) cluster(ctx context.Context) error {
	cfg, err := st.config(0, "")
	if err != nil {
		return err
	}
	servers := make([]serverStatus, len(cfg.Endpoints))
	var asked sync.WaitGroup
	for i, endpoint := range cfg.Endpoints {
		asked.Go(func() { servers[i] = inspectServer(ctx, endpoint, cfg) })
	}
	asked.Wait()
	cluster, err := together(servers)
	if err != nil {
		return err
	}
	if st.json {
		return st.clusterJSON(cluster, servers)
	}
	return st.clusterTable(cluster, servers)
}

// together is what servers of one cluster know of it. Who leads is said by whoever is ahead.
func together(servers []serverStatus) (*dlmv1.InspectClusterResponse, error) {
	var answered []serverStatus
	for _, s := range servers {
		if s.answer != nil {
			answered = append(answered, s)
		}
	}
	if len(answered) == 0 {
		var texts []string
		for _, s := range servers {
			if s.denied != nil {
				return nil, fmt.Errorf("%s does not tell of its cluster: %w", s.Endpoint, s.denied)
			}
			texts = append(texts, s.Endpoint+": "+s.Error)
		}
		return nil, exitWithMessage(exitUnreachable, "no server told of its cluster: %s", strings.Join(texts, "; "))
	}
	slices.SortStableFunc(answered, func(a, b serverStatus) int { return cmp.Compare(b.answer.GetRevision(), a.answer.GetRevision()) })
	first := answered[0]
	all := &dlmv1.InspectClusterResponse{Cluster: first.answer.GetCluster(), Revision: first.answer.GetRevision()}
	for _, s := range answered {
		if s.answer.GetCluster() != all.GetCluster() {
			return nil, fmt.Errorf("%s is of cluster %s, and %s of %s: ask for one of them at a time",
				first.Endpoint, all.GetCluster(), s.Endpoint, s.answer.GetCluster())
		}
		for _, m := range s.answer.GetMembers() {
			i := slices.IndexFunc(all.GetMembers(), func(o *dlmv1.Member) bool { return o.GetId() == m.GetId() })
			switch {
			case i < 0:
				all.Members = append(all.Members, m)
			case all.GetMembers()[i].GetStatus() == nil:
				all.Members[i].Status = m.GetStatus()
			}
		}
	}
	return all, nil
}

func (st *statusCommand) clusterJSON(cluster *dlmv1.InspectClusterResponse, servers []serverStatus) error {
	members := make([]json.RawMessage, len(cluster.GetMembers()))
	for i, m := range cluster.GetMembers() {
		text, err := protojson.Marshal(m)
		if err != nil {
			return err
		}
		members[i] = text
	}
	return writeJSONValue(st.out, struct {
		Cluster  string            `json:"cluster"`
		Revision int64             `json:"revision"`
		Servers  []serverStatus    `json:"servers"`
		Members  []json.RawMessage `json:"members"`
	}{cluster.GetCluster(), cluster.GetRevision(), servers, members})
}

func (st *statusCommand) clusterTable(cluster *dlmv1.InspectClusterResponse, servers []serverStatus) error {
	rows := [][]string{{"cluster", cluster.GetCluster()}, {"revision", strconv.FormatInt(cluster.GetRevision(), 10)}}
	for _, s := range servers {
		text := "version " + s.Version
		switch {
		case s.Error != "":
			text = s.Error
		case s.LocksRefused != "":
			text += ", new locks are refused: " + s.LocksRefused
		case s.RecordsRefused != "":
			text += ", appends are refused: " + s.RecordsRefused
		}
		rows = append(rows, []string{"server " + s.Endpoint, text})
	}
	if err := writeTable(st.out, rows); err != nil {
		return err
	}
	rows = [][]string{{"\nMEMBER", "ID", "PEER ADDRESS", "ROLE", "FILE", "IN USE", "QUOTA", "ETCD"}}
	for _, m := range cluster.GetMembers() {
		row := []string{cmp.Or(m.GetName(), notStarted), m.GetId(), strings.Join(m.GetPeers(), ","), role(m.GetLeader(), m.GetLearner())}
		if s := m.GetStatus(); s != nil {
			row = append(row, mebibytes(s.GetFile()), mebibytes(s.GetInUse()), mebibytes(s.GetQuota()), s.GetVersion())
		} else {
			row = append(row, "-", "-", "-", "not asked, or silent")
		}
		rows = append(rows, row)
	}
	return writeTable(st.out, rows)
}

// mebibytes is a number of bytes for people.
func mebibytes(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }
