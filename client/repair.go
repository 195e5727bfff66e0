package client

import (
	"context"
	"fmt"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Problems is what is malformed in the servers' storage, and what the server that answered has met.
type Problems struct {
	Keys   []*Problem // in the order of the keys
	Met    int        // malformed keys that the server came upon by itself since it started, up to 1,000
	Panics int64      // of its background work, from which it has recovered
}

// Problems looks for what is malformed in the servers' storage. It reads all that is there.
//
// Errors: [ErrUnavailable], [ErrClosed], that of ctx.
func (c *Client) Problems(ctx context.Context) (*Problems, error) {
	all := &Problems{}
	for page := ""; ; {
		r, err := ask(ctx, c.wire, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_ListProblems{
			ListProblems: &dlmv1.ListProblemsRequest{PageToken: page},
		}}, (*dlmv1.StreamResponse).GetListProblems)
		if err == nil && page != "" && r.GetNextPageToken() == page {
			err = errMalformed
		}
		if err != nil {
			return nil, fmt.Errorf("list problems: %w", err)
		}
		all.Keys = append(all.Keys, r.GetProblems()...)
		all.Met, all.Panics = int(r.GetMet()), r.GetPanics()
		if page = r.GetNextPageToken(); page == "" {
			return all, nil
		}
	}
}

// Repair removes a malformed key, as [Client.Problems] returned it, and reports whether it did: it
// may be gone, or have been put anew since. What is as it should be is never removed. Look at
// Loses first: of some keys more than the key is lost. A repeat changes nothing and succeeds.
//
// Errors: [ErrInvalidArgument] (the key is not malformed, or is none that a server removes),
// [ErrNoSpace], [ErrUnavailable], [ErrClosed], that of ctx.
func (c *Client) Repair(ctx context.Context, p *Problem) (removed bool, err error) {
	r, err := ask(ctx, c.wire, &dlmv1.StreamRequest{Request: &dlmv1.StreamRequest_Repair{
		Repair: &dlmv1.RepairRequest{Key: p.GetKey(), Revision: p.GetRevision()},
	}}, (*dlmv1.StreamResponse).GetRepair)
	if err != nil {
		return false, fmt.Errorf("repair %q: %w", p.GetName(), err)
	}
	return r.GetRemoved(), nil
}
