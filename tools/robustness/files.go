package main

import "fmt"

// filesOfLock is how many files the sections of a lock append to.
const filesOfLock = 2

// courseworkLock is the one lock of the coursework's API.
const courseworkLock = "default"

// viaCoursework is how the calls of the coursework's API begin, in a history.
const viaCoursework = "coursework "

// lockNames are the locks whose files are judged, but for those that have lives.
func lockNames() (names []string) {
	for i := range locks {
		names = append(names, fmt.Sprint("lock", i))
	}
	for i := range calmLocks {
		names = append(names, fmt.Sprint("calm", i))
	}
	return append(names, courseworkLock, chainLock)
}

// fileNames are the files of a lock.
func fileNames(lock string) []string {
	if lock == courseworkLock {
		return []string{"file_0", "file_1"}
	}
	return []string{"log", "notes"}
}

// fileIndex is the file that a section's nth record goes to, among those of its lock.
func fileIndex(n int) int { return n % 3 / 2 }

// fileOf is its name.
func fileOf(lock string, n int) string { return fileNames(lock)[fileIndex(n)] }
