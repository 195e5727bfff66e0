package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// insideEnv tells a test that it is in namespaces of its own; dialEnv, that it is to reach an
// address.
const (
	insideEnv = "DLM_ROBUSTNESS_TEST_INSIDE"
	dialEnv   = "DLM_ROBUSTNESS_TEST_DIAL"
)

// apartTest runs a test once more, in namespaces of its own, and reports whether this is it.
func apartTest(t *testing.T) (inside bool) {
	t.Helper()
	if os.Getenv(insideEnv) != "" {
		return true
	}
	if err := cannotBeApart(); err != nil {
		t.Skip("skipped: ", err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.SysProcAttr = apart()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// TestDial is what other tests run in a namespace, to see who can be reached from there.
func TestDial(t *testing.T) {
	to := os.Getenv(dialEnv)
	if to == "" {
		t.Skip("nobody is to be reached")
	}
	c, err := net.DialTimeout("udp", to, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("hello")); err != nil && !errors.Is(err, syscall.EPERM) { // dropped on its way out
		t.Fatal(err)
	}
}

// listenIn has somebody listen in a namespace, and write down what comes.
func listenIn(t *testing.T, s *space) (came func() string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "came")
	args := s.command(os.Args[0], "-test.run", "^TestListen$")
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = append(os.Environ(), dialEnv+"=", "DLM_ROBUSTNESS_TEST_LISTEN="+file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	came = func() string {
		text, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return string(text)
	}
	eventually(t, func() bool { return strings.HasPrefix(came(), "listening\n") })
	return came
}

// TestListen is what listenIn runs.
func TestListen(t *testing.T) {
	file := os.Getenv("DLM_ROBUSTNESS_TEST_LISTEN")
	if file == "" {
		t.Skip("nobody is to be heard")
	}
	c, err := net.ListenPacket("udp", ":7")
	if err != nil {
		t.Fatal(err)
	}
	text := "listening\n"
	for buf := make([]byte, 100); ; {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, from, err := c.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		host, _, _ := net.SplitHostPort(from.String())
		text += host + "\n"
	}
}

func eventually(t *testing.T, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for !is() {
		if pause(ctx, 10*time.Millisecond); ctx.Err() != nil {
			t.Fatal("it does not become so")
		}
	}
}

// TestCuts cuts a network of three in each way, and sees what comes through.
func TestCuts(t *testing.T) {
	if !apartTest(t) {
		return
	}
	n, err := newNetwork()
	if err != nil {
		t.Fatal(err)
	}
	var came []func() string
	for i := range 3 {
		s, err := n.join(fmt.Sprint("m", i), i == 0)
		if err != nil {
			t.Fatal(err)
		}
		came = append(came, listenIn(t, s))
	}
	a, b, c := n.spaces[0], n.spaces[1], n.spaces[2]
	all := map[string]bool{"ab": true, "ba": true, "ac": true, "ca": true, "bc": true, "cb": true}
	without := func(lost ...string) map[string]bool {
		left := map[string]bool{}
		for pair := range all {
			left[pair] = true
		}
		for _, pair := range lost {
			delete(left, pair)
		}
		return left
	}
	for _, tt := range []struct {
		name  string
		drops []drop
		left  map[string]bool
	}{
		{"nothing", nil, all},
		{"a receives nothing", receiveNothing(a, b, c), without("ba", "ca")},
		{"a sends nothing", sendNothing(a, b, c), without("ab", "ac")},
		{"a and c are joined by b alone", bothWays(a, c), without("ac", "ca")},
		{"a is cut off", bothWays(a, b, c), without("ab", "ba", "ac", "ca")},
		{"a is cut off by two faults", append(bothWays(a, b, c), bothWays(a, c)...), without("ab", "ba", "ac", "ca")},
	} {
		if err := n.apply(true, tt.drops...); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		checkReach(t, tt.name, n.spaces, came, tt.left)
		if err := n.apply(false, tt.drops...); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
	}
	checkReach(t, "healed", n.spaces, came, all)
	if packets, err := dropped(a.name); err != nil || packets == 0 {
		t.Errorf("%d packets dropped by a, %v", packets, err)
	}
}

// checkReach has everybody send to everybody, and then the run to each: what was sent before has
// come by then, or never will.
func checkReach(t *testing.T, name string, spaces []*space, came []func() string, want map[string]bool) {
	t.Helper()
	before := make([]string, len(spaces))
	for i := range spaces {
		before[i] = came[i]()
	}
	for i, from := range spaces {
		for k, to := range spaces {
			if i == k {
				continue
			}
			args := from.command(os.Args[0], "-test.run", "^TestDial$")
			cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
			cmd.Env = append(os.Environ(), dialEnv+"="+to.peer+":7")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, out)
			}
		}
	}
	for k, to := range spaces {
		c, err := net.Dial("udp", to.host+":7")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("last")); err != nil {
			t.Fatalf("%s: the run does not reach %s: %v", name, to.name, err)
		}
		own, _, _ := net.SplitHostPort(c.LocalAddr().String())
		eventually(t, func() bool { return strings.HasSuffix(came[k](), own+"\n") && len(came[k]()) > len(before[k]) })
		now := strings.TrimPrefix(came[k](), before[k])
		for i, from := range spaces {
			pair := string([]byte{"abc"[i], "abc"[k]})
			if got := strings.Contains(now, from.peer+"\n"); i != k && got != want[pair] {
				t.Errorf("%s: %s came through: %t, want %t", name, pair, got, want[pair])
			}
		}
	}
}

// TestFill takes all room on a file system, and gives it back.
func TestFill(t *testing.T) {
	if !apartTest(t) {
		return
	}
	dir := filepath.Join(t.TempDir(), "volume")
	if err := mountVolume(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	kept := filepath.Join(dir, "kept")
	if err := os.WriteFile(kept, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if isFull(dir) {
		t.Error("full before anything is filled")
	}
	if err := fill(dir); err != nil {
		t.Fatal(err)
	}
	if !isFull(dir) {
		t.Error("not full when filled")
	}
	if err := makeRoom(dir); err != nil {
		t.Fatal(err)
	}
	if isFull(dir) {
		t.Error("full with room")
	}
	if text, err := os.ReadFile(kept); err != nil || len(text) != 1<<20 {
		t.Errorf("%d bytes are left of what was there, %v", len(text), err)
	}
}
