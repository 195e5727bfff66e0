// Package dial connects clients to servers: in plain text or by TLS, with a certificate, a bearer
// token or neither, directly or through a proxy. It knows when what it has shown a server ends, so
// that whoever needs the connection for longer can make another one before.
package dial
