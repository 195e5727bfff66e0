// Package certstest makes what a test of TLS needs: authorities, what they sign, and lists of what
// they have revoked. All is ECDSA on P-256, so that a test can afford many.
//
// It is for all tests, and imports nothing.
package certstest
