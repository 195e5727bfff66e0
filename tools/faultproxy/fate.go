package faultproxy

import (
	"math/rand/v2"
	"slices"
	"sync"
)

// Leg is the way that a message goes.
type Leg int

// The legs of a call.
const (
	Request Leg = iota + 1
	Reply
)

// Fate is what becomes of a message. The zero Fate delivers it once, at once.
type Fate struct {
	Lost  bool            // never delivered
	Break bool            // its call, or its stream, breaks off with UNAVAILABLE
	Twice bool            // delivered twice
	After <-chan struct{} // delivered when this is closed; nil: at once
	Again <-chan struct{} // delivered once more when this is closed, if it is a request; nil: it is not
}

// Met is the first message that a rule was for.
type Met struct {
	Arrived <-chan struct{} // closed when it has come to the proxy
	Settled <-chan struct{} // closed when each of its deliveries was answered, or failed
}

// Rates are probabilities of the fates of messages that no rule is for.
type Rates struct {
	Requests float64 // of a request to be lost
	Replies  float64 // of a reply to be lost
	Twice    float64 // of either to be delivered twice
	Breaks   float64 // of what is lost to break its call or stream as well
}

// Counts is what was done to messages.
type Counts struct {
	Lost, Doubled, Delayed int
}

// rule is for the next message of its kind, or for each.
type rule struct {
	method           string // empty: any
	leg              Leg
	fate             Fate
	every            bool
	parts            *parts // of its first message; nil: it has met that
	arrived, settled chan struct{}
}

// parts counts the deliveries of a message that are on their way.
type parts struct {
	running sync.WaitGroup
}

// fates decides what becomes of messages.
type fates struct {
	mu     sync.Mutex
	rules  []*rule
	rates  Rates
	rnd    *rand.Rand
	counts Counts
}

func (f *fates) add(r *rule) Met {
	r.arrived, r.settled = make(chan struct{}), make(chan struct{})
	r.parts = &parts{}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, r)
	return Met{Arrived: r.arrived, Settled: r.settled}
}

// meeting is a message and its fate.
type meeting struct {
	Fate
	first *rule // whose first message this is; nil: none's
}

// begin counts a delivery, to be ended by what it returns.
func (m meeting) begin() (end func()) {
	if m.first == nil {
		return func() {}
	}
	m.first.parts.running.Add(1)
	return m.first.parts.running.Done
}

func (f *fates) meet(method string, leg Leg) meeting {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := meeting{}
	i := slices.IndexFunc(f.rules, func(r *rule) bool {
		return r.leg == leg && (r.method == "" || r.method == method) && !r.over()
	})
	if i < 0 {
		m.Fate = f.draw(leg)
	} else {
		r := f.rules[i]
		m.Fate = r.fate
		if r.parts != nil && !isClosed(r.arrived) {
			m.first = r
			close(r.arrived)
		}
		if !r.every {
			f.rules = slices.Delete(f.rules, i, i+1)
		}
	}
	if m.Lost {
		f.counts.Lost++
	}
	if m.Twice {
		f.counts.Doubled++
	}
	if m.After != nil || m.Again != nil {
		f.counts.Delayed++
	}
	return m
}

// over reports whether a rule that delays has no more to delay, or to repeat.
func (r *rule) over() bool {
	after, again := r.fate.After, r.fate.Again
	return r.every && (after != nil || again != nil) && (after == nil || isClosed(after)) && (again == nil || isClosed(again))
}

// draw is called with mu held.
func (f *fates) draw(leg Leg) Fate {
	if f.rnd == nil {
		return Fate{}
	}
	lost := f.rates.Requests
	if leg == Reply {
		lost = f.rates.Replies
	}
	if f.rnd.Float64() < lost {
		return Fate{Lost: true, Break: f.rnd.Float64() < f.rates.Breaks}
	}
	return Fate{Twice: f.rnd.Float64() < f.rates.Twice}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
