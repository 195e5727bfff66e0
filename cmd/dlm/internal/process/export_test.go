//go:build unix

package process

import "os"

// PrepareWithoutShell is Prepare where there is no shell.
func PrepareWithoutShell(arg string, stdin, stdout, stderr *os.File) (*Tree, error) {
	return prepare(arg, "/no/such/shell", [3]*os.File{stdin, stdout, stderr})
}
