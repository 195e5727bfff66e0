package main

import (
	"crypto/tls"
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/client/oteltrace"
	"github.com/distributed-lock-manager/dlm/internal/dial"
)

const (
	defaultEndpoint       = client.DefaultEndpoint
	defaultConnectTimeout = client.DefaultConnectTimeout
)

// connection is how a command reaches a server.
type connection struct {
	endpoints []string
	timeout   time.Duration
	linger    time.Duration // see client.Config; 0 for commands that hold nothing
	proxy     bool
	identity  identity       // as the flags say, and once there is a configuration, the environment
	given     *pflag.FlagSet // says which flags were given
}

// flags adds the connection's flags to a command.
func (c *connection) flags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&c.endpoints, "endpoints", nil,
		"servers, as host:port separated by commas (env "+envEndpoints+", default "+defaultEndpoint+")")
	cmd.Flags().DurationVar(&c.timeout, "connect-timeout", defaultConnectTimeout,
		"how long to look for a server before giving up; -n and -w may end that before")
	cmd.Flags().BoolVar(&c.proxy, "proxy", false,
		"reach servers by TLS through the proxy that HTTPS_PROXY names (env "+envProxy+")")
	c.identity.flags(cmd)
	c.given = cmd.Flags()
}

// list returns the endpoints: the flag's, the environment's or the default.
func (c *connection) list() []string {
	if c.given.Changed("endpoints") {
		return named(c.endpoints)
	}
	if list := named(strings.Split(os.Getenv(envEndpoints), ",")); len(list) > 0 {
		return list
	}
	return []string{defaultEndpoint}
}

// named is a list without the items that are blank.
func named(list []string) []string {
	var out []string
	for _, item := range list {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

// config is the client's configuration. Its faults are mistakes of the command line or of the
// environment, and are all named at once.
func (c *connection) config(ttl time.Duration, label string) (client.Config, error) {
	var faults []error
	cfg := client.Config{
		Endpoints: c.list(), TTL: ttl, Linger: c.linger, ConnectTimeout: c.timeout, Label: label, Proxy: c.proxy,
		Hooks: oteltrace.Hooks(nil), // of commands that have a span
	}
	var err error
	if c.identity, err = c.identity.given(c.given); err == nil {
		err = c.identity.config(&cfg)
	}
	if err != nil {
		faults = append(faults, usagef("%v", err))
		cfg.TLS = new(tls.Config) // that there is none is not to be told as well
	}
	if env := os.Getenv(envProxy); env != "" && !c.given.Changed("proxy") {
		proxy, err := strconv.ParseBool(env)
		if err != nil {
			faults = append(faults, usagef("%s is %q, must be true or false", envProxy, env))
		}
		cfg.Proxy = proxy
	}
	if len(cfg.Endpoints) == 0 { // a variable of a script that is not set, more likely than not
		faults = append(faults, usagef("--endpoints names no server"))
	}
	if c.timeout == 0 {
		faults = append(faults, usagef("--connect-timeout is 0s, must be above"))
	}
	return cfg, errors.Join(append(faults, cfg.Validate())...)
}

// direct is how a configuration's servers are reached without a client of it.
func direct(cfg client.Config) dial.Config {
	return dial.Config{TLS: cfg.TLS, BearerFile: cfg.BearerFile, Proxy: cfg.Proxy}
}
