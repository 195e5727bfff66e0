package dial

import (
	"crypto/tls"
	"math"
	"net"
	"net/netip"
	"net/url"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
)

// Config says how servers are reached.
type Config struct {
	TLS        *tls.Config // nil: in plain text
	BearerFile string      // with the token that every call shows, reread for each; empty: none
	Proxy      bool        // by the proxy that the environment names; false: by none
}

// Conn is a connection to a server, which is made when it is first used.
type Conn struct {
	*grpc.ClientConn
	ends atomic.Int64 // in Unix nanoseconds
}

// Server returns a connection to the server at an endpoint, host:port. Without a host it is this
// machine, whose name is localhost.
func (c Config) Server(endpoint string, options ...grpc.DialOption) (*Conn, error) {
	conn := &Conn{}
	conn.ends.Store(math.MaxInt64)
	own := []grpc.DialOption{grpc.WithTransportCredentials(c.transport(conn))}
	if c.BearerFile != "" {
		own = append(own, grpc.WithPerRPCCredentials(bearer{file: c.BearerFile, secure: c.TLS != nil, shown: conn.shown}))
	}
	if !c.Proxy {
		own = append(own, grpc.WithNoProxy())
	}
	// Spelt out, since a server's name may be that of a scheme: unix:50051.
	target := url.URL{Scheme: "dns", Path: "/" + endpoint}
	var err error
	conn.ClientConn, err = grpc.NewClient(target.String(), append(own, options...)...)
	return conn, err
}

// Ends returns when the first ends of what the server was shown, a certificate or a token; zero: it
// was shown nothing that does.
func (c *Conn) Ends() time.Time {
	if ends := c.ends.Load(); ends < math.MaxInt64 {
		return time.Unix(0, ends)
	}
	return time.Time{}
}

// shown notes that the server was shown what ends at a time.
func (c *Conn) shown(ends time.Time) {
	for n := ends.UnixNano(); ; {
		old := c.ends.Load()
		if n >= old || c.ends.CompareAndSwap(old, n) {
			return
		}
	}
}

// IsLoopback reports whether an endpoint is on this machine, so that nobody else sees what is sent
// there in plain text.
func IsLoopback(endpoint string) bool {
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return host == "" || host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}
