//go:build !unix

package main

// maxFiles is how many files this process may have open at once; false: not known.
func maxFiles() (files uint64, ok bool) { return 0, false }
