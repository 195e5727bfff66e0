package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Why a command could not be started.
var (
	ErrNotFound    = errors.New("command not found")
	ErrNotRunnable = errors.New("command cannot be run")
)

// Find returns the file that a command's name stands for, as a shell would find it: by PATH, or as
// it is if it contains a slash. Errors: ErrNotFound, ErrNotRunnable (there is a file, but it may
// not be run).
func Find(name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case err == nil, errors.Is(err, exec.ErrDot): // A PATH with "." in it is the user's own decision.
		return path, nil
	case strings.ContainsRune(name, filepath.Separator):
		if errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("%w: %s", ErrNotFound, name)
		}
		return "", fmt.Errorf("%w: %s: %w", ErrNotRunnable, name, errors.Unwrap(err))
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && !info.IsDir() {
			return "", fmt.Errorf("%w: %s: permission denied", ErrNotRunnable, filepath.Join(dir, name))
		}
	}
	return "", fmt.Errorf("%w: %s", ErrNotFound, name)
}
