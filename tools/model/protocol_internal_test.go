package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/tools/model/linger"
	"github.com/distributed-lock-manager/dlm/tools/model/told"
)

const root = "../.."

// read returns a file of the repository.
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// goFiles returns all Go files of the repository, by directory.
func goFiles(t *testing.T) map[string]string {
	t.Helper()
	dirs := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		b, err := os.ReadFile(path)
		dirs[filepath.Dir(path)] += string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

func matches(pattern, text string) (found []string) {
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	if len(found) == 0 {
		found = append(found, "nothing matches "+pattern) // which then is found missing
	}
	return found
}

// docs/protocol.md cites tests. Each is there, and so is each of its parts.
func TestCitedTestsExist(t *testing.T) {
	dirs := goFiles(t)
	for _, cited := range matches("`(Test[^`]*)`", read(t, "docs/protocol.md")) {
		name, part, _ := strings.Cut(cited, "/")
		there := false
		for _, text := range dirs {
			has := strings.Contains(text, "\nfunc "+name+"(t *testing.T)")
			there = there || has && (part == "" || strings.Contains(text, `"`+part+`"`))
		}
		if !there {
			t.Errorf("there is no %s", cited)
		}
	}
}

// Whatever hole a test is named after, or the model can open, has its row in docs/protocol.md.
func TestHolesAreTold(t *testing.T) {
	rows := matches(`(?m)^\| ([A-Z][0-9]+[a-z]?) \|`, read(t, "docs/protocol.md"))
	listed := func(id string) bool {
		return slices.ContainsFunc(rows, func(row string) bool { return strings.TrimRight(row, "abcdefghijklmnopqrstuvwxyz") == id || row == id })
	}
	var text strings.Builder
	for _, dir := range goFiles(t) {
		text.WriteString(dir)
	}
	for _, id := range matches(`\nfunc Test(H[0-9]+)[A-Z]`, text.String()) {
		if !listed(id) {
			t.Errorf("a test is named after %s, which has no row", id)
		}
	}
	ids := []string{}
	for _, o := range holeRuns() {
		ids = append(ids, o.id)
	}
	for _, r := range slices.Concat(linger.Holes(), told.Holes(), told.Gaps()) {
		ids = append(ids, r.Name)
	}
	for _, id := range ids {
		if !slices.Contains(rows, id) {
			t.Errorf("the model opens %s, which has no row", id)
		}
	}
}

// The transactions are those of the table in the package comment of etcdstore, here and in
// docs/protocol.md.
func TestTransactionsAreThoseOfTheStore(t *testing.T) {
	table, _, _ := strings.Cut(read(t, "etcdstore/doc.go"), "The truth rule")
	for _, name := range matches(`(?m)^//\t([a-z]+) `, table) {
		if !strings.Contains(read(t, "docs/protocol.md"), "\n| "+name+" |") {
			t.Errorf("docs/protocol.md has no transaction %s", name)
		}
		if !strings.Contains(read(t, "tools/model/doc.go"), "\n//\t"+name+" ") {
			t.Errorf("the model has no transaction %s", name)
		}
	}
}
