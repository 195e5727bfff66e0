package embedded

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// join waits until this member, whose data directory is empty, may join a cluster: as one that was
// added to it and has never started. One that has started and was emptied has forgotten what it
// voted for and what it acknowledged; etcd itself would let it in.
//
// What one of the others knows may be old, but a majority includes one that knows of every start.
func (c Config) join(ctx context.Context, ec *embed.Config, logger *zap.Logger) error {
	if len(c.Members) == 1 {
		return fmt.Errorf("%w: with cluster.state existing cluster.members must name the others as well, and is %s", ErrNotAdded, listed(c.Members))
	}
	p, err := newPeers(ec, c.Members, logger)
	if err != nil {
		return err
	}
	own := ec.AdvertisePeerUrls[0].String()
	need := min(len(c.Members)/2+1, len(c.Members)-1)
	return p.until(ctx, "join the cluster", func(answers map[string]answer) (bool, *obstacle, error) {
		wait := &obstacle{remedy: "start them: a member joins when a majority of the others runs. To found a cluster instead, give all " +
			"its members cluster.state new"}
		added, started := map[uint64]bool{}, map[uint64]bool{}
		for _, name := range slices.Sorted(maps.Keys(answers)) {
			a := answers[name]
			switch {
			case a.err != nil:
				wait.silent = append(wait.silent, fmt.Sprintf("%s at %s does not answer (%v)", name, c.Members[name], a.err))
			case a.cluster == "":
				wait.other = append(wait.other, fmt.Sprintf("%s at %s is in no cluster yet", name, c.Members[name]))
			}
			for _, m := range a.known {
				if slices.Contains(m.PeerURLs, own) {
					added[m.ID] = true
					started[m.ID] = started[m.ID] || m.Name != "" || len(m.ClientURLs) > 0
				}
			}
		}
		if len(answers)-len(wait.silent)-len(wait.other) < need {
			return false, wait, nil
		}
		if len(added) == 0 {
			return false, nil, fmt.Errorf("%w: the cluster has no member at %s: add it with `dlm member add %s %s`",
				ErrNotAdded, own, ec.Name, c.Members[ec.Name])
		}
		for id := range added {
			if !started[id] {
				return true, nil, nil // any other is a former one at this address
			}
		}
		return false, nil, emptied(ec.Name, c.Members[ec.Name])
	})
}

func emptied(name, addr string) error {
	return fmt.Errorf("%w: the cluster has a member %q with data, and this directory has none. If the data is lost, replace the member: "+
		"`dlm member remove %s`, `dlm member add %s %s`, and start it with an empty data directory and cluster.state existing",
		ErrEmptied, name, name, name, addr)
}
