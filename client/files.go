package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Read returns the published bytes of a file. It sees every section whose Unlock or Commit returned
// before Read began.
//
// Errors: [ErrFileNotFound], [ErrInvalidName], [ErrPermissionDenied], [ErrUnavailable],
// [ErrClosed], that of ctx.
func (c *Client) Read(ctx context.Context, lock, file string) ([]byte, error) {
	var b bytes.Buffer
	if _, err := c.Copy(ctx, &b, lock, file, 0); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Copy writes the published bytes of a file to w, from the offset (counted from 0) to the size that
// the file had when the first piece was read. It does so in pieces, so that a large file needs
// little memory. It returns how many bytes were written; a copy that broke off can go on at the
// offset where it stopped.
//
// Errors: those of [Client.Read], and those of w.
func (c *Client) Copy(ctx context.Context, w io.Writer, lock, file string, offset int64) (int64, error) {
	written, _, err := c.copyVersion(ctx, w, lock, file, offset)
	return written, err
}

// copyVersion is Copy, and returns the version of what was read.
func (c *Client) copyVersion(ctx context.Context, w io.Writer, lock, file string, offset int64) (int64, *Version, error) {
	written, version, err := c.copy(ctx, w, lock, file, offset)
	if err != nil {
		return written, nil, fmt.Errorf("read %q of %q: %w", file, lock, err)
	}
	return written, version, nil
}

func (c *Client) copy(ctx context.Context, w io.Writer, lock, file string, offset int64) (written int64, version *Version, err error) {
	if err := checkNames(lock, file); err != nil {
		return 0, nil, err
	}
	for size := int64(-1); size < 0 || offset+written < size; {
		m := &dlmv1.ReadRequest{Lock: lock, File: file, Offset: offset + written}
		if size >= 0 {
			m.Limit = int32(min(size-offset-written, maxPiece)) //nolint:gosec // bounded
		}
		r, err := ask(ctx, c.wire, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Read{Read: m}}, (*dlmv1.StreamResponse).GetRead)
		if err != nil {
			return written, nil, err
		}
		if size < 0 {
			size, version = r.GetSize(), r.GetVersion()
		}
		if size < 0 || len(r.GetData()) == 0 && offset+written < size {
			return written, nil, errMalformed
		}
		n, err := w.Write(r.GetData()[:max(0, min(int64(len(r.GetData())), size-offset-written))])
		written += int64(n)
		if err != nil {
			return written, nil, err
		}
	}
	return written, version, nil
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
// An error ends the loop:
//   - [ErrUnavailable]: no server was found within the connect timeout.
//   - [ErrPermissionDenied], [ErrUnauthenticated]: the servers refuse it.
//   - [ErrInvalidName], [ErrInvalidArgument], [ErrClosed], that of ctx.
func (c *Client) Tail(ctx context.Context, lock, file string, offset int64) iter.Seq2[*Piece, error] {
	return func(yield func(*dlmv1.TailResponse, error) bool) {
		err := checkNames(lock, file)
		if err == nil {
			err = follow(ctx, c.wire, func(ctx context.Context, api dlmv1.LockServiceClient) (receiver[dlmv1.TailResponse], error) {
				return api.Tail(ctx, &dlmv1.TailRequest{Lock: lock, File: file, Offset: offset})
			}, func(m *dlmv1.TailResponse) bool {
				offset = m.GetOffset() + int64(len(m.GetData()))
				return yield(m, nil)
			})
		}
		if err != nil {
			yield(nil, fmt.Errorf("tail %q of %q: %w", file, lock, err))
		}
	}
}
