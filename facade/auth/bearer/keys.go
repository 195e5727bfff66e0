package bearer

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

const (
	maxSet  = 1 << 20 // bytes
	minBits = 2048    // of an RSA key, as RFC 7518 has it
)

// keySet is what counts of an issuer's set of keys. nil: it has not been read yet.
type keySet struct {
	keys []jose.JSONWebKey
}

// parseSet reads a set of keys, and logs which of them it leaves out.
func parseSet(text []byte, logger *slog.Logger) (*keySet, error) {
	if len(text) > maxSet {
		return nil, fmt.Errorf("the set of keys has more than %d bytes", maxSet)
	}
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("not a set of keys: %w", err)
	}
	if len(raw.Keys) == 0 {
		return nil, errors.New("the set of keys is empty")
	}
	set, leftOut := &keySet{}, make([]error, len(raw.Keys))
	for i, text := range raw.Keys {
		key, err := parseKey(text)
		if leftOut[i] = err; err == nil {
			set.keys = append(set.keys, key)
		}
	}
	if len(set.keys) == 0 {
		return nil, fmt.Errorf("none of %d keys can be used: %w", len(raw.Keys), leftOut[0])
	}
	for i, err := range leftOut {
		if err != nil {
			logger.Warn("leaving out a key of an issuer", "number", i+1, "err", err)
		}
	}
	return set, nil
}

// parseKey reads a key that tokens may be verified with.
func parseKey(text []byte) (jose.JSONWebKey, error) {
	var key jose.JSONWebKey
	var more struct {
		Operations []string `json:"key_ops"`
	}
	if err := cmp.Or(json.Unmarshal(text, &key), json.Unmarshal(text, &more)); err != nil {
		return key, err
	}
	if key.Use != "" && key.Use != "sig" || more.Operations != nil && !slices.Contains(more.Operations, "verify") {
		return key, errors.New("it is not for signatures")
	}
	if rsaKey, is := key.Key.(*rsa.PublicKey); is && rsaKey.N.BitLen() < minBits {
		return key, fmt.Errorf("it has fewer than %d bits", minBits)
	}
	if !slices.ContainsFunc(algorithms(), func(a jose.SignatureAlgorithm) bool { return fits(key, a) }) {
		return key, errors.New("it is not the public key of an algorithm that may be used")
	}
	return key, nil
}

// fits reports whether a key is one of an algorithm's.
func fits(key jose.JSONWebKey, algorithm jose.SignatureAlgorithm) bool {
	if key.Algorithm != "" && key.Algorithm != string(algorithm) {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		switch algorithm {
		case jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512:
			return true
		}
	case *ecdsa.PublicKey:
		switch public.Curve {
		case elliptic.P256():
			return algorithm == jose.ES256
		case elliptic.P384():
			return algorithm == jose.ES384
		case elliptic.P521():
			return algorithm == jose.ES512
		}
	case ed25519.PublicKey:
		return algorithm == jose.EdDSA
	}
	return false
}

// find returns the one key that a token can be signed with.
func (s *keySet) find(kid string, algorithm jose.SignatureAlgorithm) (any, error) {
	if s == nil {
		return nil, ErrNoKeys
	}
	var found any
	for _, key := range s.keys {
		if kid != "" && key.KeyID != kid || !fits(key, algorithm) {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%w: it could be one of several", ErrKey)
		}
		found = key.Key
	}
	if found == nil {
		return nil, ErrKey
	}
	return found, nil
}
