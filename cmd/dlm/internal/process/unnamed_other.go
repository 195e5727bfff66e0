//go:build unix && !linux

package process

import (
	"errors"
	"os"
)

// unnamedFile returns a file that nobody else can open.
func unnamedFile() (*os.File, error) {
	f, err := os.CreateTemp("", "dlm-orders-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
