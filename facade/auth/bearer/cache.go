package bearer

import (
	"crypto/sha256"
	"sync"
)

// maxSeen is how many tokens are remembered.
const maxSeen = 4096

// cache remembers verified tokens. With too many of them, any other one makes room for a new one:
// whoever has many good tokens can slow down others, and do no more than that.
type cache struct {
	mu   sync.Mutex
	seen map[[sha256.Size]byte]*verified
}

func (c *cache) get(sum [sha256.Size]byte) *verified {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[sum]
}

func (c *cache) put(sum [sha256.Size]byte, token *verified) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[[sha256.Size]byte]*verified{}
	}
	if len(c.seen) >= maxSeen && c.seen[sum] == nil {
		for other := range c.seen {
			delete(c.seen, other)
			break
		}
	}
	c.seen[sum] = token
}
