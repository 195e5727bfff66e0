package oteltrace_test

import (
	"context"
	"fmt"
	"log"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/client/oteltrace"
)

// A program has a provider already, with an exporter of its own: here one that keeps the spans.
func ExampleHooks() {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	defer func() { _ = provider.Shutdown(context.Background()) }()

	c, err := client.Open(client.Config{Endpoints: []string{endpoint}, Hooks: oteltrace.Hooks(provider)})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	ctx, span := provider.Tracer("example").Start(context.Background(), "ship an order")
	err = c.Do(ctx, "orders", func(ctx context.Context, l *client.Lock) error {
		return l.Append(ctx, "audit.log", []byte("shipped 17\n"))
	})
	span.End()
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range exporter.GetSpans() {
		fmt.Println(s.Name)
	}
	// Output:
	// dlm.acquire
	// dlm.append
	// dlm.release
	// ship an order
}
