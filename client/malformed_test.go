package client_test

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// operations are all that a client asks over the stream, each with what it waits for.
var operations = map[string]func(ctx context.Context, c *client.Client) error{
	"Lock": func(ctx context.Context, c *client.Client) error {
		_, err := c.Lock(ctx, "a")
		return err
	},
	"Append": func(ctx context.Context, c *client.Client) error {
		return c.Do(ctx, "a", func(ctx context.Context, l *client.Lock) error { return l.Append(ctx, "f", nil) })
	},
	"Commit": func(ctx context.Context, c *client.Client) error {
		return c.Do(ctx, "a", func(ctx context.Context, l *client.Lock) error { return l.Commit(ctx) })
	},
	"Unlock": func(ctx context.Context, c *client.Client) error {
		return c.Do(ctx, "a", func(context.Context, *client.Lock) error { return nil })
	},
	"Discard": func(ctx context.Context, c *client.Client) error {
		l, err := c.Lock(ctx, "a")
		if err != nil {
			return err
		}
		return l.Discard(ctx)
	},
	"Section": func(ctx context.Context, c *client.Client) error { return c.Section("a", "x", 1).Append(ctx, "f", nil) },
	"Read": func(ctx context.Context, c *client.Client) error {
		_, err := c.Read(ctx, "a", "f")
		return err
	},
	"ListFiles": func(ctx context.Context, c *client.Client) error {
		_, err := c.ListFiles(ctx, "a")
		return err
	},
	"Inspect": func(ctx context.Context, c *client.Client) error {
		_, err := c.Inspect(ctx, "a")
		return err
	},
	"List": func(ctx context.Context, c *client.Client) error {
		_, err := c.List(ctx, "a")
		return err
	},
	"Problems": func(ctx context.Context, c *client.Client) error {
		_, err := c.Problems(ctx)
		return err
	},
	"Repair": func(ctx context.Context, c *client.Client) error {
		_, err := c.Repair(ctx, &client.Problem{Key: []byte("x")})
		return err
	},
	"SetRetention": func(ctx context.Context, c *client.Client) error {
		return c.SetRetention(ctx, &client.Retention{Prefix: "nobodys/", MaxBytes: 1})
	},
	"Retentions": func(ctx context.Context, c *client.Client) error {
		_, err := c.Retentions(ctx)
		return err
	},
	"Evict": func(ctx context.Context, c *client.Client) error {
		_, err := c.Evict(ctx, "a", 1, "why")
		return err
	},
}

// What does not fit the call is not taken for success.
func TestMalformedAnswerIsAnError(t *testing.T) {
	t.Parallel()
	isNot := func(kinds ...func(*dlmv1.StreamRequest) bool) func(*dlmv1.StreamRequest) bool {
		return func(r *dlmv1.StreamRequest) bool {
			for _, kind := range kinds {
				if kind(r) {
					return false
				}
			}
			return true
		}
	}
	// What leads to the call in question is answered as it should be.
	asked := map[string]func(*dlmv1.StreamRequest) bool{
		"Lock":    isNot(isHeartbeat),
		"Append":  isAppend,
		"Commit":  func(r *dlmv1.StreamRequest) bool { return r.GetCommit() != nil },
		"Unlock":  isRelease,
		"Discard": isDiscard,
	}
	for what, malformed := range map[string]*dlmv1.StreamResponse{
		"nothing":      {},
		"another call": {Response: &dlmv1.StreamResponse_Cancel{Cancel: &dlmv1.CancelResponse{Token: 1}}},
		"no error":     {Response: &dlmv1.StreamResponse_Error{Error: &dlmv1.Error{}}},
	} {
		for name, op := range operations {
			kind := asked[name]
			if kind == nil {
				kind = func(*dlmv1.StreamRequest) bool { return true }
			}
			s := startScripted(t, when(kind, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse { return malformed }))
			c := open(t, client.Config{Endpoints: []string{s.addr}})
			if err := op(t.Context(), c); err == nil {
				t.Errorf("%s was answered with %s, and succeeded", name, what)
			}
			must(t, c.Close())
		}
	}
	for name, answer := range map[string]*dlmv1.StreamResponse{
		"Lock": {Response: &dlmv1.StreamResponse_Acquire{Acquire: &dlmv1.AcquireResponse{
			Outcome: dlmv1.AcquireResponse_OUTCOME_GRANTED, Token: -1,
		}}},
		// The token that it had.
		"Commit": {Response: &dlmv1.StreamResponse_Commit{Commit: &dlmv1.CommitResponse{Token: 1}}},
		"Read":   {Response: &dlmv1.StreamResponse_Read{Read: &dlmv1.ReadResponse{Size: -1}}},
		"ListFiles": {Response: &dlmv1.StreamResponse_ListFiles{ListFiles: &dlmv1.ListFilesResponse{
			NextPageToken: "again",
		}}},
		"Inspect": {Response: &dlmv1.StreamResponse_Inspect{Inspect: &dlmv1.InspectResponse{}}},
		"List":    {Response: &dlmv1.StreamResponse_List{List: &dlmv1.ListResponse{NextPageToken: "again"}}},
	} {
		s := startScripted(t, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
			if r.GetInit() != nil || isHeartbeat(r) || isAcquire(r) && name == "Commit" || isRelease(r) || isDiscard(r) || isClose(r) {
				return nil
			}
			return answer
		})
		c := open(t, client.Config{Endpoints: []string{s.addr}})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := operations[name](ctx, c); err == nil || ctx.Err() != nil {
			t.Errorf("%s was answered with %v: got error %v", name, answer, err)
		}
		cancel()
		must(t, c.Close())
	}
	s := startScripted(t, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
		if r.GetInit() == nil {
			return nil
		}
		return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Init{Init: &dlmv1.InitResponse{
			Session: "id.secret", Ttl: durationpb.New(-time.Second),
		}}}
	})
	if l, err := open(t, client.Config{Endpoints: []string{s.addr}}).Lock(t.Context(), "a"); err == nil {
		t.Errorf("got %v under a session that had ended before it began", l)
	}
}

// What a heartbeat's answer leaves out, or says of acquisitions that were not named, is no proof of
// anything.
func TestMalformedHeartbeat(t *testing.T) {
	t.Parallel()
	ttl := durationpb.New(3 * time.Second)
	none := dlmv1.AcquisitionState_STATE_NONE
	for name, answer := range map[string]*dlmv1.HeartbeatResponse{
		"no states":         {Ttl: ttl},
		"too few states":    {Ttl: ttl, States: []*dlmv1.AcquisitionState{{Request: "3", State: none}}},
		"too many states":   {Ttl: ttl, States: []*dlmv1.AcquisitionState{{Request: "3"}, {Request: "4"}, {Request: "5"}}},
		"a TTL below 0":     {Ttl: durationpb.New(-time.Second)},
		"no TTL":            {},
		"the greatest TTL":  {Ttl: durationpb.New(math.MaxInt64)},
		"a TTL beyond that": {Ttl: &durationpb.Duration{Seconds: math.MaxInt64, Nanos: math.MinInt32}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var beats atomic.Int64
			s := startScripted(t, when(isHeartbeat, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
				if len(r.GetHeartbeat().GetUnfinished()) < 2 {
					return nil
				}
				beats.Add(1)
				return &dlmv1.StreamResponse{Response: &dlmv1.StreamResponse_Heartbeat{Heartbeat: answer}}
			}))
			c := open(t, client.Config{Endpoints: []string{s.addr}, TTL: 3 * time.Second})
			locks := []*client.Lock{lock(t, c, "a"), lock(t, c, "b")}
			storetest.Eventually(t, "a heartbeat that names both locks", func() bool { return beats.Load() > 0 })
			for _, l := range locks {
				must(t, l.Append(t.Context(), "f", nil)) // a round trip
				must(t, l.Context().Err())
				must(t, l.Discard(t.Context()))
			}
		})
	}
}

// No answer of a server, nor how often and under which number it comes, ends the process or keeps
// Close from returning.
func TestArbitraryAnswers(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		w := &writer{rnd: rand.New(rand.NewPCG(seed, 0))} //nolint:gosec // to be repeated, not to be secret
		var s *scripted
		s = startScripted(t, func(r *dlmv1.StreamRequest) *dlmv1.StreamResponse {
			usual := s.usual(r)
			w.mu.Lock()
			defer w.mu.Unlock()
			switch w.rnd.IntN(4) {
			case 0:
				return w.any()
			case 1:
				return w.spoil(usual)
			}
			return usual
		})
		c := open(t, client.Config{
			Endpoints: []string{s.addr, s.addr}, TTL: 2 * time.Second, ConnectTimeout: time.Second,
			DialOptions: []grpc.DialOption{grpc.WithStreamInterceptor(w.repeat)},
		})
		var running sync.WaitGroup
		for range 3 {
			for _, op := range operations {
				running.Go(func() {
					for range 10 {
						ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
						_ = op(ctx, c)
						cancel()
					}
				})
			}
		}
		running.Wait()
		_ = c.Close() // ErrUnavailable, if the answer to the session's end was among the bad ones
	}
}

// writer makes messages that have the right form and any content.
type writer struct {
	mu  sync.Mutex
	rnd *rand.Rand
}

// any makes an answer to any call. mu is held.
func (w *writer) any() *dlmv1.StreamResponse {
	m := &dlmv1.StreamResponse{}
	kinds := m.ProtoReflect().Descriptor().Oneofs().Get(0).Fields()
	w.fields(m.ProtoReflect().Mutable(kinds.Get(w.rnd.IntN(kinds.Len()))).Message())
	return m
}

// spoil replaces what the message carries by something of its kind. mu is held.
func (w *writer) spoil(m *dlmv1.StreamResponse) *dlmv1.StreamResponse {
	m.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.Message() != nil {
			w.fields(v.Message())
		}
		return true
	})
	return m
}

func (w *writer) fields(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		switch {
		case w.rnd.IntN(2) == 0:
		case fd.IsList():
			list := m.Mutable(fd).List()
			list.Truncate(w.rnd.IntN(list.Len() + 1))
			for range w.rnd.IntN(4) {
				if fd.Message() != nil {
					w.fields(list.AppendMutable().Message())
				} else {
					list.Append(w.scalar(fd))
				}
			}
		case fd.IsMap():
		case fd.Message() != nil:
			w.fields(m.Mutable(fd).Message())
		default:
			m.Set(fd, w.scalar(fd))
		}
	}
}

func (w *writer) scalar(fd protoreflect.FieldDescriptor) protoreflect.Value {
	n := []int64{math.MinInt64, -1, 0, 1, 2, 14, 1 << 20, math.MaxInt64}[w.rnd.IntN(8)]
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n > 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(n)) //nolint:gosec // any number will do
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(n)) //nolint:gosec // any number will do
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(n)) //nolint:gosec // any number will do
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(uint64(n)) //nolint:gosec // any number will do
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(n)
	case protoreflect.StringKind:
		return protoreflect.ValueOfString([]string{"", "1", "a", "id.secret"}[w.rnd.IntN(4)])
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(make([]byte, w.rnd.IntN(3)))
	}
	panic("the API has no field of kind " + fd.Kind().String())
}

// repeat has a client get every message twice, and one with a number that it has not given.
func (w *writer) repeat(
	ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	s, err := next(ctx, desc, cc, method, opts...)
	return &repeating{ClientStream: s}, err
}

type repeating struct {
	grpc.ClientStream
	more []*dlmv1.StreamResponse // to be given before the next one is received
}

func (s *repeating) RecvMsg(m any) error {
	r, ok := m.(*dlmv1.StreamResponse)
	if !ok {
		return s.ClientStream.RecvMsg(m)
	}
	if len(s.more) > 0 {
		proto.Merge(r, s.more[0])
		s.more = s.more[1:]
		return nil
	}
	if err := s.ClientStream.RecvMsg(r); err != nil {
		return err
	}
	again, unknown := proto.CloneOf(r), proto.CloneOf(r)
	unknown.Call += 1 << 40
	s.more = append(s.more, again, unknown)
	return nil
}
