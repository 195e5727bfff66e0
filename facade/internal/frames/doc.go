// Package frames reads HTTP/2 frames off the bytes of a connection as they pass, in whatever pieces
// they come (RFC 9113). It checks nothing: gRPC does, and closes a connection that is malformed.
package frames
