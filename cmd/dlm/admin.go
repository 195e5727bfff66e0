package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/distributed-lock-manager/dlm/config"
	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/facade"
	"github.com/distributed-lock-manager/dlm/facade/admin"
	"github.com/distributed-lock-manager/dlm/facade/audit"
	"github.com/distributed-lock-manager/dlm/facade/auth"
	"github.com/distributed-lock-manager/dlm/facade/metrics"
	"github.com/distributed-lock-manager/dlm/facade/page"
)

// operations is what operators look at: the admin address, and the metrics. Without an address
// there are none, and nothing is counted. It begins before the other parts, and ends after them: a
// server that waits for its etcd, or that drains, says so.
type operations struct {
	cfg     config.Config
	access  *access
	log     *slog.Logger
	metrics *metrics.Metrics // nil: there are none
	http    *admin.Server
	page    *page.Page // nil: not yet
	addr    net.Addr
	failed  chan error // the listener, while the server runs

	serving  sync.WaitGroup
	parts    atomic.Pointer[parts]
	stopping atomic.Bool
}

// parts are those that operations tells of, once they are there.
type parts struct {
	store  *etcdstore.Store
	server *facade.Server
}

// openOperations has the admin address answer.
func openOperations(ctx context.Context, cfg config.Config, access *access, logs logs) (*operations, error) {
	o := &operations{cfg: cfg, access: access, log: logs.own, failed: make(chan error, 1)}
	if cfg.Admin.Listen == "" {
		return o, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Admin.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin.listen: %w", err)
	}
	b := build()
	o.addr = listener.Addr()
	o.metrics = metrics.New(metrics.Config{Prefixes: cfg.Metrics.Prefixes, Version: b.Version, Revision: b.Revision, GoVersion: b.Go})
	o.metrics.Watch(o.sources(nil, nil, nil))
	var tlsConfig *tls.Config
	if tlsConfig = access.TLSConfig(); tlsConfig != nil {
		tlsConfig.NextProtos = []string{"h2", "http/1.1"}
	}
	o.http = admin.New(admin.Config{
		TLS:      tlsConfig,
		Identify: func(r *http.Request) (admin.Caller, error) { return o.identify(r) },
		Refused:  o.refused, Ready: o.checks, Version: b, Pprof: cfg.Admin.Pprof, Logger: logs.own,
		Metrics: promhttp.HandlerFor(o.metrics.Gatherer(!cfg.External()), promhttp.HandlerOpts{
			ErrorLog: scrapeErrors{logs.own}, ErrorHandling: promhttp.ContinueOnError, DisableCompression: true,
		}),
	})
	o.serving.Go(func() {
		if err := o.http.Serve(listener); err != nil {
			o.failed <- fmt.Errorf("serve the admin address: %w", err)
		}
	})
	return o, nil
}

// observer is who the store is to tell what it does; nil: nobody.
func (o *operations) observer() etcdstore.Observer {
	if o.metrics == nil {
		return nil
	}
	return o.metrics
}

// count has a server's calls counted.
func (o *operations) count(cfg facade.Config) facade.Config {
	if o.metrics != nil {
		cfg.Called, cfg.Refused = o.metrics.Called, o.metrics.Refused
	}
	return cfg
}

// where says where the admin address is, for the line that says that the server is ready.
func (o *operations) where() string {
	if o.addr == nil {
		return ""
	}
	return "admin on " + o.addr.String() + ", "
}

// attach has the parts told of that have begun to serve.
func (o *operations) attach(store *etcdstore.Store, server *facade.Server, backend *backend) {
	o.parts.Store(&parts{store, server})
	if o.metrics == nil {
		return
	}
	o.metrics.Watch(o.sources(store, server, backend))
	o.page = page.New(page.Config{
		Store: store, Logger: o.log,
		Identify: func(r *http.Request) (page.Caller, error) { return o.identify(r) },
		Evict: func(r *http.Request, lock string, token int64, reason string) (*etcdstore.Holder, error) {
			return server.Evict(r.Context(), shown(r), peerOf(r), lock, token, reason)
		},
	})
	o.http.Mount(o.page)
}

// stop has it told that the server stops.
func (o *operations) stop() {
	o.stopping.Store(true)
	if o.page != nil {
		o.page.Close() // which watches the store, and is not waited for by the drain
	}
}

// peerOf is where a request came from.
func peerOf(r *http.Request) net.Addr {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return nil // which no listener of TCP says
	}
	return net.TCPAddrFromAddrPort(addr)
}

// close ends it.
func (o *operations) close() {
	if o.http == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	o.http.Shutdown(ctx)
	o.serving.Wait()
}

func (o *operations) sources(store *etcdstore.Store, server *facade.Server, backend *backend) metrics.Sources {
	from := metrics.Sources{Serving: func() bool { return o.ready() == nil }, Certificates: o.certificates}
	if store != nil {
		from.Store, from.Stale, from.HighWater = store, server.Stale, backend.highWater
	}
	return from
}

// checks is what has to be well for the server to be ready.
func (o *operations) checks() []admin.Check {
	p := o.parts.Load()
	started := admin.Check{Name: "started"}
	if p == nil {
		started.Err = errors.New("not yet: etcd is waited for")
		return []admin.Check{started}
	}
	running := admin.Check{Name: "running"}
	if o.stopping.Load() {
		running.Err = errors.New("the server was told to stop")
	}
	certificates, policy := p.server.Stale()
	_, space := p.store.Short()
	return []admin.Check{
		started, running, {Name: "quorum", Err: p.store.Unserved()},
		{Name: "space", Err: space, Notice: true},
		{Name: "certificates", Err: certificates, Notice: true},
		{Name: "policy", Err: policy, Notice: true},
	}
}

// ready is why the server is not ready; nil: it is.
func (o *operations) ready() error {
	for _, c := range o.checks() {
		if c.Err != nil && !c.Notice {
			return c.Err
		}
	}
	return nil
}

// shown is what a request has with it that says who makes it.
func shown(r *http.Request) facade.Shown {
	return facade.Shown{TLS: r.TLS, Authorization: r.Header.Values("Authorization")}
}

// identify finds out who makes a request.
func (o *operations) identify(r *http.Request) (facade.Visitor, error) {
	return o.access.Visit(shown(r))
}

// refused has it written down, and counted, that a request was refused for who made it.
func (o *operations) refused(r *http.Request, caller admin.Caller, err error) {
	why := "UNAUTHENTICATED"
	if errors.Is(err, auth.ErrPermissionDenied) {
		why = "PERMISSION_DENIED"
	}
	o.metrics.Refused(why)
	o.log.Info("a request to the admin address was refused", "method", r.Pattern, "code", why, "identity", caller.Name(), "peer", r.RemoteAddr, "err", err)
	if o.access.Audit != nil {
		o.access.Audit.Write(audit.Line{
			Time: time.Now(), Server: o.access.Server, Identity: caller.Name(), Peer: r.RemoteAddr, Verb: auth.Admin.String(), Method: r.Pattern,
			Outcome: why, Refusal: true,
		})
	}
}

// certificates are when those end that this server shows.
func (o *operations) certificates() map[string]time.Time {
	ends := map[string]time.Time{}
	for use, file := range map[string]string{"server": o.cfg.TLS.Cert, "peer": o.cfg.Cluster.TLS.Cert, "etcd": o.cfg.Etcd.TLS.Cert} {
		if file == "" {
			continue
		}
		if end, err := endOf(file); err == nil {
			ends[use] = end
		}
	}
	if o.access.Certificates != nil { // of which files may have others that cannot be used
		if pair := o.access.Certificates.Get().Certificate; pair != nil && pair.Leaf != nil {
			ends["server"] = pair.Leaf.NotAfter
		}
	}
	return ends
}

// endOf is when the first certificate in a file ends.
func endOf(file string) (time.Time, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return time.Time{}, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return time.Time{}, errors.New("no certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, err
	}
	return cert.NotAfter, nil
}

// scrapeErrors logs what keeps a metric from being shown.
type scrapeErrors struct{ log *slog.Logger }

func (s scrapeErrors) Println(v ...any) {
	s.log.Error("a metric could not be shown", "err", fmt.Sprint(v...))
}
