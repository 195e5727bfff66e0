package main_test

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestDevCertsSaysHowToUseThem(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "it's here")
	out := must(t, dlm(t, "dev-certs", dir, "--client", "alice", "--host", "example.org", "--host", "10.0.0.1"))
	for _, want := range []string{"trying only", "dlm server --tls-cert ", "server.crt", "spiffe://dlm.test/alice", "dlm lock --ca ", `'\''s here/alice.key'`} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	// As a shell takes them, the words are the files.
	_, line, _ := strings.Cut(out, "dlm lock ")
	must(t, shell(t, "set -- "+line[:strings.Index(line, "demo")]+`; test -r "$2" && test -r "$4" && test -r "$6"`))

	out = must(t, dlm(t, "dev-certs", dir, "--revoke", "alice"))
	if !strings.Contains(out, "Revoked") || strings.Contains(out, "dlm server") {
		t.Errorf("to revoke says %q, want that it was done and nothing issued", out)
	}
}

func TestDevCertsRefusesWhatCannotBeMeant(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, args := range map[string][]string{
		"no directory":  nil,
		"no days":       {dir, "--days", "0"},
		"too many days": {dir, "--days", "366"},
		"no client":     {dir, "--client", ""},
		"bad client":    {dir, "--client", "../x"},
		"bad host":      {dir, "--host", "a:1"},
		"nobody":        {dir, "--revoke", "nobody"},
		"other files":   {filepath.Dir(dlmPath)},
	} {
		if r := run(t, dlm(t, append([]string{"dev-certs"}, args...)...)); r.code != 64 {
			t.Errorf("%s: exit code %d, want 64\n%s", name, r.code, r.err)
		}
	}
}
