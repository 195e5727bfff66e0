package client

import (
	"context"
	"fmt"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Inspect returns who holds a lock and who waits for it.
//
// Errors:
//   - [ErrLockNotFound]: nobody holds the lock, nobody waits for it, and it has no files.
//   - [ErrInvalidName], [ErrUnavailable], [ErrClosed], that of ctx.
func (c *Client) Inspect(ctx context.Context, lock string) (*LockInfo, error) {
	info, err := inspect(ctx, c.wire, lock)
	if err != nil {
		return nil, fmt.Errorf("inspect %q: %w", lock, err)
	}
	return info, nil
}

func inspect(ctx context.Context, wire *transport, lock string) (*LockInfo, error) {
	if err := checkNames(lock); err != nil {
		return nil, err
	}
	r, err := ask(ctx, wire, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Inspect{
		Inspect: &dlmv1.InspectRequest{Lock: lock},
	}}, (*dlmv1.StreamResponse).GetInspect)
	if err == nil && r.GetLock() == nil {
		err = errMalformed
	}
	return r.GetLock(), err
}

// List returns the locks whose names begin with the prefix and that are held or waited for, in the
// order of their names. Of each only the first 10 waiters are listed.
//
// Errors: [ErrInvalidArgument], [ErrUnavailable], [ErrClosed], that of ctx.
func (c *Client) List(ctx context.Context, prefix string) ([]*LockInfo, error) {
	if err := checkText(prefix); err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	var out []*LockInfo
	for page := ""; ; {
		r, err := ask(ctx, c.wire, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_List{
			List: &dlmv1.ListRequest{Prefix: prefix, PageToken: page},
		}}, (*dlmv1.StreamResponse).GetList)
		if err == nil && page != "" && r.GetNextPageToken() == page {
			err = errMalformed
		}
		if err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
		out = append(out, r.GetLocks()...)
		if page = r.GetNextPageToken(); page == "" {
			return out, nil
		}
	}
}
