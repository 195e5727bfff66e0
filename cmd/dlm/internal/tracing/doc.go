// Package tracing exports the traces of a process, if the environment asks for it, by the variables
// that OpenTelemetry has for that:
//
//   - OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, or
//     OTEL_TRACES_EXPORTER=otlp, ask for it; OTEL_TRACES_EXPORTER=none or OTEL_SDK_DISABLED=true do
//     not, whatever else is set.
//   - OTEL_EXPORTER_OTLP_PROTOCOL, or that of traces, is grpc or http/protobuf. Without it a
//     collector at port 4317 is spoken to by gRPC, and any other by HTTP.
//   - All other variables of OTLP exporters, samplers, batches, span limits and resources are read
//     by OpenTelemetry's own libraries.
//
// Nothing is made, and no connection, unless it is asked for. The libraries keep what tells of
// their errors in variables of their own, so that one process has one [Tracing].
package tracing
