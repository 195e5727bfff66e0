package main_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// collector receives traces, by OTLP over gRPC.
type collector struct {
	coltracepb.UnimplementedTraceServiceServer
	addr string

	mu    sync.Mutex
	spans []received
}

// received is a span, and whose it is.
type received struct {
	*tracepb.Span
	service string
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{addr: listener.Addr().String()}
	server := grpc.NewServer()
	coltracepb.RegisterTraceServiceServer(server, c)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(listener); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
		if t.Failed() {
			for _, s := range c.all() {
				t.Logf("%s: %s %x below %x in %x: %v", s.service, s.GetName(), s.GetSpanId(), s.GetParentSpanId(), s.GetTraceId(), s.GetEvents())
			}
		}
	})
	return c
}

func (c *collector) Export(_ context.Context, req *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range req.GetResourceSpans() {
		service := valueOf(r.GetResource().GetAttributes(), "service.name").GetStringValue()
		for _, s := range r.GetScopeSpans() {
			for _, s := range s.GetSpans() {
				c.spans = append(c.spans, received{s, service})
			}
		}
	}
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

func (c *collector) all() []received {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// one waits for a span of a name below another, in its trace, and fails the test if there are two.
func (c *collector) one(t *testing.T, service, name string, parent received) received {
	t.Helper()
	var found []received
	eventually(t, fmt.Sprintf("a span %s of %s below %x", name, service, parent.GetSpanId()), func() bool {
		found = slices.DeleteFunc(c.all(), func(s received) bool {
			return s.service != service || s.GetName() != name ||
				string(s.GetParentSpanId()) != string(parent.GetSpanId()) || string(s.GetTraceId()) != string(parent.GetTraceId())
		})
		return len(found) > 0
	})
	if len(found) > 1 {
		t.Errorf("%d spans %s of %s below %x", len(found), name, service, parent.GetSpanId())
	}
	return found[0]
}

// environ is what has traces sent to the collector.
func (c *collector) environ() []string {
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + c.addr, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_BSP_SCHEDULE_DELAY=50"}
}

func valueOf(attributes []*commonpb.KeyValue, key string) *commonpb.AnyValue {
	for _, a := range attributes {
		if a.GetKey() == key {
			return a.GetValue()
		}
	}
	return nil
}

// eventsOf are the names of a span's events.
func eventsOf(s received) (names []string) {
	for _, e := range s.GetEvents() {
		names = append(names, e.GetName())
	}
	return names
}

// parentOf is the span that a traceparent names.
func parentOf(t *testing.T, traceparent string) received {
	t.Helper()
	parts := strings.Split(traceparent, "-")
	if len(parts) != 4 {
		t.Fatalf("traceparent %q", traceparent)
	}
	trace, err := hex.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	span, err := hex.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	return received{Span: &tracepb.Span{TraceId: trace, SpanId: span}}
}

const (
	outerTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	unsampled  = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

// tracedServer is a server that sends its traces to the collector.
func tracedServer(t *testing.T, c *collector, args ...string) *server {
	t.Helper()
	s, err := startServerIn(c.environ(), "127.0.0.1:0", t.TempDir(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	})
	return s
}

// What a script does under a lock is one trace: the command is a span below the one that it was
// started under; its calls are below that, the server's work for each below the call, and what etcd
// is asked below that. A command within is told of the trace, and is part of it. No secret is in
// it.
func TestTraceThroughCommandServerAndEtcd(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	s := tracedServer(t, c, "--log-level", "debug")
	cmd := command(t, s.addr, "sh", "-c", `dlm lock traced/a sh -c 'echo $TRACEPARENT $DLM_SESSION; dlm append traced/a file "none of your business"'`)
	cmd.Env = append(cmd.Env, append(c.environ(), "TRACEPARENT="+outerTrace)...)
	inner, credential, _ := strings.Cut(strings.TrimSpace(must(t, cmd)), " ")

	lock := c.one(t, "dlm", "dlm lock", parentOf(t, outerTrace))
	if want := fmt.Sprintf("00-%x-%x-01", lock.GetTraceId(), lock.GetSpanId()); inner != want {
		t.Errorf("the command's TRACEPARENT is %s; want %s", inner, want)
	}
	acquire := c.one(t, "dlm", "dlm.acquire", lock)
	if got := eventsOf(acquire); !slices.Equal(got, []string{"granted"}) {
		t.Errorf("events of the acquire: %q", got)
	}
	token := valueOf(acquire.GetAttributes(), "dlm.token").GetIntValue()
	if token <= 0 || valueOf(acquire.GetAttributes(), "dlm.lock").GetStringValue() != "traced/a" {
		t.Errorf("attributes of the acquire: %v", acquire.GetAttributes())
	}
	c.one(t, "dlm-server", "dlm.v1.LockService/Init", acquire)
	served := c.one(t, "dlm-server", "dlm.v1.LockService/Acquire", acquire)
	if got := eventsOf(served); !slices.Equal(got, []string{"granted"}) {
		t.Errorf("events of the server's acquire: %q", got)
	}
	if want := fmt.Sprintf(`"trace_id":"%x","span_id":"%x"`, served.GetTraceId(), served.GetSpanId()); !strings.Contains(s.log.String(), want) {
		t.Errorf("the server's log does not have %s", want)
	}
	txn := c.one(t, "dlm-server", "etcd.txn", served)
	if got := valueOf(txn.GetAttributes(), "dlm.revision").GetIntValue(); got != token {
		t.Errorf("the grant is at revision %d; want the token, %d", got, token)
	}
	script := c.one(t, "dlm", "dlm append", lock)
	c.one(t, "dlm-server", "etcd.txn", c.one(t, "dlm-server", "dlm.v1.LockService/Append", c.one(t, "dlm", "dlm.append", script)))
	c.one(t, "dlm-server", "etcd.txn", c.one(t, "dlm-server", "dlm.v1.LockService/Release", c.one(t, "dlm", "dlm.release", lock)))

	_, secret, _ := strings.Cut(credential, ".")
	for _, s := range c.all() {
		for _, private := range []string{secret, "none of your business"} {
			if text := prototext.Format(s.Span); strings.Contains(text, private) {
				t.Errorf("%q is in a span: %s", private, text)
			}
		}
	}
}

// Of a wait the server's span says when it began, at which place, and when it ended. A wait that is
// given up is in the trace too, with all that it took.
func TestTraceOfAWait(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	s := tracedServer(t, c)
	holding := command(t, s.addr, dlmPath, "lock", "w", "sh", "-c", "echo held; read line")
	input, err := holding.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, holding).says(t, "held")
	waiter := command(t, s.addr, dlmPath, "append", "-q", "w", "f", "x")
	waiter.Env = append(waiter.Env, c.environ()...)
	patient := start(t, waiter)
	eventually(t, "a waiter", func() bool { return queueOf(t, s.addr, "w") == 1 })
	impatient := command(t, s.addr, dlmPath, "append", "-q", "-w", "1s", "w", "f", "x")
	impatient.Env = append(impatient.Env, append(c.environ(), "TRACEPARENT="+outerTrace)...)
	if r := run(t, impatient); r.code != 75 {
		t.Fatalf("exit code %d, %s", r.code, r.err)
	}
	input.Close()
	if code := patient.wait(t); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	served := c.one(t, "dlm-server", "dlm.v1.LockService/Acquire", c.one(t, "dlm", "dlm.acquire", rootOf(t, c, "dlm append")))
	if got := eventsOf(served); !slices.Equal(got, []string{"queued", "granted"}) {
		t.Fatalf("events %q", got)
	}
	if got := valueOf(served.GetEvents()[0].GetAttributes(), "dlm.position").GetIntValue(); got != 1 {
		t.Errorf("it waited at place %d; want 1", got)
	}
	gaveUp := c.one(t, "dlm", "dlm append", parentOf(t, outerTrace))
	if gaveUp.GetStatus().GetCode() != tracepb.Status_STATUS_CODE_ERROR || valueOf(gaveUp.GetAttributes(), "process.exit.code").GetIntValue() != 75 {
		t.Errorf("the command that gave up: %v, %v", gaveUp.GetStatus(), gaveUp.GetAttributes())
	}
	tried := c.one(t, "dlm", "dlm.acquire", gaveUp)
	served = c.one(t, "dlm-server", "dlm.v1.LockService/Acquire", tried)
	if got := eventsOf(served); len(got) == 0 || got[len(got)-1] != "busy" { // a slow machine may not have queued it
		t.Errorf("events of a wait that was given up: %q", got)
	}
}

// rootOf waits for a span that begins a trace.
func rootOf(t *testing.T, c *collector, name string) (found received) {
	t.Helper()
	eventually(t, "a trace that begins with "+name, func() bool {
		for _, s := range c.all() {
			if s.GetName() == name && len(s.GetParentSpanId()) == 0 {
				found = s
			}
		}
		return found.Span != nil
	})
	return found
}

// The calls of an external etcd are in the trace as well, and those that a server makes by itself
// are not.
func TestTraceOfAnExternalEtcd(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	etcd := startEtcd(t, 1, false)
	s := tracedServer(t, c, etcd.options(t)...)
	cmd := command(t, s.addr, dlmPath, "append", "ext", "f", "x")
	cmd.Env = append(cmd.Env, c.environ()...)
	must(t, cmd)
	publish := c.one(t, "dlm", "dlm.publish", rootOf(t, c, "dlm append"))
	txn := c.one(t, "dlm-server", "etcd.txn", c.one(t, "dlm-server", "dlm.v1.LockService/Publish", publish))
	c.one(t, "dlm-server", "etcdserverpb.KV/Txn", txn)
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for _, s := range c.all() {
		if len(s.GetParentSpanId()) == 0 && strings.HasPrefix(s.GetName(), "etcd") {
			t.Errorf("%s is in no trace of a call", s.GetName())
		}
	}
}

// What is not sampled is not sent, by whoever is told so.
func TestTraceThatIsNotSampled(t *testing.T) {
	t.Parallel()
	c := startCollector(t)
	s := tracedServer(t, c)
	cmd := command(t, s.addr, dlmPath, "lock", "u", "sh", "-c", "echo $TRACEPARENT")
	cmd.Env = append(cmd.Env, append(c.environ(), "TRACEPARENT="+unsampled)...)
	if got := strings.TrimSpace(must(t, cmd)); !strings.HasSuffix(got, "-00") || got[:36] != unsampled[:36] {
		t.Errorf("the command's TRACEPARENT is %q; want one of the same trace, not sampled", got)
	}
	never := command(t, s.addr, dlmPath, "append", "u", "f", "x")
	never.Env = append(never.Env, append(c.environ(), "OTEL_TRACES_SAMPLER=always_off")...)
	must(t, never)
	for i, hostile := range []string{"nonsense", strings.Repeat("0", 55), strings.Repeat("x", 64<<10)} {
		cmd := command(t, s.addr, dlmPath, "append", "u", "f", "x")
		cmd.Env = append(cmd.Env, append(c.environ(), "TRACEPARENT="+hostile, fmt.Sprintf("OTEL_SERVICE_NAME=hostile-%d", i))...)
		must(t, cmd)
		var found bool
		eventually(t, "a trace of the command", func() bool {
			for _, s := range c.all() {
				found = found || s.service == fmt.Sprintf("hostile-%d", i) && s.GetName() == "dlm append" && len(s.GetParentSpanId()) == 0
			}
			return found
		})
	}
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for _, s := range c.all() {
		if fmt.Sprintf("%x", s.GetTraceId()) == unsampled[3:35] {
			t.Errorf("%s was sent of a trace that is not sampled", s.GetName())
		}
		if s.service == "dlm" {
			t.Errorf("%s was sent by a command that samples nothing", s.GetName())
		}
	}
}

// Nobody is connected to unless that is asked for, and not if it is forbidden.
func TestNoTracesUnlessAsked(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	listen := func(addr string) string {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Skipf("the port where a collector is by default is taken: %v", err)
		}
		var accepting sync.WaitGroup
		accepting.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				connections.Add(1)
				conn.Close()
			}
		})
		t.Cleanup(func() {
			l.Close()
			accepting.Wait()
		})
		return l.Addr().String()
	}
	listen("127.0.0.1:4317")
	listen("127.0.0.1:4318")
	there := "OTEL_EXPORTER_OTLP_ENDPOINT=http://" + listen("127.0.0.1:0")
	for _, environ := range [][]string{
		{}, {"OTEL_SERVICE_NAME=x", "TRACEPARENT=" + outerTrace}, {there, "OTEL_SDK_DISABLED=true"}, {there, "OTEL_TRACES_EXPORTER=none"},
	} {
		s, err := startServerIn(environ, "127.0.0.1:0", filepath.Join(t.TempDir(), "data"))
		if err != nil {
			t.Fatal(err)
		}
		cmd := command(t, s.addr, dlmPath, "lock", "off", "sh", "-c", "echo $TRACEPARENT")
		cmd.Env = append(cmd.Env, environ...)
		got := strings.TrimSpace(must(t, cmd))
		if want := strings.Contains(strings.Join(environ, " "), outerTrace); (got == outerTrace) != want || got != "" && !want {
			t.Errorf("with %q the command's TRACEPARENT is %q; want what it was", environ, got)
		}
		if err := s.stop(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections to a collector that nobody asked for", n)
	}
	// The check can fail: this is asked for.
	cmd := dlm(t, "status")
	cmd.Env = append(cmd.Env, there)
	must(t, cmd)
	if connections.Load() == 0 {
		t.Error("no connection to a collector that is asked for")
	}
}

// A collector that is not there, or says nothing, costs a command a moment at its end and a line,
// and neither its result nor its exit code.
func TestDeadCollector(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // what comes is accepted by the kernel, and never answered
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	plain := time.Now()
	run(t, dlm(t, "lock", "dead/none", "sh", "-c", "exit 3"))
	usual := time.Since(plain)
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		for name, addr := range map[string]string{"gone": storetest.FreeAddr(t), "silent": silent.Addr().String()} {
			cmd := dlm(t, "lock", "dead/"+name, "sh", "-c", "echo done; exit 3")
			cmd.Env = append(cmd.Env, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+addr, "OTEL_EXPORTER_OTLP_PROTOCOL="+protocol, "OTEL_BSP_SCHEDULE_DELAY=10")
			began := time.Now()
			r := run(t, cmd)
			took := time.Since(began)
			if r.code != 3 || r.out != "done\n" {
				t.Errorf("%s, %s: exit code %d, printed %q", protocol, name, r.code, r.out)
			}
			if lines := strings.Count(r.err, "\n"); lines != 1 || !strings.HasPrefix(r.err, "dlm: traces: ") {
				t.Errorf("%s, %s: said %q; want one line about traces", protocol, name, r.err)
			}
			bound := usual + 1500*time.Millisecond
			if !*punctual {
				bound = 5 * bound
			}
			if took > bound {
				t.Errorf("%s, %s: took %v, and %v without a collector", protocol, name, took, usual)
			}
			t.Logf("%s, %s: %v, %v without a collector", protocol, name, took.Round(time.Millisecond), usual.Round(time.Millisecond))
		}
	}
	// A server says so too, and serves.
	s, err := startServerIn([]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + storetest.FreeAddr(t), "OTEL_BSP_SCHEDULE_DELAY=10", "OTEL_EXPORTER_OTLP_TIMEOUT=100"},
		"127.0.0.1:0", filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	must(t, command(t, s.addr, dlmPath, "append", "dead/server", "f", "x"))
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(s.log.String(), "traces cannot be exported") {
		t.Errorf("the server's log says nothing of its collector: %s", s.log.String())
	}
}

// What the environment asks for and there is not is said: by a command, which goes on, and by a
// server, which does not start.
func TestTracesThatThereAreNot(t *testing.T) {
	t.Parallel()
	for _, environ := range []string{"OTEL_TRACES_EXPORTER=zipkin", "OTEL_EXPORTER_OTLP_PROTOCOL=http/json"} {
		name, _, _ := strings.Cut(environ, "=")
		environ := []string{environ, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"}
		cmd := dlm(t, "append", "-q", "odd", "f", "x")
		cmd.Env = append(cmd.Env, environ...)
		if r := run(t, cmd); r.code != 0 || !strings.HasPrefix(r.err, "dlm: traces: "+name+" is ") || strings.Count(r.err, "\n") != 1 {
			t.Errorf("%q: exit code %d, %q", environ, r.code, r.err)
		}
		server := command(t, "", dlmPath, "server", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(t.TempDir(), "data"))
		server.Env = append(os.Environ(), environ...)
		if r := run(t, server); r.code != 78 || !strings.Contains(r.err, "traces: "+name+" is ") {
			t.Errorf("%q: exit code %d, %q", environ, r.code, r.err)
		}
	}
}
