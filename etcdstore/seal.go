package etcdstore

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
)

// A listing's page token is the name that the page ends with. Whoever asks for the page may not be
// allowed to see that very entry, which is left out before the page is sent; the token would tell
// its name. So the tokens of who has an identity are sealed: they cannot be read, and are taken
// from that identity alone, for the same listing. Only how long the name is can be seen of them.

// sealed returns a page of a listing, of one kind and with one argument.
func sealed[T any](
	ctx context.Context, s *Store, kind, argument, after string, list func(after string) ([]T, string, error),
) (all []T, next string, err error) {
	owner := OwnerOf(ctx)
	if owner == "" {
		return list(after)
	}
	of := fmt.Appendf(nil, "%s %q %q", kind, argument, owner)
	if after != "" {
		if after, err = s.open(ctx, after, of); err != nil {
			return nil, "", err
		}
	}
	all, next, err = list(after)
	if err == nil && next != "" {
		next, err = s.seal(ctx, next, of)
	}
	if err != nil {
		return nil, "", err
	}
	return all, next, nil
}

// seal makes a page's token.
func (s *Store) seal(ctx context.Context, next string, of []byte) (token string, err error) {
	secret, err := s.ownSecret(ctx)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(pageCipher(secret).Seal(nil, nil, []byte(next), of)), nil
}

// open is what seal was given, or [ErrInvalidArgument].
func (s *Store) open(ctx context.Context, token string, of []byte) (after string, err error) {
	box, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil {
		return "", badPage(token)
	}
	opened, err := s.fitsSecret(ctx, func(secret []byte) bool {
		name, err := pageCipher(secret).Open(nil, nil, box, of)
		after = string(name)
		return err == nil
	})
	if err == nil && !opened {
		err = badPage(token)
	}
	return after, err
}

// pageCipher seals pages with a key of its own.
func pageCipher(secret []byte) cipher.AEAD {
	mac := hmac.New(sha256.New, secret)
	_, _ = io.WriteString(mac, "page")
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		panic(err) // it has the length of a key
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // its block has the length that it needs
	}
	return gcm
}

// badPage is what becomes of a page token that no page has answered.
func badPage(token string) error {
	return fmt.Errorf("%w: page token %s: want what the last page answered", ErrInvalidArgument, quoted(token))
}
