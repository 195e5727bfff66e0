package client_test

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/distributed-lock-manager/dlm/client"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// A configuration that no server would take, or by which none can be reached, is refused before any
// is asked.
func TestFaultyConfigurationIsRefusedAtOpen(t *testing.T) {
	at := func(endpoints ...string) client.Config { return client.Config{Endpoints: endpoints} }
	for name, test := range map[string]struct {
		cfg  client.Config
		want error
	}{
		"TTL too short":           {client.Config{TTL: time.Second}, client.ErrInvalidTTL},
		"TTL too long":            {client.Config{TTL: time.Hour}, client.ErrInvalidTTL},
		"TTL negative":            {client.Config{TTL: -1}, client.ErrInvalidTTL},
		"timeout negative":        {client.Config{ConnectTimeout: -time.Second}, client.ErrInvalidArgument},
		"timeout without a unit":  {client.Config{ConnectTimeout: 10}, client.ErrInvalidArgument},
		"label with a line break": {client.Config{Label: "a\nb"}, client.ErrInvalidArgument},
		"label with an escape":    {client.Config{Label: "\x1b[2J"}, client.ErrInvalidArgument},
		"label not UTF-8":         {client.Config{Label: "\xff"}, client.ErrInvalidArgument},
		"label too long":          {client.Config{Label: strings.Repeat("é", 65)}, client.ErrInvalidArgument},
		"no dial option":          {client.Config{DialOptions: []grpc.DialOption{nil}}, client.ErrInvalidArgument},
		"proxy without TLS":       {client.Config{Proxy: true}, client.ErrInvalidArgument},
		"token without TLS":       {client.Config{BearerFile: "token", Endpoints: []string{":1", "10.0.0.1:1"}}, client.ErrInvalidArgument},
		"endpoint empty":          {at(""), client.ErrInvalidArgument},
		"blank":                   {at(" "), client.ErrInvalidArgument},
		"no port":                 {at("localhost"), client.ErrInvalidArgument},
		"empty port":              {at("127.0.0.1:"), client.ErrInvalidArgument},
		"port that is a word":     {at("h:abc"), client.ErrInvalidArgument},
		"port too large":          {at("h:99999"), client.ErrInvalidArgument},
		"port 0":                  {at("h:0"), client.ErrInvalidArgument},
		"negative port":           {at("h:-1"), client.ErrInvalidArgument},
		"signed port":             {at("h:+1"), client.ErrInvalidArgument},
		"URL":                     {at("http://127.0.0.1:50051"), client.ErrInvalidArgument},
		"scheme":                  {at("unix:/run/dlm"), client.ErrInvalidArgument},
		"path":                    {at("h/x:1"), client.ErrInvalidArgument},
		"user":                    {at("me@h:1"), client.ErrInvalidArgument},
		"space before":            {at(" h:1"), client.ErrInvalidArgument},
		"space after":             {at("h:1 "), client.ErrInvalidArgument},
		"two in one":              {at("h:1,i:2"), client.ErrInvalidArgument},
		"brackets missing":        {at("::1:1"), client.ErrInvalidArgument},
		"a colon too many":        {at("a:b:1"), client.ErrInvalidArgument},
		"no name in brackets":     {at("[a:b]:1"), client.ErrInvalidArgument},
		"address with a mistake":  {at("127.0.0.256:1"), client.ErrInvalidArgument},
		"a dot too many":          {at("a..b:1"), client.ErrInvalidArgument},
		"line break":              {at("h\n:1"), client.ErrInvalidArgument},
		"endpoint not UTF-8":      {at("\xff:1"), client.ErrInvalidArgument},
		"name too long":           {at(strings.Repeat("a.", 128) + "b:1"), client.ErrInvalidArgument},
		"the second":              {at("h:1", "h"), client.ErrInvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := client.Open(test.cfg); err == nil {
				t.Error("it was accepted")
				_ = c.Close()
			} else if !errors.Is(err, test.want) {
				t.Errorf("got error %v, want %v", err, test.want)
			}
		})
	}
}

func TestGoodConfigurationIsAccepted(t *testing.T) {
	for _, endpoint := range []string{
		"localhost:1", "127.0.0.1:65535", "[::1]:50051", "[fe80::1%eth0]:50051", ":50051", "a.b-c_d.example.:50051", "dlm-0:50051",
	} {
		if err := (client.Config{Endpoints: []string{endpoint}}).Validate(); err != nil {
			t.Errorf("endpoint %q: %v", endpoint, err)
		}
	}
	for _, cfg := range []client.Config{
		{BearerFile: "token"}, {BearerFile: "token", Endpoints: []string{"localhost:1", "[::1]:1", ":1"}},
		{BearerFile: "token", Endpoints: []string{"h:1"}, TLS: &tls.Config{MinVersion: tls.VersionTLS13}},
		{Proxy: true, TLS: &tls.Config{MinVersion: tls.VersionTLS13}},
		{}, {TTL: client.MinTTL}, {TTL: client.MaxTTL}, {Label: strings.Repeat("é", 64)}, {ConnectTimeout: 10 * time.Millisecond},
	} {
		if err := cfg.Validate(); err != nil {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

func TestEveryFaultIsNamed(t *testing.T) {
	_, err := client.Open(client.Config{
		Endpoints:      []string{"h:abc", "good:1", "h:99999", "h:abc"},
		TTL:            time.Hour,
		ConnectTimeout: -time.Second,
		Label:          "a\tb",
		DialOptions:    []grpc.DialOption{nil},
	})
	if err == nil {
		t.Fatal("it was accepted")
	}
	for _, fault := range []string{`"h:abc"`, `"h:99999"`, "1h0m0s", "-1s", `"a\tb"`, "dial option"} {
		if n := strings.Count(err.Error(), fault); n != 1 {
			t.Errorf("%s is named %d times, want once, in\n%v", fault, n, err)
		}
	}
	if strings.Contains(err.Error(), "good") {
		t.Errorf("what is no fault is named in\n%v", err)
	}
}

// The same server twice is no second server.
func TestEndpointNamedTwiceCountsOnce(t *testing.T) {
	s := startScripted(t, func(*dlmv1.StreamRequest) *dlmv1.StreamResponse { return nil })
	endpoints := []string{s.addr, s.addr}
	c := open(t, client.Config{Endpoints: endpoints})
	must(t, lock(t, c, "a").Unlock(t.Context()))
	if got := client.Endpoints(c); len(got) != 1 {
		t.Errorf("the client has endpoints %q, want one", got)
	}
	if endpoints[1] != s.addr {
		t.Error("the caller's slice was changed")
	}
}
