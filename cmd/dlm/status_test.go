package main_test

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/grpc"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// listed is a server that knows some locks and does nothing with them, for states that do not last
// with a real one.
type listed struct {
	dlmv1.UnimplementedLockServiceServer
	locks []*dlmv1.Lock
}

func startListed(t *testing.T, locks ...*dlmv1.Lock) (addr string) {
	t.Helper()
	return startFake(t, &listed{locks: locks})
}

func (s *listed) Stream(stream grpc.BidiStreamingServer[dlmv1.StreamRequest, dlmv1.StreamResponse]) error {
	for {
		r, err := stream.Recv()
		if err != nil {
			return err
		}
		answer := &dlmv1.StreamResponse{Call: r.GetCall()}
		switch r.GetRequest().(type) {
		case *dlmv1.StreamRequest_List:
			answer.Response = &dlmv1.StreamResponse_List{List: &dlmv1.ListResponse{Locks: s.locks}}
		case *dlmv1.StreamRequest_Inspect:
			answer.Response = &dlmv1.StreamResponse_Inspect{Inspect: &dlmv1.InspectResponse{Lock: s.locks[0]}}
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

// A lock whose holder has just gone and whose queue stands is what an operator looks for.
func TestStatusOfALockThatIsOnlyWaitedFor(t *testing.T) {
	t.Parallel()
	addr := startListed(t, &dlmv1.Lock{
		Name: "a/stuck", QueueLength: 12, Waiters: []*dlmv1.Waiter{{Session: "s1", Label: "me"}},
	}, &dlmv1.Lock{
		Name: "b", Holder: &dlmv1.Holder{Session: "s2", Label: "you", Token: 7},
	})
	out := must(t, dlm(t, "status", "--endpoints", addr))
	rows := make([][]string, 0, 3)
	for line := range strings.Lines(out) {
		rows = append(rows, strings.Fields(line))
	}
	want := [][]string{
		{"LOCK", "HOLDER", "TOKEN", "FOR", "WAITING"},
		{"a/stuck", "-", "-", "-", "12"},
		{"b", `"you"`, "7", "an", "unknown", "time", "0"},
	}
	if len(rows) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(rows), len(want), out)
	}
	for i := range want {
		if got := strings.Join(rows[i], " "); got != strings.Join(want[i], " ") {
			t.Errorf("line %d: %q, want %q", i, got, want[i])
		}
	}

	var locks []struct {
		Name        string
		Holder      *struct{ Token string }
		QueueLength int
	}
	decode(t, must(t, dlm(t, "status", "--json", "--endpoints", addr)), &locks)
	if len(locks) != 2 || locks[0].Name != "a/stuck" || locks[0].Holder != nil || locks[0].QueueLength != 12 ||
		locks[1].Holder == nil || locks[1].Holder.Token != "7" {
		t.Errorf("as JSON: %+v", locks)
	}

	one := must(t, dlm(t, "status", "--endpoints", addr, "a/stuck"))
	for _, says := range []string{"nobody: the first who waits is the next", `1. "me"`, "and 11 more"} {
		if !strings.Contains(one, says) {
			t.Errorf("it does not say %q:\n%s", says, one)
		}
	}
	if strings.Contains(one, "evict") || strings.Contains(one, "free") {
		t.Errorf("nobody holds it, and it is not free:\n%s", one)
	}
}

// Who is shown to hold a lock, or to wait for it, is shown with the identity, if there is one.
func TestStatusShowsIdentities(t *testing.T) {
	t.Parallel()
	addr := startListed(t, &dlmv1.Lock{
		Name: "a", Holder: &dlmv1.Holder{Session: "s1", Request: "1", Token: 7, Identity: "cn:alice"}, QueueLength: 2,
		Waiters: []*dlmv1.Waiter{{Session: "s2", Identity: "dns:b.example.org"}, {Session: "s3"}},
	})
	out := must(t, dlm(t, "status", "--endpoints", addr, "a"))
	for _, says := range []string{`session s1 of "cn:alice", request 1`, `session s2 of "dns:b.example.org"`, "session s3\n"} {
		if !strings.Contains(out, says) {
			t.Errorf("it does not say %q:\n%s", says, out)
		}
	}
	var lock struct {
		Holder  struct{ Identity string }
		Waiters []struct{ Identity string }
	}
	decode(t, must(t, dlm(t, "status", "--json", "--endpoints", addr, "a")), &lock)
	if lock.Holder.Identity != "cn:alice" || len(lock.Waiters) != 2 || lock.Waiters[0].Identity != "dns:b.example.org" || lock.Waiters[1].Identity != "" {
		t.Errorf("as JSON: %+v", lock)
	}
}

// clusterTold is what `dlm status --cluster --json` prints.
type clusterTold struct {
	Cluster  string
	Revision int64
	Servers  []struct{ Endpoint, Version, Error string }
	Members  []struct {
		ID, Name        string
		Leader, Learner bool
		Status          *struct {
			Version            string
			File, InUse, Quota json.Number
		}
	}
}

func clusterStatus(t *testing.T, endpoints string) (told clusterTold) {
	t.Helper()
	out := must(t, command(t, endpoints, dlmPath, "status", "--cluster", "--json", "--connect-timeout", "20s"))
	if err := json.Unmarshal([]byte(out), &told); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return told
}

// wantMembers checks that a cluster has so many members, each of which says how it is, and one
// leader.
func (told clusterTold) wantMembers(t *testing.T, n int, quota json.Number) {
	t.Helper()
	leaders := 0
	for _, m := range told.Members {
		if m.Leader {
			leaders++
		}
		if s := m.Status; m.Learner || s == nil || s.Version == "" || s.File == "" || s.InUse == "" || s.Quota != quota {
			t.Errorf("member %+v, status %+v; want all of it, with a quota of %s", m, s, quota)
		}
	}
	if len(told.Members) != n || leaders != 1 || told.Revision == 0 || told.Cluster == "" {
		t.Errorf("status %+v, want %d members and one leader", told, n)
	}
}

func TestStatusOfTheCluster(t *testing.T) {
	t.Parallel()
	told := clusterStatus(t, endpoint)
	told.wantMembers(t, 1, "4294967296")
	if told.Servers[0].Version == "" {
		t.Errorf("servers %+v, want the version", told.Servers)
	}
	const nobody = "127.0.0.1:1"
	out := must(t, dlm(t, "status", "--cluster", "--connect-timeout", "10s", "--endpoints", endpoint+","+nobody))
	for _, want := range []string{"leader", "4096.0 MiB", told.Cluster, "refused"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	for code, args := range map[int][]string{64: {"--cluster", "l"}, 69: {"--cluster", "--endpoints", nobody}} {
		if r := run(t, dlm(t, append([]string{"status", "--connect-timeout", "10s"}, args...)...)); r.code != code || r.err == "" {
			t.Errorf("status %q: exit code %d, want %d and why\n%s", args, r.code, code, r.err)
		}
	}
}
