package main

import "strings"

// clientSteps are what a client, or a server for it, does besides.
func (m *model) clientSteps(s *state, a int8, out func(step, state)) {
	c := s.clients[a]
	script := m.scripts[a].calls
	if c.status == working && script[c.call] == 'A' {
		for f := range int8(servers) {
			v := &s.servers[f]
			switch {
			case v.holder != 0 && s.section(v.holder).who == a:
				n := *s
				m.told(&n, a, call{kind: 'A'}, txn{answer: ok, token: v.holder})
				out(step{what: "the mirror shows the grant", server: f + 1, client: a + 1, token: v.holder, answer: ok}, n)
			case v.places[a] == 0 && s.hadSection(a):
				n := *s
				m.told(&n, a, call{kind: 'A'}, txn{answer: lockExpired})
				out(step{what: "granted, and lost, before the mirror showed it", server: f + 1, client: a + 1, answer: lockExpired}, n)
			}
		}
		if s.left.cancels > 0 {
			n := *s
			n.left.cancels--
			n.clients[a].status = givingUp
			out(step{what: "gives up its wait", client: a + 1}, n)
		}
	}
	if c.status == working && strings.IndexByte("dub", script[c.call]) >= 0 && c.token != 0 {
		n := *s
		n.clients[a].call++
		out(step{what: "goes on without an answer", client: a + 1}, n)
	}
	if m.heartbeats {
		m.heartbeat(s, a, out)
	}
}

// hadSection reports whether an acquisition has held the lock, and does no longer.
func (s *state) hadSection(a int8) bool {
	for t := token(1); t <= s.granted; t++ {
		if s.section(t).who == a && s.lock != t {
			return true
		}
	}
	return false
}

// heartbeat ends an acquisition that the client does not list. A heartbeat from before the acquire
// does not list it either, and may come at any time; the highest number in it says that it knows
// nothing of it.
func (m *model) heartbeat(s *state, a int8, out func(step, state)) {
	late := !s.clients[a].done()
	if late && !m.open.has(heartbeatWithoutNumber) {
		return
	}
	end := func(e step, t txn) {
		n := *s
		if !n.commit(t) {
			return
		}
		if late {
			n.fail(liveHoldEnded)
		}
		out(e, n)
		if e.server > 0 {
			n.servers[e.server-1].own(s, &n)
			e.known = true
			out(e, n)
		}
	}
	if s.places[a] != 0 {
		end(step{what: "a heartbeat without it: cancel", client: a + 1}, m.cancel(s, a))
		return
	}
	if s.lock == 0 || s.section(s.lock).who != a {
		return
	}
	for f := range int8(servers) {
		e := step{what: "a heartbeat without it: evict", server: f + 1, client: a + 1, token: s.lock}
		end(e, m.evict(s, &s.servers[f], !m.open.has(evictWithoutNote)))
	}
}
