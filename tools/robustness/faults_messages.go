package main

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/distributed-lock-manager/dlm/tools/faultproxy"
)

// messageFaults are those of a network that loses, delays and repeats messages, each on the way to
// one server.
func messageFaults() []fault {
	return []fault{
		{"messages lost and doubled", 3, func(ctx context.Context, r *run, rnd *rand.Rand) error {
			defer r.truth.doubles()()
			p := pick(rnd, r.l.messages)
			p.SetRates(faultproxy.Rates{Requests: 0.1, Replies: 0.1, Twice: 0.2, Breaks: 0.5}, rnd.Uint64())
			pause(ctx, time.Duration(1000+rnd.IntN(6000))*time.Millisecond)
			p.SetRates(faultproxy.Rates{}, 0)
			return nil
		}},
		{"messages held back", 3, func(ctx context.Context, r *run, rnd *rand.Rand) error {
			// They come all at once, in any order.
			over := make(chan struct{})
			leg := []faultproxy.Leg{faultproxy.Request, faultproxy.Reply}[rnd.IntN(2)]
			pick(rnd, r.l.messages).Every("", leg, faultproxy.Fate{After: over})
			pause(ctx, time.Duration(500+rnd.IntN(4000))*time.Millisecond)
			close(over)
			return nil
		}},
		{"requests repeated later", 3, func(ctx context.Context, r *run, rnd *rand.Rand) error {
			defer r.truth.doubles()()
			over := make(chan struct{})
			pick(rnd, r.l.messages).Every("", faultproxy.Request, faultproxy.Fate{Again: over})
			pause(ctx, time.Duration(500+rnd.IntN(6000))*time.Millisecond)
			close(over)
			return nil
		}},
	}
}
