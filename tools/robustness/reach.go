package main

import (
	"crypto/tls"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/distributed-lock-manager/dlm/client"
)

// reach is how somebody reaches the servers: in plain text, or as somebody whose certificate lies in
// a directory.
type reach struct {
	endpoints []string
	certs, as string
	tls       *tls.Config // nil: plain text
}

func newReach(endpoints []string, certs, as string) (to reach, err error) {
	to = reach{endpoints: endpoints, certs: certs, as: as}
	if certs != "" {
		to.tls, err = client.TLSFromFiles(to.file("ca.crt"), to.file(as+".crt"), to.file(as+".key"))
	}
	return to, err
}

func (to reach) file(name string) string { return filepath.Join(to.certs, name) }

// config is a client's of the SDK.
func (to reach) config(ttl time.Duration) client.Config {
	return client.Config{Endpoints: to.endpoints, TTL: ttl, ConnectTimeout: 5 * time.Second, TLS: to.tls}
}

// clientsOf are clients of some API, one of each server.
func clientsOf[C any](to reach, of func(grpc.ClientConnInterface) C) (all []C, err error) {
	creds := insecure.NewCredentials()
	if to.tls != nil {
		creds = credentials.NewTLS(to.tls)
	}
	for _, e := range to.endpoints {
		conn, err := grpc.NewClient(e, grpc.WithTransportCredentials(creds))
		if err != nil {
			return nil, err
		}
		all = append(all, of(conn))
	}
	return all, nil
}

// flags are those of dlm.
func (to reach) flags() []string {
	list := []string{"--endpoints", strings.Join(to.endpoints, ",")}
	if to.certs != "" {
		list = append(list, "--ca", to.file("ca.crt"), "--cert", to.file(to.as+".crt"), "--key", to.file(to.as+".key"))
	}
	return list
}
