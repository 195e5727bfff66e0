package admin

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/distributed-lock-manager/dlm/facade/auth"
)

// Config is what a server is made of.
type Config struct {
	TLS *tls.Config // nil: plain text
	// Identify finds out who makes a request. An error refuses it.
	Identify func(*http.Request) (Caller, error)
	// Refused is told of a request that was refused for who makes it; nil: nobody is.
	Refused func(*http.Request, Caller, error)
	// Ready tells what has to be well for the server to be ready. It must not take long.
	Ready   func() []Check
	Metrics http.Handler
	Version any  // is shown as JSON
	Pprof   bool // profiles are served
	Logger  *slog.Logger
}

// Caller is who makes a request. Of two that are equal both may do the same.
type Caller interface {
	// Name returns the identity; empty: nobody is asked who they are.
	Name() string
	// May reports whether the caller may do something with a lock; without a name: with the
	// cluster.
	May(verb auth.Verb, lock string) bool
}

// Check is one of the things that have to be well.
type Check struct {
	Name string
	Err  error // nil: it is well
	// Notice: the server is ready all the same.
	Notice bool
}

// The bounds of what the server may cost.
const (
	connections = 256
	maxHeader   = 16 << 10
	maxStreams  = 32 // of one connection

	headerTimeout = 5 * time.Second
	bodyTimeout   = 15 * time.Second
	idleTimeout   = time.Minute
	answerTimeout = 30 * time.Second
	profileTime   = 2 * time.Minute // that a profile is taken for, at most

	scrapes = 20 // a second, and as many at once
)

// Server serves operators.
type Server struct {
	cfg     Config
	http    *http.Server
	page    atomic.Pointer[http.Handler]
	scrapes *rate.Limiter
}

// New returns a server.
func New(cfg Config) *Server {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, scrapes: rate.NewLimiter(scrapes, scrapes)}
	s.http = &http.Server{
		Handler: s.routes(), TLSConfig: cfg.TLS, MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, WriteTimeout: answerTimeout, ConnState: newConns(connections).change,
		ErrorLog: log.New(complaints{cfg.Logger}, "", 0),
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
	}
	return s
}

// Mount has a page answer what nothing else does; nil: nothing does any more. Its requests are
// answered with Service Unavailable before.
func (s *Server) Mount(page http.Handler) {
	if page == nil {
		page = http.NotFoundHandler()
	}
	s.page.Store(&page)
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.Handle("GET /metrics", s.forAdmins(http.HandlerFunc(s.metrics)))
	mux.Handle("GET /version", s.forAdmins(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.cfg.Version)
	})))
	mux.HandleFunc("/debug/", http.NotFound) // what of it is not there is not the page's either
	if s.cfg.Pprof {
		for path, handle := range map[string]http.HandlerFunc{
			"/debug/pprof/": pprof.Index, "/debug/pprof/cmdline": pprof.Cmdline, "/debug/pprof/profile": pprof.Profile,
			"/debug/pprof/symbol": pprof.Symbol, "/debug/pprof/trace": pprof.Trace,
		} {
			mux.Handle("GET "+path, s.forAdmins(profiled(handle)))
		}
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		page := s.page.Load()
		if page == nil {
			say(w, http.StatusServiceUnavailable, "starting\n")
			return
		}
		(*page).ServeHTTP(w, r)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		if r.ContentLength != 0 { // a bound for all requests would end those that last
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
		}
		mux.ServeHTTP(w, r)
	})
}

// profiled bounds a profile, for which pprof itself prolongs the time that an answer may take.
func profiled(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), profileTime)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// forAdmins lets those pass who may look at the cluster.
func (s *Server) forAdmins(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := s.cfg.Identify(r)
		if err == nil && !caller.May(auth.Admin, "") {
			err = fmt.Errorf("%w: %s has no right to what is of the whole cluster (admin)", auth.ErrPermissionDenied, caller.Name())
		}
		if err == nil {
			next.ServeHTTP(w, r)
			return
		}
		if s.cfg.Refused != nil {
			s.cfg.Refused(r, caller, err)
		}
		code := http.StatusForbidden
		if errors.Is(err, auth.ErrUnauthenticated) {
			code = http.StatusUnauthorized
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		say(w, code, err.Error()+"\n")
	})
}

// ready answers 200 if all is well that has to be.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	code, text := http.StatusOK, ""
	for _, c := range s.cfg.Ready() {
		mark, why := "+", "ok"
		if c.Err != nil {
			mark, why = "~", c.Err.Error()
			if !c.Notice {
				code, mark = http.StatusServiceUnavailable, "-"
			}
		}
		text += fmt.Sprintf("[%s] %s: %s\n", mark, c.Name, why)
	}
	verdict := "ready\n"
	if code != http.StatusOK {
		verdict = "not ready\n"
	}
	if !r.URL.Query().Has("verbose") {
		text = ""
	}
	say(w, code, text+verdict)
}

func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	if !s.scrapes.Allow() {
		w.Header().Set("Retry-After", "1")
		say(w, http.StatusTooManyRequests, fmt.Sprintf("more than %d scrapes a second\n", scrapes))
		return
	}
	s.cfg.Metrics.ServeHTTP(w, r)
}

func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text)
}

// Serve serves requests on a listener until Shutdown, and closes the listener. It returns nil if
// Shutdown ended it, else why the listener failed.
func (s *Server) Serve(l net.Listener) error {
	var err error
	if s.cfg.TLS != nil {
		err = s.http.ServeTLS(l, "", "")
	} else {
		err = s.http.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown ends the server: requests in progress are answered, and what is left of them when ctx
// ends is cut off, which is no error: nothing here is worth a wait. A repeat does nothing more.
func (s *Server) Shutdown(ctx context.Context) {
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
}

// complaints logs what net/http complains of: strangers who speak something else.
type complaints struct{ log *slog.Logger }

func (c complaints) Write(line []byte) (int, error) {
	c.log.Debug("the admin address", "what", string(line))
	return len(line), nil
}
