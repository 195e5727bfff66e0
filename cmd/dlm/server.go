package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/process"
	"github.com/distributed-lock-manager/dlm/cmd/internal/heap"
	"github.com/distributed-lock-manager/dlm/config"
	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/facade"
	"github.com/distributed-lock-manager/dlm/facade/coursework"
)

func newServer(s *streams) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "server [flags]",
		Short: "Run a server",
		Long: `Run a server. Without a configuration it keeps everything in ./dlm-data, by an etcd inside this process, and listens
on 127.0.0.1:50051. One line on standard output says when it is ready; logs go to standard error.

Settings come from flags, DLM_* environment variables, the file, and defaults, in this order; "dlm config print" shows
the result. SIGTERM and SIGINT stop it when the calls in progress are answered; a second one stops it at once. SIGHUP has
it open the audit's file anew, read the configuration again and take over what a running server can; the log says what
that is, and what needs a restart. Certificates, policies and issuers' keys are reread without a signal. SIGQUIT writes what every goroutine is doing to standard error.

Exit code: 0 after a signal, 69 etcd cannot be reached, 73 the data directory is another server's, 74 the disk is full or
cannot be written to, 78 the configuration is wrong, or the server must not run on this data as it is, which is said with
what to do, 1 any other failure.`,
		Args: arguments(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd, file)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cfg, func() (config.Config, error) {
				if file != "" {
					if err := config.CheckRegular(file); err != nil {
						return config.Config{}, fmt.Errorf("%w: %s: %w", errConfig, file, err)
					}
				}
				return loadConfig(cmd, file)
			}, s)
		},
	}
	configFlags(cmd, &file)
	return cmd
}

// serverHeap is how large a server's heap may grow before it is collected: with few sessions some
// 10 MB of it are alive, and would otherwise be gone through many times a second. With more than
// this, memory for ten thousand waiters grew beyond what they need.
const serverHeap = 40 << 20

// lastResort is how long a server that was told to stop may take beyond its drain. It takes a
// second or two, and some more to hand an office over to another member.
const lastResort = 20 * time.Second

// serve runs a server until a signal ends it, or a part of it fails. It loads the configuration
// anew when it is told to.
func serve(ctx context.Context, cfg config.Config, load func() (config.Config, error), s *streams) (err error) {
	// A reader of standard output or error that goes away is no reason to stop.
	signal.Ignore(syscall.SIGPIPE)
	logs, err := newLogs(s.err, cfg.Log.Level, cfg.Log.Format)
	if err != nil {
		return err
	}
	defer logs.close()
	// Etcd's peers reach each other over HTTP, by the environment's proxy if it has one, and etcd
	// has no setting for that. Whatever else makes a request uses no proxy by itself. The variables
	// are read once, at the first request.
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		if err := os.Setenv(name, "*"); err != nil {
			return err
		}
	}
	control := &control{logs: logs, load: load, began: cfg, last: cfg}
	control.on(func(cfg config.Config) error { return logs.setLevel(cfg.Log.Level) }, "log.level")
	signals := process.Catch(syscall.SIGINT, syscall.SIGTERM)
	defer signals.Release()
	ctx, stop := signals.Context(ctx)
	defer stop()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer control.run(s.in, end)()
	logs.own.Info("starting", "version", build().Version, "commit", build().Revision, "pid", os.Getpid(), "config", effective(cfg))
	for _, warning := range cfg.Exposed() {
		logs.own.Warn("a secret lies open", "file", warning)
	}
	heap.Roomy(serverHeap)
	go heap.Release(ctx, serverHeap)
	var last *time.Timer
	defer func() {
		if last != nil {
			last.Stop()
		}
	}()

	access, err := openAccess(cfg, logs.sink, logs.own)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, access.close()) }()
	control.always(access.reopen)
	operations, err := openOperations(ctx, cfg, access, logs)
	if err != nil {
		return orSignal(ctx, err)
	}
	defer operations.close()

	traces, endTraces, err := serverTraces(ctx, serverName(cfg), logs)
	if err != nil {
		return fmt.Errorf("%w: traces: %w", errConfig, err)
	}
	defer endTraces()

	// Each part is stopped by what is deferred where it was started, so in the opposite order:
	// the facade drains, then the store, the client, and the embedded etcd last.
	backend, err := openBackend(ctx, cfg, control, traces)
	if err != nil {
		return orSignal(ctx, err)
	}
	defer func() { err = errors.Join(err, backend.close()) }()

	readiness := &readiness{}
	store, err := openStore(ctx, cfg, etcdstore.Config{
		Client:    backend.client,
		Local:     backend.local,
		Etcd:      backend.etcd,
		Prefix:    cfg.Etcd.Prefix,
		Logger:    logs.own,
		History:   cfg.Etcd.History,
		Name:      serverName(cfg),
		Version:   build().Version,
		Limits:    storeLimits(cfg.Limits),
		Holds:     holdLimits(cfg.Hold),
		OnServing: readiness.set,
		Observer:  operations.observer(),
	})
	if err != nil {
		return orSignal(ctx, err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	control.on(func(cfg config.Config) error { return store.LimitHolds(holdLimits(cfg.Hold)) }, "hold.max")
	if err := backend.recognize(cfg.Etcd.Prefix, store.Cluster()); err != nil {
		return err
	}

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return orSignal(ctx, err)
	}
	tellHowOpen(cfg, listener.Addr(), logs.own)
	api := courseworkOf(cfg, store, logs)
	defer tend(ctx, api)()
	server := facade.New(operations.count(facade.Config{
		Store: store, Logger: logs.own, Coursework: api, Limits: facadeLimits(cfg.Limits, logs.own), Access: access.Access,
		NoReflection: !cfg.Reflection, Tracer: tracerOf(traces),
	}))
	served := make(chan error, 1)
	var serving sync.WaitGroup
	serving.Go(func() { served <- server.Serve(listener) })
	defer serving.Wait()
	defer func() {
		operations.stop()
		// The next signal is not waited for any more: it stops the process at once.
		signals.Release()
		last = time.AfterFunc(cfg.Drain+lastResort, func() {
			s.printf("what is left of the server does not end: it is ended as it is")
			os.Exit(exitFailure)
		})
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.Drain)
		defer cancel()
		if shutdownErr := server.Shutdown(drain); shutdownErr != nil {
			logs.own.Warn("calls in progress were cut off", "drain", cfg.Drain, "err", shutdownErr)
		}
	}()
	readiness.attach(server.SetServing)
	operations.attach(store, server, backend)

	about := []any{"listen", listener.Addr().String(), "cluster", store.Cluster(), "revision", store.Revision()}
	if operations.addr != nil {
		about = append(about, "admin", operations.addr.String())
	}
	logs.own.Info("ready", append(about, backend.about...)...)
	if _, err := fmt.Fprintln(s.out, readyLine(listener.Addr(), operations.where()+backend.where)); err != nil {
		logs.own.Warn("standard output is closed", "err", err) // Which is no reason not to serve.
	}
	select {
	case <-ctx.Done():
		logs.own.Info("stopping", "cause", context.Cause(ctx).Error())
		return nil
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case err := <-operations.failed:
		return err
	case err := <-backend.failed:
		return fmt.Errorf("embedded etcd: %w", err)
	}
}

// effective is the configuration for the log: every key that has a value, without secrets.
func effective(cfg config.Config) slog.Value {
	var values []slog.Attr
	for key, value := range cfg.Values() {
		if value != "" {
			values = append(values, slog.String(key, value))
		}
	}
	return slog.GroupValue(values...)
}

// courseworkOf is the coursework's API; nil: it is not wanted.
func courseworkOf(cfg config.Config, store *etcdstore.Store, logs logs) *coursework.Service {
	if cfg.Coursework.Lock == "" {
		return nil
	}
	return coursework.New(coursework.Config{
		Store: store, Logger: logs.own,
		Lock: cfg.Coursework.Lock, TTL: cfg.Coursework.TTL, Hold: cfg.Coursework.Hold,
	})
}

// tend looks after what the coursework's API keeps of its clients, until stop is called. Without
// the API there is nothing to do.
func tend(ctx context.Context, api *coursework.Service) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	if api != nil {
		running.Go(func() { api.Run(ctx) })
	}
	return func() {
		cancel()
		running.Wait()
	}
}

// readiness passes the store's word on to the server, which is made after it.
type readiness struct {
	mu      sync.Mutex
	serving bool
	tell    func(bool)
}

func (r *readiness) set(serving bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serving = serving
	if r.tell != nil {
		r.tell(serving)
	}
}

func (r *readiness) attach(tell func(bool)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tell = tell
	tell(r.serving)
}

// loopback reports whether an address can be reached from this machine only.
func loopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// serverName is who this server is, to operators.
func serverName(cfg config.Config) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return host + ", " + cfg.Listen
}

// reachable is where a server on this machine is reached that listens at an address.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listen
}

// readyLine says where the server is, where its data is, and what to try next.
func readyLine(addr net.Addr, where string) string {
	try := "dlm"
	if self, err := os.Executable(); err == nil && strings.Contains(self, "go-build") {
		try = "go run ./cmd/dlm" // The binary that "go run" made is nowhere where a user would find it.
	}
	try += " lock "
	reach := reachable(addr.String())
	if reach != defaultEndpoint {
		try += "--endpoints " + reach + " "
	}
	return fmt.Sprintf("dlm is ready on %s, %s; try: %sdemo -- echo hello", addr, where, try)
}
