package scenarios_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// afterwards is called when all tests have ended.
var afterwards []func()

func TestMain(m *testing.M) {
	code := m.Run()
	for _, clean := range afterwards {
		clean()
	}
	if testing.Verbose() {
		story.print(os.Stdout)
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
