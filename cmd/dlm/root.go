package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// newRoot assembles the commands. If the arguments begin with the name of one, the others are not
// made: each has its flags and texts.
func newRoot(s *streams, args []string) *cobra.Command {
	root := &cobra.Command{
		Use:   "dlm",
		Short: "A fenced lock service",
		Long: `dlm hands out named locks whose holders' writes are checked: what a holder appends appears all at once when it
releases the lock, and never if it lost the lock before.

Start a server with "dlm server", then try "dlm lock demo -- echo hello".

Exit codes: 64 usage, 69 no server answers, 70 the lock was lost, 73 the data directory is in use, 75 the lock is held by
somebody else, 77 the servers do not accept who this is or do not allow it, 78 the configuration is wrong, 128+N ended by signal N, 1 any other failure.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Args:          noSuchCommand,

		SuggestionsMinimumDistance: 2, // Letters that may differ; 0 would suggest what is a prefix only.
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%v (see %s --help)", err, cmd.CommandPath())
	})
	root.AddGroup(
		&cobra.Group{ID: groupUse, Title: "Use locks and files:"},
		&cobra.Group{ID: groupLook, Title: "Look and intervene:"},
		&cobra.Group{ID: groupRun, Title: "Run the service:"},
	)
	root.SetHelpCommandGroupID(groupRun)
	root.SetCompletionCommandGroupID(groupRun)
	all := map[string]map[string]func(*streams) *cobra.Command{
		groupUse: {
			"lock": newLock, "append": newAppend, "replace": newReplace, "cut": newCut, "rm": newRemove,
			"cat": newCat, "tail": newTail, "ls": newList,
		},
		groupLook: {
			"status": newStatus, "top": newTop, "watch": newWatch, "history": newHistory, "evict": newEvict,
			"repair": newRepair, "retention": newRetention,
		},
		groupRun: {
			"server": newServer, "dev-cluster": newDevCluster, "config": newConfig, "policy": newPolicy,
			"health": newHealth, "member": newMember, "features": newFeatures, "snapshot": newSnapshot,
			"dev-certs": newDevCerts, "bench": newBench, "version": newVersion,
		},
	}
	add := func(id string, maker func(*streams) *cobra.Command) {
		cmd := maker(s)
		cmd.GroupID = id
		root.AddCommand(cmd)
	}
	for id, commands := range all {
		if len(args) > 0 && commands[args[0]] != nil {
			add(id, commands[args[0]])
			return root
		}
	}
	for id, commands := range all {
		for _, maker := range commands {
			add(id, maker)
		}
	}
	root.AddCommand(newManual())
	return root
}

// The groups of the help page.
const (
	groupUse  = "use"
	groupLook = "look"
	groupRun  = "run"
)

// noSuchCommand is reached by the root only when no command matched.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	for cmd.SuggestionsMinimumDistance = 1; cmd.SuggestionsMinimumDistance <= 2; cmd.SuggestionsMinimumDistance++ { // the nearest alone
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return usagef("no command %q; did you mean %s?", args[0], strings.Join(near, " or "))
		}
	}
	return usagef("no command %q (see %s --help)", args[0], cmd.CommandPath())
}

// arguments checks how many arguments there are and names those that are missing.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		var problem string
		switch {
		case len(args) < least:
			problem = "too few arguments"
		case most >= 0 && len(args) > most:
			problem = fmt.Sprintf("unexpected argument %q", args[most])
		default:
			return nil
		}
		return usagef("%s; usage: %s", problem, cmd.UseLine())
	}
}
