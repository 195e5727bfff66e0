// Package chart tests the Helm chart, by what Helm itself is made of.
package chart

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"helm.sh/helm/v4/pkg/strvals"
	"sigs.k8s.io/yaml"

	"github.com/distributed-lock-manager/dlm/deploy/kubernetes/test"
)

var update = flag.Bool("update", false, "write the manifests instead of comparing them")

const (
	root     = "../../../.."
	chartDir = root + "/deploy/helm/dlm"
)

// template is what `helm template` does: the templates' texts by their names. Strict: what a
// template misspells of the values is an error, which it is not to Helm.
func template(values map[string]any, strict bool) (map[string]string, error) {
	chart, err := loader.Load(chartDir)
	if err != nil {
		return nil, err
	}
	release := common.ReleaseOptions{Name: "dlm", Namespace: "default", Revision: 1, IsInstall: true}
	all, err := util.ToRenderValues(chart, values, release, nil)
	if err != nil {
		return nil, err
	}
	return engine.Engine{Strict: strict}.Render(chart, all)
}

// order is in which a reader is shown the objects; what is not in it comes last.
func order(name string) int {
	of := []string{"configmap", "serviceaccount", "service", "statefulset", "deployment", "pdb", "networkpolicy", "certificates", "backup", "monitoring"}
	if i := slices.Index(of, strings.TrimSuffix(filepath.Base(name), ".yaml")); i >= 0 && filepath.Base(filepath.Dir(name)) == "templates" {
		return i
	}
	return len(of)
}

func valuesOf(t *testing.T, file string) map[string]any {
	t.Helper()
	values := map[string]any{}
	if err := yaml.Unmarshal([]byte(read(t, file)), &values); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return values
}

// render returns the objects that the chart makes of a file of values, and what it tells whoever
// installs it.
func render(t *testing.T, file string) (objects, notes string) {
	t.Helper()
	texts, err := template(valuesOf(t, file), true)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	var names []string
	for name := range texts {
		if strings.HasSuffix(name, ".yaml") {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if order(a) != order(b) {
			return order(a) - order(b)
		}
		return strings.Compare(a, b)
	})
	var all bytes.Buffer
	for _, name := range names {
		all.WriteString("---\n" + texts[name] + "\n")
	}
	return all.String(), texts["dlm/templates/NOTES.txt"]
}

// variants are files of values that the chart is tried with, by name.
func variants(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range []string{"testdata/*.yaml", "../../values/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, ".head.yaml") {
				found[strings.TrimSuffix(filepath.Base(file), ".yaml")] = file
			}
		}
	}
	if len(found) < 8 {
		t.Fatalf("%d variants: %v", len(found), found)
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// same holds a file to what it should be, or writes it with -update.
func same(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got := read(t, path); got != want {
		t.Errorf("%s is not what is made for it: run make manifests-render", path)
	}
}

func TestLint(t *testing.T) {
	kubernetes, err := common.ParseKubeVersion("v1.37.0")
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range variants(t) {
		t.Run(name, func(t *testing.T) {
			linter := lint.RunAll(chartDir, valuesOf(t, file), "default", lint.WithKubeVersion(kubernetes))
			for _, m := range linter.Messages {
				// As --strict does.
				if m.Severity >= support.WarningSev {
					t.Error(m)
				}
			}
		})
	}
}

// The plain manifests are the chart's, without what only Helm looks at.
func TestPlainManifests(t *testing.T) {
	plain := func(values string) (rest, certificates string) {
		var all [2][]string
		text, _ := render(t, "../../values/"+values+".yaml")
		for _, document := range test.Documents([]byte(text)) {
			var kept []string
			which, hook := 0, false
			for line := range strings.Lines(string(document)) {
				switch trimmed := strings.TrimSpace(line); {
				case strings.HasPrefix(trimmed, "helm.sh/chart: "), trimmed == "app.kubernetes.io/managed-by: Helm":
				default:
					hook = hook || strings.HasPrefix(trimmed, "helm.sh/hook: ")
					if trimmed == "apiVersion: cert-manager.io/v1" {
						which = 1
					}
					kept = append(kept, line)
				}
			}
			if !hook {
				all[which] = append(all[which], strings.TrimSpace(strings.Join(kept, ""))+"\n")
			}
		}
		return strings.Join(all[0], "---\n"), strings.Join(all[1], "---\n")
	}
	for _, name := range []string{"cluster", "external"} {
		objects, _ := plain(name)
		same(t, "../../"+name+".yaml", read(t, "../../values/"+name+".head.yaml")+"---\n"+objects)
	}
	objects, certificates := plain("secure")
	same(t, "../../secure/cluster.yaml", read(t, "../../values/secure.head.yaml")+"---\n"+objects)
	same(t, "../../secure/certificates.yaml", read(t, "../../values/certificates.head.yaml")+"---\n"+certificates)
}

// Whoever installs it is told what it is, and what is missing.
func TestNotes(t *testing.T) {
	for name, wants := range map[string][]string{
		"plain":           {"dlm.default.svc:50051", "3 servers", "PLAIN TEXT", "statefulset/dlm"},
		"everything":      {"Backups need a rule", "#system:serviceaccount:default:dlm-backup"},
		"external-secure": {"locks.default.svc:50051", "deployment/locks", "https://etcd-0.etcd:2379"},
		"single":          {"Nothing is backed up", "its server runs"},
	} {
		_, notes := render(t, "testdata/"+name+".yaml")
		for _, want := range wants {
			if !strings.Contains(notes, want) {
				t.Errorf("%s: the notes do not say %q:\n%s", name, want, notes)
			}
		}
		if name == "everything" && strings.Contains(notes, "PLAIN TEXT") {
			t.Errorf("%s: it says that it speaks plain text", name)
		}
	}
}

// set is values as --set has them.
func set(t *testing.T, values ...string) map[string]any {
	t.Helper()
	into := map[string]any{}
	for _, v := range values {
		if err := strvals.ParseInto(v, into); err != nil {
			t.Fatal(err)
		}
	}
	return into
}
