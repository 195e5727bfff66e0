package scenarios_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// storyFile is where the story is told; none: on standard output, if the tests are verbose.
var storyFile = flag.String("story", "", "write what happened into this file")

// afterwards is called when all tests have ended.
var afterwards []func()

func TestMain(m *testing.M) {
	code := m.Run()
	for _, clean := range afterwards {
		clean()
	}
	if err := story.tell(*storyFile); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
