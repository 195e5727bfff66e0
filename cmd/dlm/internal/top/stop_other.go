//go:build !unix

package top

import "os"

// stops tells nothing: processes are not stopped here.
func stops() (asked <-chan os.Signal, release func()) { return nil, func() {} }
