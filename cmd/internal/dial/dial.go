package dial

import (
	"net/url"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Server returns a connection to a server, which is made when it is first used: by the proxy that
// the environment names if proxy is set, and otherwise by none.
func Server(endpoint string, proxy bool) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	if !proxy {
		options = append(options, grpc.WithNoProxy())
	}
	// Spelt out, since a server's name may be that of a scheme: unix:50051.
	target := url.URL{Scheme: "dns", Path: "/" + endpoint}
	return grpc.NewClient(target.String(), options...)
}
