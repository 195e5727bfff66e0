package scenarios_test

import (
	"context"
	"errors"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/tools/faultproxy"
	"github.com/distributed-lock-manager/dlm/tools/scenarios/original"
)

// errExpired is LOCK_EXPIRED, in whatever words the API has for it.
var errExpired = errors.New("LOCK_EXPIRED")

// party is C1, C2 or C3: a client of either API.
type party interface {
	acquire(ctx context.Context) error
	append(ctx context.Context, file, text string) error
	// goOn appends without asking first who holds the lock.
	goOn(ctx context.Context, file, text string) error
	release(ctx context.Context) error
	// pause stops the client as a pause of its process would.
	pause() (wake func())
	// calls returns a call's name on the wire.
	call(name string) string
}

// member is a party and the proxy that stands between it and the server that it prefers.
type member struct {
	party
	s     *stage
	proxy *faultproxy.Proxy
}

// joins makes a client whose messages go through proxies of its own, one for each server. It
// prefers the first.
func (s *stage) joins() member { return s.joinsAt(0) }

// joinsAt makes one that prefers another.
func (s *stage) joinsAt(server int) member {
	s.Helper()
	m := member{s: s}
	servers := s.cast.addrs()
	var addrs []string
	for i := range servers {
		proxy, err := faultproxy.Start(servers[(server+i)%len(servers)])
		s.must(err)
		s.Cleanup(func() { s.must(proxy.Close()) })
		if i == 0 {
			m.proxy = proxy
		}
		addrs = append(addrs, proxy.Addr())
	}
	if s.api == viaSDK {
		m.party = &sdkParty{c: s.sdk(addrs), direct: s.reader, proxy: m.proxy}
		return m
	}
	c, err := original.Open(s.ctx, original.Config{
		Servers: addrs,
		Timeout: 1200 * time.Millisecond, // longer than a Ping may take
		Pause:   50 * time.Millisecond,
		Ask:     100 * time.Millisecond,
		Beat:    s.cast.ttl() / 4,
		Look:    time.Second,
	})
	s.must(err)
	s.Cleanup(c.Close)
	m.party = &originalParty{c}
	return m
}

// next says what becomes of the next request or reply of a call.
func (m member) next(call string, leg faultproxy.Leg, fate faultproxy.Fate) faultproxy.Met {
	return m.proxy.Next(m.call(call), leg, fate)
}

// every says what becomes of all of them.
func (m member) every(call string, leg faultproxy.Leg, fate faultproxy.Fate) faultproxy.Met {
	return m.proxy.Every(m.call(call), leg, fate)
}

func (m member) acquires() {
	m.s.Helper()
	m.s.must(m.bounded(m.acquire))
}

func (m member) appends(file, text string) {
	m.s.Helper()
	m.s.must(m.bounded(func(ctx context.Context) error { return m.append(ctx, file, text) }))
}

func (m member) releases() {
	m.s.Helper()
	m.s.must(m.bounded(m.release))
}

// section acquires, appends a text so many times to each file, and releases; all again if the hold
// is lost.
func (m member) section(text string, times int, files ...string) error {
	for {
		err := m.timed(m.acquire)
		for i := range times * len(files) {
			if err == nil {
				err = m.timed(func(ctx context.Context) error { return m.goOn(ctx, files[i/times], text) })
			}
		}
		if err == nil {
			err = m.timed(m.release)
		}
		if !errors.Is(err, errExpired) {
			return err
		}
	}
}

// timed makes a call, which ends the stage's recovery if it was begun after the fault and succeeds.
func (m member) timed(do func(context.Context) error) error {
	began := time.Now()
	err := m.bounded(do)
	if err == nil {
		m.s.recoveredBy(began)
	}
	return err
}

// expired checks that an append of one that has just woken up is refused, by the server too.
func (m member) expired(file, text string) {
	m.s.Helper()
	tries := []func(context.Context, string, string) error{m.goOn}
	if sdk, ok := m.party.(*sdkParty); ok {
		tries = append(tries, sdk.stale)
	}
	for _, try := range tries {
		err := m.bounded(func(ctx context.Context) error { return try(ctx, file, text) })
		if !errors.Is(err, errExpired) {
			m.s.Fatalf("the append: %v, want %v", err, errExpired)
		}
	}
}

func (m member) bounded(do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(m.s.ctx, patience)
	defer cancel()
	return do(ctx)
}

// worded says what an API said in the words of the scenarios.
func worded(err error) error {
	if errors.Is(err, original.ErrExpired) || errors.Is(err, client.ErrLockExpired) {
		return errExpired
	}
	return err
}

// originalParty is a client of the coursework.
type originalParty struct{ c *original.Client }

func (p *originalParty) acquire(ctx context.Context) error { return p.c.Acquire(ctx) }

func (p *originalParty) append(ctx context.Context, file, text string) error {
	return worded(p.c.Append(ctx, file, []byte(text)))
}

func (p *originalParty) goOn(ctx context.Context, file, text string) error {
	return worded(p.c.AppendAtOnce(ctx, file, []byte(text)))
}

func (p *originalParty) release(ctx context.Context) error { return worded(p.c.Release(ctx)) }

func (p *originalParty) pause() (wake func()) {
	p.c.Stop()
	return p.c.Continue
}

func (p *originalParty) call(name string) string {
	switch name {
	case "acquire":
		return "lock_acquire"
	case "release":
		return "lock_release"
	case "append":
		return "file_append"
	}
	return name
}

// sdkParty is a client of dlm.v1.
type sdkParty struct {
	c      *client.Client
	direct *client.Client
	proxy  *faultproxy.Proxy
	lock   *client.Lock
}

func (p *sdkParty) acquire(ctx context.Context) (err error) {
	p.lock, err = p.c.Lock(ctx, oneLock)
	return err
}

func (p *sdkParty) append(ctx context.Context, file, text string) error {
	return worded(p.lock.Append(ctx, file, []byte(text)))
}

func (p *sdkParty) goOn(ctx context.Context, file, text string) error {
	return p.append(ctx, file, text)
}

// stale sends an append in the section whatever the SDK's clock says of it.
func (p *sdkParty) stale(ctx context.Context, file, text string) error {
	return worded(p.direct.Section(oneLock, p.lock.Credential(), p.lock.Token()).Append(ctx, file, []byte(text)))
}

func (p *sdkParty) release(ctx context.Context) error { return worded(p.lock.Unlock(ctx)) }

// pause lets nothing of what the client sends arrive: its heartbeats come late, as everything of a
// stopped process.
func (p *sdkParty) pause() (wake func()) {
	over := make(chan struct{})
	p.proxy.Every("", faultproxy.Request, faultproxy.Fate{After: over})
	return func() { close(over) }
}

func (p *sdkParty) call(name string) string { return name }
