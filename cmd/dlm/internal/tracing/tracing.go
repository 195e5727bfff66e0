package tracing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr/funcr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Errors of [Start].
var (
	// ErrExporter: OTEL_TRACES_EXPORTER names what there is not here.
	ErrExporter = errors.New("OTEL_TRACES_EXPORTER")
	// ErrProtocol: OTEL_EXPORTER_OTLP_PROTOCOL, or that of traces, does.
	ErrProtocol = errors.New("OTEL_EXPORTER_OTLP_PROTOCOL")
)

// Config is what a process says of itself.
type Config struct {
	Service  string // its name, unless the environment has one
	Version  string
	Instance string // which of those of that name it is; empty: it does not say
	// Hasty gives an export up after a second, and does not repeat it: for what ends soon.
	Hasty bool
	// Say is told, from any goroutine, what is wrong with exporting.
	Say func(problem string)
}

// hastyLimit bounds an export that is hasty.
const hastyLimit = time.Second

// Tracing exports traces.
type Tracing struct{ provider *sdktrace.TracerProvider }

// Asked reports whether the environment asks for traces.
func Asked() bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	if exporter := os.Getenv("OTEL_TRACES_EXPORTER"); exporter != "" {
		return exporter != "none"
	}
	return endpoint() != ""
}

// endpoint is where the environment has traces sent.
func endpoint() string {
	return cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"))
}

// Start begins to export as the environment says. It returns nil if that does not ask for it. It
// does not connect: that a collector is not there is told later, by Say.
//
// Errors: [ErrExporter], [ErrProtocol], or one of an exporter that cannot be made, as with a file
// of certificates that is not there.
func Start(ctx context.Context, cfg Config) (*Tracing, error) {
	if !Asked() {
		return nil, nil
	}
	if exporter := os.Getenv("OTEL_TRACES_EXPORTER"); exporter != "" && exporter != "otlp" {
		return nil, fmt.Errorf("%w is %q: want otlp or none", ErrExporter, exporter)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { cfg.Say(err.Error()) }))
	otel.SetLogger(funcr.New(func(_, args string) { cfg.Say(args) }, funcr.Options{}))
	exporter, err := newExporter(ctx, cfg.Hasty)
	if err != nil {
		return nil, err
	}
	about, err := describe(ctx, cfg)
	if err != nil {
		cfg.Say(err.Error()) // what could be told of this process is there all the same
	}
	return &Tracing{sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))}, nil
}

func newExporter(ctx context.Context, hasty bool) (*otlptrace.Exporter, error) {
	switch protocol() {
	case "grpc":
		var options []otlptracegrpc.Option
		if hasty {
			options = append(options, otlptracegrpc.WithTimeout(hastyLimit), otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}))
		}
		return otlptracegrpc.New(ctx, options...)
	case "http/protobuf":
		var options []otlptracehttp.Option
		if hasty {
			options = append(options, otlptracehttp.WithTimeout(hastyLimit), otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}))
		}
		return otlptracehttp.New(ctx, options...)
	}
	return nil, fmt.Errorf("%w is %q: want grpc or http/protobuf", ErrProtocol, protocol())
}

// protocol is how the collector is spoken to.
func protocol() string {
	set := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"))
	if u, err := url.Parse(endpoint()); set == "" && err == nil && u.Port() == "4317" {
		return "grpc"
	}
	return cmp.Or(set, "http/protobuf")
}

// describe is what is told of this process.
func describe(ctx context.Context, cfg Config) (*resource.Resource, error) {
	own := []attribute.KeyValue{attribute.String("service.name", cfg.Service), attribute.String("service.version", cfg.Version)}
	if cfg.Instance != "" {
		own = append(own, attribute.String("service.instance.id", cfg.Instance))
	}
	return resource.New(ctx, resource.WithAttributes(own...), resource.WithTelemetrySDK(), resource.WithFromEnv())
}

// Provider makes the spans that are exported.
func (t *Tracing) Provider() trace.TracerProvider { return t.provider }

// Close exports what is left, within ctx.
func (t *Tracing) Close(ctx context.Context) {
	if err := t.provider.Shutdown(ctx); err != nil && ctx.Err() == nil {
		otel.Handle(err)
	} else if err != nil {
		otel.Handle(fmt.Errorf("what was left of the traces could not be exported in time: %w", err))
	}
}
