package main_test

import (
	"strings"
	"syscall"
	"testing"
)

// Whoever waits for servers that cannot serve, or that are not there, is told so, and why; and when
// it is over.
func TestOutageIsTold(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	must(t, command(t, c.listen[0], dlmPath, "append", "told", "file", "text"))
	for _, i := range []int{1, 2} {
		if err := c.servers[i].stop(syscall.SIGKILL); err == nil {
			t.Fatal("the server ended by itself")
		}
	}
	commands := [][]string{
		{"watch"}, {"status"}, {"status", "told"}, {"ls"}, {"cat", "told", "file"}, {"tail", "told", "file"}, {"tail", "-f", "told", "file"},
		{"evict", "told", "--reason", "none"},
	}
	var told []*background
	for _, endpoints := range []string{c.listen[0], c.listen[1]} { // without a quorum, and not there
		for _, args := range commands {
			told = append(told, start(t, command(t, endpoints, dlmPath, append(args, "--connect-timeout", "1m")...)))
		}
	}
	for i, b := range told {
		b.says(t, "waiting, because no server can serve: ")
		if i < len(commands) {
			b.says(t, "NOT_SERVING: ")
		} else {
			b.says(t, "connection refused")
		}
	}
	admin := start(t, command(t, "", dlmPath, "features", "list", "--etcd-endpoints", c.admin[0], "--timeout", "1m"))
	admin.says(t, "waiting for etcd at "+c.admin[0])
	c.restart(t, 1)
	for i, b := range told {
		if args := strings.Join(commands[i%len(commands)], " "); args == "watch" || strings.HasPrefix(args, "tail -f") {
			b.says(t, "a server can serve again")
		} else {
			_ = b.wait(t)
		}
	}
	if code := admin.wait(t); code != 0 {
		t.Errorf("dlm features list: exit code %d\n%s", code, admin.err)
	}
}
