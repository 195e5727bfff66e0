// Package devcerts makes certificates for trying TLS: an authority that is kept in a directory,
// with its key beside it, and what that signs. It is no way to run an authority: who reads the
// directory can be anybody.
package devcerts
