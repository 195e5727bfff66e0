package facade_test

import (
	"context"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// script is a multiplexed stream that brings requests and keeps what is sent.
type script struct {
	grpc.BidiStreamingServer[dlmv1.StreamRequest, dlmv1.StreamResponse]
	ctx      context.Context
	requests []*dlmv1.StreamRequest
	sent     []*dlmv1.StreamResponse
}

func (s *script) Context() context.Context { return s.ctx }

func (s *script) Recv() (*dlmv1.StreamRequest, error) {
	if len(s.requests) == 0 {
		return nil, io.EOF
	}
	req := s.requests[0]
	s.requests = s.requests[1:]
	return req, nil
}

func (s *script) Send(resp *dlmv1.StreamResponse) error {
	s.sent = append(s.sent, resp)
	return nil
}

// unruly is a store that does not keep to the contract of done.
type unruly struct {
	scripted
	twice, panics bool
}

func (u unruly) say(done func()) {
	if done(); u.twice {
		done()
	}
	if u.panics {
		panic("after it was done")
	}
}

func (u unruly) StartAcquire(ctx context.Context, args etcdstore.AcquireArgs, done func(etcdstore.Grant, error)) {
	u.scripted.StartAcquire(ctx, args, func(g etcdstore.Grant, err error) { u.say(func() { done(g, err) }) })
}

func (u unruly) StartRelease(ctx context.Context, section etcdstore.Section, done func(error)) {
	u.scripted.StartRelease(ctx, section, func(err error) { u.say(func() { done(err) }) })
}

func (u unruly) StartAppend(ctx context.Context, record etcdstore.Record, done func(int64, error)) {
	u.scripted.StartAppend(ctx, record, func(rev int64, err error) { u.say(func() { done(rev, err) }) })
}

func (u unruly) StartPublish(ctx context.Context, args etcdstore.PublishArgs, done func(etcdstore.Publication, error)) {
	u.scripted.StartPublish(ctx, args, func(p etcdstore.Publication, err error) { u.say(func() { done(p, err) }) })
}

// Each message of a stream has one answer under its number: of its own kind if the store succeeds,
// else an error with the reason that the store's error has. Whatever the message is, and whatever
// the store does.
func FuzzDispatch(f *testing.F) {
	for _, req := range messages() {
		req.Call = 7
		sent, err := proto.Marshal(req)
		if err != nil {
			f.Fatal(err)
		}
		for how := range byte(6) {
			f.Add(sent, how)
		}
	}
	f.Add([]byte{0xfa, 0x01, 0}, byte(0)) // a field that is not known: a call of a later version
	f.Fuzz(func(t *testing.T, sent []byte, how byte) {
		req := &dlmv1.StreamRequest{}
		if proto.Unmarshal(sent, req) != nil {
			return
		}
		store := unruly{scripted: scripted{do: func(context.Context, string) error { return nil }, atOnce: true}}
		reason := ""
		switch how % 6 {
		case 1:
			reason = "QUOTA"
			store.do = func(context.Context, string) error { return etcdstore.ErrQuota }
		case 2:
			reason = "INTERNAL"
			store.do = func(context.Context, string) error { panic("at once") }
		case 3:
			store.twice = true
		case 4:
			store.panics = true
		case 5:
			store.twice, store.atOnce = true, false
		}
		stream := &script{ctx: t.Context(), requests: []*dlmv1.StreamRequest{req, {Call: req.GetCall() + 1}, req}}
		ended := make(chan error, 1)
		go func() { ended <- facade.Multiplex(store, stream) }()
		if err := wait(t, ended, "the stream's end"); err != nil {
			t.Fatalf("%v: the stream ended with %v", req, err)
		}
		answers := map[uint64]int{}
		for _, resp := range stream.sent {
			answers[resp.GetCall()]++
			err := errorOf(resp.GetError())
			got := reasonOf(err)
			if resp.GetCall() != req.GetCall() || req.GetRequest() == nil {
				if got != "UNIMPLEMENTED" {
					t.Errorf("no call: %v", resp)
				}
				continue
			}
			if got == "INVALID_ARGUMENT" || got == "INVALID_TTL" {
				continue // a duration, before the store is asked
			}
			if err != nil && got == "" || got != reason {
				t.Errorf("%v: %v, want reason %q", req, resp, reason)
			}
			if err == nil && fieldSet(resp) != fieldSet(req) {
				t.Errorf("%v was answered with %v", req, resp)
			}
		}
		if answers[req.GetCall()] != 2 || answers[req.GetCall()+1] != 1 || len(stream.sent) != 3 {
			t.Errorf("%v: answers %v", req, answers)
		}
	})
}

// fieldSet returns the name of the call that a message of a multiplexed stream carries.
func fieldSet(m proto.Message) string {
	fields := m.ProtoReflect().Descriptor().Oneofs().Get(0)
	if field := m.ProtoReflect().WhichOneof(fields); field != nil {
		return string(field.Name())
	}
	return ""
}
