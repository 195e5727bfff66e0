package main_test

import (
	"net"
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	dlmv1.RegisterLockServiceServer(server, &listed{locks: locks})
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
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
