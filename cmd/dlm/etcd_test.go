package main_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// externalEtcd is a cluster of etcd processes with users, as somebody else runs it.
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

// buildEtcd builds etcd from the module that the embedded one comes from.
var buildEtcd = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(filepath.Dir(dlmPath), "etcd")
	out, err := exec.Command("go", "build", "-o", binary, "go.etcd.io/etcd/server/v3").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out)
	}
	return binary, err
})

// startEtcd starts an etcd with so many members, with or without TLS. The user has its prefix, and
// no other rights.
func startEtcd(t *testing.T, members int, withTLS bool) *externalEtcd {
	t.Helper()
	e := &externalEtcd{}
	var err error
	if e.binary, err = buildEtcd(); err != nil {
		t.Skipf("etcd cannot be built here: %v", err)
	}
	scheme := "http://"
	var protected []string
	if withTLS {
		e.certificates = newCertificates(t)
		scheme = "https://"
		protected = []string{
			"--cert-file", e.certificates.cert, "--key-file", e.certificates.key,
			"--trusted-ca-file", e.certificates.ca, "--client-cert-auth",
		}
	}
	var peers, list []string
	for i := range members {
		e.endpoints = append(e.endpoints, scheme+storetest.FreeAddr(t))
		peers = append(peers, "http://"+storetest.FreeAddr(t))
		list = append(list, fmt.Sprintf("etcd-%d=%s", i, peers[i]))
	}
	for i := range members {
		e.args = append(e.args, append([]string{
			"--name", fmt.Sprintf("etcd-%d", i), "--data-dir", filepath.Join(t.TempDir(), "etcd"),
			"--listen-peer-urls", peers[i], "--initial-advertise-peer-urls", peers[i], "--initial-cluster", strings.Join(list, ","),
			"--listen-client-urls", e.endpoints[i], "--advertise-client-urls", e.endpoints[i],
			"--auth-token-ttl", fmt.Sprint(etcdTokenTTL),
		}, protected...))
		e.members = append(e.members, nil)
		e.start(t, i)
	}
	c := e.client(t)
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

// client is a client of the etcd, with a user or, before there are users, none.
func (e *externalEtcd) client(t *testing.T, user ...string) *clientv3.Client {
	t.Helper()
	cfg := clientv3.Config{Endpoints: e.endpoints, Logger: zap.NewNop()}
	if e.certificates.ca != "" {
		cfg.TLS = e.certificates.client(t)
	}
	if len(user) == 2 {
		cfg.Username, cfg.Password = user[0], user[1]
	}
	c, err := clientv3.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// leader is the member that leads.
func (e *externalEtcd) leader(t *testing.T) int {
	t.Helper()
	return etcdLeader(t, e.client(t, "root", "root"), e.endpoints)
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
	options := []string{
		"--etcd-endpoints", strings.Join(e.endpoints, ","), "--etcd-prefix", etcdPrefix, "--etcd-history", "10s",
		"--etcd-username", etcdUser, "--etcd-password-file", passwordFile(t, etcdPassword), "--log-level", "debug",
	}
	if c := e.certificates; c.ca != "" {
		options = append(options, "--etcd-tls-ca", c.ca, "--etcd-tls-cert", c.cert, "--etcd-tls-key", c.key)
	}
	return options
}

func passwordFile(t *testing.T, password string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
