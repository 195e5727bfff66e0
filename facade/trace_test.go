package facade_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

const (
	someTrace  = "0af7651916cd43dd8448eb211c80319c"
	someSpan   = "b7ad6b7169203331"
	someParent = "00-" + someTrace + "-" + someSpan + "-01"
)

// startTraced starts a service whose spans are recorded.
func startTraced(t *testing.T) (*facadetest.Node, *tracetest.SpanRecorder) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	return facadetest.Start(t, facadetest.WithTracer(provider.Tracer("test"))), recorder
}

// spans are those of a name that have ended, oldest first.
func spans(r *tracetest.SpanRecorder, name string) []sdktrace.ReadOnlySpan {
	return slices.DeleteFunc(r.Ended(), func(s sdktrace.ReadOnlySpan) bool { return s.Name() != name })
}

// span waits for one span of a name.
func span(t *testing.T, r *tracetest.SpanRecorder, name string) sdktrace.ReadOnlySpan {
	t.Helper()
	var found []sdktrace.ReadOnlySpan
	storetest.Eventually(t, "the span "+name, func() bool {
		found = spans(r, name)
		return len(found) > 0
	})
	if len(found) > 1 {
		t.Fatalf("%d spans %s", len(found), name)
	}
	return found[0]
}

// eventsOf are a span's, with their attributes.
func eventsOf(s sdktrace.ReadOnlySpan) (all []string) {
	for _, e := range s.Events() {
		text := e.Name
		for _, a := range e.Attributes {
			text += fmt.Sprintf(" %s=%s", a.Key, a.Value.String())
		}
		all = append(all, text)
	}
	return all
}

// attr is a span's attribute; empty: it has none of that name.
func attr(s sdktrace.ReadOnlySpan, key attribute.Key) string {
	for _, a := range s.Attributes() {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return ""
}

// wantWithin wants a span to be below the one that the client has named.
func wantWithin(t *testing.T, s sdktrace.ReadOnlySpan) {
	t.Helper()
	if s.Parent().SpanID().String() != someSpan || s.SpanContext().TraceID().String() != someTrace {
		t.Errorf("%s is in trace %s below %s; want %s below %s", s.Name(), s.SpanContext().TraceID(), s.Parent().SpanID(), someTrace, someSpan)
	}
}

// A call is a span below the one that its client names, by a header or in a message of a stream,
// and what etcd is asked for it is below that. An acquire has its place in the queue and its grant
// as events. Credentials and what is appended are nowhere.
func TestCallsAreSpans(t *testing.T) {
	t.Parallel()
	n, recorder := startTraced(t)
	ctx := storetest.Bounded(t)
	unary := dlmv1.NewLockServiceClient(n.Dial(0))
	init := func() *dlmv1.InitResponse {
		t.Helper()
		m, err := unary.Init(ctx, &dlmv1.InitRequest{Ttl: durationpb.New(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	holder, waiter := init(), init()
	recorder.Reset()

	traced := metadata.AppendToOutgoingContext(ctx, "traceparent", someParent)
	held, err := unary.Acquire(traced, &dlmv1.AcquireRequest{Session: holder.GetSession(), Lock: "a/b", Request: "1"})
	if err != nil {
		t.Fatal(err)
	}
	s := span(t, recorder, "dlm.v1.LockService/Acquire")
	wantWithin(t, s)
	if got, want := eventsOf(s), []string{fmt.Sprintf("granted dlm.token=%d", held.GetToken())}; !slices.Equal(got, want) {
		t.Errorf("events of an acquire that got a free lock: %q; want %q", got, want)
	}
	if attr(s, "dlm.lock") != "a/b" || attr(s, "dlm.session") != holder.GetId() || attr(s, "dlm.token") != fmt.Sprint(held.GetToken()) {
		t.Errorf("attributes %v", s.Attributes())
	}
	txn := span(t, recorder, "etcd.txn")
	if txn.Parent().SpanID() != s.SpanContext().SpanID() || attr(txn, "dlm.revision") != fmt.Sprint(held.GetToken()) {
		t.Errorf("what etcd was asked is below %s, attributes %v; want below %s", txn.Parent().SpanID(), txn.Attributes(), s.SpanContext().SpanID())
	}
	recorder.Reset()

	mux := openMux(t, n.Dial(0))
	answer, err := mux.send(&dlmv1.StreamRequest{Traceparent: someParent, Request: &dlmv1.StreamRequest_Acquire{
		Acquire: &dlmv1.AcquireRequest{Session: waiter.GetSession(), Lock: "a/b", Request: "1"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	inspectUntilQueued(t, unary, "a/b")
	if _, err := unary.Append(traced, &dlmv1.AppendRequest{
		Session: holder.GetSession(), Lock: "a/b", Token: held.GetToken(), Request: "2", File: "f", Data: []byte("not to be told"),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := unary.Release(traced, &dlmv1.ReleaseRequest{Session: holder.GetSession(), Lock: "a/b", Token: held.GetToken(), Appended: true}); err != nil {
		t.Fatal(err)
	}
	token := (<-answer).GetAcquire().GetToken()
	s = span(t, recorder, "dlm.v1.LockService/Acquire")
	wantWithin(t, s)
	if got, want := eventsOf(s), []string{"queued dlm.position=1 dlm.queue_length=1", fmt.Sprintf("granted dlm.token=%d", token)}; !slices.Equal(got, want) {
		t.Errorf("events of an acquire that waited: %q; want %q", got, want)
	}
	wantWithin(t, span(t, recorder, "dlm.v1.LockService/Append"))
	wantWithin(t, span(t, recorder, "dlm.v1.LockService/Release"))
	for _, s := range recorder.Ended() {
		for _, secret := range []string{secretOf(holder.GetSession()), secretOf(waiter.GetSession()), "not to be told"} {
			if text := fmt.Sprint(s.Attributes(), eventsOf(s), s.Status()); strings.Contains(text, secret) {
				t.Errorf("%s has %q: %s", s.Name(), secret, text)
			}
		}
	}
}

// secretOf is what of a credential nobody else may know.
func secretOf(credential string) string {
	_, secret, _ := strings.Cut(credential, ".")
	return secret
}

func inspectUntilQueued(t *testing.T, api dlmv1.LockServiceClient, lock string) {
	t.Helper()
	storetest.Eventually(t, "a waiter", func() bool {
		m, err := api.Inspect(t.Context(), &dlmv1.InspectRequest{Lock: lock})
		return err == nil && m.GetLock().GetQueueLength() > 0
	})
}

// What is no trace context is passed over: the call is made, and begins a trace. What its client
// does not want traced is not.
func TestTraceparentOfAnyForm(t *testing.T) {
	t.Parallel()
	n, recorder := startTraced(t)
	ctx := storetest.Bounded(t)
	unary := dlmv1.NewLockServiceClient(n.Dial(0))
	mux := openMux(t, n.Dial(0))
	list := map[string]func(string) error{
		"a header": func(text string) error {
			_, err := unary.List(metadata.AppendToOutgoingContext(ctx, "traceparent", text), &dlmv1.ListRequest{})
			return err
		},
		"a message": func(text string) error {
			answer, err := mux.send(&dlmv1.StreamRequest{Traceparent: text, Request: &dlmv1.StreamRequest_List{List: &dlmv1.ListRequest{}}})
			if err == nil {
				err = errorOf((<-answer).GetError())
			}
			return err
		},
	}
	for _, text := range []string{
		"", "x", strings.Repeat("0", 55), strings.Repeat("-", 55), strings.Repeat("a", 10<<10),
		"00-" + strings.Repeat("0", 32) + "-" + someSpan + "-01", "00-" + someTrace + "-" + strings.Repeat("0", 16) + "-01",
		"ff-" + someTrace + "-" + someSpan + "-01", "00-" + strings.ToUpper(someTrace) + "-" + someSpan + "-01",
		someParent + "-and-more", someParent[:54], someParent[:54] + "g", "00_" + someTrace + "-" + someSpan + "-01",
	} {
		for way, ask := range list {
			recorder.Reset()
			if err := ask(text); err != nil {
				t.Fatalf("%.60q as %s: %v", text, way, err)
			}
			if s := span(t, recorder, "dlm.v1.LockService/List"); s.Parent().IsValid() {
				t.Errorf("%.60q as %s: the span is below %s", text, way, s.Parent().SpanID())
			}
		}
	}
	for way, ask := range list {
		recorder.Reset()
		if err := ask(someParent[:54] + "0"); err != nil {
			t.Fatal(err)
		}
		if err := ask(""); err != nil { // after which the first would be there
			t.Fatal(err)
		}
		if s := span(t, recorder, "dlm.v1.LockService/List"); s.Parent().IsValid() {
			t.Errorf("%s whose client does not want it traced is a span", way)
		}
	}
	recorder.Reset()
	two := metadata.AppendToOutgoingContext(ctx, "traceparent", someParent, "traceparent", someParent)
	if _, err := unary.List(two, &dlmv1.ListRequest{}); err != nil {
		t.Fatal(err)
	}
	if s := span(t, recorder, "dlm.v1.LockService/List"); s.Parent().IsValid() {
		t.Error("of two headers one was taken")
	}
}

// What clients do by themselves begins no trace, and a call that is refused before it is served is
// no span, so that strangers cannot have the server tell of them.
func TestCallsThatAreNoSpans(t *testing.T) {
	t.Parallel()
	n, recorder := startTraced(t)
	ctx := storetest.Bounded(t)
	unary := dlmv1.NewLockServiceClient(n.Dial(0))
	m, err := unary.Init(ctx, &dlmv1.InitRequest{Ttl: durationpb.New(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	span(t, recorder, "dlm.v1.LockService/Init")
	recorder.Reset()
	if _, err := unary.Heartbeat(ctx, &dlmv1.HeartbeatRequest{Session: m.GetSession()}); err != nil {
		t.Fatal(err)
	}
	traced := metadata.AppendToOutgoingContext(ctx, "traceparent", someParent)
	if _, err := unary.Inspect(traced, &dlmv1.InspectRequest{Lock: strings.Repeat("x", 64<<10)}); err == nil {
		t.Fatal("a request of 64 KiB was served")
	}
	if _, err := unary.Close(ctx, &dlmv1.CloseRequest{Session: m.GetSession()}); err != nil {
		t.Fatal(err)
	}
	if _, err := unary.List(ctx, &dlmv1.ListRequest{}); err != nil {
		t.Fatal(err)
	}
	span(t, recorder, "dlm.v1.LockService/List")
	for _, s := range recorder.Ended() {
		if s.Name() != "dlm.v1.LockService/List" && s.Name() != "etcd.txn" {
			t.Errorf("span %s", s.Name())
		}
	}
}

// A call that fails says why in one word.
func TestFailedCallIsASpan(t *testing.T) {
	t.Parallel()
	n, recorder := startTraced(t)
	unary := dlmv1.NewLockServiceClient(n.Dial(0))
	if _, err := unary.Inspect(storetest.Bounded(t), &dlmv1.InspectRequest{Lock: "nobody/knows"}); err == nil {
		t.Fatal("a lock that is not there was found")
	}
	s := span(t, recorder, "dlm.v1.LockService/Inspect")
	if attr(s, "dlm.reason") != "LOCK_NOT_FOUND" || attr(s, "rpc.response.status_code") != "NotFound" || s.Status().Description != "LOCK_NOT_FOUND" {
		t.Errorf("attributes %v, status %v", s.Attributes(), s.Status())
	}
}
