package main_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
	"github.com/distributed-lock-manager/dlm/internal/certs/certstest"
)

// proxy is an HTTP proxy that leads every CONNECT to one address, and counts them.
type proxy struct {
	listener net.Listener
	to       string
	running  sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	asked []string // the first line of each request
}

func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, to: to}
	p.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.keep(conn)
			p.running.Go(func() { p.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		p.mu.Lock()
		for _, conn := range p.conns {
			conn.Close()
		}
		p.mu.Unlock()
		p.running.Wait()
	})
	return p
}

func (p *proxy) keep(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns = append(p.conns, conn)
}

func (p *proxy) serve(conn net.Conn) {
	defer conn.Close()
	from := bufio.NewReader(conn)
	request, err := http.ReadRequest(from)
	p.mu.Lock()
	if err == nil {
		p.asked = append(p.asked, request.Method+" "+request.Host)
	} else {
		p.asked = append(p.asked, err.Error())
	}
	p.mu.Unlock()
	if err != nil || request.Method != http.MethodConnect || p.to == "" {
		return
	}
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	p.keep(server)
	defer server.Close()
	if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	p.running.Go(func() {
		_, _ = io.Copy(server, from)
		server.Close()
	})
	_, _ = io.Copy(conn, server)
}

func (p *proxy) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

// named puts the proxy into the environment of a command, in every way that programs look for it.
func (p *proxy) named(cmd *exec.Cmd) *exec.Cmd {
	url := "http://" + p.listener.Addr().String()
	cmd.Env = append(cmd.Env, "HTTPS_PROXY="+url, "HTTP_PROXY="+url, "https_proxy="+url, "http_proxy="+url, "NO_PROXY=", "no_proxy=")
	return cmd
}

// elsewhere is a name that no resolver knows, and that no environment excepts from its proxy.
const elsewhere = "dlm.invalid"

// The environment's proxy is used only if that is asked for.
func TestProxyOfTheEnvironmentIsLeftAlone(t *testing.T) {
	t.Parallel()
	token := certstest.Write(t, filepath.Join(t.TempDir(), "token"), []byte("a.b.c"))
	for name, args := range map[string][]string{
		"token":         {"ls", "--connect-timeout", "500ms", "--endpoints", elsewhere + ":50051", "--tls", "--bearer-file", token},
		"lock":          {"lock", "--connect-timeout", "500ms", "--endpoints", elsewhere + ":50051", "proxied", "true"},
		"status":        {"status", "--connect-timeout", "500ms", "--endpoints", elsewhere + ":50051"},
		"health":        {"health", "--connect-timeout", "500ms", "--endpoints", elsewhere + ":50051"},
		"member":        {"member", "--timeout", "500ms", "--etcd-endpoints", elsewhere + ":2379", "list"},
		"etcd":          {"server", "--etcd-endpoints", elsewhere + ":2379", "--etcd-timeout", "500ms"},
		"etcd with TLS": {"server", "--etcd-endpoints", "https://" + elsewhere + ":2379", "--etcd-timeout", "500ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, "")
			r := run(t, p.named(dlm(t, args...)))
			if r.code != 69 {
				t.Errorf("exit code %d, want 69; %s", r.code, r.err)
			}
			if asked := p.requests(); len(asked) > 0 {
				t.Errorf("the proxy was asked to %q", asked)
			}
			if strings.Contains(r.out+r.err, p.listener.Addr().String()) {
				t.Errorf("the proxy's address is told as the server's: %s%s", r.out, r.err)
			}
		})
	}
}

func TestProxyIsUsedIfAskedFor(t *testing.T) {
	t.Parallel()
	s := startSecured(t)
	p := startProxy(t, s.addr)
	address := elsewhere + ":50051"
	// What runs under the lock reaches the servers in the same way.
	must(t, p.named(s.known(t, "lock", "--proxy", "--endpoints", address, "jobs", "sh", "-c", `"$0" append jobs file inside`, dlmPath)))
	byVariable := p.named(s.known(t, "cat", "--endpoints", address, "jobs", "file"))
	byVariable.Env = append(byVariable.Env, "DLM_PROXY=true")
	if got := must(t, byVariable); got != "inside\n" {
		t.Errorf("read %q", got)
	}
	if got := must(t, p.named(s.known(t, "health", "--proxy", "--endpoints", address))); got != address+" SERVING\n" {
		t.Errorf("printed %q", got)
	}
	asked := p.requests()
	if len(asked) != 4 {
		t.Errorf("the proxy was asked %d times, want 4: %q", len(asked), asked)
	}
	for _, request := range asked {
		if request != "CONNECT "+address {
			t.Errorf("the proxy was asked to %q", request)
		}
	}
	// The flag comes before the variable.
	off := p.named(s.known(t, "cat", "--proxy=false", "--connect-timeout", "500ms", "--endpoints", address, "jobs", "file"))
	off.Env = append(off.Env, "DLM_PROXY=true")
	if r := run(t, off); r.code != 69 || len(p.requests()) != len(asked) {
		t.Errorf("exit code %d, want 69; the proxy was asked to %q", r.code, p.requests())
	}
	wrong := dlm(t, "cat", "proxied", "file")
	wrong.Env = append(wrong.Env, "DLM_PROXY=perhaps")
	if r := run(t, wrong); r.code != 64 || !strings.Contains(r.err, "DLM_PROXY") {
		t.Errorf("exit code %d, want 64; said %q", r.code, r.err)
	}
}

// The keys of issuers are fetched over HTTP.
func TestKeysAreFetchedWithoutProxy(t *testing.T) {
	t.Parallel()
	p := startProxy(t, "")
	server := start(t, p.named(dlm(t, "server", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir(),
		"--auth-jwt", "[{issuer: i, audience: dlm, jwks: https://"+elsewhere+"/keys}]")))
	server.says(t, "lookup "+elsewhere)
	if asked := p.requests(); len(asked) > 0 {
		t.Errorf("the proxy was asked to %q", asked)
	}
}

// Etcd's peers speak HTTP among each other.
func TestPeersUseNoProxy(t *testing.T) {
	t.Parallel()
	p := startProxy(t, "")
	own := storetest.FreeAddr(t)
	server := start(t, p.named(dlm(t, "server", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir(),
		"--cluster-members", "a="+own+",b="+elsewhere+":2380", "--cluster-name", "a", "--cluster-peer-listen", own)))
	server.says(t, "lookup "+elsewhere)
	if asked := p.requests(); len(asked) > 0 {
		t.Errorf("the proxy was asked to %q", asked)
	}
}
