package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	"github.com/distributed-lock-manager/dlm/client"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// stage has an operation be done by a section, by the lock or as another process would that has
// been told of it.
func (w *sdkWorker) stage(ctx context.Context, c *client.Client, l *client.Lock, told bool, o operation) error {
	return w.call(answer{Call: callAppend, Lock: l.Name(), Token: l.Token(), Data: o.says()}, func(*answer) error {
		if told {
			return c.Section(l.Name(), l.Credential(), l.Token()).Stage(ctx, o.message())
		}
		return l.Stage(ctx, o.message())
	})
}

// pieces reads a file that has lives by the API, from some offset to its end in small pieces, each
// of the life that the first was of.
func (w *publisher) pieces(ctx context.Context) {
	lock := lifeLock(w.rand)
	p := piece{Offset: int64(w.rand.IntN(2) * w.rand.IntN(1000))}
	file := fileNames(lock)[w.rand.IntN(filesOfLock)]
	for range 2 + w.rand.IntN(12) {
		a := answer{Call: callPiece, Asked: time.Now(), Lock: lock, File: file}
		rctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		req := &dlmv1.ReadRequest{Lock: lock, File: file, Offset: p.Offset, Limit: 1 + w.rand.Int32N(20_000)}
		if p.Of != (version{}) {
			req.Life = p.Of.message()
		}
		resp, err := w.servers[w.rand.IntN(len(w.servers))].Read(rctx, req)
		cancel()
		is := p
		is.Life, is.Start, is.Size = versionOf(resp.GetLife()), resp.GetStart(), resp.GetSize()
		a.Got, a.Sum, a.Version, a.Piece = int64(len(resp.GetData())), crc32.ChecksumIEEE(resp.GetData()), versionOf(resp.GetVersion()), &is
		if err != nil {
			is.Start = startIn(err)
		}
		switch w.answered(a, err).Reason {
		case ok:
			if p.Of, p.Offset = is.Life, p.Offset+a.Got; p.Offset >= is.Size {
				return
			}
		case "OFFSET_GONE":
			p.Offset = is.Start
		default:
			return
		}
		if w.rand.IntN(3) == 0 {
			pause(ctx, time.Duration(w.rand.IntN(100))*time.Millisecond)
		}
	}
}

// startIn is where a file starts, as an error says.
func startIn(err error) int64 {
	st, _ := status.FromError(err)
	for _, d := range st.Details() {
		if info, is := d.(*errdetails.ErrorInfo); is {
			start, _ := strconv.ParseInt(info.GetMetadata()["start"], 10, 64) // others say none
			return start
		}
	}
	return 0
}

// tails follows files that have lives, one after the other, each for a while.
func (w *sdkWorker) tails(ctx context.Context) {
	for ctx.Err() == nil {
		c := w.open()
		for range 1 + w.rand.IntN(5) {
			w.tail(ctx, c)
		}
		_ = c.Close()
	}
}

// tail follows one file from its beginning.
func (w *sdkWorker) tail(ctx context.Context, c *client.Client) {
	lock := lifeLock(w.rand)
	a := answer{Call: callTail, Lock: lock, File: fileNames(lock)[w.rand.IntN(filesOfLock)]}
	name, n := newTag(w.rand), 0
	tctx, cancel := context.WithTimeout(ctx, time.Duration(1+w.rand.IntN(10))*time.Second)
	defer cancel()
	a.Asked = time.Now()
	for m, err := range c.Tail(tctx, lock, a.File, 0) {
		if tctx.Err() != nil {
			return
		}
		n++
		a.Got, a.Sum = int64(len(m.GetData())), crc32.ChecksumIEEE(m.GetData())
		a.Piece = &piece{
			Offset: m.GetOffset(), Life: versionOf(m.GetLife()), Tail: name, N: n, Cut: m.GetCut(), Replaced: m.GetReplaced(), Removed: m.GetRemoved(),
		}
		if err != nil {
			a.Reason, a.Text = reasonOf(err), err.Error()
		}
		w.h.add(a)
		if w.rand.IntN(20) == 0 { // so that lives come and go meanwhile
			pause(tctx, time.Duration(w.rand.IntN(1000))*time.Millisecond)
		}
	}
}

// readLife reads a file that has lives, whole, and writes down what it has, unless ctx has ended.
func readLife(ctx context.Context, c *client.Client, h *history, lock, name string) (text []byte, there bool, err error) {
	a := answer{Call: callRead, Asked: time.Now(), Lock: lock, File: name}
	text, is, err := c.ReadVersion(ctx, lock, name)
	if ctx.Err() != nil {
		return nil, false, ctx.Err()
	}
	if there = err == nil; errors.Is(err, client.ErrFileNotFound) {
		text, err = nil, nil
	}
	if err != nil {
		a.Reason, a.Text = reasonOf(err), err.Error()
	}
	a.Got, a.Sum, a.Version = int64(len(text)), crc32.ChecksumIEEE(text), versionOf(is)
	h.add(a)
	return text, there, err
}

// change runs one of dlm append, replace, rm and cut on a file that has lives.
func (w workload) change(ctx context.Context, r *rand.Rand) {
	lock, tag := lifeLock(r), newTag(r)
	line := taggedRecord(lock, tag, 0)
	o := operation{file: fileOf(lock, 0), text: line + filler(lock, line), kind: kind(r.IntN(4))}
	a := answer{Call: callDlmAppend, Lock: lock, Data: tag, Operations: 1}
	var args []string
	switch o.kind {
	case appending:
		args = []string{"append"}
	case replacing:
		args = []string{"replace"}
	case removing:
		args, o.text = []string{"rm"}, ""
	case cutting:
		o.text, o.offset = "", int64(r.IntN(20_000))
		args = []string{"cut", "--before", fmt.Sprint(o.offset)}
	}
	if o.text == "" {
		a.Call, a.Data = callDlmChange, o.says()
	}
	w.command(ctx, r, a, o.text, slices.Concat(args, w.to.flags(), []string{"--quiet", lock, o.file})...)
}

// command runs a command of dlm with an input, kills it at times, and writes down what it came to.
func (w workload) command(ctx context.Context, r *rand.Rand, a answer, input string, args ...string) {
	cmd := exec.CommandContext(ctx, w.dlm, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.SysProcAttr = childOf()
	var text bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &text, &text
	a.Asked = time.Now()
	runtime.LockOSThread() // the thread that starts a child is whose death it dies with
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	if r.IntN(8) == 0 {
		kill := time.AfterFunc(time.Duration(20+r.IntN(200))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
	}
	if err := cmd.Wait(); err != nil { // whether it was published is then not known
		a.Reason, a.Text = indeterminate, strings.TrimSpace(text.String())+" ("+err.Error()+")"
	}
	w.h.add(a)
}
