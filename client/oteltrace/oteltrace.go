package oteltrace

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/distributed-lock-manager/dlm/client"
)

// scope is whose spans they are.
const scope = "github.com/distributed-lock-manager/dlm/client"

const header = "traceparent"

// Hooks are those of a client whose calls are to be traced. nil: a call is traced by the provider
// that its context's span is of, and is not if it has none, at next to no cost.
func Hooks(provider trace.TracerProvider) client.Hooks {
	return client.Hooks{
		Call: func(ctx context.Context, c client.Call) client.CallHooks {
			from := provider
			if from == nil {
				around := trace.SpanFromContext(ctx)
				if !around.SpanContext().IsValid() {
					return client.CallHooks{}
				}
				from = around.TracerProvider()
			}
			return begin(ctx, from.Tracer(scope), c)
		},
		Lost: func(ctx context.Context, l client.Loss) {
			trace.SpanFromContext(ctx).AddEvent("lost", trace.WithAttributes(
				append(about(l.Lock, l.Session, l.Token), attribute.String("dlm.reason", l.Err.Error()))...))
		},
	}
}

// begin begins the span of a call.
func begin(ctx context.Context, tracer trace.Tracer, c client.Call) client.CallHooks {
	attributes := about(c.Lock, c.Session, c.Token)
	if c.File != "" {
		attributes = append(attributes, attribute.String("dlm.file", c.File))
	}
	ctx, span := tracer.Start(ctx, "dlm."+string(c.Op), trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
	return client.CallHooks{
		Traceparent: Traceparent(ctx),
		Queued:      func() { span.AddEvent("queued") },
		End: func(r client.Result) {
			span.SetAttributes(about("", r.Session, r.Token)...)
			switch {
			case r.Err != nil:
				span.SetStatus(codes.Error, r.Err.Error())
			case c.Op == client.OpAcquire:
				span.AddEvent("granted", trace.WithAttributes(attribute.Int64("dlm.token", r.Token)))
			}
			span.End()
		},
	}
}

// about are the attributes of what is known.
func about(lock, session string, token int64) (all []attribute.KeyValue) {
	if lock != "" {
		all = append(all, attribute.String("dlm.lock", lock))
	}
	if session != "" {
		all = append(all, attribute.String("dlm.session", session))
	}
	if token != 0 {
		all = append(all, attribute.Int64("dlm.token", token))
	}
	return all
}

// Traceparent is the trace context of a context's span, as the header of that name has it, and the
// variable TRACEPARENT for another process. Empty: there is none.
func Traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[header]
}

// WithTraceparent returns a context whose span is, in another process, the one that a traceparent
// names; ctx itself if it names none.
func WithTraceparent(ctx context.Context, traceparent string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{header: traceparent})
}
