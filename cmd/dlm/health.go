package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/distributed-lock-manager/dlm/cmd/internal/dial"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

func newHealth(s *streams) *cobra.Command {
	var conn connection
	cmd := &cobra.Command{
		Use:   "health [flags]",
		Short: "Tell whether servers can serve",
		Long: `Ask each server whether it can commit now, and if it cannot, why. Exit code: 0 all of them can, 69 one cannot or does
not answer. A container without a shell uses it as its health check.`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := conn.config(0, "")
			if err != nil {
				return err
			}
			well := true
			for _, endpoint := range cfg.Endpoints {
				ctx, cancel := context.WithTimeout(cmd.Context(), cfg.ConnectTimeout)
				state, err := serverHealth(ctx, endpoint, cfg.Proxy)
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
	return cmd
}

const serving = "SERVING"

// serverHealth asks one server.
func serverHealth(ctx context.Context, endpoint string, proxy bool) (string, error) {
	conn, err := dial.Server(endpoint, proxy)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return healthOf(ctx, conn)
}

// healthOf asks the server at the other end of a connection: serving, or why not.
func healthOf(ctx context.Context, conn *grpc.ClientConn) (string, error) {
	answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return "", err
	}
	state := answer.GetStatus().String()
	if answer.GetStatus() == healthpb.HealthCheckResponse_NOT_SERVING {
		// Why, it says to whoever asks for something.
		_, err := dlmv1.NewLockServiceClient(conn).Inspect(ctx, &dlmv1.InspectRequest{Lock: "health"})
		if code := status.Code(err); code != codes.OK && code != codes.NotFound {
			state += ": " + status.Convert(err).Message()
		}
	}
	return state, nil
}
