package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/config"
	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// configFlags adds the flags that choose the file and override single keys of it.
func configFlags(cmd *cobra.Command, file *string) {
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(file, "config", "", "configuration file (YAML)")
	for _, key := range config.Keys() {
		if key.Name == "etcd.password" {
			continue // A command line can be seen by everybody on the machine.
		}
		// In a flag's help backquotes would name its argument.
		cmd.Flags().String(config.Flag(key.Name), key.Default, strings.ReplaceAll(key.Meaning, "`", `"`))
		if key.Default == "true" || key.Default == "false" {
			cmd.Flags().Lookup(config.Flag(key.Name)).NoOptDefVal = "true"
		}
	}
}

// loadConfig reads the configuration as `dlm server` would.
func loadConfig(cmd *cobra.Command, file string) (config.Config, error) {
	if file == "" && cmd.Flags().Changed("config") { // a variable of a script that is not set, more likely than not
		return config.Config{}, usagef("--config is empty: name a file, or leave it out")
	}
	cfg, err := config.Load(cmd.Flags(), file)
	if lock := cfg.Coursework.Lock; lock != "" {
		if lockErr := etcdstore.CheckLock(lock); lockErr != nil {
			err = errors.Join(err, fmt.Errorf("coursework.lock: %w", lockErr))
		}
	}
	err = errors.Join(err, checkHolds(cfg.Hold), checkAccess(cfg))
	if err != nil {
		return config.Config{}, fmt.Errorf("%w: %w", errConfig, err)
	}
	return cfg, nil
}

func newConfig(s *streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print or check the server's configuration",
		Args:  noSuchCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigPrint(s), newConfigCheck(s))
	return cmd
}

func newConfigPrint(s *streams) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "print [flags]",
		Short: "Print the configuration that a server would run with",
		Long:  "Print the configuration that \"dlm server\" would run with, as a file that it could read. Secrets are left out.",
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd, file)
			if err != nil {
				return err
			}
			text, err := cfg.YAML()
			if err != nil {
				return err
			}
			_, err = s.out.Write(text)
			return err
		},
	}
	configFlags(cmd, &file)
	return cmd
}

func newConfigCheck(s *streams) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "check [flags]",
		Short: "Check the configuration and report every fault",
		Args:  arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd, file)
			if err != nil {
				return err
			}
			for _, warning := range cfg.Exposed() {
				s.printf("%s", warning)
			}
			_, err = fmt.Fprintln(s.out, "the configuration is good")
			return err
		},
	}
	configFlags(cmd, &file)
	return cmd
}
