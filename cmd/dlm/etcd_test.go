package main_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// externalEtcd is a cluster of three etcd processes with TLS and users, as somebody else runs it.
type externalEtcd struct {
	members      []*background
	args         [][]string
	binary       string
	endpoints    []string
	certificates certificates
}

const (
	etcdUser, etcdPassword, etcdPrefix = "locks", "only for the locks", "/locks/"
	etcdTokenTTL                       = 3 // seconds that a login lasts while it is not used
)

// startEtcd builds etcd from the module that the embedded one comes from, and starts it. The user
// has its prefix, and no other rights.
func startEtcd(t *testing.T) *externalEtcd {
	t.Helper()
	e := &externalEtcd{binary: filepath.Join(t.TempDir(), "etcd"), certificates: newCertificates(t)}
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", e.binary, "go.etcd.io/etcd/server/v3").CombinedOutput(); err != nil {
		t.Skipf("etcd cannot be built here: %v\n%s", err, out)
	}
	var peers, list []string
	for i := range 3 {
		e.endpoints = append(e.endpoints, "https://"+storetest.FreeAddr(t))
		peers = append(peers, "http://"+storetest.FreeAddr(t))
		list = append(list, fmt.Sprintf("etcd-%d=%s", i, peers[i]))
	}
	for i := range 3 {
		e.args = append(e.args, []string{
			"--name", fmt.Sprintf("etcd-%d", i), "--data-dir", filepath.Join(t.TempDir(), "etcd"),
			"--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i], "--initial-cluster", strings.Join(list, ","),
			"--listen-client-urls", e.endpoints[i], "--advertise-client-urls", e.endpoints[i],
			"--cert-file", e.certificates.cert, "--key-file", e.certificates.key,
			"--trusted-ca-file", e.certificates.ca, "--client-cert-auth",
			"--auth-token-ttl", fmt.Sprint(etcdTokenTTL),
		})
		e.members = append(e.members, nil)
		e.start(t, i)
	}
	c := e.client(t, e.certificates.client(t))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, err := range []error{
		second(c.UserAdd(ctx, "root", "root")),
		second(c.UserGrantRole(ctx, "root", "root")),
		second(c.UserAdd(ctx, etcdUser, etcdPassword)),
		second(c.RoleAdd(ctx, "locks")),
		second(c.RoleGrantPermission(ctx, "locks", etcdPrefix, clientv3.GetPrefixRangeEnd(etcdPrefix), clientv3.PermissionType(clientv3.PermReadWrite))),
		second(c.UserGrantRole(ctx, etcdUser, "locks")),
		second(c.AuthEnable(ctx)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func second[T any](_ T, err error) error { return err }

func (e *externalEtcd) start(t *testing.T, i int) {
	t.Helper()
	e.members[i] = start(t, exec.Command(e.binary, e.args[i]...))
}

func (e *externalEtcd) stop(t *testing.T, i int, sig os.Signal) {
	t.Helper()
	e.members[i].signal(t, sig)
	_ = e.members[i].cmd.Wait()
}

func (e *externalEtcd) client(t *testing.T, config *tls.Config) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: e.endpoints, TLS: config, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// leader is the member that leads.
func (e *externalEtcd) leader(t *testing.T) int {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{
		Endpoints: e.endpoints, TLS: e.certificates.client(t), Username: "root", Password: "root", Logger: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return etcdLeader(t, c, e.endpoints)
}

// etcdLeader is which of the endpoints leads.
func etcdLeader(t *testing.T, c *clientv3.Client, endpoints []string) int {
	t.Helper()
	found := -1
	eventually(t, "a leader", func() bool {
		found = slices.IndexFunc(endpoints, func(endpoint string) bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			status, err := c.Status(ctx, endpoint)
			return err == nil && status.Leader == status.Header.MemberId
		})
		return found >= 0
	})
	return found
}

// options are those of a server that uses this etcd.
func (e *externalEtcd) options(t *testing.T) []string {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secret, []byte(etcdPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{
		"--etcd-endpoints", strings.Join(e.endpoints, ","), "--etcd-prefix", etcdPrefix, "--etcd-history", "10s",
		"--etcd-username", etcdUser, "--etcd-password-file", secret, "--log-level", "debug",
		"--etcd-tls-ca", e.certificates.ca, "--etcd-tls-cert", e.certificates.cert, "--etcd-tls-key", e.certificates.key,
	}
}
