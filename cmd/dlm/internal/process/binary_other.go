//go:build unix && !linux

package process

import "os"

// openBinary opens something in its place: a file that is open cannot be executed here.
func openBinary() (*os.File, error) { return os.Open(os.DevNull) }

// binaryPath is where the running binary was when it was started.
func binaryPath(*os.File) string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}
