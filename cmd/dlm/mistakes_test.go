package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What people get wrong first: each mistake is named, at once.
func TestMistakesAreNamed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		code int
		says string // on standard error
	}{
		"misspelt command":                {[]string{"lok", "x", "true"}, 64, "did you mean lock"},
		"empty lock":                      {[]string{"append", "", "file", "text"}, 64, "invalid name"},
		"no such file":                    {[]string{"tail", "mistakes", "nothing"}, 1, `"nothing" of lock "mistakes"`},
		"endpoint without port":           {[]string{"status", "--endpoints", "127.0.0.1"}, 64, `"127.0.0.1": want host:port`},
		"endpoint that is a URL":          {[]string{"cat", "--endpoints", "http://127.0.0.1:1", "x", "y"}, 64, `"http://127.0.0.1:1": want host:port`},
		"second endpoint":                 {[]string{"health", "--endpoints", "127.0.0.1:1,other"}, 64, `"other": want host:port`},
		"port that is none":               {[]string{"lock", "--endpoints", "127.0.0.1:", "x", "true"}, 64, "want host:port"},
		"endpoint with a port too large":  {[]string{"ls", "--endpoints", "h:99999", "x"}, 64, `"h:99999": want host:port`},
		"endpoint with a word for a port": {[]string{"tail", "--endpoints", "h:abc", "x", "y"}, 64, `"h:abc": want host:port`},
		"endpoint of bytes that are none": {[]string{"watch", "--endpoints", "\xff:1", "x"}, 64, `"\xff:1": want host:port`},
		"both endpoints":                  {[]string{"evict", "--reason", "r", "--endpoints", "h:abc,i", "x"}, 64, `"i": want host:port`},
		"no endpoint at all":              {[]string{"status", "--endpoints", ""}, 64, "--endpoints names no server"},
		"commas for endpoints":            {[]string{"health", "--endpoints", " , "}, 64, "--endpoints names no server"},
		"no time to connect":              {[]string{"status", "--connect-timeout", "0s"}, 64, "--connect-timeout is 0s"},
		"time to connect is negative":     {[]string{"health", "--connect-timeout", "-1s"}, 64, "connect timeout -1s"},
		"TTL too short":                   {[]string{"lock", "--ttl", "1s", "x", "true"}, 64, "invalid ttl: 1s"},
		"TTL too long":                    {[]string{"lock", "--ttl", "1h", "x", "true"}, 64, "invalid ttl: 1h0m0s"},
		"TTL negative":                    {[]string{"lock", "--ttl", "-5s", "x", "true"}, 64, "invalid ttl: -5s"},
		"TTL of nothing":                  {[]string{"lock", "--ttl", "0s", "x", "true"}, 64, "--ttl is 0s"},
		"label with a line break":         {[]string{"lock", "--label", "a\nb", "x", "true"}, 64, `label "a\nb"`},
		"label too long":                  {[]string{"append", "--label", strings.Repeat("x", 129), "x", "y", "z"}, 64, "label of 129 bytes"},
		"load on a port that is none":     {[]string{"bench", "--endpoints", "h:abc"}, 64, `"h:abc": want host:port`},
		"etcd on a port that is none":     {[]string{"member", "list", "--etcd-endpoints", "h:abc"}, 64, `"h:abc": want host:port`},
		"no time for etcd":                {[]string{"member", "list", "--timeout", "0s"}, 64, "--timeout is 0s"},
		"member on a port that is none":   {[]string{"member", "add", "a", "h:abc"}, 64, `"h:abc" is not HOST:PORT`},
		"no etcd client port":             {[]string{"member", "list", "--timeout", "100ms", "--etcd-endpoints", "127.0.0.1:1"}, 69, "cluster.client-listen"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := time.Now()
			r := run(t, dlm(t, test.args...))
			if r.code != test.code || !strings.Contains(r.err, test.says) {
				t.Errorf("exit code %d, want %d; said %q, want %q in it", r.code, test.code, r.err, test.says)
			}
			if took := time.Since(before); took > 5*time.Second {
				t.Errorf("it took %v to say so", took)
			}
		})
	}
}

// The environment's endpoints are looked at as the command line's are, and one command names all
// that is wrong with it.
func TestEveryMistakeIsNamed(t *testing.T) {
	t.Parallel()
	cmd := dlm(t, "lock", "--ttl", "1s", "--label", "\x1b", "x", "true")
	cmd.Env = append(cmd.Env, "DLM_ENDPOINTS=h:abc, h:99999 ,,good:1")
	r := run(t, cmd)
	if r.code != 64 {
		t.Errorf("exit code %d, want 64", r.code)
	}
	for _, mistake := range []string{`"h:abc"`, `"h:99999"`, "invalid ttl: 1s", `label "\x1b"`} {
		if !strings.Contains(r.err, mistake) {
			t.Errorf("%s is not named in %q", mistake, r.err)
		}
	}
}

func TestHealthOfNobodyIsInPlainWords(t *testing.T) {
	t.Parallel()
	r := run(t, dlm(t, "health", "--endpoints", "127.0.0.1:1"))
	if r.code != 69 || !strings.Contains(r.out, "connection refused") || strings.Contains(r.out, "code =") {
		t.Errorf("exit code %d, want 69; printed %q", r.code, r.out)
	}
}

// A server may be called as gRPC calls a way to reach one.
func TestServerMayHaveTheNameOfAScheme(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"health", "status"} {
		r := run(t, dlm(t, name, "--connect-timeout", "500ms", "--endpoints", "unix:1"))
		if said := r.out + r.err; r.code != 69 || strings.Contains(said, "dial unix ") {
			t.Errorf("%s: exit code %d, want 69; said %q", name, r.code, said)
		}
	}
}

// A token in any other form than the one that `dlm lock` puts into its command's environment is a
// mistake, not a section.
func TestTokenHasOneForm(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]int{"7": 69, "+7": 64, "07": 64, "-7": 64, "0": 64, " 7": 64, "7x": 64, "": 64} {
		cmd := dlm(t, "append", "--endpoints", "127.0.0.1:1", "--connect-timeout", "100ms", "forms", "file", "text")
		cmd.Env = append(cmd.Env, "DLM_LOCK=forms", "DLM_SESSION=secret", "DLM_TOKEN="+token)
		if r := run(t, cmd); r.code != want {
			t.Errorf("with token %q exit code %d, %q; want %d", token, r.code, r.err, want)
		}
	}
}

// Every fault is named, with its key and value, before anything is started or opened.
func TestConfigurationIsRefusedAsAWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "dlm.yaml")
	text := "listen: 127.0.0.1:0\ndrain: 5\ncluster: {name: a, members: [a=127.0.0.1:1], peer-listen: ':1', tls: {ca: /no/ca, cert: /no/cert, key: /no/key}}\n---\nlisten: :1\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	for _, args := range [][]string{{"config", "check"}, {"server", "--data-dir", data}} {
		cmd := command(t, "", dlmPath, append(args, "--config", file)...)
		cmd.Env = append(cmd.Env, "DLM_LOG_LEVEL=", "DLM_COURSEWORK_LOCK=a//b")
		r := run(t, cmd)
		if r.code != 78 {
			t.Errorf("%q: exit code %d, want 78", args, r.code)
		}
		for _, says := range []string{
			"second document begins at line 4", "drain: 5: want", `cluster.tls.ca: "/no/ca": no such file`, `cluster.tls.cert: "/no/cert"`,
			`cluster.tls.key: "/no/key"`, "DLM_LOG_LEVEL is set, and empty", "coursework.lock: ",
		} {
			if !strings.Contains(r.err, says) {
				t.Errorf("%q does not say %q:\n%s", args, says, r.err)
			}
		}
		if r := run(t, command(t, "", dlmPath, append(args, "--config", "")...)); r.code != 64 || !strings.Contains(r.err, "--config is empty") {
			t.Errorf("%q --config '': exit code %d, want 64\n%s", args, r.code, r.err)
		}
	}
	if _, err := os.Stat(data); err == nil {
		t.Error("a data directory was made")
	}
	// A pipe may be read once.
	if r := run(t, shell(t, `echo "drain: 5s" | dlm config print --config /dev/stdin`)); r.code != 0 || !strings.Contains(r.out, "drain: 5s") {
		t.Errorf("a configuration from a pipe: exit code %d\n%s", r.code, r.err)
	}
}
