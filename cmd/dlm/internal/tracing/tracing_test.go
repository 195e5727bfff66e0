package tracing_test

import (
	"errors"
	"testing"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/tracing"
)

// Nothing is made unless the environment asks for it, and what it asks for and there is not is an
// error that says so.
func TestStartGoesByTheEnvironment(t *testing.T) {
	type environ map[string]string
	const there = "http://127.0.0.1:1"
	for name, test := range map[string]struct {
		environ environ
		asked   bool
		want    error
	}{
		"nothing":                    {environ{}, false, nil},
		"a name only":                {environ{"OTEL_SERVICE_NAME": "x"}, false, nil},
		"a protocol only":            {environ{"OTEL_EXPORTER_OTLP_PROTOCOL": "odd"}, false, nil},
		"an endpoint":                {environ{"OTEL_EXPORTER_OTLP_ENDPOINT": there}, true, nil},
		"an endpoint of traces":      {environ{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": there}, true, nil},
		"an endpoint of metrics":     {environ{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": there}, false, nil},
		"an exporter":                {environ{"OTEL_TRACES_EXPORTER": "otlp"}, true, nil},
		"none":                       {environ{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": there}, false, nil},
		"disabled":                   {environ{"OTEL_SDK_DISABLED": "TRUE", "OTEL_TRACES_EXPORTER": "otlp"}, false, nil},
		"not disabled":               {environ{"OTEL_SDK_DISABLED": "false", "OTEL_TRACES_EXPORTER": "otlp"}, true, nil},
		"another exporter":           {environ{"OTEL_TRACES_EXPORTER": "zipkin"}, true, tracing.ErrExporter},
		"another protocol":           {environ{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, true, tracing.ErrProtocol},
		"that of traces comes first": {environ{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "odd", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, true, nil},
		"gRPC's port":                {environ{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317"}, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, key := range []string{
				"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
				"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
			} {
				t.Setenv(key, test.environ[key]) // one that is empty counts as not set, as in OpenTelemetry's rules
			}
			if got := tracing.Asked(); got != test.asked {
				t.Errorf("asked: %t; want %t", got, test.asked)
			}
			made, err := tracing.Start(t.Context(), tracing.Config{Service: "x", Say: func(string) {}})
			if !errors.Is(err, test.want) || (made != nil) != (test.asked && test.want == nil) {
				t.Errorf("made: %t, %v; want %t, %v", made != nil, err, test.asked && test.want == nil, test.want)
			}
			if made != nil {
				made.Close(t.Context())
			}
		})
	}
}
