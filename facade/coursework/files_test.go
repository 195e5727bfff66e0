package coursework_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/facade/facadetest"
)

func TestFileNames(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	c := join(t, node, 0)
	c.acquires("1-1", success)
	for _, name := range []string{
		"", ".", "..", "/", "../..", "file_", "file_-1", "file_100", "file_00", "file_01", "file_1x", "File_1", "file_1.txt",
		"file_0\x00", "\x00", "file_0\n", " file_0", "..file_0", "file_0/..", "file_0//.", "file_0/", "../file_0//", "*", "file_٣",
		strings.Repeat("A", 10_000), strings.Repeat("../", 5_000) + "etc/passwd", "locks/default", "%00", "file_0;file_1",
	} {
		c.appends("x"+strings.ToValidUTF8(name[:min(len(name), 50)], ""), name, "hostile", file)
	}
	c.appends("1-2", "./Server/Files/file_0", "a", success)
	c.appends("1-3", "../../file_0", "b", success)
	c.appends("1-4", "file_0", "c", success)
	c.appends("1-5", "file_99", "d", success)
	c.appends("1-6", "file_1", strings.Repeat("x", 1<<20+1), file)
	c.appends(strings.Repeat("i", 10_000), "file_1", "a long id", file)
	c.releases("1-7", success)
	reads(t, node, "file_0", "abc")
	reads(t, node, "file_99", "d")
	reads(t, node, "file_1", "")
}

func TestAppendOfNonHolder(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	holder, other := join(t, node, 0), join(t, node, 0)
	other.appends("2-1", "file_0", "nobody holds", timeout)
	holder.acquires("1-1", success)
	other.appends("2-2", "file_0", "another holds", timeout)
	other.appends("1-2", "file_0", "under the holder's id", timeout)
	other.appends("2-3", "../no/file", "x", file)
	holder.appends("1-2", "file_0", "mine", success)
	holder.releases("1-3", success)
	other.appends("2-2", "file_0", "another held", timeout)
	reads(t, node, "file_0", "mine")
}

func TestReleaseOfNonHolder(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	holder, other := join(t, node, 0), join(t, node, 0)
	other.releases("2-1", file)
	holder.acquires("1-1", success)
	other.releases("2-1", file)
	other.releases("2-2", file)
	other.releases("1-1", file)
	other.sees(holder.id)
	granted := other.waits("2-3")
	queued(t, node, 1)
	other.releases("2-4", file) // and does not leave the queue
	queued(t, node, 1)
	holder.releases("1-2", success)
	receive(t, granted)
	holder.releases("1-3", file)
	holder.releases("1-2", success)
	holder.sees(other.id)
}

// An id that nobody was given is refused in every call, with a status.
func TestForeignClients(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	holder := join(t, node, 0)
	version := holder.acquires("1-1", success)
	for _, id := range []int32{0, -1, 2, 1 << 30, -1 << 31} {
		foreign := client{t: t, api: holder.api, id: id}
		foreign.acquires("2-1", file)
		foreign.acquires("1-1", file)
		foreign.appends("1-2", "file_0", "x", file)
		foreign.releases("1-2", file)
		foreign.beats(file)
		foreign.sees(holder.id)
		foreign.closes()
	}
	if again := holder.acquires("1-1", success); again != version {
		t.Errorf("version %d, was %d", again, version)
	}
	holder.releases("1-2", success)
	reads(t, node, "file_0", "")
}

// All hundred files may be touched in one section.
func TestAllFilesInOneSection(t *testing.T) {
	t.Parallel()
	node := facadetest.Start(t, facadetest.WithCoursework(long, long))
	c := join(t, node, 0)
	for round, want := range []string{"a", "aa"} {
		c.acquires(fmt.Sprintf("acquire %d", round), success)
		for n := range 100 {
			c.appends(fmt.Sprintf("append %d.%d", round, n), fmt.Sprint("file_", n), "a", success)
		}
		c.releases(fmt.Sprintf("release %d", round), success)
		for n := range 100 {
			reads(t, node, fmt.Sprint("file_", n), want)
		}
	}
}
