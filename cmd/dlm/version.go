package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	etcdversion "go.etcd.io/etcd/api/v3/version"
)

// version is set by release builds: -ldflags "-X main.version=v1.2.3".
var version string

// buildVersion is what `dlm version --json` prints. What a build does not know is left out.
type buildVersion struct {
	Version   string `json:"version"`
	Revision  string `json:"revision,omitempty"`  // the commit
	Modified  bool   `json:"modified,omitempty"`  // the working tree was not that commit
	Committed string `json:"committed,omitempty"` // when, RFC 3339
	Go        string `json:"go"`
	Etcd      string `json:"etcd"` // the etcd that it embeds
	Platform  string `json:"platform"`
}

// build reads the version from the linker's flags, or from what the go command put into the binary.
func build() buildVersion {
	b := buildVersion{
		Version:  version,
		Go:       runtime.Version(),
		Etcd:     etcdversion.Version,
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Revision = setting.Value
		case "vcs.time":
			b.Committed = setting.Value
		case "vcs.modified":
			b.Modified = setting.Value == "true"
		}
	}
	return b
}

// String is one line, for people.
func (b buildVersion) String() string {
	line := "dlm " + b.Version
	if b.Revision != "" {
		line += " " + b.Revision[:min(12, len(b.Revision))]
		if b.Modified {
			line += "+modified"
		}
	}
	if b.Committed != "" {
		line += " of " + b.Committed
	}
	return fmt.Sprintf("%s, %s, etcd %s, %s", line, b.Go, b.Etcd, b.Platform)
}

func newVersion(s *streams) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this binary",
		Args:  arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return json.NewEncoder(s.out).Encode(build())
			}
			_, err := fmt.Fprintln(s.out, build())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
