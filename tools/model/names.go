package main

import (
	"fmt"
	"strings"
)

// Names are the one part of the protocol that the states leave out: there is one lock in them. Keys
// of two locks must never meet, whatever the locks, the files and the requests are called.

// keyed is a key, or with prefix a range of keys, and whose it is.
type keyed struct {
	lock, key string
	prefix    bool
}

func (k keyed) meets(o keyed) bool {
	return k.key == o.key || k.prefix && strings.HasPrefix(o.key, k.key) || o.prefix && strings.HasPrefix(k.key, o.key)
}

// namesCollide looks for two locks whose keys meet, among all names of up to three short segments,
// with end at the end of a lock's name in the keys that have something behind it. A segment may
// look like a token, or like a session.
func namesCollide(end string) string {
	segments := []string{"a", "0000000000000001"}
	var names []string
	for _, x := range segments {
		names = append(names, x)
		for _, y := range segments {
			names = append(names, x+"/"+y)
			for _, z := range segments {
				names = append(names, x+"/"+y+"/"+z)
			}
		}
	}
	var keys []keyed
	for _, l := range names {
		for _, x := range segments { // a token, a session, or a file
			keys = append(keys,
				keyed{l, "staged/" + l + end + x + "/", true},
				keyed{l, "commits/" + l + end + x, false},
				keyed{l, "undone/" + l + end + x, false},
				keyed{l, "files/" + l + end + x, false},
				keyed{l, "chunks/" + l + end + x + end, true},
			)
			for _, y := range segments { // a request
				keys = append(keys, keyed{l, "staged/" + l + end + x + "/" + y, false})
			}
		}
		keys = append(keys, keyed{l, "locks/" + l, false}, keyed{l, "queue/" + l + end, true}, keyed{l, "commits/" + l + end, true})
	}
	for i, a := range keys {
		for _, b := range keys[i+1:] {
			if a.lock != b.lock && a.meets(b) {
				return fmt.Sprintf("%s of lock %s meets %s of lock %s", a.key, a.lock, b.key, b.lock)
			}
		}
	}
	return ""
}
