package auth_test

import (
	"net/url"
	"strings"
	"testing"

	"crypto/x509"
	"crypto/x509/pkix"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	lockservice "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
	"github.com/distributed-lock-manager/dlm/facade/auth"
)

func TestFromCertificate(t *testing.T) {
	for name, c := range map[string]struct {
		kind auth.Kind
		cert x509.Certificate
		want auth.Identity // empty: it is refused
	}{
		"spiffe":                   {auth.SPIFFE, x509.Certificate{URIs: uris(t, "spiffe://example.org/ns/prod/sa/jobs")}, "spiffe:spiffe://example.org/ns/prod/sa/jobs"},
		"no URI":                   {auth.SPIFFE, x509.Certificate{DNSNames: []string{"a.example.org"}, Subject: pkix.Name{CommonName: "a"}}, ""},
		"two URIs":                 {auth.SPIFFE, x509.Certificate{URIs: uris(t, "spiffe://example.org/a", "spiffe://example.org/b")}, ""},
		"two URIs, one SPIFFE":     {auth.SPIFFE, x509.Certificate{URIs: uris(t, "spiffe://example.org/a", "https://example.org/b")}, ""},
		"the same URI twice":       {auth.SPIFFE, x509.Certificate{URIs: uris(t, "spiffe://example.org/a", "spiffe://example.org/a")}, ""},
		"another scheme":           {auth.SPIFFE, x509.Certificate{URIs: uris(t, "https://example.org/a")}, ""},
		"a query":                  {auth.SPIFFE, x509.Certificate{URIs: uris(t, "spiffe://example.org/a?b")}, ""},
		"dots":                     {auth.SPIFFE, x509.Certificate{URIs: uris(t, "spiffe://example.org/a/../b")}, ""},
		"a port":                   {auth.SPIFFE, x509.Certificate{URIs: uris(t, "spiffe://example.org:1/a")}, ""},
		"an encoded slash":         {auth.SPIFFE, x509.Certificate{URIs: uris(t, "spiffe://example.org/a%2fb")}, ""},
		"too long":                 {auth.SPIFFE, x509.Certificate{URIs: uris(t, "spiffe://example.org/"+strings.Repeat("a", 600))}, ""},
		"dns":                      {auth.DNS, x509.Certificate{DNSNames: []string{"Cron.Example.org"}}, "dns:cron.example.org"},
		"two DNS names":            {auth.DNS, x509.Certificate{DNSNames: []string{"a.example.org", "b.example.org"}}, ""},
		"a wildcard":               {auth.DNS, x509.Certificate{DNSNames: []string{"*.example.org"}}, ""},
		"an address":               {auth.DNS, x509.Certificate{DNSNames: []string{"10.0.0.1"}}, ""},
		"no DNS name, but a CN":    {auth.DNS, x509.Certificate{Subject: pkix.Name{CommonName: "a.example.org"}}, ""},
		"cn":                       {auth.CommonName, x509.Certificate{Subject: pkix.Name{CommonName: "alice"}}, "cn:alice"},
		"no CN":                    {auth.CommonName, x509.Certificate{URIs: uris(t, "spiffe://example.org/a")}, ""},
		"a CN that cannot be seen": {auth.CommonName, x509.Certificate{Subject: pkix.Name{CommonName: "ali\u202ece"}}, ""},
		"a CN with a newline":      {auth.CommonName, x509.Certificate{Subject: pkix.Name{CommonName: "alice\n"}}, ""},
		"a CN with spaces":         {auth.CommonName, x509.Certificate{Subject: pkix.Name{CommonName: " alice"}}, ""},
		"no such kind":             {"email", x509.Certificate{EmailAddresses: []string{"a@example.org"}}, ""},
	} {
		got, err := auth.FromCertificate(c.kind, &c.cert)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
	if _, err := auth.FromToken("https://i", ""); err == nil {
		t.Error("a token of nobody has an identity")
	}
	if id, err := auth.FromToken("https://i", "a"); err != nil || id != "jwt:https://i#a" {
		t.Errorf("a token's identity is %q, %v", id, err)
	}
}

func uris(t *testing.T, texts ...string) (all []*url.URL) {
	t.Helper()
	for _, text := range texts {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, u)
	}
	return all
}

// Whatever a server has, a call or a message of the stream, has to have a need: one that has none
// is refused, and this is how its author finds out.
func TestEveryMethodHasANeed(t *testing.T) {
	server := grpc.NewServer()
	dlmv1.RegisterLockServiceServer(server, dlmv1.UnimplementedLockServiceServer{})
	lockservice.RegisterLockServiceServer(server, lockservice.UnimplementedLockServiceServer{})
	healthpb.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	var methods []string
	for name, service := range server.GetServiceInfo() {
		for _, m := range service.Methods {
			methods = append(methods, "/"+name+"/"+m.Name)
		}
	}
	if len(methods) < 30 {
		t.Fatalf("the server has %d methods", len(methods))
	}
	for _, method := range methods {
		need, found := auth.NeedOf(method)
		if !found || need.Scope == 0 {
			t.Errorf("%s has no need", method)
		}
		if exempt := need.Scope == auth.Exempt; exempt != strings.HasPrefix(method, "/grpc.health.v1.Health/") {
			t.Errorf("%s: exempt is %v", method, exempt)
		}
	}
	if _, found := auth.NeedOf("/dlm.v1.LockService/Later"); found {
		t.Error("a method that is not there has a need")
	}
}
