package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// The bill of a binary, this command itself, has what `go version -m` says of it, and nothing else;
// and is the same the second time.
func TestBillIsWhatTheBinarySays(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "sbom")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	said, err := exec.CommandContext(t.Context(), "go", "version", "-m", binary).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{} // the sum, as Go writes it
	for line := range strings.Lines(string(said)) {
		if f := strings.Fields(line); len(f) == 4 && f[0] == "dep" {
			want[f[1]+"@"+f[2]] = f[3]
		}
	}
	if len(want) == 0 {
		t.Fatalf("go version -m names no modules:\n%s", said)
	}

	text := bill(t, "-version", "v1.2.3", binary)
	if again := bill(t, "-version", "v1.2.3", binary); !bytes.Equal(text, again) {
		t.Error("another bill the second time")
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(text), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	program := bom.Metadata.Component
	if bom.BOMFormat != cdx.BOMFormat || program.Name != "sbom" || program.Version != "v1.2.3" || len(bom.SerialNumber) != len("urn:uuid:")+36 {
		t.Errorf("format %q, of %s %s, serial number %q", bom.BOMFormat, program.Name, program.Version, bom.SerialNumber)
	}
	needs := map[string]bool{}
	for _, ref := range *(*bom.Dependencies)[0].Dependencies {
		needs[ref] = true
	}
	for _, c := range *bom.Components {
		if !needs[c.BOMRef] {
			t.Errorf("%s is no dependency", c.Name)
		}
		if c.Name == "std" {
			continue
		}
		sum, ok := want[c.Name+"@"+c.Version]
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(sum, "h1:"))
		if !ok || err != nil || c.Hashes == nil || (*c.Hashes)[0].Value != hex.EncodeToString(raw) {
			t.Errorf("%s %s with the sum %+v, want %q", c.Name, c.Version, c.Hashes, sum)
		}
		if c.PackageURL != "pkg:golang/"+c.Name+"@"+c.Version {
			t.Errorf("%s is called %s", c.Name, c.PackageURL)
		}
		delete(want, c.Name+"@"+c.Version)
	}
	if len(want) > 0 {
		t.Errorf("not in the bill: %v", want)
	}
}

// What is no binary of Go's has no bill, nor what has no list of modules, as one of the standard
// library alone.
func TestRefusals(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := buildinfo.ReadFile(tool); err != nil || len(info.Deps) > 0 {
		t.Fatalf("the go command: %v, %v", info, err)
	}
	for _, args := range [][]string{{}, {text}, {tool}, {filepath.Join(t.TempDir(), "none")}, {tool, tool}, {"-nonsense"}} {
		var out bytes.Buffer
		if err := run(args, &out); err == nil || out.Len() > 0 {
			t.Errorf("%q: %v, and it wrote %q", args, err, out.String())
		}
	}
}

func bill(t *testing.T, args ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := run(args, &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
