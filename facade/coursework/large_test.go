package coursework_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	pb "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

// What is far too large is refused with a status: gRPC's error would be repeated for ever.
func TestTooLargeForAMessage(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	c := join(t, node, 0)
	large := string(bytes.Repeat([]byte("x"), 17<<20))
	c.acquires("1-1", success)
	c.appends("1-2", "file_0", large, file)
	c.appends("1-2", large, "x", file)
	c.appends(large, "file_0", "x", file)
	c.acquires(large, file)
	c.releases(large, file)
	c.appends("1-2", "file_0", "a", success)
	c.releases("1-3", success)
	reads(t, node, "file_0", "a")
}

// A message that says that it has a gigabyte is refused when its beginning has come: it is not
// waited for, nor kept.
func TestTooLargeIsNotReceived(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	for _, method := range []string{pb.LockService_FileAppend_FullMethodName, pb.LockService_LockAcquire_FullMethodName, pb.LockService_LockRelease_FullMethodName} {
		body, rest := io.Pipe()
		req, err := http.NewRequestWithContext(storetest.Bounded(t), http.MethodPost, "http://"+node.Addr()+method, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Content-Type": {"application/grpc"}, "Te": {"trailers"}}
		go func() {
			_, _ = rest.Write(append(binary.BigEndian.AppendUint32([]byte{0}, 1<<30), "its beginning"...))
		}()
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(resp.Body)
		rest.Close()
		if code := resp.Trailer.Get("Grpc-Status"); err != nil || code != "0" || len(answer) < 5 {
			t.Fatalf("%s: %q, %v, status %q %s %v", method, answer, err, code, resp.Trailer.Get("Grpc-Message"), resp.Header)
		}
		var got pb.Response
		if err := proto.Unmarshal(answer[5:], &got); err != nil || got.GetStatus() != file {
			t.Errorf("%s: %v, %v", method, &got, err)
		}
	}
}

// What was malformed is an error, and no answer is made up for it.
func TestMalformedMessage(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	conn := node.Dial(0)
	for _, method := range []string{pb.LockService_FileAppend_FullMethodName, pb.LockService_LockAcquire_FullMethodName} {
		var got pb.Response
		err := conn.Invoke(storetest.Bounded(t), method, []byte{0x0a, 0xff}, &got, grpc.ForceCodec(raw{}))
		if err == nil {
			t.Errorf("%s of what is no message: %v", method, &got)
		}
	}
}

// raw is a codec that sends bytes as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return v.([]byte), nil }
func (raw) Unmarshal([]byte, any) error   { return nil }
func (raw) Name() string                  { return "proto" }
