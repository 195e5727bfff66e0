package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
)

// linger is how long a lock outlives all processes of a command that holds it or waits for it.
// Where only the wrapper was killed, its guard ends the session, which is sooner.
const linger = 2 * time.Second

// lingerOf is how long a session with that TTL is to linger; 0: as little as a session with the
// default. A TTL that is too short for it is for the server to refuse.
func lingerOf(ttl time.Duration) time.Duration {
	if ttl != 0 && ttl < linger {
		return 0
	}
	return linger
}

// will is what the guard of a wrapper that was killed needs to end the session. It goes to the
// guard by a pipe: neither arguments nor environment of a process have the secret but for the
// command's.
type will struct {
	Endpoints []string
	Proxy     bool
	Identity  identity
	Session   string
}

func bequest(cfg client.Config, id identity, credential string) []byte {
	b, err := json.Marshal(will{cfg.Endpoints, cfg.Proxy, id, credential})
	if err != nil {
		panic(err) // strings can be encoded
	}
	return b
}

// executeTimeout bounds the end of a session by a guard. Its TTL ends it anyhow.
const executeTimeout = 10 * time.Second

// endLease is what a guard does once it has ended the command: nobody else may have the lock
// before. There is nobody to tell of an error.
func endLease(order []byte) {
	var w will
	if json.Unmarshal(order, &w) != nil {
		return
	}
	cfg := client.Config{Endpoints: w.Endpoints, Proxy: w.Proxy, ConnectTimeout: executeTimeout}
	if w.Identity.config(&cfg) != nil {
		return
	}
	c, err := client.Open(cfg)
	if err != nil {
		return
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), executeTimeout)
	defer cancel()
	_ = c.EndSession(ctx, w.Session)
}
