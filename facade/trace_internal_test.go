package facade

import (
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// Of calls that etcd is asked for together, the first has the transaction in its trace, with what
// the call of etcd itself makes of it; each other has one of its own, and a link to there.
func TestTransactionOfManyCalls(t *testing.T) {
	t.Parallel()
	recorder := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("test")
	var calls [3]*callTrace
	for i := range calls {
		_, span := tracer.Start(t.Context(), "call")
		calls[i] = &callTrace{tracer, span}
	}
	ctx := t.Context()
	for _, c := range calls {
		next, done := c.Ask(ctx, len(calls))
		defer done(7, nil)
		ctx = next
	}
	_, asked := tracer.Start(ctx, "etcd")
	asked.End()
	var txns []sdktrace.ReadWriteSpan
	for _, s := range recorder.Started() {
		if s.Name() == "etcd.txn" {
			txns = append(txns, s)
		}
	}
	if len(txns) != len(calls) {
		t.Fatalf("%d spans; want %d", len(txns), len(calls))
	}
	lead := txns[0].SpanContext()
	for i, s := range txns {
		if s.Parent().SpanID() != calls[i].span.SpanContext().SpanID() {
			t.Errorf("transaction %d is not below its call", i)
		}
		links := s.Links()
		if i == 0 && len(links) != 0 || i > 0 && (len(links) != 1 || !links[0].SpanContext.Equal(lead)) {
			t.Errorf("transaction %d has the links %v; want one to the first, if it is another", i, links)
		}
	}
	if got := recorder.Ended()[0].Parent(); !got.Equal(lead) {
		t.Errorf("the call of etcd is below %s; want below the first transaction", got.SpanID())
	}
}
