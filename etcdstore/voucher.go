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
// owner is in whose name the session was begun. It takes nobody's word for that: the calls are to
// be made in the owner's name, as those with any credential.
//
// It is the session's id with a MAC in the place of the secret, and with the owner's tag. The key
// of both is in this store's memory alone, and is made anew with each store.
func (s *Store) Credential(session, owner string) string {
	return credentialOf(session, s.vouch(session), tagOf(s.voucher, session, owner))
}

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
func (s *Store) knows(c session) (is bearer, known bool) {
	is, known = s.mirror.knows(c)
	if known && !is.valid && s.vouched(c) {
		is.valid, is.tagged = true, c.tagged(s.voucher)
	}
	return is, known
}
