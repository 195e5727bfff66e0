package main

import (
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/client"
)

const (
	defaultEndpoint       = client.DefaultEndpoint
	defaultConnectTimeout = client.DefaultConnectTimeout
)

// connection is how a command reaches a server.
type connection struct {
	endpoints []string
	timeout   time.Duration
}

// flags adds the connection's flags to a command.
func (c *connection) flags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&c.endpoints, "endpoints", nil,
		"servers, as host:port separated by commas (env "+envEndpoints+", default "+defaultEndpoint+")")
	cmd.Flags().DurationVar(&c.timeout, "connect-timeout", defaultConnectTimeout,
		"how long to look for a server before giving up")
}

// list returns the endpoints: the flag's, the environment's or the default.
func (c *connection) list() []string {
	given := c.endpoints
	if len(given) == 0 {
		given = strings.Split(os.Getenv(envEndpoints), ",")
	}
	var list []string
	for _, endpoint := range given {
		if endpoint = strings.TrimSpace(endpoint); endpoint != "" {
			list = append(list, endpoint)
		}
	}
	if len(list) == 0 {
		return []string{defaultEndpoint}
	}
	return list
}

// valid refuses what no server could be reached with.
func (c *connection) valid() error {
	if c.timeout <= 0 {
		return usagef("--connect-timeout is %v, must be above 0", c.timeout)
	}
	for _, endpoint := range c.list() {
		if _, port, err := net.SplitHostPort(endpoint); err != nil || port == "" {
			return usagef("endpoint %q: want host:port", endpoint)
		}
	}
	return nil
}

// open returns a client, which dials when it is first used.
func (c *connection) open(ttl time.Duration, label string) (*client.Client, error) {
	if err := c.valid(); err != nil {
		return nil, err
	}
	return client.Open(client.Config{
		Endpoints:      c.list(),
		TTL:            ttl,
		ConnectTimeout: c.timeout,
		Label:          label,
	})
}
