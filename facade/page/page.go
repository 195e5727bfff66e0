package page

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"sync"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/facade/auth"
)

// Config is what a page is made of.
type Config struct {
	Store Store // not closed by the page
	// Identify finds out who makes a request, and what that may do at the moment. An error refuses
	// the request. It is asked again each second for a stream that lasts.
	Identify func(*http.Request) (Caller, error)
	// Evict takes a lock from its holder in the name of whoever makes the request, as an
	// etcdstore.Store's Evict does, and refuses whoever may not.
	Evict  func(r *http.Request, lock string, token int64, reason string) (*etcdstore.Holder, error)
	Logger *slog.Logger // nil: discards
}

// Caller is who makes a request. Of two that are equal it is taken for granted that both may do the
// same.
type Caller interface {
	// Name is the identity; empty: nobody is asked who they are.
	Name() string
	// May reports whether the caller may do something with a lock.
	May(verb auth.Verb, lock string) bool
}

// Store is what the page shows: the methods of an etcdstore.Store.
type Store interface {
	Watch(ctx context.Context, prefix string, send func(*etcdstore.News) error) error
	Describe(ctx context.Context, locks []string) (infos []etcdstore.LockInfo, revision int64, err error)
	Inspect(ctx context.Context, lock string) (etcdstore.LockInfo, error)
	LastEvents(ctx context.Context, lock string, most int) (events []etcdstore.PastEvent, since time.Time, err error)
	ListFiles(ctx context.Context, lock string, limit int, after string) (files []etcdstore.File, next string, err error)
}

// Page is the web page's handler. It is safe for concurrent use.
type Page struct {
	cfg   Config
	hub   *hub
	mux   *http.ServeMux
	cross *http.CrossOriginProtection

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	open    int            // streams
	own     map[string]int // of each identity
	streams sync.WaitGroup
}

//go:embed static
var static embed.FS

// New returns a page.
func New(cfg Config) *Page {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Page{
		cfg: cfg, hub: newHub(cfg.Store, cfg.Logger), mux: http.NewServeMux(), cross: http.NewCrossOriginProtection(), own: map[string]int{},
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.serveFiles()
	p.handle("GET /events", p.stream)
	p.handle("GET /api/locks", p.locks)
	p.handle("GET /api/lock", p.lock)
	p.handle("GET /api/files", p.files)
	p.handle("POST /api/evict", p.evict)
	return p
}

// Close ends all streams, and waits for them and for what they have started. Requests that come
// later get no stream. A repeat does nothing.
func (p *Page) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.streams.Wait()
	p.hub.close()
}

// ServeHTTP answers one request.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	p.mux.ServeHTTP(w, r)
}

// secure sets the headers by which a browser loads and calls nothing but what is the page's own,
// and lets no other site have a part in it.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// handle has requests answered whose maker is known.
func (p *Page) handle(pattern string, answer func(http.ResponseWriter, *http.Request, Caller)) {
	p.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		caller, err := p.cfg.Identify(r)
		if err != nil {
			p.fail(w, err)
			return
		}
		if err := guard(r, caller); err != nil {
			p.refuse(w, http.StatusMisdirectedRequest, err.Error())
			return
		}
		if err := p.cross.Check(r); err != nil {
			p.refuse(w, http.StatusForbidden, "this did not come from the page itself")
			return
		}
		answer(w, r, caller)
	})
}

// serveFiles has the static files served. They are small, and asked for again each time.
func (p *Page) serveFiles() {
	entries, err := fs.ReadDir(static, "static")
	if err != nil {
		panic(err) // they are in the program
	}
	for _, entry := range entries {
		content, err := static.ReadFile("static/" + entry.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(content)
		tag := fmt.Sprintf("%q", hex.EncodeToString(sum[:8]))
		where, kind := "/"+entry.Name(), kindOf(entry.Name())
		if entry.Name() == "index.html" {
			where = "/{$}"
		}
		p.handle("GET "+where, func(w http.ResponseWriter, r *http.Request, _ Caller) {
			w.Header().Set("Cache-Control", "private, no-cache")
			w.Header().Set("ETag", tag)
			if r.Header.Get("If-None-Match") == tag {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(content) // to a reader that may have gone
		})
	}
}

// kindOf is a file's media type. What the system has to say of that may be wrong, and a browser
// runs no script by another name.
func kindOf(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "text/html; charset=utf-8"
}
