package main

import (
	"context"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/distributed-lock-manager/dlm/client"
)

// A chain is what people have locks for: who holds one reads a file, and writes what follows from
// it. Each record says how much the file had, and the sum of that. So the published records are a
// chain, whatever became of releases that have no answer and of holders that came too late: the
// next one reads what is true. A restore changes nothing of that, as long as files are judged by
// epochs: who held a lock at the snapshot has read what the files have after it.

// chainLock is the lock of the chain.
const chainLock = "chain"

// chainFile is where its links are.
func chainFile() fileID { return fileID{chainLock, fileOf(chainLock, 0)} }

// mostLinks is how many links a section has at most, so that all of them go to one file.
const mostLinks = 2

// link is the nth record of a section that follows on a file of some size and sum.
func link(token int64, n int, size int64, sum uint32) string {
	return strings.TrimSuffix(record(chainLock, token, n), "\n") + follows(size, sum)
}

// follows is how a link ends that follows on a file of some size and sum.
func follows(size int64, sum uint32) string { return fmt.Sprintf(" %d %08x\n", size, sum) }

// links extends the chain by the SDK, again and again.
func (w *sdkWorker) links(ctx context.Context) {
	for ctx.Err() == nil {
		c := w.open()
		for range 1 + w.rand.IntN(40) {
			w.extend(ctx, c)
		}
		_ = c.Close()
	}
}

// extend is one hold of the chain's lock. In each section of it the file is read anew.
func (w *sdkWorker) extend(ctx context.Context, c *client.Client) {
	l := w.acquire(ctx, c, chainLock)
	if l == nil {
		return
	}
	for {
		token := l.Token()
		appended, err := w.readAndAppend(ctx, c, l)
		commits := err == nil && w.rand.IntN(4) == 0
		if commits {
			err = w.commit(ctx, l)
		}
		if commits && w.leaves(ctx, l) {
			return
		}
		if err != nil || !commits {
			// A release that is refused, as by an etcd that is full, leaves the lock held.
			if w.end(ctx, l, appended) != nil && l.Context().Err() == nil {
				_ = w.discard(ctx, l, appended)
			}
			return
		}
		if l.Token() == token { // published, and lost: what comes now has no token
			_ = l.Unlock(context.WithoutCancel(ctx))
			return
		}
	}
}

// readAndAppend appends what follows on what it reads. In between it may well lose the lock.
func (w *sdkWorker) readAndAppend(ctx context.Context, c *client.Client, l *client.Lock) (appended bool, err error) {
	text, err := readWhole(ctx, c, w.h, chainLock, chainFile().name)
	if err != nil {
		return false, err
	}
	thinks := time.Duration(w.rand.IntN(100)) * time.Millisecond
	if w.rand.IntN(30) == 0 {
		thinks *= 40
	}
	pause(ctx, thinks)
	size, sum := int64(len(text)), crc32.ChecksumIEEE(text)
	for n := range 1 + w.rand.IntN(mostLinks) {
		data := link(l.Token(), n, size, sum)
		if err := w.append(ctx, l, n, data); err != nil {
			return appended, err
		}
		appended = true
		size, sum = size+int64(len(data)), crc32.Update(sum, crc32.IEEETable, []byte(data))
	}
	return appended, nil
}

// chain holds each published link against what was published before it.
func (v *verdicts) chain(published []publication, f *facts) {
	v.linked = 0
	size, sum := int64(0), uint32(0)
	for _, p := range published {
		for line := range strings.Lines(p.text) {
			if want := follows(size, sum); !strings.HasSuffix(line, want) {
				v.untrue = append(v.untrue, accusation{
					checker: byChain, lock: chainLock, at: f.sections[sectionID{chainLock, p.Token}].ended,
					text: fmt.Sprintf("%s of %s: section %d published %q, which does not follow on the%q before it",
						chainFile().name, chainLock, p.Token, line, want),
				})
			}
			size, sum = size+int64(len(line)), crc32.Update(sum, crc32.IEEETable, []byte(line))
			v.linked++
		}
	}
}
