//go:build release

package release_test

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// every has all platforms built, not this machine's and its sibling only.
var every = flag.Bool("every", false, "build the archives of all platforms, not of two")

const root = "../.."

// goreleaser is what is looked at of the configuration.
type goreleaser struct {
	Version int
	Before  struct{ Hooks []string }
	Builds  []struct {
		Main         string
		Flags        []string
		Ldflags      []string
		Goos, Goarch []string
	}
	Archives []struct{ Files []struct{ Src string } }
	Sboms    []struct{ Artifacts string }
}

func configuration(t *testing.T) (text []byte, cfg goreleaser) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, ".goreleaser.yaml"))
	if err == nil {
		err = yaml.Unmarshal(text, &cfg)
	}
	if err != nil {
		t.Fatal(err)
	}
	return text, cfg
}

// What goes into an archive is there, and all platforms are built that are spoken of.
func TestConfiguration(t *testing.T) {
	_, cfg := configuration(t)
	if cfg.Version != 2 || len(cfg.Builds) != 1 || len(cfg.Archives) != 1 || len(cfg.Sboms) != 1 {
		t.Fatalf("%+v", cfg)
	}
	b := cfg.Builds[0]
	if !slices.Equal(b.Goos, []string{"linux", "darwin", "freebsd", "windows"}) || !slices.Equal(b.Goarch, []string{"amd64", "arm64"}) {
		t.Errorf("built for %v and %v", b.Goos, b.Goarch)
	}
	if !slices.Contains(b.Flags, "-trimpath") || !slices.Contains(b.Flags, "-buildvcs=true") || !strings.Contains(b.Ldflags[0], "-X main.version=v") {
		t.Errorf("flags %q, for the linker %q", b.Flags, b.Ldflags)
	}
	want := []string{"LICENSE", "README.md", "CHANGELOG.md"}
	for _, f := range cfg.Archives[0].Files {
		want = slices.DeleteFunc(want, func(name string) bool { return name == f.Src })
		made := strings.HasPrefix(f.Src, "bin/release/") // by a hook
		found, err := filepath.Glob(filepath.Join(root, strings.ReplaceAll(f.Src, "**", "*")))
		if !made && (err != nil || len(found) == 0) {
			t.Errorf("nothing is called %s (%v)", f.Src, err)
		}
	}
	if len(want) > 0 {
		t.Errorf("not in the archives: %v", want)
	}
}

// What the hooks make is what the archives have of theirs.
func TestPages(t *testing.T) {
	_, cfg := configuration(t)
	made := filepath.Join(t.TempDir(), "made")
	const script = "tools/release/pages.sh"
	command(t, root, script, made)
	if !slices.Contains(cfg.Before.Hooks, script+" bin/release") {
		t.Errorf("the hooks are %q", cfg.Before.Hooks)
	}
	for _, f := range cfg.Archives[0].Files {
		pattern, ok := strings.CutPrefix(f.Src, "bin/release/")
		if !ok {
			continue
		}
		found, err := filepath.Glob(filepath.Join(made, pattern))
		if err != nil || len(found) < 4 {
			t.Errorf("%s is %q (%v)", f.Src, found, err)
		}
		for _, file := range found {
			if info, err := os.Stat(file); err != nil || info.Size() == 0 {
				t.Errorf("%s: %v, or empty", file, err)
			}
		}
	}
}

// version is what `dlm version --json` prints.
type version struct{ Version, Revision, Committed, Go, Etcd, Platform string }

// stamped builds the program and asks it who it is.
func stamped(t *testing.T, flags ...string) (binary string, v version) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "dlm")
	command(t, root, append(append([]string{"env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-buildvcs=true", "-o", binary}, flags...), "./cmd/dlm")...) // as releases are
	if err := json.Unmarshal(command(t, root, binary, "version", "--json"), &v); err != nil {
		t.Fatal(err)
	}
	return binary, v
}

// A binary knows its version: from a tag, and else from its commit.
func TestVersion(t *testing.T) {
	head := strings.TrimSpace(string(command(t, root, "git", "rev-parse", "HEAD")))
	_, tagged := stamped(t, "-ldflags", "-s -w -X main.version=v9.8.7")
	_, other := stamped(t, "-ldflags", "-s -w")
	if tagged.Version != "v9.8.7" || !strings.HasPrefix(other.Version, "v") || other.Version == tagged.Version {
		t.Errorf("versions %q and %q", tagged.Version, other.Version)
	}
	for _, v := range []version{tagged, other} {
		if v.Revision != head || v.Committed == "" || v.Go != runtime.Version() || v.Etcd == "" || v.Platform != runtime.GOOS+"/"+runtime.GOARCH {
			t.Errorf("%+v, of %s", v, head)
		}
	}
}

// The bill of materials of the program has what `go version -m` says of it, etcd among it.
func TestBill(t *testing.T) {
	binary, v := stamped(t, "-ldflags", "-s -w -X main.version=v9.8.7")
	tool := filepath.Join(t.TempDir(), "sbom")
	command(t, filepath.Join(root, "tools", "sbom"), "go", "build", "-o", tool, ".")
	text := command(t, root, tool, "-version", "v9.8.7", binary)
	checkBill(t, text, binary, "v9.8.7")
	if !bytes.Contains(text, []byte("pkg:golang/go.etcd.io/etcd/server/v3@v"+v.Etcd)) {
		t.Errorf("it has no etcd %s", v.Etcd)
	}
}

func checkBill(t *testing.T, text []byte, binary, version string) {
	t.Helper()
	var bom struct {
		BOMFormat, SpecVersion, SerialNumber string
		Metadata                             struct {
			Component struct{ Name, Version string }
		}
		Components []struct{ Name, Version, Purl string }
	}
	if err := json.Unmarshal(text, &bom); err != nil {
		t.Fatal(err)
	}
	if bom.BOMFormat != "CycloneDX" || bom.SpecVersion == "" || bom.Metadata.Component.Name != "dlm" || bom.Metadata.Component.Version != version {
		t.Errorf("%s %s of %+v", bom.BOMFormat, bom.SpecVersion, bom.Metadata.Component)
	}
	got := map[string]bool{}
	for _, c := range bom.Components {
		if c.Name != "std" {
			got[c.Name+" "+c.Version] = true
		}
	}
	want := map[string]bool{}
	for line := range strings.Lines(string(command(t, root, "go", "version", "-m", binary))) {
		if f := strings.Fields(line); len(f) == 4 && f[0] == "dep" {
			want[f[1]+" "+f[2]] = true
		}
	}
	if len(want) < 10 || !maps.Equal(got, want) {
		t.Errorf("%d modules in the bill, and %d in %s", len(got), len(want), binary)
	}
}

// The image says which commit it is of: each argument of the Dockerfile is given to it.
func TestLabels(t *testing.T) {
	dockerfile, err := os.ReadFile(filepath.Join(root, "deploy", "image", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join(root, "deploy", "image", "image.sh"))
	if err != nil {
		t.Fatal(err)
	}
	for label, argument := range map[string]string{"version": "VERSION", "revision": "REVISION", "created": "CREATED"} {
		if !bytes.Contains(dockerfile, fmt.Appendf(nil, "org.opencontainers.image.%s=\"${%s}\"", label, argument)) {
			t.Errorf("no label %s of %s", label, argument)
		}
		if !bytes.Contains(script, fmt.Appendf(nil, "--build-arg %s=", argument)) {
			t.Errorf("%s is given to no image", argument)
		}
	}
	for _, label := range []string{"title", "description", "licenses", "source", "documentation"} {
		if !bytes.Contains(dockerfile, []byte("org.opencontainers.image."+label+"=\"")) {
			t.Errorf("no label %s", label)
		}
	}
}

// A release is made from what is committed, without network, twice: it has what was configured, and
// is the same both times.
func TestArchives(t *testing.T) {
	if testing.Short() {
		t.Skip("the release tool takes minutes to build")
	}
	tool := filepath.Join(t.TempDir(), "goreleaser")
	command(t, root, "go", "build", "-modfile=tools/goreleaser/go.mod", "-o", tool, "github.com/goreleaser/goreleaser/v2")
	clone := filepath.Join(t.TempDir(), "dlm")
	command(t, root, "git", "clone", "--quiet", ".", clone)
	// It wants to know where releases would go, and is given nothing to get there with.
	command(t, clone, "git", "remote", "set-url", "origin", "https://github.com/distributed-lock-manager/dlm.git")
	command(t, clone, "git", "-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "tag", "--force", "-m", "v9.8.7", "v9.8.7")

	text, _ := configuration(t)
	file := filepath.Join(t.TempDir(), "goreleaser.yaml")
	const goos, goarch = "    goos: [linux, darwin, freebsd, windows]\n", "    goarch: [amd64, arm64]\n"
	names := []string{"linux_amd64", "windows_amd64"}
	if *every {
		names = []string{"linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64", "freebsd_amd64", "freebsd_arm64", "windows_amd64", "windows_arm64"}
	} else {
		text = bytes.Replace(text, []byte(goos), []byte("    goos: [linux, windows]\n"), 1)
		text = bytes.Replace(text, []byte(goarch), []byte("    goarch: [amd64]\n"), 1)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, clone, tool, "check", "--config", file)

	var sums [2][]byte
	dist := filepath.Join(clone, "dist")
	for i := range sums {
		// Not --snapshot, whose version is none.
		command(t, clone, tool, "release", "--config", file, "--clean", "--skip=publish,announce")
		sum, err := os.ReadFile(filepath.Join(dist, "dlm_9.8.7_checksums.txt"))
		if err != nil {
			t.Fatal(err)
		}
		sums[i] = sum
	}
	if !bytes.Equal(sums[0], sums[1]) {
		t.Errorf("two builds of a commit differ:\n%s\n%s", sums[0], sums[1])
	}
	of := map[string]string{}
	for line := range strings.Lines(string(sums[0])) {
		if f := strings.Fields(line); len(f) == 2 {
			of[f[1]] = f[0]
		}
	}
	for _, name := range names {
		archive := "dlm_9.8.7_" + name + ".tar.gz"
		if strings.HasPrefix(name, "windows") {
			archive = "dlm_9.8.7_" + name + ".zip"
		}
		for _, file := range []string{archive, "dlm_9.8.7_" + name + ".cdx.json"} {
			content, err := os.ReadFile(filepath.Join(dist, file))
			if err != nil {
				t.Error(err)
				continue
			}
			if sum := sha256.Sum256(content); of[file] != hex.EncodeToString(sum[:]) {
				t.Errorf("%s has the sum %x, and is listed with %s", file, sum, of[file])
			}
		}
	}
	if len(of) != 2*len(names) {
		t.Errorf("%d files are listed, want %d: %v", len(of), 2*len(names), of)
	}

	dir := t.TempDir()
	unpack(t, filepath.Join(dist, "dlm_9.8.7_linux_amd64.tar.gz"), dir)
	top := filepath.Join(dir, "dlm_9.8.7_linux_amd64")
	for _, name := range []string{"LICENSE", "README.md", "CHANGELOG.md", "docs/operations.md", "deploy/dlm.yaml", "deploy/systemd/dlm.service",
		"deploy/compose/cluster.yaml", "deploy/kubernetes/cluster.yaml", "man/dlm-lock.1", "completions/dlm.bash", "completions/dlm.powershell"} {
		if info, err := os.Stat(filepath.Join(top, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s is not in the archive, or empty: %v", name, err)
		}
	}
	binary := filepath.Join(top, "dlm")
	bill, err := os.ReadFile(filepath.Join(dist, "dlm_9.8.7_linux_amd64.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	checkBill(t, bill, binary, "v9.8.7")
	if runtime.GOOS+"/"+runtime.GOARCH != "linux/amd64" {
		return
	}
	var v version
	if err := json.Unmarshal(command(t, dir, binary, "version", "--json"), &v); err != nil {
		t.Fatal(err)
	}
	if head := strings.TrimSpace(string(command(t, clone, "git", "rev-parse", "HEAD"))); v.Version != "v9.8.7" || v.Revision != head {
		t.Errorf("%+v, of %s", v, head)
	}
}

func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if !h.FileInfo().Mode().IsRegular() {
			continue
		}
		if !filepath.IsLocal(h.Name) || h.Uname != "root" {
			t.Fatalf("%s, of %q, in %s", h.Name, h.Uname, archive)
		}
		content, err := io.ReadAll(r)
		path := filepath.Join(dir, h.Name)
		err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, h.FileInfo().Mode().Perm()))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The image of several platforms: each has its own binary, and all the labels and the health check.
func TestImages(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds for two platforms")
	}
	if _, err := exec.LookPath("buildah"); err != nil {
		t.Skipf("SKIPPED: there is no buildah here, so the image of several platforms was not built: %v", err)
	}
	dir := filepath.Join(t.TempDir(), "image")
	command(t, root, "make", "images", "IMAGES="+dir)
	var list struct {
		Manifests []struct {
			Digest   string
			Platform struct{ Architecture, OS string }
		}
	}
	decode(t, filepath.Join(dir, "manifest.json"), &list)
	head := strings.TrimSpace(string(command(t, root, "git", "rev-parse", "HEAD")))
	var platforms []string
	for _, m := range list.Manifests {
		platforms = append(platforms, m.Platform.OS+"/"+m.Platform.Architecture)
		var image struct{ Config struct{ Digest string } }
		decode(t, filepath.Join(dir, strings.TrimPrefix(m.Digest, "sha256:")+".manifest.json"), &image)
		var config struct {
			Architecture string
			Config       struct {
				User        string
				Labels      map[string]string
				Healthcheck struct{ Test []string }
			}
		}
		decode(t, filepath.Join(dir, strings.TrimPrefix(image.Config.Digest, "sha256:")), &config)
		labels := config.Config.Labels
		if labels["org.opencontainers.image.revision"] != head || labels["org.opencontainers.image.version"] == "" || labels["org.opencontainers.image.created"] == "" {
			t.Errorf("%s has the labels %v, want those of %s", config.Architecture, labels, head)
		}
		if config.Architecture != m.Platform.Architecture || config.Config.User != "65532:65532" || len(config.Config.Healthcheck.Test) == 0 {
			t.Errorf("%+v for %s", config, m.Platform.Architecture)
		}
	}
	if !slices.Equal(platforms, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("for %v", platforms)
	}
}

func decode(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// command runs a command that has to succeed, and returns what it prints.
func command(t *testing.T, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = dir
	// As a release is built, so that all builds here share what they compile.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s%s", args, err, out, stderr.String())
	}
	return out
}
