//go:build linux || darwin

package embedded

import "golang.org/x/sys/unix"

// freeSpace is how many bytes this user may still write to the file system of a directory, and
// whether that is known.
func freeSpace(dir string) (bytes int64, known bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail * uint64(s.Bsize)), true
}
