package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Read returns the published bytes of a file, from its start on, if it was cut. It sees every
// section whose Unlock or Commit returned before Read began. All of it is of one life: if the file
// is replaced meanwhile, it is read anew.
//
// Errors: [ErrFileNotFound], [ErrInvalidName], [ErrPermissionDenied], [ErrUnavailable],
// [ErrClosed], that of ctx.
func (c *Client) Read(ctx context.Context, lock, file string) ([]byte, error) {
	data, _, err := c.ReadVersion(ctx, lock, file)
	return data, err
}

// ReadVersion is [Client.Read], and returns the version of what it has read, for a [Condition].
func (c *Client) ReadVersion(ctx context.Context, lock, file string) ([]byte, *Version, error) {
	for {
		var b bytes.Buffer
		_, version, err := c.copy(ctx, &b, lock, file, 0, true)
		if err == nil {
			return b.Bytes(), version, nil
		}
		if !errors.Is(err, ErrFileChanged) && !errors.Is(err, ErrOffsetGone) {
			return nil, nil, err
		}
	}
}

// Copy writes the published bytes of a file to w, from the offset (counted from 0) to the size that
// the file had when the first piece was read. It does so in pieces, so that a large file needs
// little memory, and all of them of one life. It returns how many bytes were written; a copy that
// broke off can go on at the offset where it stopped.
//
// Errors: those of [Client.Read], those of w, and
//   - [ErrOffsetGone]: what is at the offset was cut off, before or meanwhile.
//   - [ErrFileChanged]: the file was replaced, or removed and made again, after the first piece.
func (c *Client) Copy(ctx context.Context, w io.Writer, lock, file string, offset int64) (int64, error) {
	written, _, err := c.copy(ctx, w, lock, file, offset, false)
	return written, err
}

// CopyAll is [Client.Copy] of all that there is of a file: from its start on, which is not 0 if it
// was cut.
func (c *Client) CopyAll(ctx context.Context, w io.Writer, lock, file string) (int64, error) {
	written, _, err := c.copy(ctx, w, lock, file, 0, true)
	return written, err
}

// copy is Copy, and returns the version of what was read. all: from where the file starts, once
// that is known, and not from the offset.
func (c *Client) copy(
	ctx context.Context, w io.Writer, lock, file string, offset int64, all bool,
) (written int64, version *Version, err error) {
	if err := checkNames(lock, file); err != nil {
		return 0, nil, readError(lock, file, err)
	}
	var life *Version
	for size := int64(-1); size < 0 || offset+written < size; {
		m := &dlmv1.ReadRequest{Lock: lock, File: file, Offset: offset + written, Life: life}
		if size >= 0 {
			m.Limit = int32(min(size-offset-written, maxPiece)) //nolint:gosec // bounded
		}
		r, err := ask(ctx, c.wire, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Read{Read: m}}, (*dlmv1.StreamResponse).GetRead)
		if size < 0 && all {
			start := r.GetStart()
			gone, is := errors.AsType[*Error](err)
			if is = is && errors.Is(gone, ErrOffsetGone); is {
				start = gone.Start
			}
			if (err == nil || is) && start != offset { // of another life, if it is lower
				offset = start
				continue
			}
		}
		if err != nil {
			return written, nil, readError(lock, file, err)
		}
		if size < 0 {
			size, life, version = r.GetSize(), r.GetLife(), r.GetVersion()
		}
		if size < 0 || len(r.GetData()) == 0 && offset+written < size {
			return written, nil, readError(lock, file, errMalformed)
		}
		n, err := w.Write(r.GetData()[:max(0, min(int64(len(r.GetData())), size-offset-written))])
		written += int64(n)
		if err != nil {
			return written, nil, readError(lock, file, err)
		}
	}
	return written, version, nil
}

func readError(lock, file string, err error) error {
	return fmt.Errorf("read %q of %q: %w", file, lock, err)
}

// ListFiles lists the files of one lock, or of all locks if lock is empty, in the order of lock and
// name.
//
// Errors: [ErrInvalidName], [ErrPermissionDenied], [ErrUnavailable], [ErrClosed], that of ctx.
func (c *Client) ListFiles(ctx context.Context, lock string) ([]*File, error) {
	if err := checkNames(lock); err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	var out []*File
	for page := ""; ; {
		r, err := ask(ctx, c.wire, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_ListFiles{
			ListFiles: &dlmv1.ListFilesRequest{Lock: lock, PageToken: page},
		}}, (*dlmv1.StreamResponse).GetListFiles)
		if err == nil && page != "" && r.GetNextPageToken() == page {
			err = errMalformed
		}
		if err != nil {
			return nil, fmt.Errorf("list files: %w", err)
		}
		out = append(out, r.GetFiles()...)
		if page = r.GetNextPageToken(); page == "" {
			return out, nil
		}
	}
}

// Tail returns a file's published bytes from the offset on (counted from 0), and goes on as
// sections are published, for as long as the loop over it runs. A file that does not exist yet is
// waited for. If a server fails, Tail finds another one and goes on where it was: no byte is left
// out, and none comes twice.
//
// What becomes of the file is told, by a piece that may have no data: what is before its offset,
// and has not come, was cut off; it was replaced, and the offset is of a new life; it was removed,
// and is waited for. Lives may be left out, if several come one after the other, and are never
// mixed.
//
// An error ends the loop:
//   - [ErrUnavailable]: no server was found within the connect timeout.
//   - [ErrPermissionDenied], [ErrUnauthenticated]: the servers refuse it.
//   - [ErrInvalidName], [ErrInvalidArgument], [ErrClosed], that of ctx.
func (c *Client) Tail(ctx context.Context, lock, file string, offset int64) iter.Seq2[*Piece, error] {
	return func(yield func(*dlmv1.TailResponse, error) bool) {
		var life *Version
		removed := false
		err := checkNames(lock, file)
		if err == nil {
			err = follow(ctx, c.wire, func(ctx context.Context, api dlmv1.LockServiceClient) (receiver[dlmv1.TailResponse], error) {
				return api.Tail(ctx, &dlmv1.TailRequest{Lock: lock, File: file, Offset: offset, Life: life})
			}, func(m *dlmv1.TailResponse) bool {
				again := removed && m.GetRemoved() // told by another server, to which it is news
				offset, life, removed = m.GetOffset()+int64(len(m.GetData())), m.GetLife(), m.GetRemoved()
				return again || yield(m, nil)
			})
		}
		if err != nil {
			yield(nil, fmt.Errorf("tail %q of %q: %w", file, lock, err))
		}
	}
}
