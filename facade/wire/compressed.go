package wire

import (
	"errors"
	"io"
	"sync/atomic"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip"
)

// Every package that links gRPC's gzip has it registered, as etcd's client does, and it cannot be
// taken out again: who comes last counts.
func init() { //nolint:gochecknoinits // gRPC wants it so
	encoding.RegisterCompressor(&refusing{Compressor: encoding.GetCompressor(gzip.Name)})
}

var allowed atomic.Bool //nolint:gochecknoglobals // as is gRPC's registry

// AllowCompressed sets whether this process reads compressed requests, all of its servers' at once:
// gRPC has one registry. A client's answers are not affected.
func AllowCompressed(allow bool) { allowed.Store(allow) }

type refusing struct {
	encoding.Compressor
}

func (r *refusing) Decompress(from io.Reader) (io.Reader, error) {
	if !allowed.Load() {
		return nil, errors.New("compressed messages are not taken: see limits.gzip in the server's configuration")
	}
	return r.Compressor.Decompress(from)
}
