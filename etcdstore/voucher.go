package etcdstore

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
)

// Credential returns a credential of a session for this process's own calls: this store accepts it,
// no other one does, and none that is opened later. It is for APIs whose clients have no
// credential, so that none has to be kept for them: whoever calls this answers for it that the
// session is the client's. It must not leave the process.
//
// It is the session's id with a MAC in the place of the secret. The key is in this store's memory
// alone, and is made anew with each store.
func (s *Store) Credential(session string) string { return session + "." + s.vouch(session) }

func newVoucher() []byte {
	key := make([]byte, sha256.Size)
	rand.Read(key)
	return key
}

// vouch returns what stands in the place of a session's secret.
func (s *Store) vouch(session string) string {
	mac := hmac.New(sha256.New, s.voucher)
	mac.Write([]byte(session))
	return hex.EncodeToString(mac.Sum(nil)[:secretBytes])
}

// vouched reports whether this store itself has made a caller's credential.
func (s *Store) vouched(c session) bool {
	return subtle.ConstantTimeCompare([]byte(s.vouch(c.id)), []byte(c.secret)) == 1
}

// proves reports whether a caller is the session whose record this is.
func (s *Store) proves(c session, v sessionValue) bool { return v.valid(c.secret) || s.vouched(c) }

// knows is the mirror's, for callers with a credential of this store's own as well.
func (s *Store) knows(c session) (known, valid bool, label string) {
	known, valid, label = s.mirror.knows(c.id, c.secret)
	return known, valid || known && s.vouched(c), label
}
