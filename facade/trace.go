package facade

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	lockservice "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
)

// traceparent is the header, and the length that it has, by which a call says in which trace it is:
// W3C's Trace Context, version 00. Calls of a multiplexed stream have a field of that name.
const (
	traceparentHeader = "traceparent"
	traceparentBytes  = 55
)

// The attributes of spans and their events. A lock is named, and a session by its public id;
// neither credentials nor what is appended or read ever are.
const (
	attrLock     = attribute.Key("dlm.lock")
	attrSession  = attribute.Key("dlm.session")
	attrToken    = attribute.Key("dlm.token")
	attrPosition = attribute.Key("dlm.position")
	attrQueue    = attribute.Key("dlm.queue_length")
	attrTogether = attribute.Key("dlm.transactions")
	attrRevision = attribute.Key("dlm.revision")
	attrReason   = attribute.Key("dlm.reason")
)

// maxTraced bounds in bytes the names that a span has: the longest that a lock can have.
const maxTraced = etcdstore.MaxLockName

// callTrace is the span of a call.
type callTrace struct {
	tracer trace.Tracer
	span   trace.Span
}

// traced begins the span of an admitted call. A call that is refused before has none: what
// strangers send costs no more than the refusal. With nobody to tell, or a caller that does not
// want it traced, there is none either.
func (c *call) traced() {
	tracer := c.service.tracer
	if tracer == nil {
		return
	}
	parent := c.parent()
	if !parent.IsValid() && !begins(c.method) || !traces(c.method) {
		return
	}
	ctx := c.ctx
	if parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	service, method, _ := strings.Cut(strings.TrimPrefix(c.method, "/"), "/")
	ctx, span := tracer.Start(ctx, service+"/"+method, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(c.began),
		trace.WithAttributes(attribute.String("rpc.system.name", "grpc"), attribute.String("rpc.method", service+"/"+method)))
	if !span.IsRecording() {
		return
	}
	c.trace = &callTrace{tracer, span}
	c.ctx = etcdstore.WithFollower(ctx, c.trace)
}

// parent is the span that a call says it is part of. What cannot be one is passed over.
func (c *call) parent() trace.SpanContext {
	var text string
	if c.muxed != nil {
		text = c.muxed.traceparent
	} else if headers := metadata.ValueFromIncomingContext(c.ctx, traceparentHeader); len(headers) == 1 {
		text = headers[0]
	}
	if len(text) != traceparentBytes {
		return trace.SpanContext{}
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{traceparentHeader: text})
	return trace.SpanContextFromContext(ctx)
}

// traceparentOf is what a message says of that. Nothing else is kept of one that is not as long as
// it has to be.
func traceparentOf(req *dlmv1.StreamRequest) string {
	if text := req.GetTraceparent(); len(text) == traceparentBytes {
		return text
	}
	return ""
}

// traces reports whether a method's calls have spans. Those that go on for as long as their client
// likes have none: they would be told of when they end.
func traces(method string) bool {
	switch method {
	case dlmv1.LockService_Stream_FullMethodName, dlmv1.LockService_Watch_FullMethodName, dlmv1.LockService_Tail_FullMethodName:
		return false
	}
	return !exempt(method)
}

// begins reports whether a method's calls begin a trace if they are part of none. What clients do
// by themselves, again and again, does not.
func begins(method string) bool {
	switch method {
	case dlmv1.LockService_Heartbeat_FullMethodName, dlmv1.LockService_Close_FullMethodName,
		lockservice.LockService_ClientClose_FullMethodName:
		return false
	}
	return true
}

// end ends the span of a call, by its request, its answer and its error as the client sees it.
func (t *callTrace) end(req, resp any, err error) {
	if t == nil {
		return
	}
	if m, is := resp.(*dlmv1.AcquireResponse); is {
		switch m.GetOutcome() {
		case dlmv1.AcquireResponse_OUTCOME_GRANTED:
			t.span.AddEvent("granted", trace.WithAttributes(attrToken.Int64(m.GetToken())))
		case dlmv1.AcquireResponse_OUTCOME_BUSY:
			t.span.AddEvent("busy", trace.WithAttributes(attrPosition.Int64(int64(m.GetPosition())), attrQueue.Int64(int64(m.GetQueueLength()))))
		case dlmv1.AcquireResponse_OUTCOME_CANCELLED:
			t.span.AddEvent("cancelled")
		}
	}
	for _, a := range subject(req, resp) {
		switch a.Key {
		case "session":
			t.span.SetAttributes(attrSession.String(a.Value.String()))
		case "token":
			t.span.SetAttributes(attrToken.Int64(a.Value.Int64()))
		}
	}
	if m, is := req.(interface{ GetLock() string }); is && m.GetLock() != "" {
		t.span.SetAttributes(attrLock.String(quoteAt(m.GetLock(), maxTraced)))
	}
	if err != nil {
		t.span.SetAttributes(attrReason.String(codeOf(err)), attribute.String("rpc.response.status_code", status.Code(err).String()))
		t.span.SetStatus(codes.Error, codeOf(err))
	}
	t.span.End()
}

// Queued tells that the call waits.
func (t *callTrace) Queued(place, length int) {
	t.span.AddEvent("queued", trace.WithAttributes(attrPosition.Int(place), attrQueue.Int(length)))
}

// Ask makes a span of what etcd is asked for the call. One call of etcd may serve many: the first
// of them has it in its trace, and the others have a link to there.
func (t *callTrace) Ask(ctx context.Context, transactions int) (context.Context, func(rev int64, err error)) {
	how := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrTogether.Int(transactions))}
	leader := trace.SpanContextFromContext(ctx)
	leads := !leader.IsValid() || leader.Equal(t.span.SpanContext())
	if !leads {
		how = append(how, trace.WithLinks(trace.Link{SpanContext: leader}))
	}
	own, span := t.tracer.Start(trace.ContextWithSpan(ctx, t.span), "etcd.txn", how...)
	if leads {
		ctx = own
	}
	return ctx, func(rev int64, err error) {
		if rev > 0 {
			span.SetAttributes(attrRevision.Int64(rev))
		}
		if err != nil {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}
