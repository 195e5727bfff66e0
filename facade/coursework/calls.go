package coursework

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	pb "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
)

// maxID bounds a call's id in bytes.
const maxID = 256

// identify returns a call's id, a new one if it has none: that call is one of its own, and cannot
// be repeated. It fails with errRefused if the id is too long.
func identify(id string) (string, error) {
	if id == "" {
		return "unnamed " + rand.Text(), nil
	}
	if len(id) > maxID {
		return "", refusedf("an id of %d bytes: want at most %d", len(id), maxID)
	}
	return id, nil
}

// LockAcquire blocks until the lock is granted. The response says:
//
//   - SUCCESS: the client holds the lock, under the token that is the version. So does a repeat,
//     also after the release.
//   - TIMEOUT_ERROR: a late duplicate, from too long ago to be remembered.
//   - FILE_ERROR: no such client, the id of a call of another kind, or no room on the server.
//
// A client has one place in the queue. While it waits, its acquires under other ids wait there as
// well, and all of them are granted the lock at once: a client that gave up one and begins another
// is not behind itself.
func (s *Service) LockAcquire(ctx context.Context, req *pb.LockArgs) (*pb.Response, error) {
	this := asked{"lock_acquire", req.GetClientId(), req.GetRequestId()}
	id, err := identify(this.id)
	if err != nil {
		return s.answer(ctx, this, 0, err)
	}
	for {
		token, err := s.acquire(ctx, req.GetClientId(), id)
		if !errors.Is(err, errAgain) {
			return s.answer(ctx, this, token, err)
		}
	}
}

// errAgain is the error of an attempt whose grounds have changed meanwhile: another one is due.
var errAgain = errors.New("acquire again")

// attempt is how an acquire begins.
type attempt struct {
	token int64 // its result, which is known already; 0: the store has to be asked

	credential string
	request    string             // that the store knows it by
	release    *etcdstore.Section // has to be ended first
}

func (s *Service) acquire(ctx context.Context, number int32, id string) (token int64, err error) {
	begun, err := update(ctx, s, number, func(c *caller) (attempt, error) { return s.attempt(ctx, c, id) })
	if err != nil || begun.token != 0 {
		return begun.token, err
	}
	if begun.release != nil {
		if err := s.store.Release(ctx, *begun.release); err != nil && !errors.Is(err, etcdstore.ErrLockExpired) {
			return 0, err
		}
		return 0, errAgain
	}
	stop := s.keepAlive(ctx, begun.credential)
	grant, err := s.store.Acquire(ctx, etcdstore.AcquireArgs{
		Credential:  begun.credential,
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
		return 0, s.superseded(ctx, number, begun.request) // granted and ended meanwhile
	case err != nil:
		return 0, err
	}
	token, err = update(ctx, s, number, func(c *caller) (int64, error) {
		c.settle(begun.request, grant.Token)
		if known, seen := c.find(id); seen && !c.settled {
			return known.Token, nil // a repeat was faster, or an acquire that had the same place
		}
		return grant.Token, s.granted(ctx, c, id, grant.Token)
	})
	if err == nil && token != grant.Token { // and its hold is over: this one is nobody's
		err = s.store.Release(ctx, etcdstore.Section{Credential: begun.credential, Lock: s.lock, Token: grant.Token})
	}
	return token, err
}

// attempt decides what an acquire is:
//
//   - a repeat, or a call of the holder: its token is known.
//   - a late duplicate: ErrLockExpired. It must not wait for the lock a second time.
//   - the id of a call of another kind: errRefused.
//   - a new hold of a client whose release has begun, and may not have ended: that comes first.
//   - a new wait, or a repeat of one, or a repeat whose hold was lost before the client learned of
//     it: for the store, in the client's place.
func (s *Service) attempt(ctx context.Context, c *caller, id string) (attempt, error) {
	held, err := s.held(ctx, c)
	if err != nil {
		return attempt{}, err
	}
	known, seen, err := c.use(id, anAcquire)
	if err != nil {
		return attempt{}, err
	}
	n, counted := counter(c.ID, id)
	switch {
	case seen && (known.Token == held.token || !c.lost(known)):
		if c.settled {
			err = s.save(ctx, c)
		}
		return attempt{token: known.Token}, err
	case !seen && counted && (n < c.Last || n == c.Last && held.token == 0):
		return attempt{}, etcdstore.ErrLockExpired // its result is from too long ago to be remembered
	case held.token != 0 && held.token <= c.Released:
		return attempt{release: &etcdstore.Section{
			Credential: c.credential, Lock: s.lock, Token: held.token, Appended: c.Wrote == held.token,
		}}, nil
	case held.token != 0:
		return attempt{token: held.token}, s.granted(ctx, c, id, held.token)
	}
	changed := seen || c.Held != 0
	if changed { // the hold was lost
		c.forget(id)
		if seen && counted {
			c.Last = min(c.Last, n-1)
		}
		c.Held = 0
		c.Era++
	}
	if c.join(id) || changed {
		if err := s.save(ctx, c); err != nil {
			return attempt{}, err
		}
	}
	return attempt{request: c.Place.Request, credential: c.credential}, nil
}

// granted records a grant, before the client learns of it.
func (s *Service) granted(ctx context.Context, c *caller, id string, token int64) error {
	if _, seen := c.find(id); !seen {
		c.remember(call{ID: id, Token: token, Acquire: true})
	}
	c.hold(token)
	if n, ok := counter(c.ID, id); ok {
		c.Last = max(c.Last, n)
	}
	return s.save(ctx, c)
}

// superseded returns errAgain, once the client's place is no more the acquisition of the store that
// is known as request. Another acquire may have seen to that already, or have got the lock.
func (s *Service) superseded(ctx context.Context, number int32, request string) error {
	_, err := update(ctx, s, number, func(c *caller) (struct{}, error) {
		if c.Place == nil || c.Place.Request != request {
			return struct{}{}, nil
		}
		c.Place = nil
		c.Era++
		return struct{}{}, s.save(ctx, c)
	})
	if err != nil {
		return err
	}
	return errAgain
}

// keepAlive renews a session until stop is called, while one of its calls blocks.
func (s *Service) keepAlive(ctx context.Context, credential string) (stop func()) {
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
			if err := s.renew(ctx, credential); err != nil && ctx.Err() == nil {
				s.log.Warn("a waiting client was not renewed", "err", err)
			}
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// renew renews a session.
func (s *Service) renew(ctx context.Context, credential string) error {
	return recovered(func() error {
		_, err := s.store.Heartbeat(ctx, etcdstore.HeartbeatArgs{Credential: credential})
		return err
	})
}

// recovered returns a panic of f as an error: in a goroutine of the service's own it would end the
// whole server.
func recovered(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// LockRelease publishes what was appended under the lock, and passes the lock on. The response
// says:
//
//   - SUCCESS: published. A repeat has the same response.
//   - TIMEOUT_ERROR: the lock was lost, and nothing was published.
//   - FILE_ERROR: no such client, nothing to release, or the id of a call of another kind.
func (s *Service) LockRelease(ctx context.Context, req *pb.LockArgs) (*pb.Response, error) {
	this := asked{"lock_release", req.GetClientId(), req.GetRequestId()}
	id, err := identify(this.id)
	if err != nil {
		return s.answer(ctx, this, 0, err)
	}
	made, err := update(ctx, s, this.client, func(c *caller) (release, error) { return s.release(ctx, c, id) })
	if err == nil && !made.done {
		err = s.store.Release(ctx, made.section)
		if err == nil {
			err = s.released(ctx, this.client, id, made.section.Token)
		}
	}
	return s.answer(ctx, this, made.section.Token, err)
}

// release is a release that is to be made.
type release struct {
	section etcdstore.Section
	done    bool // it was made, and succeeded
}

// release decides what a release ends, and records it.
func (s *Service) release(ctx context.Context, c *caller, id string) (release, error) {
	section := etcdstore.Section{Credential: c.credential, Lock: s.lock}
	known, seen, err := c.use(id, aRelease)
	switch {
	case err != nil:
		return release{}, err
	case seen && known.Token == refused:
		return release{}, errNothingHeld
	case seen:
		section.Token, section.Appended = known.Token, known.Wrote
		section.Credential = s.credential(c, cmp.Or(known.Session, c.Session))
		return release{section, known.Done}, nil
	}
	held, err := s.held(ctx, c)
	if err != nil {
		return release{}, err
	}
	if n, counted := counter(c.ID, id); counted && n < max(c.Last, held.counter) {
		return release{}, refusedf("a release from an earlier hold than the client's last")
	}
	made := call{ID: id, Token: held.token, Kind: aRelease, Session: c.Session}
	if made.Token == 0 {
		made.Token = c.Held // lost: the store knows how
	}
	if made.Token == 0 {
		c.remember(call{ID: id, Token: refused, Kind: aRelease})
		if err := s.save(ctx, c); err != nil {
			return release{}, err
		}
		return release{}, errNothingHeld
	}
	if made.Wrote = c.Wrote == made.Token; made.Wrote {
		if err := s.look(ctx, c, made.Token); err != nil {
			return release{}, err
		}
	}
	c.remember(made)
	c.Held, c.Released = 0, max(c.Released, made.Token)
	section.Token, section.Appended = made.Token, made.Wrote
	return release{section: section}, s.save(ctx, c)
}

// errNothingHeld is the error of a release by a client that does not hold the lock.
var errNothingHeld = refusedf("the client does not hold the lock")

// look notes which appends of a hold are staged, as far as it is not known. Once the section is
// folded nothing else says so.
func (s *Service) look(ctx context.Context, c *caller, token int64) error {
	var at []int
	var requests []string
	for i, made := range c.Calls {
		if k := made.kind(); (k == anAppend || k == "") && made.Token == token && !made.Staged {
			at, requests = append(at, i), append(requests, recordOf(made.ID))
		}
	}
	if len(at) == 0 {
		return nil
	}
	staged, err := s.store.Staged(ctx, s.lock, token, requests)
	if err != nil {
		return err
	}
	for i, is := range staged {
		c.Calls[at[i]].Staged = is
	}
	return nil
}

// released records that a release has succeeded. An append that was under way beside it, which its
// client did not wait for, may have been staged since look.
//
// If the record cannot be written for want of room, or because the client was closed, the release
// has succeeded nevertheless.
func (s *Service) released(ctx context.Context, number int32, id string, token int64) error {
	_, err := update(ctx, s, number, func(c *caller) (struct{}, error) {
		i := slices.IndexFunc(c.Calls, func(made call) bool { return made.ID == kept(id) && made.Token == token })
		if i < 0 || c.Calls[i].Done {
			return struct{}{}, nil
		}
		if err := s.look(ctx, c, token); err != nil {
			return struct{}{}, err
		}
		c.Calls[i].Done, c.Calls[i].Session = true, ""
		return struct{}{}, s.save(ctx, c)
	})
	if errors.Is(err, etcdstore.ErrNoSpace) || errors.Is(err, errUnknown) {
		return nil
	}
	return err
}

// FileAppend appends to a file under the lock. The response says:
//
//   - SUCCESS: appended, once however often it is repeated.
//   - TIMEOUT_ERROR: the client does not hold the lock, or a late duplicate.
//   - FILE_ERROR: no such file or client, the id of a call of another kind, or too much for the
//     file, the section or the server.
func (s *Service) FileAppend(ctx context.Context, req *pb.FileArgs) (*pb.Response, error) {
	this := asked{"file_append", req.GetClientId(), req.GetRequestId()}
	name, ok := file(req.GetFilename())
	if !ok {
		return s.answer(ctx, this, 0, refusedf("no file %+.64q: want file_0 to file_%d", req.GetFilename(), Files-1))
	}
	id, err := identify(this.id)
	if err != nil {
		return s.answer(ctx, this, 0, err)
	}
	made, err := update(ctx, s, this.client, func(c *caller) (appending, error) {
		return s.appending(ctx, c, id, etcdstore.Record{
			Credential: c.credential, Lock: s.lock, Request: recordOf(kept(id)), File: name, Data: req.GetContent(),
		})
	})
	if err == nil && !made.done {
		_, err = s.store.Append(ctx, made.record)
		if made.release != nil && errors.Is(err, etcdstore.ErrLockExpired) {
			err = s.store.Release(ctx, *made.release) // a repeat, of which this was a part
		}
	}
	return s.answer(ctx, this, made.record.Token, err)
}

// appending is an append that is to be made.
type appending struct {
	record  etcdstore.Record
	done    bool               // it was made, and is published
	release *etcdstore.Section // it was staged when this was released; nil: or it was not
}

// appending decides under which token an append is made, and records it.
func (s *Service) appending(ctx context.Context, c *caller, id string, r etcdstore.Record) (appending, error) {
	known, seen, err := c.use(id, anAppend)
	switch {
	case err != nil:
		return appending{}, err
	case seen && known.Token == refused:
		return appending{}, etcdstore.ErrLockExpired
	case seen:
		r.Token = known.Token
		made := appending{record: r, done: known.Staged && c.ended(known.Token)}
		if end, is := c.releasing(known.Token); is && known.Staged {
			made.release = &etcdstore.Section{
				Credential: s.credential(c, cmp.Or(end.Session, c.Session)), Lock: s.lock, Token: known.Token, Appended: true,
			}
		}
		return made, nil
	}
	held, err := s.held(ctx, c)
	if err != nil {
		return appending{}, err
	}
	if n, counted := counter(c.ID, id); counted && n+1 < max(held.counter, c.Last) {
		return appending{}, etcdstore.ErrLockExpired // drawn before an earlier hold, and so from long ago
	}
	if held.token == 0 || held.token <= c.Released {
		c.Missed = c.Held
		c.remember(call{ID: id, Token: refused, Kind: anAppend})
		if err := s.save(ctx, c); err != nil {
			return appending{}, err
		}
		return appending{}, etcdstore.ErrLockExpired
	}
	r.Token, c.Held, c.Wrote = held.token, held.token, held.token
	c.remember(call{ID: id, Token: r.Token, Kind: anAppend})
	return appending{record: r}, s.save(ctx, c)
}

// recordOf returns the store's request of an append with an id that kept returned.
func recordOf(id string) string {
	if hash, is := strings.CutPrefix(id, hashPrefix); is {
		return "a" + hash
	}
	return "a" + hashed(id)
}
