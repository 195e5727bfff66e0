package main_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// damaged is a server with problems, which it repairs when it is asked to.
type damaged struct {
	dlmv1.UnimplementedLockServiceServer
	mu       sync.Mutex
	problems []*dlmv1.Problem
}

func startDamaged(t *testing.T, problems ...*dlmv1.Problem) (addr string) {
	t.Helper()
	return startFake(t, &damaged{problems: problems})
}

func (s *damaged) Stream(stream grpc.BidiStreamingServer[dlmv1.StreamRequest, dlmv1.StreamResponse]) error {
	for {
		r, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := stream.Send(s.answer(r)); err != nil {
			return err
		}
	}
}

func (s *damaged) answer(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &dlmv1.StreamResponse{Call: r.GetCall()}
	switch r := r.GetRequest().(type) {
	case *dlmv1.StreamRequest_ListProblems:
		a.Response = &dlmv1.StreamResponse_ListProblems{ListProblems: &dlmv1.ListProblemsResponse{Problems: slices.Clone(s.problems), Panics: 3}}
	case *dlmv1.StreamRequest_Repair:
		before := len(s.problems)
		s.problems = slices.DeleteFunc(s.problems, func(p *dlmv1.Problem) bool {
			return string(p.GetKey()) == string(r.Repair.GetKey()) && p.GetRevision() == r.Repair.GetRevision()
		})
		a.Response = &dlmv1.StreamResponse_Repair{Repair: &dlmv1.RepairResponse{Removed: len(s.problems) < before}}
	}
	return a
}

// TestRepair: what is malformed is listed; without a name only that is removed with which nothing
// is lost.
func TestRepair(t *testing.T) {
	t.Parallel()
	addr := startDamaged(t,
		&dlmv1.Problem{Key: []byte("/dlm/commits/a//\xff"), Name: "/dlm/commits/a//\\xff\u202e", Kind: "marker", Lock: "a", Why: "no key has this form", Revision: 7},
		&dlmv1.Problem{Key: []byte("/dlm/files/a//f"), Name: "/dlm/files/a//f", Kind: "head", Lock: "a", Why: "x", Revision: 8, Loses: "its file"},
		&dlmv1.Problem{Key: []byte("/dlm/horizon"), Name: "/dlm/horizon", Kind: "horizon", Why: "it is no number", Revision: 9, Fixed: true},
	)
	at := func(args ...string) result { return run(t, command(t, addr, dlmPath, args...)) }

	r := at("status", "--problems")
	for _, want := range []string{`/dlm/commits/a//\xff\u202e`, "no key has this form", "its file", "not to be removed", "marker"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("status --problems does not say %q:\n%s", want, r.out)
		}
	}
	if r.code != 0 || !strings.Contains(r.err, "3 panics") {
		t.Errorf("status --problems: exit code %d, %q; want 0, and the panics", r.code, r.err)
	}
	var listed []struct{ Key, Name, Revision string }
	if r = at("status", "--problems", "--json"); json.Unmarshal([]byte(r.out), &listed) != nil || len(listed) != 3 || listed[0].Revision != "7" {
		t.Errorf("status --problems --json printed %s", r.out)
	}
	if strings.Contains(r.out, "\u202e") || listed[0].Name != "/dlm/commits/a//\\xff\u202e" {
		t.Errorf("status --problems --json printed %q; want the name, with an escape of JSON's", r.out)
	}
	if r = at("repair", "--dry-run"); strings.Contains(r.out, "files") || strings.Contains(r.out, "horizon") || !strings.Contains(r.out, "marker") {
		t.Errorf("repair --dry-run printed %s", r.out)
	}
	if r = at("repair"); r.code != 0 || r.out != "removed the marker /dlm/commits/a//\\xff\\u202e\n" || !strings.Contains(r.err, "2 are left") {
		t.Errorf("repair: exit code %d, %q, %q", r.code, r.out, r.err)
	}
	for key, want := range map[string]string{"/dlm/horizon": "not removed by a server", "/dlm/locks/a": "is not among"} {
		if r = at("repair", "/dlm/files/a//f", key); r.code != 1 || !strings.Contains(r.err, want) {
			t.Errorf("repair %s: exit code %d, %q; want 1, and that it %s", key, r.code, r.err, want)
		}
	}
	if r = at("repair", "--json", "/dlm/files/a//f"); r.code != 0 || !strings.Contains(r.out, `"its file"`) {
		t.Errorf("repair of a named key: exit code %d, %q", r.code, r.out)
	}
	if r = at("status", "--problems"); strings.Contains(r.out, "head") {
		t.Errorf("afterwards there is\n%s", r.out)
	}
	for _, args := range [][]string{{"--problems", "a"}, {"--problems", "--cluster"}} {
		if r = at(append([]string{"status"}, args...)...); r.code != 64 {
			t.Errorf("status %v: exit code %d, want 64", args, r.code)
		}
	}
}
