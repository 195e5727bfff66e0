package main

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/distributed-lock-manager/dlm/client"
)

// What `dlm lock` puts into the environment of its command, for that and the dlm commands that it
// calls.
const (
	envLock      = "DLM_LOCK"      // the lock that is held
	envToken     = "DLM_TOKEN"     // its token
	envSession   = "DLM_SESSION"   // the credential to append under it: a secret
	envEndpoints = "DLM_ENDPOINTS" // where the servers are
	envProxy     = "DLM_PROXY"     // whether they are reached through the environment's proxy
	envHeld      = "DLM_HELD"      // every lock held by this and the enclosing `dlm lock`, separated by colons
)

// childEnv is the environment of a command that runs under l.
func childEnv(environ []string, cfg client.Config, l *client.Lock) []string {
	held := append(heldLocks(), l.Name())
	own := map[string]string{
		envLock:      l.Name(),
		envToken:     strconv.FormatInt(l.Token(), 10),
		envSession:   l.Credential(),
		envEndpoints: strings.Join(cfg.Endpoints, ","),
		envProxy:     strconv.FormatBool(cfg.Proxy),
		envHeld:      strings.Join(held, ":"),
	}
	env := slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		_, ours := own[name]
		return ours
	})
	for name, value := range own {
		env = append(env, name+"="+value)
	}
	return env
}

// heldLocks are the locks held by the enclosing `dlm lock` commands.
func heldLocks() []string {
	return strings.FieldsFunc(os.Getenv(envHeld), func(r rune) bool { return r == ':' })
}

// heldSection returns the section that the enclosing `dlm lock` holds, if it is one of this lock. A
// lock that is held further out cannot be appended to, and must not be waited for: that would be
// for ever.
func heldSection(lock string) (token int64, credential string, held bool, err error) {
	if inner := os.Getenv(envLock); inner == "" || inner != lock {
		if slices.Contains(heldLocks(), lock) {
			return 0, "", false, usagef("lock %q is held by an enclosing dlm lock, but not by the innermost (%q): "+
				"append where it is the innermost", lock, os.Getenv(envLock))
		}
		return 0, "", false, nil
	}
	token, parseErr := strconv.ParseInt(os.Getenv(envToken), 10, 64)
	credential = os.Getenv(envSession)
	if parseErr != nil || token <= 0 || strconv.FormatInt(token, 10) != os.Getenv(envToken) || credential == "" {
		return 0, "", false, usagef("%s is %q, but %s and %s do not name its section", envLock, lock, envToken, envSession)
	}
	return token, credential, true, nil
}
