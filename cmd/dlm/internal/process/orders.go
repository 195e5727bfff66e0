//go:build unix

package process

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
)

// state is what the guard has to know when the wrapper dies.
type state struct {
	group   int               // the command's process group; 0: it has none, or none any more
	session int               // the group's
	mark    string            // what the environment of each process of the tree contains; empty: they are none of its business
	outside map[identity]bool // processes of the tree that have left the group
	then    []byte            // what is to be done afterwards; nil: nothing
}

// orders keep the state where the guard can read it whenever the wrapper dies: in two files that
// both have open and that have no name. One is written to, a line for each change, and when it has
// become long the state goes into the other one, before the first is emptied. So at any time what
// is in both, taken together, has everything.
type orders struct {
	state
	files   [2]*os.File
	current int
	size    int // of the current file
}

// orderLimit is how long a file may become, in bytes.
const orderLimit = 64 << 10

func newOrders() (*orders, error) {
	o := &orders{state: state{outside: map[identity]bool{}}}
	for i := range o.files {
		f, err := unnamedFile()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("make a file for the guard: %w", err), o.close())
		}
		o.files[i] = f
	}
	return o, nil
}

func (o *orders) close() error {
	var err error
	for _, f := range o.files {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// The lines of a file, each with what follows it.
const (
	orderGroup   = "group"   // number, session
	orderMark    = "mark"    // the mark
	orderOutside = "outside" // an identity
	orderThen    = "then"    // what to do, in base64
)

func (o *orders) setGroup(group, session int) error {
	o.group, o.session = group, session
	return o.write(orderGroup, group, session)
}

func (o *orders) setMark(mark string) error {
	o.mark = mark
	return o.write(orderMark, mark)
}

func (o *orders) setThen(what []byte) error {
	o.then = what
	return o.write(orderThen, base64.StdEncoding.EncodeToString(what))
}

// setOutside names all processes outside of the group.
func (o *orders) setOutside(now map[identity]bool) error {
	var added []byte
	for id := range now {
		if !o.outside[id] {
			added = append(added, line(orderOutside, id)...)
		}
	}
	o.outside = maps.Clone(now)
	if len(added) == 0 {
		return nil
	}
	return o.put(added)
}

func (o *orders) write(word string, values ...any) error { return o.put(line(word, values...)) }

func line(word string, values ...any) []byte {
	text := []byte(word)
	for _, v := range values {
		text = fmt.Append(append(text, ' '), v)
	}
	return append(text, '\n')
}

// put writes whole lines, of which the state has all already.
func (o *orders) put(lines []byte) error {
	if o.size+len(lines) <= orderLimit {
		n, err := o.files[o.current].Write(lines)
		o.size += n
		return err
	}
	old, other := o.files[o.current], o.files[1-o.current]
	text := o.state.text()
	if _, err := other.Write(text); err != nil {
		return err
	}
	o.current, o.size = 1-o.current, len(text)
	return rewind(old)
}

// rewind empties a file.
func rewind(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.Seek(0, io.SeekStart)
	return err
}

// text is a file that says all of it.
func (s state) text() []byte {
	text := line(orderGroup, s.group, s.session)
	if s.mark != "" {
		text = append(text, line(orderMark, s.mark)...)
	}
	for id := range s.outside {
		text = append(text, line(orderOutside, id)...)
	}
	if s.then != nil {
		text = append(text, line(orderThen, base64.StdEncoding.EncodeToString(s.then))...)
	}
	return text
}

// readOrders reads what a wrapper that has died had written. A line that is not whole says nothing.
func readOrders(files [2]*os.File) (state, error) {
	all := state{outside: map[identity]bool{}}
	for _, f := range files {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return state{}, err
		}
		text, err := io.ReadAll(f)
		if err != nil {
			return state{}, err
		}
		one := parseOrders(string(text))
		// Both have something if the wrapper died between filling one and emptying the other.
		maps.Copy(all.outside, one.outside)
		if one.group != 0 {
			all.group, all.session = one.group, one.session
		}
		if one.mark != "" {
			all.mark = one.mark
		}
		if one.then != nil {
			all.then = one.then
		}
	}
	return all, nil
}

func parseOrders(text string) state {
	s := state{outside: map[identity]bool{}}
	for text := range strings.SplitAfterSeq(text, "\n") {
		text, whole := strings.CutSuffix(text, "\n")
		if !whole {
			break
		}
		word, rest, _ := strings.Cut(text, " ")
		switch word {
		case orderGroup:
			if _, err := fmt.Sscan(rest, &s.group, &s.session); err != nil {
				s.group, s.session = 0, 0
			}
		case orderMark:
			s.mark = rest
		case orderOutside:
			if id, err := parseIdentity(rest); err == nil {
				s.outside[id] = true
			}
		case orderThen:
			if b, err := base64.StdEncoding.DecodeString(rest); err == nil {
				s.then = b
			}
		}
	}
	return s
}
