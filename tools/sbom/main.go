package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("sbom", flag.ContinueOnError)
	to := flags.String("o", "", "write the bill to this file")
	version := flags.String("version", "", "the version of the binary, if it is not the one that the go command put into it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("usage: sbom [-version V] [-o FILE] BINARY")
	}
	bom, err := describe(flags.Arg(0), *version)
	if err != nil {
		return err
	}
	if *to == "" {
		return write(bom, out)
	}
	var text bytes.Buffer
	if err := write(bom, &text); err != nil {
		return err
	}
	return os.WriteFile(*to, text.Bytes(), 0o644)
}

// write writes 1.6, which what reads bills knows today.
func write(bom *cdx.BOM, out io.Writer) error {
	return cdx.NewBOMEncoder(out, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6)
}

// describe reads what is in a binary.
func describe(path, version string) (*cdx.BOM, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(info.Deps) == 0 {
		return nil, fmt.Errorf("%s has no list of modules", path)
	}
	sum, err := digest(path)
	if err != nil {
		return nil, err
	}
	if version == "" {
		version = info.Main.Version
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}

	program := module(&info.Main, cdx.ComponentTypeApplication)
	program.Name, program.Version = filepath.Base(info.Path), version
	program.PackageURL = purl(info.Main.Path, version)
	program.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}}
	program.Licenses = &cdx.Licenses{{License: &cdx.License{ID: "Apache-2.0"}}}
	program.Properties = properties(settings, "GOOS", "GOARCH", "CGO_ENABLED", "vcs.revision", "vcs.time", "vcs.modified")

	bom := cdx.NewBOM()
	bom.SerialNumber = "urn:uuid:" + uuid(sum)
	bom.Metadata = &cdx.Metadata{Timestamp: settings["vcs.time"], Component: &program}
	components := []cdx.Component{{
		BOMRef:     "go",
		Type:       cdx.ComponentTypeLibrary,
		Name:       "std",
		Version:    strings.TrimPrefix(info.GoVersion, "go"),
		PackageURL: purl("std", strings.TrimPrefix(info.GoVersion, "go")),
	}}
	needs := []string{"go"}
	for _, dep := range info.Deps {
		c := module(dep, cdx.ComponentTypeLibrary)
		components, needs = append(components, c), append(needs, c.BOMRef)
	}
	bom.Components = &components
	// Which module needs which other one is not in a binary, only that all of them are in it.
	bom.Dependencies = &[]cdx.Dependency{{Ref: program.BOMRef, Dependencies: &needs}}
	return bom, nil
}

// uuid is of version 8, which is made from whatever one likes: here from a sum, so that the same
// binary has the same one.
func uuid(sum []byte) string {
	id := slices.Clone(sum[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// module is a module as a component: the one that was linked, if another one was put in its place.
func module(m *debug.Module, kind cdx.ComponentType) cdx.Component {
	if m.Replace != nil {
		m = m.Replace
	}
	c := cdx.Component{
		BOMRef:     purl(m.Path, m.Version),
		Type:       kind,
		Name:       m.Path,
		Version:    m.Version,
		PackageURL: purl(m.Path, m.Version),
	}
	if sum, ok := strings.CutPrefix(m.Sum, "h1:"); ok {
		// The go command's own sum, of a module's files; as such it is no hash of any one file.
		if raw, err := base64.StdEncoding.DecodeString(sum); err == nil {
			c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(raw)}}
		}
	}
	return c
}

// purl is a package URL. A module's path has no letters that would have to be escaped; its version
// may have a plus.
func purl(path, version string) string {
	return "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
}

func properties(settings map[string]string, names ...string) *[]cdx.Property {
	var found []cdx.Property
	for _, name := range names {
		if value, ok := settings[name]; ok {
			found = append(found, cdx.Property{Name: "go:build:" + name, Value: value})
		}
	}
	return &found
}

func digest(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}
