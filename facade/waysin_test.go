package facade_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/facade"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
)

type header = [2]string

// byHand makes one call frame by frame over a connection of its own, and returns its gRPC status;
// -1: it was cut off without one.
func (s *secured) byHand(pair *certstest.Pair, path string, more []header, message []byte) int {
	s.t.Helper()
	cfg := s.tls(pair)
	cfg.NextProtos = []string{"h2"}
	conn, err := (&tls.Dialer{Config: cfg}).DialContext(s.t.Context(), "tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.overFrames(conn, path, more, message)
}

func (s *secured) overFrames(conn net.Conn, path string, more []header, message []byte) int {
	s.t.Helper()
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range append([]header{
		{":method", "POST"}, {":scheme", "https"}, {":path", path}, {":authority", "test"}, {"content-type", "application/grpc"}, {"te", "trailers"},
	}, more...) {
		if err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			s.t.Fatal(err)
		}
	}
	_, err := io.WriteString(conn, http2.ClientPreface)
	for _, write := range []func() error{
		func() error { return framer.WriteSettings() },
		func() error {
			return framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
		},
		func() error { return framer.WriteData(1, true, message) },
	} {
		if err == nil {
			err = write()
		}
	}
	for { // what could not be written was refused before
		frame, err := framer.ReadFrame()
		if ne, late := errors.AsType[net.Error](err); late && ne.Timeout() {
			s.t.Errorf("%q: no answer", path)
		}
		switch f := frame.(type) {
		case nil:
			return -1
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return -1
		case *http2.MetaHeadersFrame:
			for _, field := range f.Fields {
				var code int
				if _, err := fmt.Sscan(field.Value, &code); field.Name == "grpc-status" && err == nil {
					return code
				}
			}
			if f.StreamEnded() {
				return -1
			}
		}
	}
}

// However an authorization header is written, it counts as gRPC's clients write it, or the call is
// nobody's.
func TestOddAuthorizationHeaders(t *testing.T) {
	t.Parallel()
	m := newMint(t)
	s := secure(t, nil, everything, func(cfg *facade.Config) { cfg.Access.ClientAuth, cfg.Access.Bearers = facade.RequestCertificates, m })
	token := m.good()
	message := framed(t, &dlmv1.InitRequest{})
	for _, value := range []string{"Bearer " + token, "bearer " + token, "bEARER " + token} {
		if code := s.byHand(nil, dlmv1.LockService_Init_FullMethodName, []header{{"authorization", value}}, message); code != 0 {
			t.Errorf("%.10q: %d, want it taken", value, code)
		}
		s.calls.take()
	}
	cut := token[:len(token)-1]
	one := func(value string) []header { return []header{{"authorization", value}} }
	for name, headers := range map[string][]header{
		"none":                nil,
		"a name in capitals":  {{"Authorization", "Bearer " + token}},
		"all in capitals":     {{"AUTHORIZATION", "Bearer " + token}},
		"twice":               {{"authorization", "Bearer " + token}, {"authorization", "Bearer " + token}},
		"a bad one, then":     {{"authorization", "Bearer " + cut}, {"authorization", "Bearer " + token}},
		"then a bad one":      {{"authorization", "Bearer " + token}, {"authorization", "Bearer " + cut}},
		"then an empty one":   {{"authorization", "Bearer " + token}, {"authorization", ""}},
		"binary":              {{"authorization-bin", "QmVhcmVy"}},
		"a proxy's":           {{"proxy-authorization", "Bearer " + token}},
		"a pseudo header":     {{":authorization", "Bearer " + token}},
		"empty":               one(""),
		"a space":             one(" "),
		"the scheme":          one("Bearer"),
		"the scheme, a space": one("Bearer "),
		"no scheme":           one(token),
		"another scheme":      one("Basic " + token),
		"two spaces":          one("Bearer  " + token),
		"a space before":      one(" Bearer " + token),
		"a space behind":      one("Bearer " + token + " "),
		"a space within":      one("Bearer " + token[:9] + " " + token[9:]),
		"a tab":               one("Bearer\t" + token),
		"a line's end":        one("Bearer " + token + "\n"),
		"a line's end within": one("Bearer " + token[:9] + "\r\n " + token[9:]),
		"a byte 0":            one("Bearer " + token + "\x00"),
		"a list":              one("Bearer " + token + ", Bearer " + token),
		"a list of one":       one("Bearer " + token + ","),
		"quoted":              one(`Bearer "` + token + `"`),
		"the scheme twice":    one("Bearer Bearer " + token),
		"a colon":             one("Bearer: " + token),
	} {
		code := s.byHand(nil, dlmv1.LockService_Init_FullMethodName, headers, message)
		if code != int(codes.Unauthenticated) && code != -1 {
			t.Errorf("%s: %d, want UNAUTHENTICATED or nothing", name, code)
		}
		if calls := s.calls.take(); len(calls) > 0 {
			t.Errorf("%s: the store was asked: %v", name, calls)
		}
	}
}

// What is nearly a method's name is none, whoever asks; and whoever is nobody learns no more.
func TestOddMethodNames(t *testing.T) {
	t.Parallel()
	s := secure(t, nil, everything)
	pair := s.named("a")
	message := framed(t, &dlmv1.InitRequest{})
	const init = dlmv1.LockService_Init_FullMethodName
	if code := s.byHand(&pair, init, nil, message); code != 0 {
		t.Errorf("%s: %d", init, code)
	}
	s.calls.take()
	for _, path := range []string{
		init[1:], "/" + init, "//" + init, init + "/", init + "//", strings.ToUpper(init), strings.ToLower(init), strings.Replace(init, "/Init", "//Init", 1),
		init + "?x=1", init + "#x", init + "%20", init + " ", " " + init, init + "\x00", "/%64" + init[2:], "/." + init, "/x/.." + init,
		"/grpc.health.v1.Health/../" + init[1:], "/grpc.health.v1.Health/Check/" + init[1:], "/grpc.health.v1.Health/check", "/grpc.health.v1.health/Check",
		"/dlm.v1.LockService/", "/dlm.v1.LockService", "/Init", "/", "", "*", "http://test" + init, strings.Replace(init, "v1", "v2", 1),
	} {
		for who, pair := range map[string]*certstest.Pair{"somebody": &pair, "nobody": nil} {
			code := s.byHand(pair, path, nil, message)
			if code == 0 || who == "nobody" && code != int(codes.Unauthenticated) && code != int(codes.Unimplemented) && code != -1 {
				t.Errorf("%q by %s: %d", path, who, code)
			}
			if calls := s.calls.take(); len(calls) > 0 {
				t.Errorf("%q by %s: the store was asked: %v", path, who, calls)
			}
		}
	}
}

// There is one way to speak to a server with certificates: HTTP/2 over a TLS session of its own.
func TestOddConnections(t *testing.T) {
	t.Parallel()
	s := secure(t, nil, everything)
	pair := s.named("a")
	message := framed(t, &dlmv1.InitRequest{})
	cfg := s.tls(&pair)
	cfg.NextProtos, cfg.ClientSessionCache = []string{"h2"}, tls.NewLRUClientSessionCache(8)
	for range 3 {
		conn, err := (&tls.Dialer{Config: cfg}).DialContext(t.Context(), "tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		state := conn.(*tls.Conn).ConnectionState()
		if code := s.overFrames(conn, dlmv1.LockService_Init_FullMethodName, nil, message); code != 0 || state.DidResume {
			t.Errorf("status %d, resumed: %v", code, state.DidResume)
		}
	}
	s.calls.take()
	for name, protocols := range map[string][]string{"none": nil, "another": {"http/1.1"}, "in plain text": {"h2c"}, "almost": {"H2"}} {
		cfg := s.tls(&pair)
		cfg.NextProtos = protocols
		conn, err := (&tls.Dialer{Config: cfg}).DialContext(t.Context(), "tcp", s.addr)
		if err != nil {
			continue
		}
		if code := s.overFrames(conn, dlmv1.LockService_Init_FullMethodName, nil, message); code != -1 {
			t.Errorf("protocol %s: status %d", name, code)
		}
	}
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	if code := s.overFrames(conn, dlmv1.LockService_Init_FullMethodName, nil, message); code != -1 {
		t.Errorf("in plain text: status %d", code)
	}
	if calls := s.calls.take(); len(calls) > 0 {
		t.Errorf("the store was asked: %v", calls)
	}
}

// A message of a stream is asked about as what it is decoded to: what it has besides counts for
// nothing.
func TestOddMessages(t *testing.T) {
	t.Parallel()
	s := secure(t, nil, "rules: [{identity: '*', locks: [mine], allow: [inspect, acquire]}]\n")
	conn := s.as("a")
	inspect := func(number uint64, lock string) *dlmv1.StreamRequest {
		return &dlmv1.StreamRequest{Call: number, Request: &dlmv1.StreamRequest_Inspect{Inspect: &dlmv1.InspectRequest{Lock: lock}}}
	}
	encode := func(requests ...*dlmv1.StreamRequest) (all []byte) {
		for _, m := range requests {
			b, err := proto.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		return all
	}
	evict := &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Evict{Evict: &dlmv1.EvictRequest{Lock: "mine", Reason: "r"}}}
	unknown := []byte{0xf2, 0x3e, 1, 'x'} // a field 1006
	for name, c := range map[string]struct {
		message []byte
		want    codes.Code
		asks    []string
	}{
		"its own":                       {encode(inspect(1, "mine")), codes.OK, []string{"Inspect"}},
		"with unknown fields":           {append(encode(inspect(1, "mine")), unknown...), codes.OK, []string{"Inspect"}},
		"no call":                       {encode(&dlmv1.StreamRequest{Call: 1}), codes.Unimplemented, nil},
		"nothing":                       {nil, codes.Unimplemented, nil},
		"a call of a later version":     {unknown, codes.Unimplemented, nil},
		"its own, and then another's":   {encode(inspect(1, "mine"), inspect(1, "yours")), codes.PermissionDenied, nil},
		"its own, and then a denied":    {encode(inspect(1, "mine"), evict), codes.PermissionDenied, nil},
		"a denied, and then its own":    {encode(evict, inspect(1, "mine")), codes.OK, []string{"Inspect"}},
		"another's, and then its own":   {encode(inspect(1, "yours"), inspect(1, "mine")), codes.OK, []string{"Inspect"}},
		"another's, with the number 0":  {encode(inspect(0, "yours")), codes.PermissionDenied, nil},
		"a name that begins as its own": {encode(inspect(1, "mine/../yours"), inspect(1, "mine2")), codes.PermissionDenied, nil},
	} {
		stream, err := conn.NewStream(storetest.Bounded(t), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
			dlmv1.LockService_Stream_FullMethodName, grpc.ForceCodec(rawCodec{}))
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.SendMsg(&c.message); err != nil {
			t.Fatal(err)
		}
		answer := receiveRaw(t, stream)
		if got := codes.Code(answer.GetError().GetCode()); got != c.want { //nolint:gosec // a code
			t.Errorf("%s: %v, want %v", name, answer, c.want)
		}
		if calls := s.calls.take(); !slices.Equal(calls, c.asks) {
			t.Errorf("%s: the store was asked %v, want %v", name, calls, c.asks)
		}
	}
}

// Calls that wait for their turn are asked about when it comes: what a policy denies meanwhile is
// not done any more.
func TestPendingCallsGoByThePolicyOfTheirTurn(t *testing.T) {
	t.Parallel()
	const calls = 2000
	begun, letGo := make(chan struct{}, calls), make(chan struct{})
	s := secure(t, scripted{do: func(_ context.Context, method string) error {
		if method == "Evict" {
			begun <- struct{}{}
			<-letGo
		}
		return nil
	}}, everything)
	stream, err := dlmv1.NewLockServiceClient(s.as("a")).Stream(storetest.Bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range calls {
		if err := stream.Send(&dlmv1.StreamRequest{Call: uint64(i) + 1, Request: &dlmv1.StreamRequest_Evict{
			Evict: &dlmv1.EvictRequest{Lock: "l", Token: 7, Reason: "r"},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	// Behind them a call that has its turn at once: all of them have come.
	if err := stream.Send(&dlmv1.StreamRequest{Call: calls + 1, Request: &dlmv1.StreamRequest_Close{Close: &dlmv1.CloseRequest{}}}); err != nil {
		t.Fatal(err)
	}
	if answer, err := stream.Recv(); err != nil || answer.GetClose() == nil {
		t.Fatalf("%v, %v", answer, err)
	}
	const atWork = 64
	for range atWork {
		wait(t, begun, "a call")
	}
	s.write(s.policy, "rules: [{identity: '*', locks: ['*'], allow: [inspect]}]\n")
	s.access.Policy.Look()
	close(letGo)
	done := 0
	for range calls {
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if code, _ := refusalOf(errorOf(answer.GetError())); code == codes.OK {
			done++
		} else if code != codes.PermissionDenied {
			t.Fatalf("%v", answer)
		}
	}
	if done != atWork {
		t.Errorf("%d of %d calls were made, want the %d that had begun", done, calls, atWork)
	}
}

// Who is not known can watch the health, and is not cut off for that; but what it has of the
// server's memory is bounded as everybody's, and others are served.
func TestHealthWatchesOfNobodyAreBounded(t *testing.T) {
	t.Parallel()
	refused := &refusals{}
	s := secure(t, nil, everything, func(cfg *facade.Config) {
		cfg.Limits.Buffer, cfg.Limits.ConnectionBuffer, cfg.Refused = 8<<20, 4<<20, refused.note
	})
	good := dlmv1.NewLockServiceClient(s.as("a"))
	ended := make(chan error, 10_000)
	for range 8 {
		health := healthpb.NewHealthClient(s.dial(nil))
		for range 500 {
			watch, err := health.Watch(t.Context(), &healthpb.HealthCheckRequest{})
			if err != nil {
				ended <- err
				continue
			}
			go func() {
				_, err := watch.Recv()
				for err == nil {
					_, err = watch.Recv()
				}
				ended <- err
			}()
		}
		if _, err := good.Inspect(storetest.Bounded(t), &dlmv1.InspectRequest{Lock: "l"}); err != nil {
			t.Fatalf("another's call: %v", err)
		}
	}
	if err := wait(t, ended, "the end of a watch"); err == nil {
		t.Error("a watch ended well")
	}
	if !refused.has("buffer") {
		t.Errorf("refused is %v, want buffer", refused.named)
	}
}

// Reflection is for whoever may do it when it asks: also over a stream that was opened before.
func TestReflectionGoesByThePolicyOfEachRequest(t *testing.T) {
	t.Parallel()
	s := secure(t, nil, everything)
	stream, err := reflectionpb.NewServerReflectionClient(s.as("a")).ServerReflectionInfo(storetest.Bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	ask := func() error {
		if err := stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
			t.Fatal(err)
		}
		return second(stream.Recv())
	}
	if err := ask(); err != nil {
		t.Error(err)
	}
	s.write(s.policy, "rules: [{identity: '*', locks: ['*'], allow: [acquire, append, read, inspect, evict]}]\n")
	s.access.Policy.Look()
	if _, reason := refusalOf(ask()); reason != "PERMISSION_DENIED" {
		t.Errorf("without admin: %q, want PERMISSION_DENIED", reason)
	}
}
