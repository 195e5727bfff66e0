package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// apartEnv tells a run that it is in namespaces of its own, and its directory.
const apartEnv = "DLM_ROBUSTNESS_APART"

// again runs this program once more, in namespaces of its own, in the same directory. What it has
// built there stays, so that no network is needed for it.
func (o options) again(dir string) (code int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 2, err
	}
	// The child ends with the thread that has started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(self, append(o.args(), "-results", o.results)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, o.out, os.Stderr
	cmd.Env = append(os.Environ(), apartEnv+"="+dir)
	cmd.SysProcAttr = apart()
	err = cmd.Run()
	if ended := (*exec.ExitError)(nil); errors.As(err, &ended) && ended.ExitCode() >= 0 {
		return ended.ExitCode(), nil
	}
	if err != nil {
		return 2, fmt.Errorf("the run in namespaces of its own: %w", err)
	}
	return 0, nil
}

// inside is a run in namespaces of its own; see again.
func (o options) inside(dir string) (code int) {
	code, err := o.in(context.Background(), dir)
	if err != nil {
		fmt.Fprintln(o.out, err)
	}
	return code
}

// canBeApart says which faults there are not, and why, and reports whether there are all those that
// namespaces are needed for. untraced is why syncs cannot be delayed, or nil.
func (o options) canBeApart(untraced error) bool {
	if untraced != nil {
		fmt.Fprintf(o.out, "without %s: %.200v\n", slowDisk, untraced)
	}
	err := errors.New("-netns=false")
	if o.netns {
		err = cannotBeApart()
	}
	if err == nil {
		return true
	}
	names := []string{fullDisk}
	for _, f := range cuts(o.layout == "external") {
		names = append(names, f.name)
	}
	fmt.Fprintf(o.out, "without %s: %.200v\n", strings.Join(names, "; "), err)
	return false
}

// apartFaults are the faults of networks and disks that can be had in a layout.
func apartFaults(l *layout) []fault {
	if l.net == nil {
		return disks(l)
	}
	return append(cuts(l.separate()), disks(l)...)
}
