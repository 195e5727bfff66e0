package client_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestReadmeExample holds the README's code to the example that is run.
func TestReadmeExample(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(source), "func ExampleClient_Do() {\n")
	example, _, end := strings.Cut(example, "\t// Output:")
	if !ok || !end {
		t.Fatal("ExampleClient_Do is not there")
	}
	example = regexp.MustCompile(`(?m)^\t`).ReplaceAllString(example, "")
	if !strings.Contains(string(readme), "```go\n"+example+"```\n") {
		t.Errorf("the README's example is not ExampleClient_Do:\n%s", example)
	}
}
