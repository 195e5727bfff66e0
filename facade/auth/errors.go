package auth

import "errors"

// The errors of callers that are refused.
var (
	// ErrUnauthenticated is that it is not known who calls: nothing says so, or what does is not
	// good, or not any more.
	ErrUnauthenticated = errors.New("unauthenticated")
	// ErrPermissionDenied is that the policy does not allow the caller to do that.
	ErrPermissionDenied = errors.New("permission denied")
)
