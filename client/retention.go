package client

import (
	"context"
	"fmt"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// SetRetention has the servers keep no more than so much of files of the locks whose names begin
// with a prefix, from about a minute on, in place of what was said of that prefix before. What is
// older, or more, is cut off from the beginning of a file, as [Cut] does, where a section ends and
// whoever holds the lock. Versions stay. Of a lock that has several of the prefixes the longest
// counts, alone. A retention without MaxBytes and MaxAge is removed. A repeat changes nothing.
//
// What is in a file already counts as of that moment: by MaxAge it goes when it is that old from
// then on, and by MaxBytes once the file grows.
//
// Errors: [ErrInvalidArgument], [ErrPermissionDenied] (it takes the right to what is of the whole
// cluster), [ErrUnimplemented] (it takes the feature `life` to be switched on), [ErrQuota] (there
// are retentions of 256 prefixes), [ErrNoSpace], [ErrUnavailable], [ErrClosed], that of ctx.
func (c *Client) SetRetention(ctx context.Context, r *Retention) error {
	_, err := ask(ctx, c.wire, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_SetRetention{
		SetRetention: &dlmv1.SetRetentionRequest{Retention: r},
	}}, (*dlmv1.StreamResponse).GetSetRetention)
	if err != nil {
		return fmt.Errorf("set the retention of %q: %w", r.GetPrefix(), err)
	}
	return nil
}

// Retentions returns how much servers keep of files, in the order of prefixes.
//
// Errors: [ErrPermissionDenied], [ErrUnavailable], [ErrClosed], that of ctx.
func (c *Client) Retentions(ctx context.Context) ([]*Retention, error) {
	r, err := ask(ctx, c.wire, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_ListRetention{
		ListRetention: &dlmv1.ListRetentionRequest{},
	}}, (*dlmv1.StreamResponse).GetListRetention)
	if err != nil {
		return nil, fmt.Errorf("list the retentions: %w", err)
	}
	return r.GetRetentions(), nil
}
