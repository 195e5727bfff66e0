package main

import (
	"fmt"
	"os"
	"syscall"
)

// volumeSize is the room that a member has while its disk is not full. It is not taken beforehand.
const volumeSize = 2 << 30

// mountVolume makes a directory a file system of its own.
func mountVolume(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return volume(dir, 0, volumeSize)
}

// fill leaves a volume no room but what is in use.
func fill(dir string) error {
	for tries := 0; ; tries++ {
		var s syscall.Statfs_t
		if err := syscall.Statfs(dir, &s); err != nil {
			return err
		}
		err := volume(dir, syscall.MS_REMOUNT, (s.Blocks-s.Bfree)*uint64(s.Bsize))
		if err == nil || tries == 10 { // more may be in use by now
			return err
		}
	}
}

// makeRoom undoes fill.
func makeRoom(dir string) error { return volume(dir, syscall.MS_REMOUNT, volumeSize) }

func volume(dir string, flags uintptr, size uint64) error {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, fmt.Sprintf("size=%d", size)); err != nil {
		return fmt.Errorf("mount %s with %d bytes: %w", dir, size, err)
	}
	return nil
}
