package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/config"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/internal/dial"
)

func newHealth(s *streams) *cobra.Command {
	var conn connection
	var file string
	cmd := &cobra.Command{
		Use:   "health [flags]",
		Short: "Tell whether servers can serve",
		Long: `Ask each server whether it can commit now and takes new locks, and if not, why. Exit code: 0 all of them do, 69 one
does not, or does not answer. With --config it asks the server on this machine that runs with that file, and with this
environment, wherever that listens, and by TLS if that does: without --ca it is known by the key of its tls.cert. No
certificate is needed. A container without a shell uses it as its health check.`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := conn.config(0, "")
			if err != nil {
				return err
			}
			tells := true
			if cmd.Flags().Changed("config") {
				if tells, err = toServerOf(s, file, &cfg); err != nil {
					return err
				}
			}
			well := true
			for _, endpoint := range cfg.Endpoints {
				ctx, cancel := context.WithTimeout(cmd.Context(), cfg.ConnectTimeout)
				state, err := serverHealth(ctx, endpoint, direct(cfg), tells)
				cancel()
				if err != nil {
					state = status.Convert(err).Message()
				}
				well = well && err == nil && state == serving
				if _, err := fmt.Fprintf(s.out, "%s %s\n", endpoint, printable(state)); err != nil {
					return err
				}
			}
			if !well {
				return exitWith(exitUnreachable)
			}
			return nil
		},
	}
	conn.flags(cmd)
	cmd.Flags().StringVar(&file, "config", "", "ask the server that runs with this configuration file")
	cmd.MarkFlagsMutuallyExclusive("config", "endpoints")
	return cmd
}

// toServerOf leads a client's configuration to the server that runs with a configuration file.
// Faults of that are told, but do not keep from asking: the server may have been started before
// they came to be. tells is false if that server tells only those whom it knows.
func toServerOf(s *streams, file string, to *client.Config) (tells bool, err error) {
	if file == "" {
		return false, usagef("--config is empty: name a file, or leave it out")
	}
	cfg, err := config.Load(nil, file)
	if err != nil {
		s.printf("%v: %v", errConfig, err)
	}
	if !config.IsPeerAddress(reachable(cfg.Listen)) {
		return false, fmt.Errorf("%w: no server can be reached where this one listens, %q", errConfig, cfg.Listen)
	}
	to.Endpoints = []string{reachable(cfg.Listen)}
	tells = !cfg.Identifies() || to.TLS != nil || to.BearerFile != ""
	if cfg.TLS.Cert == "" || to.TLS != nil {
		return tells, nil
	}
	if to.TLS, err = dial.Pinned(cfg.TLS.Cert); err != nil {
		return false, fmt.Errorf("%w: tls.cert: %w", errConfig, err)
	}
	return tells, nil
}

const serving = "SERVING"

// serverHealth asks one server; and why it is not well, if it tells: else it would only note that
// somebody was refused.
func serverHealth(ctx context.Context, endpoint string, way dial.Config, tells bool) (string, error) {
	conn, err := way.Server(endpoint)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return healthOf(ctx, conn, tells)
}

// isDenied reports whether a server does not say because of who asks, which is none of its trouble.
func isDenied(err error) bool {
	return status.Code(err) == codes.Unauthenticated || status.Code(err) == codes.PermissionDenied
}

// healthOf asks the server at the other end of a connection: serving, or why not, as far as it
// tells those who ask.
func healthOf(ctx context.Context, conn grpc.ClientConnInterface, tells bool) (string, error) {
	answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return "", err
	}
	state, server := answer.GetStatus().String(), dlmv1.NewLockServiceClient(conn)
	if !tells {
		return state, nil
	}
	switch answer.GetStatus() {
	case healthpb.HealthCheckResponse_SERVING:
		// One of an earlier version cannot tell.
		if cluster, err := server.InspectCluster(ctx, &dlmv1.InspectClusterRequest{}); err == nil && cluster.GetLocksRefused() != "" {
			state += ", but takes no new locks: " + cluster.GetLocksRefused()
		}
	case healthpb.HealthCheckResponse_NOT_SERVING:
		// Why, it says to whoever asks for something.
		_, err := server.Inspect(ctx, &dlmv1.InspectRequest{Lock: "health"})
		if code := status.Code(err); code != codes.OK && code != codes.NotFound && !isDenied(err) {
			state += ": " + status.Convert(err).Message()
		}
	}
	return state, nil
}
