package main_test

import (
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
		"misspelt command":       {[]string{"lok", "x", "true"}, 64, "did you mean lock"},
		"empty lock":             {[]string{"append", "", "file", "text"}, 64, "invalid name"},
		"no such file":           {[]string{"tail", "mistakes", "nothing"}, 1, `"nothing" of lock "mistakes"`},
		"endpoint without port":  {[]string{"status", "--endpoints", "127.0.0.1"}, 64, `"127.0.0.1": want host:port`},
		"endpoint that is a URL": {[]string{"cat", "--endpoints", "http://127.0.0.1:1", "x", "y"}, 64, `"http://127.0.0.1:1": want host:port`},
		"second endpoint":        {[]string{"health", "--endpoints", "127.0.0.1:1,other"}, 64, `"other": want host:port`},
		"port that is none":      {[]string{"lock", "--endpoints", "127.0.0.1:", "x", "true"}, 64, "want host:port"},
		"no etcd client port":    {[]string{"member", "list", "--timeout", "100ms", "--etcd-endpoints", "127.0.0.1:1"}, 69, "cluster.client-listen"},
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

func TestHealthOfNobodyIsInPlainWords(t *testing.T) {
	t.Parallel()
	r := run(t, dlm(t, "health", "--endpoints", "127.0.0.1:1"))
	if r.code != 69 || !strings.Contains(r.out, "connection refused") || strings.Contains(r.out, "code =") {
		t.Errorf("exit code %d, want 69; printed %q", r.code, r.out)
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
