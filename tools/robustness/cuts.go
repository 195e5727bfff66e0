package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// someTime is how long a fault of networks or disks lasts.
func someTime(rnd *rand.Rand) time.Duration {
	return time.Duration(1000+rnd.IntN(9000)) * time.Millisecond
}

// cut is a way to cut a network: who drops what, of the members in the order that chance has put
// them in.
type cut struct {
	name   string
	choose func(r *run, rnd *rand.Rand, members []*space) []drop
}

// cuts are the faults of a layout's network. What a member is cut off from are the other members,
// and with separate servers these as well, unless it says otherwise.
func cuts(separate bool) (list []fault) {
	all := []cut{
		{"member sends, and receives nothing", func(_ *run, _ *rand.Rand, m []*space) []drop { return receiveNothing(m[0], m[1:]...) }},
		{"member receives, and sends nothing", func(_ *run, _ *rand.Rand, m []*space) []drop { return sendNothing(m[0], m[1:]...) }},
		{"members joined by one alone", func(_ *run, _ *rand.Rand, m []*space) []drop { return bothWays(m[0], m[2:]...) }},
	}
	if separate {
		all = append(all,
			cut{"member cut off from its peers alone", func(_ *run, _ *rand.Rand, m []*space) []drop { return bothWays(m[0], m[1:]...) }},
			cut{"server cut off from etcd", func(r *run, rnd *rand.Rand, m []*space) []drop { return bothWays(someServer(r, rnd), m...) }},
			cut{"server cut off from one member", func(r *run, rnd *rand.Rand, m []*space) []drop { return bothWays(someServer(r, rnd), m[0]) }},
		)
	}
	for _, c := range all {
		list = append(list, fault{c.name, 2, func(ctx context.Context, r *run, rnd *rand.Rand) error {
			return r.cut(ctx, c.name, someTime(rnd), c.choose(r, rnd, inAnyOrder(rnd, r.l.memberSpaces)))
		}})
	}
	for name, leads := range map[string]bool{"leader cut off": true, "follower cut off": false} {
		list = append(list, fault{name, 3, func(ctx context.Context, r *run, rnd *rand.Rand) error {
			return r.cutByRole(ctx, name, leads, rnd)
		}})
	}
	slices.SortFunc(list, func(a, b fault) int { return strings.Compare(a.name, b.name) })
	return list
}

func inAnyOrder[T any](rnd *rand.Rand, from []T) []T {
	list := slices.Clone(from)
	rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func someServer(r *run, rnd *rand.Rand) *space {
	return r.l.serverSpaces[rnd.IntN(len(r.l.serverSpaces))]
}

// cut drops for a while, and sees whether anything was.
func (r *run) cut(ctx context.Context, name string, last time.Duration, drops []drop) error {
	before, err := dropped(drops[0].in)
	if err != nil {
		return err
	}
	if err := r.l.net.apply(true, drops...); err != nil {
		return err
	}
	pause(ctx, last)
	after, err := dropped(drops[0].in)
	if after > before {
		r.effects.add(name)
	}
	return errors.Join(err, r.l.net.apply(false, drops...))
}

// cutByRole cuts off the member that leads, or another one; not now if nobody leads.
func (r *run) cutByRole(ctx context.Context, name string, leads bool, rnd *rand.Rand) error {
	last, other := someTime(rnd), 1+rnd.IntN(members-1)
	return r.leader(ctx, func(leader int) error {
		i := leader
		if !leads {
			i = (i + other) % members
		}
		others := slices.DeleteFunc(slices.Clone(r.l.net.spaces), func(s *space) bool { return s == r.l.memberSpaces[i] })
		if err := r.cut(ctx, name, last, bothWays(r.l.memberSpaces[i], others...)); err != nil || !leads {
			return err
		}
		if now := r.whoLeads(ctx); now >= 0 && now != i {
			r.effects.add("(leader cut off: another one leads)")
		}
		return nil
	})
}
