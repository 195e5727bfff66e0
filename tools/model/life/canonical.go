package life

import "math/bits"

// canonical gives states that differ in nothing that matters the same form: of revisions only the
// order does.
func (s *state) canonical() {
	all := []*revision{
		&s.now, &s.head.made, &s.head.put, &s.garbage.put,
		&s.reader.first.made, &s.reader.first.put, &s.reader.head.made, &s.reader.head.put,
	}
	for f := range s.servers {
		v := &s.servers[f]
		all = append(all, &v.fold.head, &v.clean.garbage, &v.retain.made, &v.retain.put)
	}
	var used uint64
	for _, r := range all {
		used |= 1 << *r
	}
	for _, r := range all {
		if *r > 0 {
			*r = revision(bits.OnesCount64(used&(1<<*r-1)&^1)) + 1
		}
	}
}
