package embedded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// DefaultQuota is etcd's space quota in bytes when none is configured.
const DefaultQuota = 4 << 30

const (
	defaultName  = "dlm"
	clusterToken = "dlm"

	// How many entries etcd keeps in memory for members that lag; one that lags more is sent a
	// snapshot. An entry is a whole batch of transactions here, up to a megabyte, and etcd's
	// default is 5,000 of them.
	catchUpEntries = 500

	// What a single node is registered under. Nobody listens there and nobody ever connects: a
	// single node has no peers.
	nowhere = "http://127.0.0.1:0"
)

// Config says how to run etcd.
type Config struct {
	DataDir       string            // made if missing
	Name          string            // this member's name in the cluster; empty: "dlm"
	PeerListen    string            // host:port; empty: a single node, which opens no port
	PeerAdvertise string            // host:port that the others reach it by; empty: what Members says of Name
	Members       map[string]string // name -> peer host:port, this one included; empty: a single node
	Existing      bool              // join a cluster that exists, as a member that was added to it; read when DataDir is empty
	PeerTLS       TLS               // between members, both sides show a certificate; zero: plain
	ClientListen  string            // loopback host:port of an etcd client port, without TLS; empty: none
	Quota         int64             // bytes; 0: DefaultQuota
	Logger        *zap.Logger       // nil: none
	Fatal         func(error)       // called when etcd cannot go on, with ErrDisk, ErrStale or ErrStopped; must end the process
	UnsafeNoFsync bool              // a crash of the machine loses data: for tests
}

// TLS names PEM files. Whoever has a certificate signed by CA is taken for a member, so CA should
// sign nothing else. CA is read at the start, the others again when they change.
//
// CRL may be empty. Whoever connects with a certificate that is in one of its lists, whose
// signatures have to be CA's, is refused; when a list expires does not matter. Connections that
// there are go on, and this member still connects to others whatever they show, which is all that
// one of them needs: so a member with a revoked certificate has to be removed as well.
type TLS struct {
	CA, Cert, Key, CRL string
}

// etcd translates the configuration. It refuses what etcd would refuse in words of its own, or
// accept and mean something else.
func (c Config) etcd(ctx context.Context) (*embed.Config, error) {
	if c.DataDir == "" {
		return nil, errors.New("no data directory")
	}
	name := c.Name
	if name == "" {
		name = defaultName
	}
	ec := embed.NewConfig()
	ec.Name = name
	ec.Dir = filepath.Join(c.DataDir, "etcd")
	ec.ClusterState = embed.ClusterStateFlagNew
	ec.QuotaBackendBytes = c.Quota
	if c.Quota == 0 {
		ec.QuotaBackendBytes = DefaultQuota
	}
	ec.StrictReconfigCheck = true
	ec.SnapshotCatchUpEntries = catchUpEntries
	if len(c.Members) == 0 {
		ec.SnapshotCatchUpEntries = 1 // there is nobody to catch up
	}
	ec.MaxTxnOps = embed.DefaultMaxTxnOps
	ec.AutoCompactionRetention = "0"
	ec.EnableGRPCGateway = false
	ec.EnablePprof = false
	ec.GRPCAdditionalServerOptions = asked()
	ec.UnsafeNoFsync = c.UnsafeNoFsync
	ec.ZapLoggerBuilder = embed.NewZapLoggerBuilder(c.logger())
	ec.ListenClientUrls, ec.ListenPeerUrls = nil, nil
	// A member without a client address counts as one that never started, and etcd would let its
	// emptied data directory join under the identity whose votes and log are lost.
	ec.AdvertiseClientUrls = []url.URL{mustURL(nowhere)}
	if c.ClientListen != "" {
		u, err := clientURL(c.ClientListen)
		if err != nil {
			return nil, err
		}
		ec.ListenClientUrls, ec.AdvertiseClientUrls = []url.URL{u}, []url.URL{u}
	}
	if err := c.peers(ctx, ec); err != nil {
		return nil, err
	}
	return ec, nil
}

func (c Config) logger() *zap.Logger {
	l := c.Logger
	if l == nil {
		l = zap.NewNop()
	}
	if c.Fatal != nil {
		last := lastWords{c, new(sync.Mutex)}
		l = l.WithOptions(zap.WithPanicHook(last), zap.WithFatalHook(last))
	}
	return l
}

// peers sets how members reach each other. A single node has none, and a registered address at
// which nobody listens; checkShape knows it by that.
func (c Config) peers(ctx context.Context, ec *embed.Config) error {
	if len(c.Members) == 0 {
		if c.PeerListen != "" || c.PeerAdvertise != "" || c.Existing || c.PeerTLS != (TLS{}) {
			return errors.New("peer settings without members")
		}
		ec.AdvertisePeerUrls = []url.URL{mustURL(nowhere)}
		ec.InitialCluster = ec.Name + "=" + nowhere
		return nil
	}
	if c.PeerListen == "" {
		return errors.New("members without an address to listen on for peers")
	}
	own, ok := c.Members[ec.Name]
	if !ok {
		return fmt.Errorf("members %q do not include this one, %q", slices.Sorted(maps.Keys(c.Members)), ec.Name)
	}
	if c.PeerAdvertise != "" && c.PeerAdvertise != own {
		return fmt.Errorf("member %q is advertised as %q but listed as %q", ec.Name, c.PeerAdvertise, own)
	}
	scheme := "http"
	if c.PeerTLS != (TLS{}) {
		if c.PeerTLS.CA == "" || c.PeerTLS.Cert == "" || c.PeerTLS.Key == "" {
			return errors.New("peer TLS needs all three of CA, certificate and key")
		}
		scheme = "https"
		ec.PeerTLSInfo = transport.TLSInfo{
			TrustedCAFile:  c.PeerTLS.CA,
			CertFile:       c.PeerTLS.Cert,
			KeyFile:        c.PeerTLS.Key,
			ClientCertAuth: true,
			// Otherwise the names in a peer's certificate are compared with what a reverse lookup
			// of its address says, which in a container network is rarely the name that it is
			// reached by.
			SkipClientSANVerify: true,
		}
		if c.PeerTLS.CRL != "" {
			ec.PeerTLSInfo.CRLFile = revokedPath(c.DataDir)
		}
	}
	listen, err := bindURL(ctx, scheme, c.PeerListen)
	if err != nil {
		return err
	}
	ec.ListenPeerUrls = []url.URL{listen}
	ec.AdvertisePeerUrls = []url.URL{{Scheme: scheme, Host: own}}
	var list []string
	for name, addr := range c.Members {
		if strings.ContainsAny(name, "=,") || name == "" {
			return fmt.Errorf("member name %q", name)
		}
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
			return fmt.Errorf("member %q at %q: want host:port", name, addr)
		}
		list = append(list, name+"="+scheme+"://"+addr)
	}
	slices.Sort(list)
	ec.InitialCluster = strings.Join(list, ",")
	if c.Existing {
		ec.ClusterState = embed.ClusterStateFlagExisting
	}
	return nil
}

// bindURL resolves the host, because etcd binds to nothing but addresses. No host: all addresses.
func bindURL(ctx context.Context, scheme, addr string) (url.URL, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return url.URL{}, fmt.Errorf("peer address %q: want host:port", addr)
	}
	if host == "" {
		host = "0.0.0.0" // on a tcp socket this is the wildcard of both families
	}
	if _, err := netip.ParseAddr(host); err != nil {
		addrs, err := net.DefaultResolver.LookupHost(ctx, host)
		if err != nil {
			return url.URL{}, fmt.Errorf("peer address %q: %w", addr, err)
		}
		host = addrs[0]
	}
	return url.URL{Scheme: scheme, Host: net.JoinHostPort(host, port)}, nil
}

// clientURL refuses whatever is not loopback: the port knows no authentication, and who reaches it
// can undo every lock.
func clientURL(addr string) (url.URL, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return url.URL{}, fmt.Errorf("etcd client address %q: want host:port", addr)
	}
	ip, err := netip.ParseAddr(host)
	if host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return url.URL{}, fmt.Errorf("etcd client address %q: the port is unprotected, so the host must be a loopback address", addr)
	}
	return url.URL{Scheme: "http", Host: net.JoinHostPort(host, port)}, nil
}

func mustURL(s string) url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return *u
}
