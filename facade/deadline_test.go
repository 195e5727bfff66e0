package facade_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// Whoever takes messages over a stream is told that a deadline is near, and then that the hold is
// lost; whoever calls without one learns what is left from the grant and from each heartbeat.
func TestDeadlineIsToldToClients(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t)
	r := openRaw(t, node.Dial(0))
	session := r.ask(initRequest(true)).GetInit()
	api := dlmv1.NewLockServiceClient(node.Dial(0))
	ask := func(request string, hold *durationpb.Duration) (*dlmv1.AcquireResponse, error) {
		return api.Acquire(storetest.Bounded(t), &dlmv1.AcquireRequest{
			Session: session.GetSession(), Lock: "deadline/" + request, Request: request, MaxHold: hold,
		})
	}
	for name, hold := range map[string]*durationpb.Duration{
		"zero": durationpb.New(0), "negative": durationpb.New(-time.Second), "short": durationpb.New(1), "long": {Seconds: 1000 * 365 * 86400},
		"malformed": {Seconds: 5, Nanos: -7}, "more than fits": {Seconds: 1 << 60},
	} {
		if _, err := ask(name, hold); reasonOf(err) != "INVALID_ARGUMENT" {
			t.Errorf("%s: %v; want INVALID_ARGUMENT", name, err)
		}
	}
	granted, err := ask("1", durationpb.New(2*time.Second))
	if err != nil || granted.GetHoldLeft().AsDuration() <= 0 || granted.GetHoldLeft().AsDuration() > 2*time.Second {
		t.Fatalf("the grant is %v, %v; want 2s left at the most", granted, err)
	}
	endless, err := ask("endless", nil)
	if err != nil || endless.GetHoldLeft() != nil {
		t.Fatalf("the grant is %v, %v; want it without an end", endless, err)
	}
	named := []*dlmv1.Acquisition{{Lock: "deadline/1", Request: "1"}, {Lock: "deadline/endless", Request: "endless"}}
	beat, err := api.Heartbeat(storetest.Bounded(t), &dlmv1.HeartbeatRequest{Session: session.GetSession(), Unfinished: named})
	if err != nil || len(beat.GetStates()) != 2 || beat.GetStates()[1].GetHoldLeft() != nil ||
		beat.GetStates()[0].GetState() == dlmv1.AcquisitionState_STATE_HOLDING && beat.GetStates()[0].GetHoldLeft() == nil {
		t.Errorf("the heartbeat says %v, %v; want what is left of the first", beat, err)
	}
	first, err := r.stream.Recv()
	if e := first.GetEnding(); err != nil || first.GetCall() != 0 || e.GetSession() != session.GetId() || e.GetLock() != "deadline/1" ||
		e.GetRequest() != "1" || e.GetHoldLeft().AsDuration() <= 0 || e.GetHoldLeft().AsDuration() > time.Second {
		t.Fatalf("got %v, %v; want a warning", first, err)
	}
	r.wants(r.told(), &dlmv1.Lost{Session: session.GetId(), Lock: "deadline/1", Request: "1", Reason: "held longer than 2s"}, granted.GetToken())
}
