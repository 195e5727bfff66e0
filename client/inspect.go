package client

import (
	"cmp"
	"context"
	"fmt"
	"iter"

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

// Selection says which locks [Client.Select] returns. The zero Selection: all that are held or
// waited for.
type Selection struct {
	Prefix   string // what their names begin with
	Session  string // only what the session of this public id holds or waits for; empty: any's
	Identity string // only what sessions of this identity hold or wait for; empty: any's
	Mine     bool   // only what sessions of this client's own identity do
}

// List returns the locks whose names begin with the prefix and that are held or waited for, in the
// order of their names. Of each only the first 10 waiters are listed.
//
// Errors: [ErrInvalidArgument], [ErrUnavailable], [ErrClosed], that of ctx.
func (c *Client) List(ctx context.Context, prefix string) ([]*LockInfo, error) {
	var out []*LockInfo
	for page, err := range c.Select(ctx, Selection{Prefix: prefix}) {
		if err != nil {
			return nil, err
		}
		out = append(out, page.GetLocks()...)
	}
	return out, nil
}

// Select returns the locks that are held or waited for and are selected, in the order of their
// names, page by page. Of each only the first 10 waiters are listed; with a session or an identity,
// of its own. While the loop looks at a page, the next one is asked for. All pages are of one
// revision, unless the server changes or the loop takes seconds over a page.
//
// An error ends the loop:
//   - [ErrInvalidArgument]: also, with Mine, that this client has no identity.
//   - [ErrPermissionDenied], [ErrUnauthenticated], [ErrUnavailable], [ErrClosed], that of ctx.
func (c *Client) Select(ctx context.Context, sel Selection) iter.Seq2[*ListPage, error] {
	return func(yield func(*ListPage, error) bool) {
		if err := cmp.Or(checkText(sel.Prefix), checkText(sel.Session), checkText(sel.Identity)); err != nil {
			yield(nil, fmt.Errorf("list: %w", err))
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		type result struct {
			page *ListPage
			err  error
		}
		read := func(token string) <-chan result {
			done := make(chan result, 1)
			go func() {
				page, err := c.page(ctx, sel, token)
				done <- result{page, err}
			}()
			return done
		}
		next := read("")
		defer func() {
			cancel()
			if next != nil {
				<-next
			}
		}()
		for {
			r := <-next
			next = nil
			if r.err != nil {
				yield(nil, fmt.Errorf("list: %w", r.err))
				return
			}
			if token := r.page.GetNextPageToken(); token != "" {
				next = read(token)
			}
			if !yield(r.page, nil) || next == nil {
				return
			}
		}
	}
}

// page is one page of a listing.
func (c *Client) page(ctx context.Context, sel Selection, token string) (*ListPage, error) {
	page, err := ask(ctx, c.wire, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_List{List: &dlmv1.ListRequest{
		Prefix: sel.Prefix, Session: sel.Session, Identity: sel.Identity, Mine: sel.Mine, PageToken: token,
	}}}, (*dlmv1.StreamResponse).GetList)
	if err == nil && token != "" && page.GetNextPageToken() == token {
		err = errMalformed
	}
	return page, err
}
