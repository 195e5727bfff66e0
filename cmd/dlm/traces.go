package main

import (
	"context"
	"os"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"

	"github.com/distributed-lock-manager/dlm/client/oteltrace"
	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/tracing"
)

// envTraceparent is the variable by which a process is told of the span that it is part of.
const envTraceparent = "TRACEPARENT"

// exportLimit is how long a command may wait at its end for what is left of its traces to leave. A
// server has the same.
const exportLimit = time.Second

// traced begins the span of a command that speaks to a server, if the environment asks for traces.
// end is told how the command ended, and when all has been said.
func (s *streams) traced(ctx context.Context, root *cobra.Command, args []string) (_ context.Context, end func(error)) {
	nothing := func(error) {}
	if !tracing.Asked() {
		return ctx, nothing
	}
	cmd, _, err := root.Find(args)
	if err != nil || cmd.GroupID != groupUse && cmd.GroupID != groupLook {
		return ctx, nothing
	}
	var said atomic.Bool
	say := func(problem string) {
		if !said.Swap(true) {
			s.printf("traces: %s", problem)
		}
	}
	exporting, err := tracing.Start(ctx, tracing.Config{Service: "dlm", Version: build().Version, Hasty: true, Say: say})
	if err != nil {
		say(err.Error())
	}
	if exporting == nil {
		return ctx, nothing
	}
	ctx = oteltrace.WithTraceparent(ctx, os.Getenv(envTraceparent))
	ctx, span := exporting.Provider().Tracer(tracer).Start(ctx, cmd.CommandPath())
	return ctx, func(err error) {
		if err != nil {
			code := exitCode(err)
			span.SetAttributes(attribute.Int("process.exit.code", code))
			span.SetStatus(codes.Error, "")
		}
		span.End()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exportLimit)
		defer cancel()
		exporting.Close(ctx)
	}
}

// tracer is whose spans those of this command are.
const tracer = "github.com/distributed-lock-manager/dlm"

// serverTraces begins to export a server's traces, if the environment asks for it; nil: it does
// not.
func serverTraces(ctx context.Context, name string, logs logs) (_ trace.TracerProvider, end func(), _ error) {
	exporting, err := tracing.Start(ctx, tracing.Config{
		Service: "dlm-server", Version: build().Version, Instance: name,
		Say: func(problem string) { logs.own.Warn("traces cannot be exported", "err", problem) },
	})
	if err != nil || exporting == nil {
		return nil, func() {}, err
	}
	return exporting.Provider(), func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exportLimit)
		defer cancel()
		exporting.Close(ctx)
	}, nil
}

// tracerOf makes the spans of a server's calls; nil: none are made.
func tracerOf(provider trace.TracerProvider) trace.Tracer {
	if provider == nil {
		return nil
	}
	return provider.Tracer(tracer)
}

// etcdTraces are the options of connections to etcd whose calls are to be traced, as parts of what
// they are made for. Those that a server makes by itself are not.
func etcdTraces(provider trace.TracerProvider) []grpc.DialOption {
	if provider == nil {
		return nil
	}
	return []grpc.DialOption{grpc.WithStatsHandler(within{otelgrpc.NewClientHandler(
		otelgrpc.WithTracerProvider(provider), otelgrpc.WithPropagators(propagation.TraceContext{}),
	)})}
}

// within handles calls that are made within a span.
type within struct{ stats.Handler }

// isWithin marks the context of such a call.
type isWithin struct{}

func (w within) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx
	}
	return w.Handler.TagRPC(context.WithValue(ctx, isWithin{}, true), info)
}

func (w within) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if ctx.Value(isWithin{}) != nil {
		w.Handler.HandleRPC(ctx, s)
	}
}
