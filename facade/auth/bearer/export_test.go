package bearer

import "time"

// OpenAt is Open with other times between fetches of keys.
func OpenAt(issuers []Issuer, opts Options, every, apart, patience time.Duration) (*Verifier, error) {
	return open(issuers, opts, pace{every: every, apart: apart, patience: patience})
}

// MaxSeen is how many tokens are remembered.
const MaxSeen = maxSeen

// Seen is how many tokens are remembered now.
func (v *Verifier) Seen() int {
	v.seen.mu.Lock()
	defer v.seen.mu.Unlock()
	return len(v.seen.seen)
}
