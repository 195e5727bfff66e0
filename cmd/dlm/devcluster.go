package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/devcluster"
	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/process"
)

func newDevCluster(s *streams) *cobra.Command {
	var cfg devcluster.Config
	cmd := &cobra.Command{
		Use:   "dev-cluster [flags] [-- SERVER-FLAGS…]",
		Short: "Run three servers on this machine, to be killed by keys",
		Long: fmt.Sprintf(`Run a cluster of three servers on this machine, in one terminal, and see what it does when one of them fails. Their
output is passed on with a number before it; who leads is said whenever it changes. Each is a process of its own, "dlm
server", on the loopback interface, and logs errors only; what comes after "--" is given to all three, as in

    dlm dev-cluster -- --coursework-hold 30s --log-level info

They listen on ports %d to %d, where clients of the coursework look for them, if those are free, and else on any.

Keys, and what they do: 1, 2 and 3 choose a server; k kills it (kill -9), s stops it (SIGSTOP), c lets it continue, r runs
it again on the data it left; l kills the leader; i tells who is what; h shows the keys; q, or ctrl-C, ends everything. Where
standard input is no terminal, the same are read as words, "2k" being a choice and a key; at its end the servers go on.

Exit code: 0 it was ended, 64 usage or ports that cannot be had, 1 any other failure.`, devcluster.FirstPort, devcluster.FirstPort+devcluster.Size-1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if at := cmd.ArgsLenAtDash(); len(args) > 0 && at != 0 {
				return usagef("unexpected argument %q; flags of the servers come after --", args[0])
			}
			for _, port := range cfg.Ports {
				if port < 1 || port > 65535 {
					return usagef("--ports: %d is no port", port)
				}
			}
			self, err := os.Executable()
			if err != nil {
				return err
			}
			cfg.Program, cfg.Args, cfg.In, cfg.Out = self, args, s.in, s.out
			signals := process.Catch()
			defer signals.Release()
			ctx, stop := signals.Context(cmd.Context())
			defer stop()
			context.AfterFunc(ctx, signals.Release) // the next one ends it at once
			err = devcluster.Run(ctx, cfg)
			if errors.Is(err, devcluster.ErrPorts) {
				return usagef("%v", err)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&cfg.Dir, "data-dir", "", "directory in which the data is kept (default a temporary one)")
	cmd.Flags().IntSliceVar(&cfg.Ports, "ports", nil, "the servers' three ports, separated by commas")
	return cmd
}
