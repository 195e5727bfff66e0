package arch_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/distributed-lock-manager/dlm"

// pkg is what `go list -json` says of a package.
type pkg struct {
	ImportPath string
	Dir        string
	Doc        string
	GoFiles    []string
	Imports    []string
	Deps       []string
	Standard   bool
}

// list asks the go command about all packages of the module. Tests do not count.
func list(t *testing.T) []pkg {
	t.Helper()
	watch(t, "../..")
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,GoFiles,Imports,Deps,Standard", module+"/...")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return pkgs
		}
		if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// within reports whether path is dir or lies below it.
func within(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+"/")
}

// layer says what a part of the module may and may not know.
type layer struct {
	dir  string   // below the module
	own  []string // parts of the module that it may import, itself not counted
	not  []string // what it must not import
	link []string // what must not be among its dependencies at all
}

// The first that contains a package counts.
func layers() []layer {
	server := "go.etcd.io/etcd/server/v3"
	return []layer{
		{dir: "cmd/dlm/internal/ptytest"},
		{dir: "cmd/dlm/internal/proctest"},
		{dir: "cmd", own: []string{"client", "client/oteltrace", "config", "etcdstore", "etcdstore/embedded", "facade", "facade/admin", "facade/api", "facade/audit", "facade/auth", "facade/auth/bearer", "facade/coursework", "facade/metrics", "internal/certs", "internal/reread", "internal/dial", "internal/text", "etcdstore/snapshot", "facade/page"}, link: []string{"testing"}},
		{dir: "facade/api", link: []string{"go.etcd.io"}},
		{dir: "facade/facadetest", own: []string{"etcdstore", "etcdstore/embedded", "etcdstore/storetest", "facade", "facade/api", "facade/coursework"}},
		{dir: "facade/auth/bearer", own: []string{"internal/reread"}, link: []string{"go.etcd.io", "google.golang.org", "testing"}},
		{dir: "facade/audit", own: []string{"internal/text"}, link: []string{"go.etcd.io", "google.golang.org", "testing"}},
		{dir: "facade", own: []string{"etcdstore", "facade/api", "internal/certs", "internal/reread", "internal/text", "internal/turns"}, not: []string{"go.etcd.io", "github.com/spf13"}, link: []string{server, "testing"}},
		// The commit engine and etcd's words know nothing of locks, keys or who calls.
		{dir: "etcdstore/internal/op", not: []string{"google.golang.org"}, link: []string{server, "testing"}},
		{dir: "etcdstore/internal/commit", own: []string{"etcdstore/internal/op", "internal/turns"}, link: []string{server, "testing"}},
		{dir: "etcdstore/internal/members", link: []string{server, "testing"}},
		{dir: "etcdstore/snapshot", own: []string{"internal/sealed"}, link: []string{"testing"}},
		{dir: "etcdstore/embedded", own: []string{"etcdstore/snapshot", "internal/certs", "internal/reread"}, link: []string{"testing"}},
		{dir: "etcdstore/storetest", own: []string{"etcdstore", "etcdstore/embedded", "internal/await"}},
		{dir: "etcdstore", own: []string{"internal/turns"}, not: []string{"github.com/spf13"}, link: []string{server, "testing"}},
		{dir: "client/oteltrace", own: []string{"client"}, link: []string{"go.etcd.io", "github.com/spf13", "go.opentelemetry.io/otel/sdk", "testing"}},
		{dir: "client", own: []string{"facade/api", "internal/certs", "internal/dial", "internal/sealed"}, link: []string{"go.etcd.io", "go.opentelemetry.io", "github.com/spf13", "testing"}},
		{dir: "config", not: []string{"google.golang.org", "go.etcd.io"}, link: []string{"go.etcd.io", "google.golang.org/grpc", "testing"}},
		{dir: "deploy"},
		{dir: "internal/text", link: []string{"go.etcd.io", "google.golang.org"}},
		{dir: "internal/turns", link: []string{"go.etcd.io", "google.golang.org"}},
		{dir: "internal/dial", link: []string{"go.etcd.io", "github.com/spf13", "testing"}},
		{dir: "internal/await", not: []string{"go.etcd.io", "google.golang.org"}},
		{dir: "internal/certs/certstest", not: []string{"go.etcd.io", "google.golang.org"}},
		{dir: "internal/certs", own: []string{"internal/reread"}, not: []string{"go.etcd.io"}, link: []string{"testing"}},
		{dir: "internal/sealed", not: []string{"go.etcd.io", "google.golang.org"}, link: []string{"testing"}},
		{dir: "internal/reread", not: []string{"go.etcd.io", "google.golang.org"}, link: []string{"testing"}},
		{dir: "tools/abuse", own: []string{"client", "facade/api"}, link: []string{"testing"}},
		{dir: "tools/bench/publish", own: []string{"client"}, link: []string{"testing"}},
		{dir: "tools/faultproxy", own: []string{"facade/api"}, link: []string{"go.etcd.io", "testing"}},
		{dir: "tools/robustness", own: []string{"client", "facade/api", "tools/faultproxy"}, link: []string{"testing"}},
		{dir: "tools/scenarios", own: []string{"facade/api", "tools/faultproxy"}, link: []string{"go.etcd.io", "testing"}},
		{dir: "tools"},
	}
}

func TestImportsPointDownwards(t *testing.T) {
	used := map[string]bool{}
	for _, p := range list(t) {
		dir := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		i := slices.IndexFunc(layers(), func(l layer) bool { return within(dir, l.dir) })
		if i < 0 {
			t.Errorf("%s belongs to no layer", p.ImportPath)
			continue
		}
		l := layers()[i]
		used[l.dir] = true
		for _, imported := range p.Imports {
			if own, ok := strings.CutPrefix(imported, module+"/"); ok && !within(own, l.dir) &&
				!slices.Contains(l.own, own) && !slices.ContainsFunc(l.own, func(d string) bool { return d == "facade/api" && within(own, d) }) {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
			for _, not := range l.not {
				if within(imported, not) {
					t.Errorf("%s imports %s", p.ImportPath, imported)
				}
			}
		}
		for _, dep := range p.Deps {
			for _, not := range l.link {
				if within(dep, not) {
					t.Errorf("%s links %s", p.ImportPath, dep)
				}
			}
		}
	}
	for _, dir := range []string{"client", "cmd", "config", "etcdstore", "etcdstore/embedded", "etcdstore/internal/commit", "etcdstore/internal/op", "facade", "facade/api"} {
		if !used[dir] {
			t.Errorf("%s has no package: the rules check nothing", dir)
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range list(t) {
		if slices.ContainsFunc(p.GoFiles, func(f string) bool { return strings.HasSuffix(f, ".pb.go") }) || len(p.GoFiles) == 0 {
			continue
		}
		if !slices.Contains(p.GoFiles, "doc.go") || p.Doc == "" {
			t.Errorf("%s has no doc.go with a comment of the package", p.ImportPath)
		}
	}
}
