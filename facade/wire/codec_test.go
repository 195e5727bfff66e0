package wire_test

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	lockservice "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
	"github.com/distributed-lock-manager/dlm/facade/wire"
)

// What is decoded is what has come; what is not says why, and keeps the number of its call.
func FuzzUnmarshal(f *testing.F) {
	for _, m := range []*dlmv1.StreamRequest{
		{Call: 1, Request: &dlmv1.StreamRequest_Append{Append: &dlmv1.AppendRequest{Data: make([]byte, 5000)}}},
		{Call: 2, Request: &dlmv1.StreamRequest_Heartbeat{Heartbeat: &dlmv1.HeartbeatRequest{Unfinished: make([]*dlmv1.Acquisition, 2000)}}},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, 1)
		f.Add(b, 50)
		f.Add(b[:len(b)-1], 1)
	}
	f.Add(bytes.Repeat([]byte{0x0b}, 5000), 1)
	f.Add(bytes.Repeat([]byte{0x1a, 0}, 5000), 3)
	f.Fuzz(func(t *testing.T, b []byte, times int) {
		if 1 < times && times*len(b) <= 64<<10 {
			b = bytes.Repeat(b, times)
		}
		m := &dlmv1.StreamRequest{}
		if err := (wire.Codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, m); err != nil {
			t.Fatal(err)
		}
		plain := &dlmv1.StreamRequest{}
		err := proto.Unmarshal(b, plain)
		text, large, flawed := wire.Flaw(m)
		switch {
		case flawed && (text == "" || m.GetRequest() != nil || !large && err == nil):
			t.Errorf("decoded to %v: %q, %v; by itself: %v", m, text, large, err)
		case flawed && err == nil && m.GetCall() != plain.GetCall():
			t.Errorf("call %d, want %d", m.GetCall(), plain.GetCall())
		case !flawed && (err != nil || !proto.Equal(m, plain)):
			t.Errorf("decoded to %v, want %v, %v", m, plain, err)
		}
	})
}

func TestSized(t *testing.T) {
	t.Parallel()
	sent := wire.Sized{Message: &dlmv1.CloseRequest{Session: "some session"}}
	data, err := wire.Codec{}.Marshal(&sent)
	if err != nil || sent.Bytes != data.Len() || sent.Bytes != proto.Size(&dlmv1.CloseRequest{Session: "some session"}) {
		t.Fatalf("%d bytes of %d, %v", sent.Bytes, data.Len(), err)
	}
	got := &dlmv1.CloseRequest{}
	came := wire.Sized{Message: got}
	if err := (wire.Codec{}).Unmarshal(data, &came); err != nil || came.Bytes != sent.Bytes || got.GetSession() != "some session" {
		t.Errorf("%v of %d bytes, %v", got, came.Bytes, err)
	}
}

// The largest of each kind is decoded.
func TestLargest(t *testing.T) {
	t.Parallel()
	unfinished := make([]*dlmv1.Acquisition, 1000)
	for i := range unfinished {
		unfinished[i] = &dlmv1.Acquisition{Lock: strings.Repeat("l", 255), Request: strings.Repeat("r", 64)}
	}
	heartbeat := &dlmv1.HeartbeatRequest{Session: "s", Unfinished: unfinished}
	record := &dlmv1.AppendRequest{Data: make([]byte, 1<<20)}
	for _, m := range []proto.Message{
		heartbeat, record, &lockservice.FileArgs{Content: make([]byte, wire.MaxOld-1000)},
		&dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Heartbeat{Heartbeat: heartbeat}},
		&dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Append{Append: record}},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		got := m.ProtoReflect().New().Interface()
		if err := (wire.Codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, got); err != nil {
			t.Fatal(err)
		}
		if text, _, flawed := wire.Flaw(got); flawed || !proto.Equal(got, m) {
			t.Errorf("%T was not decoded: %s", m, text)
		}
	}
}

// What few bytes stand for is weighed before it is decoded.
func TestBombs(t *testing.T) {
	for name, bomb := range map[string][]byte{
		"of a heartbeat":              bytes.Repeat([]byte{0x1a, 0}, 8<<20),
		"in a heartbeat, nested":      prefixed(0x1a, bytes.Repeat([]byte{0x1a, 0}, 8<<20)),
		"of fields that are no one's": bytes.Repeat([]byte{0xfa, 0x7f, 0}, 4<<20),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for _, m := range []proto.Message{&dlmv1.HeartbeatRequest{}, &dlmv1.StreamRequest{}} {
			if err := (wire.Codec{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(bomb)}, m); err != nil {
				t.Fatal(err)
			}
			if _, large, _ := wire.Flaw(m); !large {
				t.Errorf("%s: decoded as %T", name, m)
			}
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("%s: to refuse %d bytes took %d", name, len(bomb), took)
		}
	}
}

// prefixed is a field of bytes.
func prefixed(tag byte, b []byte) []byte {
	return append(binary.AppendUvarint([]byte{tag}, uint64(len(b))), b...)
}
