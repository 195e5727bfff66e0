package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/distributed-lock-manager/dlm/config"
	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/embedded"
)

// How often an idle connection to an external etcd is tested, and how long the test may take.
const (
	etcdKeepalive        = 5 * time.Second
	etcdKeepaliveTimeout = 3 * time.Second
)

// backend is the etcd behind a server.
type backend struct {
	client *clientv3.Client // nil if etcd is another process
	local  etcdstore.Local  // the same
	etcd   clientv3.Config  // of an etcd that is
	where  string           // for people
	about  []any            // the same for the log, in pairs of key and value
	failed <-chan error     // an embedded etcd that stopped by itself; nil if it is another process
	close  func() error

	highWater  func() int64       // above which the member of an embedded etcd has handed out no revision; nil: it is another process
	remembered string             // whose data it was, as an embedded etcd's directory says; empty: unknown
	remember   func(string) error // for the next start; nil: nothing does
}

// openBackend starts etcd within this process, or says how to reach the one that the configuration
// names.
func openBackend(ctx context.Context, cfg config.Config, control *control, traces trace.TracerProvider) (*backend, error) {
	logs := control.logs
	if cfg.External() {
		return externalEtcd(cfg, control, traces)
	}
	if addr := cfg.Cluster.PeerListen; addr != "" && cfg.Cluster.TLS == (config.TLS{}) && !config.IsLoopback(addr) {
		logs.own.Warn("listening for peers beyond this machine without cluster.tls: whoever reaches the port can change the cluster and its data",
			"peer_listen", addr)
	}
	etcdConfig, err := embeddedConfig(cfg)
	if err != nil {
		return nil, err
	}
	etcdConfig.Logger = logs.etcd
	etcdConfig.Fatal = func(err error) {
		_, _ = fmt.Fprintf(logs.sink, "dlm: embedded etcd: %v\n", err)
		_ = logs.sink.Sync()
		os.Exit(exitCode(err))
	}
	server, err := embedded.Start(ctx, etcdConfig)
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		dir = cfg.DataDir
	}
	membership := server.Membership(etcdConfig)
	warnOfMembership(membership, logs.own)
	return &backend{
		client: server.Client(),
		local:  server.Local(),
		where:  "data in " + cfg.DataDir,
		about:  []any{"data_dir", dir, "etcd_cluster", fmt.Sprintf("%x", membership.Cluster), "member", fmt.Sprintf("%x", membership.Member)},
		failed: server.Err(),
		close: func() error {
			logs.etcdStops()
			return server.Close()
		},

		highWater:  server.HighWater,
		remembered: server.Remembered(),
		remember:   server.Remember,
	}, nil
}

// embeddedConfig is how etcd is run within a process, but for who is told of it.
func embeddedConfig(cfg config.Config) (embedded.Config, error) {
	members, err := cfg.Cluster.MemberMap()
	if err != nil {
		return embedded.Config{}, fmt.Errorf("%w: cluster.members: %w", errConfig, err)
	}
	return embedded.Config{
		DataDir:       cfg.DataDir,
		Name:          cfg.Cluster.Name,
		PeerListen:    cfg.Cluster.PeerListen,
		PeerAdvertise: cfg.Cluster.PeerAdvertise,
		Members:       members,
		Existing:      cfg.Cluster.State == "existing",
		PeerTLS:       embedded.TLS(cfg.Cluster.TLS),
		ClientListen:  cfg.Cluster.ClientListen,
		Quota:         cfg.Cluster.Quota,
	}, nil
}

// warnOfMembership says where the configuration differs from what the cluster goes by.
func warnOfMembership(m embedded.Membership, log *slog.Logger) {
	if len(m.Unlisted) > 0 || len(m.NoMembers) > 0 {
		log.Warn("cluster.members is not what the cluster's members are; the cluster goes by what it knows",
			"not_listed", m.Unlisted, "no_members", m.NoMembers,
			"remedy", "correct cluster.members here, or the cluster with `dlm member add` and `dlm member remove`; `dlm member list` shows it")
	}
	if m.Registered != "" {
		log.Warn("the peer address of this member was changed, but the others know it, and reach it, by the old one",
			"registered", m.Registered, "configured", m.Configured,
			"remedy", fmt.Sprintf("configure the old one again; or, where a server has cluster.client-listen, `etcdctl --endpoints "+
				"CLIENT-LISTEN member update %x --peer-urls %s`", m.Member, m.Configured))
	}
}

// recognize refuses to serve a cluster that is not the one that the data directory was of: etcd's
// keys were deleted, or another cluster's restored, while no server ran. The cluster's id belongs
// to a prefix, so with another one there is nothing to compare.
func (b *backend) recognize(prefix, cluster string) error {
	if b.remember == nil || cluster == "" {
		return nil
	}
	of, was, _ := strings.Cut(b.remembered, " ")
	if of == prefix && was != cluster {
		return fmt.Errorf("%w: it was of cluster %s, and etcd has cluster %s under %s: its keys were deleted, or others restored, and "+
			"tokens may be granted a second time; restore a backup of that cluster, or start with another etcd.prefix",
			embedded.ErrOtherCluster, was, cluster, prefix)
	}
	return b.remember(remembered(prefix, cluster))
}

// remembered is how a data directory says whose it is: which cluster its etcd has under a prefix.
func remembered(prefix, cluster string) string { return prefix + " " + cluster }

// externalEtcd says how to connect to an external etcd. That it can be reached is found out by the
// store.
func externalEtcd(cfg config.Config, control *control, traces trace.TracerProvider) (*backend, error) {
	login, err := newLogin(cfg.Etcd, control.logs.own)
	if err != nil {
		return nil, fmt.Errorf("%w: etcd.tls: %w", errConfig, err)
	}
	control.on(login.take, "etcd.password", "etcd.password-file", "etcd.tls.ca", "etcd.tls.cert", "etcd.tls.key")
	return &backend{
		etcd: clientv3.Config{
			Endpoints:            cfg.Etcd.Endpoints,
			DialKeepAliveTime:    etcdKeepalive,
			DialKeepAliveTimeout: etcdKeepaliveTimeout,
			TLS:                  login.tls,
			Username:             cfg.Etcd.Username,
			Password:             cfg.Etcd.Password,
			Logger:               control.logs.etcd,
			DialOptions:          append(login.options(), append(etcdTraces(traces), grpc.WithNoProxy())...),
		},
		where: "data in etcd at " + strings.Join(cfg.Etcd.Endpoints, ","),
		about: []any{"etcd", cfg.Etcd.Endpoints},
		close: func() error { return nil },
	}, nil
}

// openStore opens the store. An external etcd has to answer in time. An embedded one is waited for:
// it answers when enough of its cluster has started.
func openStore(ctx context.Context, cfg config.Config, storeConfig etcdstore.Config) (*etcdstore.Store, error) {
	if cfg.External() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cfg.Etcd.Timeout)
		defer cancel()
	}
	store, err := etcdstore.Open(ctx, storeConfig)
	mustNot := errors.Is(err, etcdstore.ErrFormatTooNew) || errors.Is(err, etcdstore.ErrPrefixNested)
	if err != nil && cfg.External() && !mustNot {
		return nil, exitWithMessage(exitUnreachable, "etcd at %s: %w", strings.Join(cfg.Etcd.Endpoints, ","), err)
	}
	return store, err
}
