package bearer

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// pace is how often keys are fetched from a URL.
type pace struct {
	every    time.Duration // if all is well
	apart    time.Duration // at least, from the beginning of one fetch to that of the next
	patience time.Duration // of who needs them
}

// fetchTimeout is how long one fetch may take.
const fetchTimeout = 5 * time.Second

// remote is a set of keys at a URL.
type remote struct {
	issuer  Issuer
	pace    pace
	logger  *slog.Logger
	keys    atomic.Pointer[keySet]
	ask     chan struct{} // has run fetch, at once; there is room for one
	stopped chan struct{} // closed when run ends

	mu      sync.Mutex
	fetched chan struct{} // closed when the fetch that is wanted or under way has ended; nil: none is
	next    time.Time     // before which none is to be wanted

	text  []byte // of the keys; like fault it is run's own
	fault string // the last one that was told of
}

func newRemote(issuer Issuer, pace pace, logger *slog.Logger) *remote {
	return &remote{
		issuer: issuer, pace: pace, logger: logger, ask: make(chan struct{}, 1), stopped: make(chan struct{}),
		fetched: make(chan struct{}), // run begins with one
	}
}

func (r *remote) current() *keySet { return r.keys.Load() }

func (r *remote) look() {
	r.mu.Lock()
	if r.fetched == nil && !time.Now().Before(r.next) {
		r.fetched = make(chan struct{})
		r.ask <- struct{}{}
	}
	fetched := r.fetched
	r.mu.Unlock()
	if fetched == nil {
		return
	}
	late := time.NewTimer(r.pace.patience)
	defer late.Stop()
	select {
	case <-fetched:
	case <-late.C:
	case <-r.stopped:
	}
}

// run fetches the keys until ctx ends. Nobody else does, so there is one fetch at a time.
func (r *remote) run(ctx context.Context) {
	defer close(r.stopped)
	for {
		began, wait := time.Now(), r.pace.every
		err := r.fetch(ctx)
		if ctx.Err() != nil {
			return
		}
		r.tell(err)
		if err != nil {
			wait = r.pace.apart
		}
		r.mu.Lock()
		close(r.fetched)
		r.fetched, r.next = nil, began.Add(r.pace.apart)
		r.mu.Unlock()

		again := time.NewTimer(time.Until(began.Add(wait)))
		select {
		case <-ctx.Done():
		case <-again.C:
		case <-r.ask:
		}
		again.Stop()

		r.mu.Lock()
		select {
		case <-r.ask: // while the timer fired
		default:
		}
		if r.fetched == nil {
			r.fetched = make(chan struct{})
		}
		r.mu.Unlock()
	}
}

// fetch takes the keys that are at the URL now, if they are others.
func (r *remote) fetch(ctx context.Context) error {
	text, err := r.get(ctx)
	if err != nil || bytes.Equal(text, r.text) {
		return err
	}
	keys, err := parseSet(text, r.logger)
	if err != nil {
		return err
	}
	r.text = text
	r.keys.Store(keys)
	return nil
}

// get asks over a connection of its own, with the files of this moment.
func (r *remote) get(ctx context.Context) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.issuer.JWKS, http.NoBody)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.issuer.CA != "" {
		pem, err := os.ReadFile(r.issuer.CA)
		if err != nil {
			return nil, err
		}
		if config.RootCAs = x509.NewCertPool(); !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: no certificate", r.issuer.CA)
		}
	}
	if r.issuer.TokenFile != "" {
		token, err := os.ReadFile(r.issuer.TokenFile)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+string(bytes.TrimSpace(token)))
	}
	client := http.Client{
		Timeout:       fetchTimeout,
		Transport:     &http.Transport{TLSClientConfig: config, DisableKeepAlives: true},
		CheckRedirect: within,
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers with status %d", r.issuer.JWKS, resp.StatusCode)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxSet+1))
}

// within has a client follow nobody to another host, who would be shown the token.
func within(req *http.Request, via []*http.Request) error {
	if was := via[0].URL; req.URL.Scheme != was.Scheme || req.URL.Host != was.Host || len(via) > 3 {
		return errors.New("it leads elsewhere")
	}
	return nil
}

// tell says what is wrong, once, and that it is well again.
func (r *remote) tell(err error) {
	fault := ""
	if err != nil {
		fault = err.Error()
	}
	if fault != r.fault {
		tell(r.logger, err)
	}
	r.fault = fault
}
