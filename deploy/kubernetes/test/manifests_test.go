package test

import (
	"os"
	"path/filepath"
	"testing"
)

func TestManifestsAreStrictlyKubernetes(t *testing.T) {
	for _, dir := range []string{"..", "../secure"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no manifests in %s: %v", dir, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if objects, err := Decode(text); err != nil || len(objects) == 0 {
				t.Errorf("%s: %d objects, %v", file, len(objects), err)
			}
		}
	}
}
