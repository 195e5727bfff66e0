package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/client"
)

func newEvict(s *streams) *cobra.Command {
	var conn connection
	var reason string
	var token int64
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "evict [flags] LOCK --reason TEXT",
		Short: "Take a lock away from its holder",
		Long: `Take LOCK away from whoever holds it: what the holder appended since it got the lock is undone, its further appends
are refused, and the next waiter gets the lock. REASON is kept: "dlm status" shows it, and so does every refusal of
an append of the holder.

It looks who holds the lock and evicts exactly that section, so that it never hits the next holder; --token names the
section instead, as "dlm status" showed it.`,
		Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case reason == "":
				return usagef("--reason is required: say why, for the log and for whoever is evicted")
			case token <= 0 && cmd.Flags().Changed("token"):
				return usagef("--token is %d, must be above 0", token)
			}
			c, done, err := conn.opened(cmd.Context(), s)
			if err != nil {
				return err
			}
			defer done()
			lock := args[0]
			evicted, err := c.Evict(cmd.Context(), lock, token, reason)
			switch {
			case errors.Is(err, client.ErrLockNotFound):
				return fmt.Errorf("nobody holds %q", lock)
			case err != nil:
				return err
			case asJSON:
				return writeJSON(s.out, evicted)
			case evicted == nil && token == 0:
				_, err = fmt.Fprintf(s.out, "nothing to do: the holder of %q has just left it by itself\n", lock)
			case evicted == nil:
				_, err = fmt.Fprintf(s.out, "nothing to do: token %d does not hold %q\n", token, lock)
			default:
				_, err = fmt.Fprintf(s.out, "evicted %s from %q: token %d, held for %s\n",
					who(evicted.GetLabel(), evicted.GetSession()), lock, evicted.GetToken(), age(evicted.GetSince()))
			}
			return err
		},
	}
	conn.flags(cmd)
	jsonFlag(cmd, &asJSON)
	cmd.Flags().StringVar(&reason, "reason", "", "why: 1 to 256 bytes")
	cmd.Flags().Int64Var(&token, "token", 0, "evict this token only (default: whoever holds the lock now)")
	return cmd
}
