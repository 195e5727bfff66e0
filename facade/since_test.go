package facade_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Whoever asks for what has happened, or for what somebody holds, is told of nothing that they may
// not see.
func TestThePastHidesLocks(t *testing.T) {
	t.Parallel()
	g := guard(t, 1, 1, hiding)
	alice, nosy := g.api(0, "alice"), g.api(0, "nosy")
	first := take(t, alice, "alice", "open/first")
	for _, lock := range []string{"payroll/1", "open/a", "payroll/2", "zebra"} {
		take(t, alice, "alice", lock)
	}
	session := initiate(t, nosy).GetSession()
	if _, err := nosy.Acquire(storetest.Bounded(t), &dlmv1.AcquireRequest{Session: session, Lock: "open/mine", Request: "1", Wait: durationpb.New(0)}); err != nil {
		t.Fatal(err)
	}
	last := take(t, alice, "alice", "open/last")
	stream, err := nosy.Watch(storetest.Bounded(t), &dlmv1.WatchRequest{Since: first.token})
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for told := int64(0); told < last.token; {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		told = m.GetRevision()
		for _, e := range m.GetEvents() {
			seen = append(seen, fmt.Sprint(e.GetLock(), " of ", e.GetIdentity()[strings.LastIndex(e.GetIdentity(), "/")+1:]))
		}
	}
	if got := strings.Join(seen, ", "); got != "open/a of alice, open/mine of nosy, open/last of alice" {
		t.Errorf("the past is %s", got)
	}

	alices, nosys := "spiffe:spiffe://example.org/alice", "spiffe:spiffe://example.org/nosy"
	for _, test := range []struct {
		name string
		req  *dlmv1.ListRequest
		want string
	}{
		{"all", &dlmv1.ListRequest{}, "open/a open/first open/last open/mine"},
		{"mine", &dlmv1.ListRequest{Mine: true}, "open/mine"},
		{"my own by name", &dlmv1.ListRequest{Identity: nosys}, "open/mine"},
		{"alice's", &dlmv1.ListRequest{Identity: alices}, "open/a open/first open/last"},
		{"alice's below a prefix", &dlmv1.ListRequest{Identity: alices, Prefix: "open/f"}, "open/first"},
		{"a session's", &dlmv1.ListRequest{Session: first.id}, "open/first"},
		{"what nobody may see of it", &dlmv1.ListRequest{Identity: alices, Prefix: "payroll"}, ""},
	} {
		var got []string
		for {
			page, err := nosy.List(storetest.Bounded(t), test.req)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range page.GetLocks() {
				got = append(got, l.GetName())
				if h := l.GetHolder(); h.GetHeartbeatAge() == nil || h.GetLeaseLeft() == nil {
					t.Errorf("of %s it is not told how its session lives", l.GetName())
				}
			}
			if test.req.PageToken = page.GetNextPageToken(); test.req.PageToken == "" {
				break
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %s; want %s", test.name, got, test.want)
		}
	}
	page, err := alice.List(storetest.Bounded(t), &dlmv1.ListRequest{PageSize: 1})
	if err != nil || page.GetNextPageToken() == "" {
		t.Fatalf("a page: %v, %v", page, err)
	}
	for name, req := range map[string]*dlmv1.ListRequest{
		"another's page":                {PageToken: page.GetNextPageToken()},
		"mine, and another's":           {Mine: true, Identity: alices},
		"a page of another's selection": {PageToken: page.GetNextPageToken(), Identity: alices},
	} {
		if _, err := nosy.List(storetest.Bounded(t), req); !isReason(err, "INVALID_ARGUMENT") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := alice.List(storetest.Bounded(t), &dlmv1.ListRequest{PageToken: page.GetNextPageToken(), Identity: alices}); !isReason(err, "INVALID_ARGUMENT") {
		t.Errorf("the page of another selection: %v", err)
	}
	for _, since := range []int64{-1, 1 << 40} {
		stream, err := nosy.Watch(storetest.Bounded(t), &dlmv1.WatchRequest{Since: since})
		if err == nil {
			_, err = stream.Recv()
		}
		if !isReason(err, "INVALID_ARGUMENT") {
			t.Errorf("the past from %d: %v", since, err)
		}
	}
}

// isReason reports whether an error has a reason.
func isReason(err error, want string) bool {
	if err == nil {
		return false
	}
	_, reason := refusalOf(err)
	return reason == want
}

// Where nobody says who they are, nothing is anybody's own, and that is said.
func TestNothingIsMine(t *testing.T) {
	t.Parallel()
	_, conn := serve(t, loud{}, slog.New(slog.DiscardHandler))
	client := dlmv1.NewLockServiceClient(conn)
	if _, err := client.List(storetest.Bounded(t), &dlmv1.ListRequest{Mine: true}); !isReason(err, "INVALID_ARGUMENT") {
		t.Errorf("mine, of nobody: %v", err)
	}
}
