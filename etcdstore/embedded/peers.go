package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

const (
	// Where a member that has not founded yet answers, at its peer address. Etcd has nothing there.
	standingPath = "/dlm/founding"
	// Where etcd, at the same address, tells the members of its cluster, and the header with the
	// cluster's id.
	membersPath   = "/members"
	clusterHeader = "X-Etcd-Cluster-ID"

	askTimeout = 2 * time.Second // for one member's answer
	maxAnswer  = 1 << 20         // bytes of it
	// How often members are asked: often at first, while all of them start.
	askFirst, askLast = 50 * time.Millisecond, time.Second
	// When a member that waits says so: not for as long as members usually take to start, and then
	// now and then, or sooner when the reason is another one.
	sayFirst, sayAgain, sayChanged = 3 * time.Second, time.Minute, 5 * time.Second
)

// answer is what a member answered: err, or that its etcd runs, or how far it is with the founding.
type answer struct {
	err     error
	cluster string       // the id of its etcd's cluster; empty: its etcd does not run
	known   []peerMember // what its etcd knows of the members
	standing
}

// peerMember is a member in etcd's own words.
type peerMember struct {
	ID         uint64   `json:"id"`
	PeerURLs   []string `json:"peerURLs"`
	Name       string   `json:"name"`
	ClientURLs []string `json:"clientURLs"`
}

// peers asks the other members.
type peers struct {
	urls   map[string]string // name -> base URL
	client *http.Client
	logger *zap.Logger
}

func newPeers(ec *embed.Config, members map[string]string, logger *zap.Logger) (*peers, error) {
	t, err := transport.NewTransport(ec.PeerTLSInfo, askTimeout)
	if err != nil {
		return nil, fmt.Errorf("peer TLS: %w", err)
	}
	t.Proxy = nil // peers are reached directly
	t.DisableKeepAlives = true
	p := &peers{
		urls:   map[string]string{},
		client: &http.Client{Transport: t, Timeout: askTimeout, CheckRedirect: noRedirect},
		logger: logger,
	}
	for name, addr := range members {
		if name != ec.Name {
			p.urls[name] = (&url.URL{Scheme: ec.AdvertisePeerUrls[0].Scheme, Host: addr}).String()
		}
	}
	return p, nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// until asks all others again and again until decide, which is given their answers, is content. In
// between it says what stands in the way. When ctx ends first, it says that too.
func (p *peers) until(ctx context.Context, what string, decide func(map[string]answer) (bool, *obstacle, error)) error {
	pause, say, said := askFirst, time.Now().Add(sayFirst), ""
	var last *obstacle
	for {
		answers := p.ask(ctx)
		if ctx.Err() != nil {
			return last.timeout(what, context.Cause(ctx)) // what was asked now was cut off
		}
		done, wait, err := decide(answers)
		if done || err != nil {
			return err
		}
		last = wait
		if wait == nil {
			pause = askFirst // they are about to answer something else
		} else if text := wait.String(); time.Now().After(say) || said != "" && said != text && time.Now().After(say.Add(sayChanged-sayAgain)) {
			p.logger.Warn("waiting to "+what, zap.String("why", text), zap.String("remedy", wait.remedy))
			say, said = time.Now().Add(sayAgain), text
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return wait.timeout(what, context.Cause(ctx))
		}
		pause = min(2*pause, askLast)
	}
}

// ask asks all others at once.
func (p *peers) ask(ctx context.Context) map[string]answer {
	var mu sync.Mutex
	var wg sync.WaitGroup
	answers := map[string]answer{}
	for name, base := range p.urls {
		wg.Go(func() {
			a := p.one(ctx, base)
			mu.Lock()
			defer mu.Unlock()
			answers[name] = a
		})
	}
	wg.Wait()
	return answers
}

func (p *peers) one(ctx context.Context, base string) answer {
	var a answer
	status, _, err := p.get(ctx, base+standingPath, &a.standing)
	if err == nil && status == http.StatusNotFound {
		var header http.Header
		status, header, err = p.get(ctx, base+membersPath, &a.known)
		a.cluster = header.Get(clusterHeader)
	}
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("HTTP status %d", status)
	}
	if err != nil {
		return answer{err: err}
	}
	return a
}

// get decodes an answer whose status is 200.
func (p *peers) get(ctx context.Context, url string, into any) (int, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, nil, errors.Unwrap(err) // without the URL, of which is said enough
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK {
		err = json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into)
	}
	return resp.StatusCode, resp.Header, err
}

// obstacle is why a member waits, with one text for each of the others that it waits for.
type obstacle struct {
	silent, other, data []string
	remedy              string
}

func (o *obstacle) String() string {
	return strings.Join(slices.Concat(o.data, o.other, o.silent), "; ")
}

// timeout is the error when there is no time left to wait. There may be no obstacle.
func (o *obstacle) timeout(what string, cause error) error {
	switch {
	case o == nil:
		return fmt.Errorf("wait to %s: %w", what, cause)
	case len(o.data) > 0:
		return fmt.Errorf("%w: wait to %s: %w: %s; %s", ErrEmptied, what, cause, o, o.remedy)
	}
	return fmt.Errorf("wait to %s: %w: %s; %s", what, cause, o, o.remedy)
}

// serving answers those who ask, where etcd will listen.
type serving struct {
	server *http.Server
	done   chan struct{}
}

func (f *founder) serve(ec *embed.Config) (*serving, error) {
	u := ec.ListenPeerUrls[0]
	l, err := transport.NewListenerWithOpts(u.Host, u.Scheme, transport.WithTLSInfo(&ec.PeerTLSInfo))
	if err != nil {
		return nil, fmt.Errorf("listen for peers: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc(standingPath, func(w http.ResponseWriter, _ *http.Request) {
		text, err := f.tell()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text) // who asked asks again
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if cluster := r.Header.Get(clusterHeader); cluster != "" {
			f.claim(cluster, r.RemoteAddr)
		}
		http.NotFound(w, r)
	})
	s := &serving{
		server: &http.Server{
			Handler:           mux,
			ReadTimeout:       askTimeout,
			ReadHeaderTimeout: askTimeout,
			WriteTimeout:      askTimeout,
			MaxHeaderBytes:    1 << 14,
			ErrorLog:          zap.NewStdLog(zap.NewNop()),
		},
		done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		_ = s.server.Serve(l)
	}()
	return s, nil
}

func (s *serving) close() {
	_ = s.server.Close()
	<-s.done
}
