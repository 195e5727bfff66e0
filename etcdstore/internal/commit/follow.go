package commit

import "context"

// Follower follows what etcd is asked on somebody's behalf. It must not block, and is asked from
// any goroutine.
type Follower interface {
	// Ask is told that etcd is asked to run a transaction that has one of its caller's, along with
	// others: so many in all. ctx is that of the call of etcd, as whoever was asked before about
	// the same call has left it; the last one's is what the call is made with. done is told how the
	// call ended, at which revision.
	Ask(ctx context.Context, transactions int) (_ context.Context, done func(rev int64, err error))
}

// followed is the context of a call of etcd on behalf of those who follow it, and what is told its
// end.
func followed(ctx context.Context, transactions int, those []Follower) (_ context.Context, done func(rev int64, err error)) {
	all := make([]func(int64, error), len(those))
	for i, o := range those {
		ctx, all[i] = o.Ask(ctx, transactions)
	}
	return ctx, func(rev int64, err error) {
		for _, done := range all {
			done(rev, err)
		}
	}
}
