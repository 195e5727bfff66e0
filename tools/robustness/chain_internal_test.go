package main

import (
	"fmt"
	"hash/crc32"
	"testing"
	"time"
)

// chained is an epoch in which sections have published such records, the first under token 10.
func chained(sections ...[]string) *epoch {
	e := &epoch{from: time.Unix(0, 0)}
	put := func(rev int64, key, value string) {
		e.changes = append(e.changes, change{rev: rev, created: rev, key: key, value: []byte(value), seen: time.Unix(rev, 0)})
	}
	for i, records := range sections {
		token := int64(10 * (i + 1))
		put(token, "locks/"+chainLock, fmt.Sprintf("%s.%d\x00{}", alice, i))
		for n, text := range records {
			put(token+1+int64(n), fmt.Sprintf("staged/%s//%016x/%d", chainLock, token, n), "\x01\x03log"+text)
		}
		put(token+9, fmt.Sprintf("commits/%s//%016x", chainLock, token), alice)
		e.changes = append(e.changes, change{rev: token + 9, key: "locks/" + chainLock, deleted: true, seen: time.Unix(token+9, 0)})
	}
	return e
}

// linkOn is the nth link of a section that follows on what is in the file.
func linkOn(token int64, n int, file string) string {
	return link(token, n, int64(len(file)), crc32.ChecksumIEEE([]byte(file)))
}

// A link that does not follow on all that was published before it is found, and no other.
func TestJudgeChain(t *testing.T) {
	t.Parallel()
	one := linkOn(10, 0, "")
	two := linkOn(10, 1, one)
	three := linkOn(20, 0, one+two)
	four := linkOn(30, 0, one+two+three)
	for name, test := range map[string]struct {
		sections [][]string
		untrue   int
	}{
		"nothing":                    {nil, 0},
		"a chain":                    {[][]string{{one, two}, {three}, {four}}, 0},
		"a section that was empty":   {[][]string{{one, two}, {three}, {}, {linkOn(40, 0, one+two+three)}}, 0},
		"a link is missing":          {[][]string{{one, two}, {}, {four}}, 1},
		"the first is missing":       {[][]string{{}, {three}}, 1},
		"doubled":                    {[][]string{{one, two}, {three}, {linkOn(30, 0, one+two)}}, 1},
		"doubled, in one section":    {[][]string{{one, linkOn(10, 1, "")}}, 1},
		"in another order":           {[][]string{{one}, {linkOn(20, 0, one+linkOn(30, 0, one))}, {linkOn(30, 0, one)}}, 2},
		"from a stale read":          {[][]string{{one, two}, {three}, {linkOn(30, 0, one)}}, 1},
		"of the size, from another":  {[][]string{{one}, {linkOn(20, 0, linkOn(11, 0, ""))}}, 1},
		"whole again after a broken": {[][]string{{one}, {linkOn(20, 0, "")}, {linkOn(30, 0, one+linkOn(20, 0, ""))}}, 1},
	} {
		v, links := judge(nil, []*epoch{chained(test.sections...)}, true), 0
		found := 0
		for _, a := range v.untrue {
			if a.checker == byChain {
				found++
			}
		}
		for _, s := range test.sections {
			links += len(s)
		}
		if found != test.untrue || v.linked != links {
			t.Errorf("%s: %d are untrue of %d: %v; want %d of %d", name, found, v.linked, v.untrue, test.untrue, links)
		}
	}
}

// What a restore has undone is in no chain; what comes after it follows on the snapshot.
func TestJudgeChainAfterARestore(t *testing.T) {
	t.Parallel()
	one := linkOn(10, 0, "")
	for name, test := range map[string]struct {
		then   string // what the file had, for who published after the restore
		untrue bool
	}{
		"follows on the snapshot":      {one, false},
		"follows on what was undone":   {one + linkOn(20, 0, one), true},
		"follows on nothing, as if it": {"", true},
	} {
		tr := newTruth()
		tr.epochs[0].changes = chained([]string{one}, []string{linkOn(20, 0, one)}).changes
		tr.restore(19, 30)
		later := chained(nil, nil, nil, []string{linkOn(40, 0, test.then)}).changes
		for _, c := range later {
			if c.rev >= 40 {
				tr.current().changes = append(tr.current().changes, c)
			}
		}
		v := judge(nil, tr.soFar(), true)
		found := false
		for _, a := range v.untrue {
			found = found || a.checker == byChain
		}
		if found != test.untrue || v.linked != 2 {
			t.Errorf("%s: of %d links, %v; want any untrue of 2: %t", name, v.linked, v.untrue, test.untrue)
		}
	}
}

// All links of a section go to the one file.
func TestLinksGoToOneFile(t *testing.T) {
	t.Parallel()
	for n := range mostLinks {
		if got := fileOf(chainLock, n); got != chainFile().name {
			t.Errorf("link %d goes to %s; want %s", n, got, chainFile().name)
		}
	}
}
