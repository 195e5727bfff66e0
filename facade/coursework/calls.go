package coursework

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	pb "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
)

// maxID bounds a call's id in bytes.
const maxID = 256

func validID(id string) bool { return id != "" && len(id) <= maxID }

// LockAcquire blocks until the lock is granted. The response says:
//
//   - SUCCESS: the client holds the lock, under the token that is the version. So does a repeat,
//     also after the release.
//   - TIMEOUT_ERROR: a late duplicate, from too long ago to be remembered.
//   - FILE_ERROR: no such client, no id, the id of a call of another kind, or no room on the
//     server.
func (s *Service) LockAcquire(ctx context.Context, req *pb.LockArgs) (*pb.Response, error) {
	if !validID(req.GetRequestId()) {
		return answer(0, errRefused)
	}
	for {
		token, err := s.acquire(ctx, req.GetClientId(), req.GetRequestId())
		if !errors.Is(err, errAgain) {
			return answer(token, err)
		}
	}
}

// errAgain is the error of an attempt whose grounds have changed meanwhile: another one is due.
var errAgain = errors.New("acquire again")

// attempt is how an acquire begins.
type attempt struct {
	token   int64  // its result, which is known already; 0: the store has to be asked
	request string // that the store knows it by
	session string
}

func (s *Service) acquire(ctx context.Context, number int32, id string) (token int64, err error) {
	begun, err := update(ctx, s, number, func(c *caller) (attempt, error) { return s.attempt(ctx, c, id) })
	if err != nil || begun.token != 0 {
		return begun.token, err
	}
	stop := s.keepAlive(ctx, begun.session)
	grant, err := s.store.Acquire(ctx, etcdstore.AcquireArgs{
		Credential:  begun.session,
		Acquisition: etcdstore.Acquisition{Lock: s.lock, Request: begun.request},
		Wait:        etcdstore.WaitForever,
		Label:       label(number),
		Hold:        s.hold,
	})
	stop()
	switch {
	case errors.Is(err, etcdstore.ErrSessionExpired):
		return 0, errAgain // under a new session
	case errors.Is(err, etcdstore.ErrLockExpired), err == nil && grant.Outcome != etcdstore.Granted:
		return 0, s.superseded(ctx, number, id, begun.request) // granted and ended meanwhile
	case err != nil:
		return 0, err
	}
	token, err = update(ctx, s, number, func(c *caller) (int64, error) {
		if known, seen := c.find(id); seen {
			return known.Token, nil // a repeat was faster
		}
		return grant.Token, s.granted(ctx, c, id, grant.Token)
	})
	if err == nil && token != grant.Token { // and its hold is over: this one is nobody's
		err = s.store.Release(ctx, etcdstore.Section{Credential: begun.session, Lock: s.lock, Token: grant.Token})
	}
	return token, err
}

// attempt decides what an acquire is:
//
//   - a repeat, or a call of the holder: its token is known.
//   - a late duplicate: ErrLockExpired. It must not wait for the lock a second time.
//   - the id of a call of another kind: errRefused.
//   - a new wait, or a repeat of one, or a repeat whose hold was lost before the client learned of
//     it: for the store.
func (s *Service) attempt(ctx context.Context, c *caller, id string) (attempt, error) {
	held, err := s.held(ctx, c)
	if err != nil {
		return attempt{}, err
	}
	known, seen := c.find(id)
	n, counted := counter(c.ID, id)
	switch {
	case seen && !known.Acquire:
		return attempt{}, errRefused
	case seen && (known.Token == held.token || !c.lost(known)):
		return attempt{token: known.Token}, nil
	case !seen && counted && (n < c.Last || n == c.Last && held.token == 0):
		return attempt{}, etcdstore.ErrLockExpired // its result is from too long ago to be remembered
	case !seen && held.token != 0:
		return attempt{token: held.token}, s.granted(ctx, c, id, held.token)
	case seen, c.Held != 0: // the hold was lost
		c.forget(id)
		if seen && counted {
			c.Last = min(c.Last, n-1)
		}
		c.Held = 0
		c.Era++
		if err := s.save(ctx, c); err != nil {
			return attempt{}, err
		}
	}
	return attempt{request: c.request(id), session: c.Session}, nil
}

// granted records a grant, before the client learns of it.
func (s *Service) granted(ctx context.Context, c *caller, id string, token int64) error {
	c.remember(call{ID: id, Token: token, Acquire: true})
	c.Held = token
	if n, ok := counter(c.ID, id); ok {
		c.Last = max(c.Last, n)
	}
	return s.save(ctx, c)
}

// superseded returns errAgain, once the client's next attempt is another acquisition of the store
// than request. A repeat may have seen to that already, or have got the lock.
func (s *Service) superseded(ctx context.Context, number int32, id, request string) error {
	_, err := update(ctx, s, number, func(c *caller) (struct{}, error) {
		if _, seen := c.find(id); seen || c.request(id) != request {
			return struct{}{}, nil
		}
		c.Era++
		return struct{}{}, s.save(ctx, c)
	})
	if err != nil {
		return err
	}
	return errAgain
}

// keepAlive renews a session until stop is called, while one of its calls blocks.
func (s *Service) keepAlive(ctx context.Context, session string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(s.ttl / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := s.renew(ctx, session); err != nil && ctx.Err() == nil {
				s.log.Warn("a waiting client was not renewed", "err", err)
			}
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// renew renews a session. A panic is an error: in a goroutine of the service's own it would end the
// whole server.
func (s *Service) renew(ctx context.Context, session string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	_, err = s.store.Heartbeat(ctx, etcdstore.HeartbeatArgs{Credential: session})
	return err
}

// LockRelease publishes what was appended under the lock, and passes the lock on. The response
// says:
//
//   - SUCCESS: published. A repeat has the same response.
//   - TIMEOUT_ERROR: the lock was lost, and nothing was published.
//   - FILE_ERROR: no such client, no id, or nothing to release.
func (s *Service) LockRelease(ctx context.Context, req *pb.LockArgs) (*pb.Response, error) {
	id := req.GetRequestId()
	if !validID(id) {
		return answer(0, errRefused)
	}
	section, err := update(ctx, s, req.GetClientId(), func(c *caller) (etcdstore.Section, error) {
		section := etcdstore.Section{Credential: c.Session, Lock: s.lock}
		if known, seen := c.find(id); seen {
			section.Token, section.Appended = known.Token, known.Wrote
			return section, nil
		}
		held, err := s.held(ctx, c)
		if err != nil {
			return section, err
		}
		n, counted := counter(c.ID, id)
		if counted && n < max(c.Last, held.counter) {
			return section, errRefused // from an earlier hold
		}
		token := held.token
		if token == 0 {
			token = c.Held // lost: the store knows how
		}
		if token == 0 {
			token = refused
		}
		section.Token, section.Appended = token, c.Wrote == token
		c.remember(call{ID: id, Token: token, Wrote: section.Appended})
		c.Held, c.Released = 0, max(c.Released, token)
		return section, s.save(ctx, c)
	})
	switch {
	case err != nil:
		return answer(0, err)
	case section.Token == refused:
		return answer(0, errRefused)
	}
	return answer(section.Token, s.store.Release(ctx, section))
}

// FileAppend appends to a file under the lock. The response says:
//
//   - SUCCESS: appended, once however often it is repeated.
//   - TIMEOUT_ERROR: the client does not hold the lock, or a late duplicate.
//   - FILE_ERROR: no such file or client, no id, or too much for the file, the section or the
//     server.
func (s *Service) FileAppend(ctx context.Context, req *pb.FileArgs) (*pb.Response, error) {
	id := req.GetRequestId()
	name, ok := file(req.GetFilename())
	if !ok || !validID(id) {
		return answer(0, errRefused)
	}
	made, err := update(ctx, s, req.GetClientId(), func(c *caller) (etcdstore.Record, error) {
		r := etcdstore.Record{Credential: c.Session, Lock: s.lock, Request: "a" + hashed(id), File: name, Data: req.GetContent()}
		if known, seen := c.find(id); seen {
			r.Token = known.Token
			return r, nil
		}
		held, err := s.held(ctx, c)
		if err != nil {
			return r, err
		}
		n, counted := counter(c.ID, id)
		r.Token = held.token
		if counted && n+1 < max(held.counter, c.Last) {
			return r, etcdstore.ErrLockExpired // drawn before an earlier hold, and so from long ago
		}
		if r.Token == 0 {
			r.Token, c.Missed = refused, c.Held
		} else {
			c.Held, c.Wrote = r.Token, r.Token
		}
		c.remember(call{ID: id, Token: r.Token})
		return r, s.save(ctx, c)
	})
	switch {
	case err != nil:
		return answer(0, err)
	case made.Token == refused:
		return answer(0, etcdstore.ErrLockExpired)
	}
	_, err = s.store.Append(ctx, made)
	return answer(made.Token, err)
}
