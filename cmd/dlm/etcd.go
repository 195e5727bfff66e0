package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/distributed-lock-manager/dlm/config"
)

// etcdConnection is how a command reaches etcd itself, for what has to be done there.
type etcdConnection struct {
	endpoints     []string
	ca, cert, key string
	username      string
	passwordFile  string
	timeout       time.Duration
	cmd           *cobra.Command // which has the flags
}

// flags adds the connection's flags to a command and those below it, but for the user's: the
// embedded etcd has none.
func (c *etcdConnection) flags(cmd *cobra.Command) {
	c.cmd = cmd
	flags := cmd.PersistentFlags()
	flags.StringSliceVar(&c.endpoints, "etcd-endpoints", []string{"127.0.0.1:2379"}, "etcd client ports, separated by commas")
	flags.StringVar(&c.ca, "etcd-ca", "", "PEM file of the authority that signed etcd's certificate")
	flags.StringVar(&c.cert, "etcd-cert", "", "PEM file of the certificate to show to etcd")
	flags.StringVar(&c.key, "etcd-key", "", "PEM file of its key")
	flags.DurationVar(&c.timeout, "timeout", defaultConnectTimeout, "how long to wait for etcd")
}

// with calls f with a client of etcd.
func (c etcdConnection) with(ctx context.Context, f func(context.Context, *clientv3.Client) error) error {
	if c.timeout <= 0 {
		return usagef("--timeout is %v, must be above 0s", c.timeout)
	}
	for _, endpoint := range c.endpoints {
		if err := config.CheckEtcdEndpoint(endpoint); err != nil {
			return usagef("--etcd-endpoints: %v", err)
		}
	}
	tlsConfig, err := etcdTLS(config.TLS{CA: c.ca, Cert: c.cert, Key: c.key})
	if err != nil {
		return usagef("etcd TLS: %v", err)
	}
	var password string
	if c.passwordFile != "" {
		if password, err = config.ReadPassword(c.passwordFile); err != nil {
			return usagef("--etcd-password-file: %v", err)
		}
	}
	silence := time.AfterFunc(attendAfter, func() {
		fmt.Fprintf(c.cmd.ErrOrStderr(), "dlm: waiting for etcd at %s\n", strings.Join(c.endpoints, ","))
	})
	defer silence.Stop()
	etcd, err := clientv3.New(clientv3.Config{
		Endpoints: c.endpoints, DialTimeout: c.timeout, TLS: tlsConfig, Logger: zap.NewNop(),
		Username: c.username, Password: password,
		DialOptions: []grpc.DialOption{grpc.WithNoProxy()},
	})
	if err != nil {
		return exitWithMessage(exitUnreachable, "etcd at %s: %w", strings.Join(c.endpoints, ","), err)
	}
	defer etcd.Close()
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	err = f(ctx, etcd)
	var coded exitError
	if err != nil && ctx.Err() != nil && !errors.As(err, &coded) && !errors.Is(err, rpctypes.ErrUnhealthy) {
		return exitWithMessage(exitUnreachable, "no etcd answers at %s: %w; with embedded etcd a server has to run there that names it as "+
			"its cluster.client-listen", strings.Join(c.endpoints, ","), err)
	}
	return err
}
