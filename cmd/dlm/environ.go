package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
	"github.com/distributed-lock-manager/dlm/client/oteltrace"
	"github.com/distributed-lock-manager/dlm/cmd/dlm/internal/process"
)

// What `dlm lock` puts into the environment of its command, for that and the dlm commands that it
// calls.
const (
	envLock      = "DLM_LOCK"       // the lock that is held
	envToken     = "DLM_TOKEN"      // its token
	envSession   = "DLM_SESSION"    // the credential to append under it: a secret
	envEndpoints = "DLM_ENDPOINTS"  // where the servers are
	envProxy     = "DLM_PROXY"      // whether they are reached through the environment's proxy
	envTLS       = "DLM_CLIENT_TLS" // whether they are reached by TLS
	envCA        = "DLM_CLIENT_CA"  // the files with their authorities, and with what is shown to them: see identity
	envCert      = "DLM_CLIENT_CERT"
	envKey       = "DLM_CLIENT_KEY"
	envBearer    = "DLM_BEARER_FILE"
	envDeadline  = "DLM_DEADLINE" // when the lock is taken away; empty: never
	envHeld      = "DLM_HELD"     // every lock held by this and the enclosing `dlm lock`, separated by colons
	envHolds     = "DLM_HOLDS"    // the same holds, each as told by hold.String
)

// hold is one `dlm lock`, as what runs inside is told of it. It counts only while it lives: an
// environment may outlast it, as in a tmux server that was started under a lock.
type hold struct {
	lock    string
	session string // its public id
	token   string
	cluster string // see client.Client.Cluster
	servers string // see digest
	wrapper string // see process.Self
	mark    string // see process.Tree.Mark
}

func (h hold) String() string {
	return strings.Join([]string{h.lock, h.session, h.token, h.cluster, h.servers, h.wrapper, h.mark}, ",")
}

// digest tells lists of endpoints apart.
func digest(endpoints []string) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q", endpoints)
	return strconv.FormatUint(h.Sum64(), 16)
}

// holds are the enclosing `dlm lock` commands, the innermost last.
func holds() []hold {
	var all []hold
	for text := range strings.SplitSeq(os.Getenv(envHolds), ":") {
		if f := strings.Split(text, ","); len(f) == 7 {
			all = append(all, hold{f[0], f[1], f[2], f[3], f[4], f[5], f[6]})
		}
	}
	return all
}

// childEnv is the environment of a command that runs under l.
func childEnv(ctx context.Context, environ []string, cfg client.Config, id identity, c *client.Client, l *client.Lock, mark string) []string {
	token := strconv.FormatInt(l.Token(), 10)
	inner := append(holds(), hold{
		lock: l.Name(), session: publicID(l.Credential()), token: token, cluster: c.Cluster(), servers: digest(cfg.Endpoints),
		wrapper: process.Self(), mark: mark,
	})
	var names, texts []string
	for _, h := range inner {
		names = append(names, h.lock)
		texts = append(texts, h.String())
	}
	own := map[string]string{
		envLock:      l.Name(),
		envToken:     token,
		envSession:   l.Credential(),
		envEndpoints: strings.Join(cfg.Endpoints, ","),
		envProxy:     strconv.FormatBool(cfg.Proxy),
		envHeld:      strings.Join(names, ":"),
		envHolds:     strings.Join(texts, ":"),
	}
	if at, ok := l.Deadline(); ok {
		own[envDeadline] = at.Format(time.RFC3339)
	}
	maps.Copy(own, id.environ())
	if parent := oteltrace.Traceparent(ctx); parent != "" {
		own[envTraceparent] = parent
	}
	env := slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		_, ours := own[name]
		return ours || name == envDeadline // of an enclosing lock
	})
	for name, value := range own {
		env = append(env, name+"="+value)
	}
	return env
}

// publicID is what of a credential may be shown.
func publicID(credential string) string {
	id, _, _ := strings.Cut(credential, ".")
	return id
}

// lives reports whether a hold is still there, at the servers that c has: those of another cluster
// know nothing of it.
func (h hold) lives(ctx context.Context, c *client.Client) (bool, error) {
	state, err := c.Inspect(ctx, h.lock)
	if errors.Is(err, client.ErrLockNotFound) {
		return false, nil
	}
	holder := state.GetHolder()
	return holder.GetSession() == h.session && strconv.FormatInt(holder.GetToken(), 10) == h.token, err
}

// isEnclosed reports whether an enclosing `dlm lock` has the lock: waiting for it would never end.
func isEnclosed(ctx context.Context, c *client.Client, lock string) (bool, error) {
	for _, h := range holds() {
		if h.lock != lock || process.Ended(h.wrapper) {
			continue
		}
		if lives, err := h.lives(ctx, c); lives || err != nil {
			return lives, err
		}
	}
	return false, nil
}

// heldSection returns the section that the innermost enclosing `dlm lock` holds, if it is one of
// this lock; nil: it is not, or that has ended well, and the lock is to be taken. Servers of
// another cluster do not see its credential; the lock must then not turn out to be of the cluster
// that notOf names.
func heldSection(ctx context.Context, c *client.Client, endpoints []string, lock string) (_ *client.Section, notOf string, _ error) {
	if inner := os.Getenv(envLock); inner == "" || inner != lock {
		outer, err := isEnclosed(ctx, c, lock)
		if outer {
			err = usagef("lock %q is held by an enclosing dlm lock, but not by the innermost (%q): append where it is the innermost",
				lock, inner)
		}
		return nil, "", err
	}
	token, err := strconv.ParseInt(os.Getenv(envToken), 10, 64)
	credential := os.Getenv(envSession)
	if err != nil || token <= 0 || strconv.FormatInt(token, 10) != os.Getenv(envToken) || credential == "" {
		return nil, "", usagef("%s is %q, but %s and %s do not name its section", envLock, lock, envToken, envSession)
	}
	// Without a word about the hold it is taken for one of these servers that still runs.
	h := hold{lock: lock, session: publicID(credential), token: os.Getenv(envToken), servers: digest(endpoints)}
	for _, other := range holds() {
		if other.lock == h.lock && other.session == h.session && other.token == h.token {
			h = other
		}
	}
	over, here := process.Ended(h.wrapper), h.servers == digest(endpoints)
	switch {
	case here && !over:
		return c.Section(lock, credential, token), "", nil
	case here:
		switch err := c.Section(lock, credential, token).Outcome(ctx); {
		case err == nil, errors.Is(err, client.ErrOutcomeUnknown):
			return nil, "", nil
		default:
			return nil, "", err
		}
	case over:
		return nil, "", nil
	}
	if lives, err := h.lives(ctx, c); err != nil || lives {
		return c.Section(lock, credential, token), "", err
	}
	return nil, h.cluster, nil
}
