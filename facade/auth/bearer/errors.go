package bearer

import "errors"

// Why a token is refused. Errors are wrapped, and compared with [errors.Is].
var (
	// ErrMalformed: it is not a signed token in compact form, or its parts are not what they have
	// to be.
	ErrMalformed = errors.New("the token is malformed")
	// ErrUnsupported: it is of another type, or needs what is not supported.
	ErrUnsupported = errors.New("the token is of an unsupported kind")
	// ErrIssuer: none of the issuers is its own.
	ErrIssuer = errors.New("the token's issuer is unknown")
	// ErrAlgorithm: it is signed in a way that its issuer's tokens may not be.
	ErrAlgorithm = errors.New("the token's algorithm is not allowed")
	// ErrNoKeys: the issuer's keys have not been fetched yet. The token may be good.
	ErrNoKeys = errors.New("the keys of the token's issuer are not there yet")
	// ErrKey: none of the issuer's keys, or not one alone, can have signed it.
	ErrKey = errors.New("the token's key is unknown")
	// ErrSignature: the key has not signed it.
	ErrSignature = errors.New("the token's signature is wrong")
	// ErrAudience: it is meant for somebody else.
	ErrAudience = errors.New("the token is for another audience")
	// ErrExpired: its time is over.
	ErrExpired = errors.New("the token has expired")
	// ErrNotYet: its time has not come.
	ErrNotYet = errors.New("the token is not valid yet")
	// ErrSubject: it does not say whose it is, or not in a form that can be written down.
	ErrSubject = errors.New("the token's subject is missing or malformed")
)
