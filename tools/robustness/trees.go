package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// callTree is one dlm lock, with the processes that its command has started.
const callTree = "tree"

// What became of a tree, besides its exit code.
const (
	runsOn    = "RUNS ON" // some of it lived after dlm lock had ended
	killed    = "KILLED"  // dlm lock was
	toldToEnd = "ENDED"   // it was told to end
)

// treeScript is the command: it says which token it has, and starts a child and a child of a child
// that write under it. Then it waits for them or, as daemons do, does not.
const treeScript = `echo "$DLM_TOKEN" >&3
"$0" plain "$1" &
(sh -c '"$0" plain "$1"; :' "$0" "$1") &
[ "$2" = wait ] && wait
exit "$3"`

// After dlm lock has ended nothing of its tree may live. Where it was killed that takes a moment.
const (
	treeGone       = time.Second
	treeGoneKilled = 10 * time.Second
)

// tree runs one dlm lock. All of its tree holds the end of a pipe: when that is closed everywhere,
// none of it lives.
func (w workload) tree(ctx context.Context, r *rand.Rand) {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	alive, held, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	defer alive.Close()
	lock, code := treeLock(r), []int{0, 0, 0, 3}[r.IntN(4)]
	cmd := exec.CommandContext(ctx, w.dlm, slices.Concat([]string{"lock", "--quiet", "--ttl", "3s", "--wait", "5s"}, w.to.flags(), []string{
		lock, "sh", "-c", treeScript, self, filepath.Join(w.dir, lock+plainEnding), []string{"wait", "leave"}[r.IntN(2)], fmt.Sprint(code),
	})...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	says, err := os.CreateTemp(w.dir, "tree") // a pipe would be waited for, which the tree holds
	if err != nil {
		panic(err)
	}
	defer os.Remove(says.Name())
	defer says.Close()
	cmd.Stderr = says
	cmd.ExtraFiles, cmd.SysProcAttr = []*os.File{held}, childOf()
	a := answer{Call: callTree, Asked: time.Now(), Lock: lock, Request: fmt.Sprint(code)}
	runtime.LockOSThread() // the thread that starts a child is whose death it dies with
	defer runtime.UnlockOSThread()
	err = cmd.Start()
	held.Close()
	if err != nil {
		panic(err)
	}
	limit := treeGone
	if r.IntN(8) == 0 {
		kill := time.AfterFunc(time.Duration(r.IntN(500))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
	}
	_ = cmd.Wait()
	text, err := os.ReadFile(says.Name())
	if err != nil {
		panic(err)
	}
	a.Text = strings.TrimSpace(string(text))
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	switch {
	case status.Signaled():
		a.Reason, limit = killed, treeGoneKilled
	case ctx.Err() != nil:
		a.Reason = toldToEnd
	}
	a.Got = int64(cmd.ProcessState.ExitCode())
	if err := alive.SetReadDeadline(time.Now().Add(limit)); err != nil {
		panic(err)
	}
	said, err := io.ReadAll(alive)
	if err != nil {
		a.Reason, a.Text = runsOn, err.Error()
	}
	a.Token, _ = strconv.ParseInt(strings.TrimSpace(string(said)), 10, 64)
	w.h.add(a)
}

// A plain store is a file, as a user has it who checks tokens: it refuses one that is lower than
// the highest that it has seen. It has a line for each write, all of one length.
const (
	plainEnding   = ".plain"
	refusedEnding = ".refused" // what it has refused
	plainLine     = 16
)

// plainWrite is one write to a plain store.
type plainWrite struct {
	token   int64
	at      time.Time
	refused bool
}

// plain is a process of a tree: it writes a few times.
func plain(path string) error {
	token, err := strconv.ParseInt(os.Getenv("DLM_TOKEN"), 10, 64)
	if err != nil {
		return err
	}
	for range 1 + rand.IntN(6) {
		if err := plainAppend(path, token); err != nil {
			return err
		}
		pause(context.Background(), time.Duration(rand.IntN(60))*time.Millisecond) // its work
	}
	return nil
}

// plainAppend writes once, with the store locked.
func plainAppend(path string, token int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() // and unlocks
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	size -= size % plainLine // what a process that was killed has left
	var last [plainLine]byte
	if size > 0 {
		if _, err := f.ReadAt(last[:], size-plainLine); err != nil {
			return err
		}
	}
	line := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(token)), uint64(time.Now().UnixNano()))
	if token >= int64(binary.BigEndian.Uint64(last[:])) {
		_, err := f.WriteAt(line, size)
		return err
	}
	refused, err := os.OpenFile(path+refusedEnding, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = refused.Write(line)
	return errors.Join(err, refused.Close())
}

// plainWrites are all writes to a lock's plain store.
func plainWrites(dir, lock string) (all []plainWrite, err error) {
	path := filepath.Join(dir, lock+plainEnding)
	for _, name := range []string{path, path + refusedEnding} {
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for ; len(b) >= plainLine; b = b[plainLine:] {
			all = append(all, plainWrite{
				token: int64(binary.BigEndian.Uint64(b)), at: time.Unix(0, int64(binary.BigEndian.Uint64(b[8:]))), refused: name != path,
			})
		}
	}
	return all, nil
}

// treeLate is how long a tree may go on after its lock was taken away, or its session has ended:
// that dlm lock hears of it, and then SIGTERM, and SIGKILL.
const treeLate = 10 * time.Second

// trees judges what dlm lock answered, and what its commands wrote to plain stores, by the facts of
// all epochs.
func (v *verdicts) trees(answers []answer, epochs []*epoch, dir string) error {
	for i, e := range epochs {
		f, until := v.facts[i], endOf(epochs, i)
		for _, a := range answers {
			if a.Call == callTree && !a.Asked.Before(e.from) && a.Answered.Before(until) {
				v.treeEnd(a, f.sections[sectionID{a.Lock, a.Token}])
			}
		}
		for _, lock := range treeLocks() {
			writes, err := plainWrites(dir, lock)
			if err != nil {
				return err
			}
			for _, w := range writes {
				if !w.at.Before(e.from) && w.at.Before(until) {
					v.treeWrite(w, lock, f.sections[sectionID{lock, w.token}])
				}
			}
		}
	}
	return nil
}

// treeEnd judges the end of a dlm lock whose command ran under a section; s is nil if it is not
// known, as where the command did not run.
func (v *verdicts) treeEnd(a answer, s *section) {
	const failure, noServer, lost, busyLock, forbidden = 1, 69, 70, 75, 77
	ran := a.Token != 0
	switch {
	case a.Reason == runsOn:
		v.accuseAs(byTrees, a, "dlm lock has ended, and what it has started runs on")
	case a.Reason != ok: // its code is the signal's, or the script's
	case ran && fmt.Sprint(a.Got) == a.Request:
		if a.Got == 0 && (s == nil || !s.own()) {
			v.accuseAs(byTrees, a, "dlm lock says that all is well, and its section was not ended by it")
		}
	case ran && a.Got == lost:
	case a.Got == noServer, !ran && a.Got == busyLock, !ran && a.Got == lost:
	case a.Got == forbidden: // by a policy, or its identity is revoked
	case !ran && a.Got == failure && strings.Contains(a.Text, "no space"): // etcd's alarm
	default:
		v.accuseAs(byTrees, a, "dlm lock ended with code %d, and its command with %s", a.Got, a.Request)
	}
}

// treeWrite judges a write under a section: s is nil if it was before a restore that has undone it.
func (v *verdicts) treeWrite(w plainWrite, lock string, s *section) {
	v.written++
	if w.refused {
		v.refusedWrites++
	}
	if s == nil || s.end == 0 || !w.at.After(s.ended) && !w.refused {
		return
	}
	late := w.at.Sub(s.ended)
	if s.own() || late > treeLate {
		v.untrue = append(v.untrue, accusation{
			checker: byTrees, lock: lock, at: w.at,
			text: fmt.Sprintf("%s: a process below dlm lock wrote under %d, %v after the end of that (refused: %t, released: %t)",
				lock, w.token, late, w.refused, s.own()),
		})
	}
}
