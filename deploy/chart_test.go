package deploy_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write what is made of other files instead of comparing it")

// same holds a file to what is made for it, or writes it with -update.
func same(t *testing.T, want string, path ...string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(filepath.Join(path...), []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if contentOf(t, path...) != want {
		t.Errorf("%s is another one: run make manifests-render", filepath.Join(path...))
	}
}

// The chart can only read what is below it.
func TestChartHasTheSameMonitoring(t *testing.T) {
	for _, name := range []string{"alerts.yaml", "dashboard.json"} {
		same(t, contentOf(t, "monitoring", name), "helm", "dlm", "files", name)
	}
}

// value is one of the chart's values.
type value struct{ name, fallback, comment string }

// values are those of the chart, in their order, as values.yaml has them.
func values(t *testing.T) (all []value) {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(contentOf(t, "helm", "dlm", "values.yaml")), &document); err != nil {
		t.Fatal(err)
	}
	var walk func(prefix, comment string, n *yaml.Node)
	walk = func(prefix, comment string, n *yaml.Node) {
		// A map of its own is described as a whole; others by what is in them.
		whole := n.Kind != yaml.MappingNode || len(n.Content) == 0 || prefix == "backup.schedules" || prefix == "dashboard.labels"
		if whole {
			var plain any
			if err := n.Decode(&plain); err != nil {
				t.Fatal(err)
			}
			fallback, err := json.Marshal(plain)
			if err != nil {
				t.Fatal(err)
			}
			shown := strings.ReplaceAll(string(fallback), "|", `\|`)
			if prefix == "backup.schedules" {
				shown = "one for each day of the week"
			} else {
				shown = "`" + shown + "`"
			}
			all = append(all, value{prefix, shown, comment})
			return
		}
		for i := 0; i < len(n.Content); i += 2 {
			key, child := n.Content[i], n.Content[i+1]
			name := strings.TrimPrefix(prefix+"."+key.Value, ".")
			// What is said of a map holds for the first that is in it, unless that has something
			// said of its own.
			said := sentence(key.HeadComment)
			if said == "" && i == 0 {
				said = comment
			}
			walk(name, said, child)
		}
	}
	walk("", "", document.Content[0])
	return all
}

// sentence is a comment in one line, without what stands before the first empty line: that is of
// the file.
func sentence(comment string) string {
	parts := strings.Split(comment, "\n\n")
	var words []string
	for line := range strings.Lines(parts[len(parts)-1]) {
		words = append(words, strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "#")))
	}
	return strings.Join(words, " ")
}

func TestChartREADME(t *testing.T) {
	const begin, end = "<!-- values: made of values.yaml by make manifests-render -->\n", "<!-- end of values -->\n"
	page := contentOf(t, "helm", "dlm", "README.md")
	before, rest, ok := strings.Cut(page, begin)
	_, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatal("README.md has no place for the values")
	}
	table := "| value | default | |\n|---|---|---|\n"
	for _, v := range values(t) {
		table += fmt.Sprintf("| `%s` | %s | %s |\n", v.name, v.fallback, strings.ReplaceAll(v.comment, "|", `\|`))
	}
	same(t, before+begin+table+end+after, "helm", "dlm", "README.md")
}

// The schema has the values that there are, no others, and refuses others.
func TestChartSchema(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal([]byte(contentOf(t, "helm", "dlm", "values.schema.json")), &schema); err != nil {
		t.Fatal(err)
	}
	var defaults map[string]any
	readYAML(t, filepath.Join("helm", "dlm", "values.yaml"), func(d *yaml.Decoder) error { return d.Decode(&defaults) })
	defaults["global"] = nil // Helm's, for a chart that has this one in it
	var compare func(path string, schema map[string]any, value any)
	compare = func(path string, schema map[string]any, value any) {
		properties, closed := schema["properties"].(map[string]any)
		if !closed {
			return
		}
		if schema["additionalProperties"] != false {
			t.Errorf("a misspelt value in %s is taken", path)
		}
		content, _ := value.(map[string]any)
		for name, of := range properties {
			child, ok := content[name]
			// Of maps that are empty the schema says what may be in them.
			if !ok && len(content) > 0 && path != "/resources" {
				t.Errorf("the schema has %s/%s, values.yaml has not", path, name)
			}
			sub, _ := of.(map[string]any)
			compare(path+"/"+name, sub, child)
		}
		for name := range content {
			if properties[name] == nil {
				t.Errorf("values.yaml has %s/%s, the schema has not", path, name)
			}
		}
	}
	compare("", schema, defaults)
}
