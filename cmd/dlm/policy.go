package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/config"
	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/facade/auth"
)

// readPolicy reads a policy's file.
func readPolicy(file string) (*auth.Policy, error) {
	text, err := config.ReadTrusted(file)
	if err != nil {
		return nil, err
	}
	return auth.ParsePolicy(text)
}

func newPolicy(s *streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Check a policy, or ask what it allows",
		Args:  noSuchCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPolicyCheck(s), newPolicyCanI(s))
	return cmd
}

func newPolicyCheck(s *streams) *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Check a policy's file and report every fault",
		Long: `Check a file as auth.policy of a server's configuration names it, and report every fault with its line. No server is
asked. Exit code: 0 it is good, 78 it is not.`,
		Args: arguments(1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			if _, err := readPolicy(args[0]); err != nil {
				return fmt.Errorf("%w: %s: %w", errConfig, args[0], err)
			}
			_, err := fmt.Fprintln(s.out, "the policy is good")
			return err
		},
	}
}

func newPolicyCanI(s *streams) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "can-i [flags] IDENTITY VERB [LOCK]",
		Short: "Tell whether a policy allows something, and which rule says so",
		Long: `Tell whether a policy's file allows an identity to do something with a lock, and which rule decides. No server is asked.
Verbs: acquire, append, read, inspect, evict, and admin, which is about no lock.

  dlm policy can-i --policy policy.yaml spiffe:spiffe://example.org/ns/prod/sa/jobs acquire jobs/nightly

Exit code: 0 it is allowed, 77 it is not, 78 the file is wrong.`,
		Args: arguments(2, 3),
		RunE: func(_ *cobra.Command, args []string) error {
			verb, err := auth.ParseVerb(args[1])
			if err != nil {
				return usagef("%v", err)
			}
			lock := ""
			if len(args) == 3 {
				lock = args[2]
				err = etcdstore.CheckLock(lock)
			}
			switch {
			case err != nil:
				return usagef("%v", err)
			case verb == auth.Admin && lock != "":
				return usagef("admin is about no single lock: leave %q out", lock)
			case verb != auth.Admin && lock == "":
				return usagef("name the lock to %s", verb)
			}
			if err := auth.CheckIdentity(args[0]); err != nil {
				return usagef("%v", err)
			}
			policy, err := readPolicy(file)
			if err != nil {
				return fmt.Errorf("%w: --policy %s: %w", errConfig, file, err)
			}
			return canI(s, policy, auth.Identity(args[0]), verb, lock)
		},
	}
	cmd.Flags().StringVar(&file, "policy", "", "the policy's file")
	if err := cmd.MarkFlagRequired("policy"); err != nil {
		panic(err)
	}
	return cmd
}

// canI answers, for a credential that is issued now.
func canI(s *streams, policy *auth.Policy, id auth.Identity, verb auth.Verb, lock string) error {
	allowed, why := policy.For(id).Explain(verb, lock)
	if policy.Revoked(id, time.Now()) {
		allowed, why = false, "the identity is revoked"
	}
	answer := "no"
	if allowed {
		answer = "yes"
	}
	if _, err := fmt.Fprintf(s.out, "%s: %s\n", answer, why); err != nil {
		return err
	}
	if !allowed {
		return exitWith(exitDenied)
	}
	return nil
}

// checkPolicy reads the policy that a configuration names.
func checkPolicy(cfg config.Config) error {
	if cfg.Auth.Policy == "" {
		return nil
	}
	err := config.CheckRegular(cfg.Auth.Policy)
	if err == nil {
		_, err = readPolicy(cfg.Auth.Policy)
	}
	return faultsOf(fmt.Sprintf("auth.policy: %q", cfg.Auth.Policy), err)
}
