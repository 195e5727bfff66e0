package bearer

import (
	"context"
	"log/slog"

	"github.com/go-jose/go-jose/v4"
)

// source is an issuer, and where its keys come from.
type source struct {
	Issuer
	keys interface {
		current() *keySet
		look() // has what is not there be looked for once more, as far as that may be now
		run(context.Context)
	}
}

// find returns the key that a token of this issuer's is to be verified with, and the set it is in.
func (s *source) find(kid string, algorithm jose.SignatureAlgorithm) (keys *keySet, key any, err error) {
	keys = s.keys.current()
	if key, err = keys.find(kid, algorithm); err != nil {
		s.keys.look()
		keys = s.keys.current()
		key, err = keys.find(kid, algorithm)
	}
	return keys, key, err
}

// tell logs what is wrong with where keys come from; nil: nothing any more.
func tell(logger *slog.Logger, err error) {
	if err == nil {
		logger.Info("the keys of an issuer can be read again")
		return
	}
	logger.Error("the keys of an issuer cannot be read; those that were read before count", "err", err)
}
