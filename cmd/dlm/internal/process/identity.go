package process

import (
	"fmt"
	"strconv"
	"strings"
)

// identity is one process, told apart from those that had its number before, and will have it
// later.
type identity struct {
	pid   int
	start uint64 // when it was started, in the kernel's ticks since boot; 0: not known here
}

func (id identity) String() string { return fmt.Sprintf("%d/%d", id.pid, id.start) }

func parseIdentity(text string) (identity, error) {
	pid, ticks, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(pid)
	if err != nil {
		return identity{}, err
	}
	at, err := strconv.ParseUint(ticks, 10, 64)
	if err != nil || n <= 1 || at == 0 {
		return identity{}, fmt.Errorf("%q is no process", text)
	}
	return identity{n, at}, nil
}

// member is a process of a tree, as of one look at it.
type member struct {
	identity
	parent, group, session int
	name                   string
	dead                   bool // it has ended, and its parent has not taken note
}

func (m member) String() string { return fmt.Sprintf("%d (%s)", m.pid, m.name) }
