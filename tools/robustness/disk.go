package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	fullDisk    = "disk full"
	slowDisk    = "syncs to disk delayed"
	stuttering  = "member stuttering"
	lostVolume  = "volume lost, member replaced"
	endedByFull = "(disk full: its process ended by itself)"
)

// fullDisks leave a member no room for a while. Its process may end by itself, or does not start if
// it has been killed meanwhile; after that it has to come back.
func fullDisks(ctx context.Context, r *run, rnd *rand.Rand) error {
	i, last, kill := rnd.IntN(len(r.l.volumes)), someTime(rnd), rnd.IntN(2) == 0
	p, dir := r.l.members[i], r.l.volumes[i]
	ended := len(p.itself())
	if err := fill(dir); err != nil {
		return err
	}
	if isFull(dir) {
		r.effects.add(fullDisk)
	}
	if kill {
		p.end(syscall.SIGKILL)
		if err := p.start(); err != nil {
			return errors.Join(err, makeRoom(dir))
		}
	}
	pause(ctx, last)
	if len(p.itself()) > ended {
		r.effects.add(endedByFull)
	}
	if err := makeRoom(dir); err != nil {
		return err
	}
	return r.l.up()
}

// isFull reports whether a page cannot be written.
func isFull(dir string) bool {
	name := filepath.Join(dir, "page")
	defer os.Remove(name)
	return errors.Is(os.WriteFile(name, make([]byte, 1<<16), 0o600), syscall.ENOSPC)
}

// delaySyncs has each of a member's syncs begin late, for a while.
func delaySyncs(ctx context.Context, r *run, rnd *rand.Rand) error {
	i, last, delay := rnd.IntN(len(r.l.members)), someTime(rnd), 20+rnd.IntN(400)
	pid := r.l.members[i].pid()
	if pid == 0 {
		return errNotNow
	}
	ctx, cancel := context.WithTimeout(ctx, last)
	defer cancel()
	var delayed bytes.Buffer
	tracer := exec.Command("strace", "-f", "-qq", "-p", fmt.Sprint(pid), "-e", "trace=fsync,fdatasync",
		"-e", fmt.Sprintf("inject=fsync,fdatasync:delay_enter=%dms", delay))
	tracer.Stderr, tracer.SysProcAttr = &delayed, childOf()
	if err := tracer.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_ = tracer.Wait() // it ends by the signal, or with the process
		close(ended)
	}()
	select {
	case <-ctx.Done():
		_ = tracer.Process.Signal(os.Interrupt)
		<-ended
	case <-ended:
	}
	if bytes.Contains(delayed.Bytes(), []byte("(DELAYED)")) {
		r.effects.add(slowDisk)
	}
	return nil
}

// stutter stops a member for moments again and again, as one does whose disk or processor hangs.
func stutter(ctx context.Context, r *run, rnd *rand.Rand) error {
	p := r.l.members[rnd.IntN(len(r.l.members))]
	for last := someTime(rnd); last > 0 && ctx.Err() == nil; {
		for _, sig := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
			d := time.Duration(20+rnd.IntN(400)) * time.Millisecond
			p.signal(sig)
			pause(ctx, d)
			last -= d
		}
	}
	p.signal(syscall.SIGCONT)
	return nil
}

// patience is how long a member can be waited for that is replaced while others have faults.
const patience = time.Minute

// loseVolume has a member lose all it has, and replaces it by a new one, as docs/operations.md says.
// It goes on to the end when the run is over.
func loseVolume(ctx context.Context, r *run, rnd *rand.Rand) error {
	if !r.l.replacing.TryLock() {
		return errNotNow
	}
	defer r.l.replacing.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	etcd, i := r.watching.etcd, rnd.IntN(len(r.l.members))
	old, err := r.l.replace(ctx, etcd, i)
	if err != nil {
		return err
	}
	if err := r.l.up(); err != nil {
		return err
	}
	now, err := r.l.full(ctx, etcd, i)
	if err == nil && now != old {
		r.effects.add(lostVolume)
	}
	return err
}

// replace removes a member, deletes what it had, and adds it as a new one. It returns its old id. A
// step whose outcome is unknown is looked at again.
func (l *layout) replace(ctx context.Context, etcd *clientv3.Client, i int) (old uint64, err error) {
	if old, err = l.full(ctx, etcd, i); err != nil {
		return 0, errors.Join(errNotNow, err)
	}
	p := l.members[i]
	p.setAside(true)
	defer p.setAside(false)
	p.end(syscall.SIGKILL)
	name, peer, _ := strings.Cut(l.peers[i], "=")
	isOld := func(m *etcdserverpb.Member) bool { return m.ID == old }
	isNew := func(m *etcdserverpb.Member) bool { return m.ID != old && slices.Contains(m.PeerURLs, peer) }
	err = l.until(ctx, etcd, func(list []*etcdserverpb.Member) bool { return !slices.ContainsFunc(list, isOld) }, func() error {
		if l.separate() {
			_, err := etcd.MemberRemove(ctx, old)
			return err
		}
		return l.member(i, "remove", name)
	})
	if err != nil {
		return 0, err
	}
	if err := os.RemoveAll(l.owned(i)); err != nil {
		return 0, err
	}
	return old, l.until(ctx, etcd, func(list []*etcdserverpb.Member) bool { return slices.ContainsFunc(list, isNew) }, func() error {
		if l.separate() {
			p.use("--initial-cluster-state", "existing")
			_, err := etcd.MemberAdd(ctx, []string{peer})
			return err
		}
		p.use("--cluster-state", "existing")
		_, addr, _ := strings.Cut(peer, "://")
		return l.member(i, "add", name, addr)
	})
}

// member runs dlm member where other servers than one are, until it succeeds.
func (l *layout) member(but int, args ...string) (err error) {
	for i, s := range l.memberSpaces {
		if i == but {
			continue
		}
		endpoint := l.admin[i]
		if s.name != "" {
			endpoint = fmt.Sprint("127.0.0.1:", etcdPort)
		}
		line := append([]string{l.bin.dlm, "member", "--timeout", "3s", "--etcd-endpoints", endpoint}, args...)
		if _, err = command(s.command(line...)...); err == nil {
			return nil
		}
	}
	return err
}

// owned is all that a member has on its disk.
func (l *layout) owned(i int) string {
	if l.separate() {
		return l.data[i]
	}
	return filepath.Dir(l.data[i]) // the server's own files are beside etcd's
}

// full waits until all members are there, started, and vote, and returns the id of one.
func (l *layout) full(ctx context.Context, etcd *clientv3.Client, i int) (id uint64, err error) {
	name, _, _ := strings.Cut(l.peers[i], "=")
	err = l.until(ctx, etcd, func(list []*etcdserverpb.Member) bool {
		votes := 0
		for _, m := range list {
			if m.Name != "" && !m.IsLearner {
				votes++
			}
			if m.Name == name {
				id = m.ID
			}
		}
		return votes == len(l.members) && len(list) == votes && id != 0
	}, nil)
	return id, err
}

// until has a step done, if there is one, until the list of members is as wanted.
func (l *layout) until(ctx context.Context, etcd *clientv3.Client, wanted func(list []*etcdserverpb.Member) bool, step func() error) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		asked, cancel := context.WithTimeout(ctx, 3*time.Second)
		now, err := etcd.MemberList(asked)
		cancel()
		if err == nil {
			if wanted(now.Members) {
				return nil
			}
			if step != nil {
				err = step()
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the members do not become what they should: %w", errors.Join(err, ctx.Err()))
		case <-tick.C:
		}
	}
}

// disks are the faults of members' disks that can be had in a layout.
func disks(l *layout) (list []fault) {
	if len(l.volumes) > 0 {
		list = append(list, fault{fullDisk, 3, fullDisks})
	}
	if l.traced {
		list = append(list, fault{slowDisk, 2, delaySyncs})
	}
	return append(list, fault{stuttering, 2, stutter}, fault{lostVolume, 2, loseVolume})
}

// canTrace says why syncs cannot be delayed, or nil.
func canTrace() error {
	_, err := command("strace", "-qq", "-o", os.DevNull, "-e", "inject=fsync:delay_enter=1ms", "true")
	return err
}
