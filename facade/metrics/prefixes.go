package metrics

import "strings"

// classes are the prefixes of lock names that have a number of their own, the empty one first.
type classes struct {
	names []string
	at    map[string]int
}

func newClasses(prefixes []string) classes {
	c := classes{names: []string{""}, at: map[string]int{}}
	for _, p := range prefixes {
		if p = strings.TrimSuffix(p, "/"); p == "" {
			continue
		}
		if _, twice := c.at[p]; !twice {
			c.at[p] = len(c.names)
			c.names = append(c.names, p)
		}
	}
	return c
}

// of returns the number of a lock's class: that of the longest prefix, by whole segments.
func (c classes) of(lock string) int {
	if len(c.at) == 0 {
		return 0
	}
	for lock != "" {
		if n, is := c.at[lock]; is {
			return n
		}
		lock = lock[:max(0, strings.LastIndexByte(lock, '/'))]
	}
	return 0
}
