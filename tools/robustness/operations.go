package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/distributed-lock-manager/dlm/client"
	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// The sections of most locks append. Those of some do all that there is to be done to a file, so
// that it has one life after the other: see lives.go. What they do follows from what they say, so
// that nobody has to write it down.

// lifeLocks is how many locks have files with lives.
const lifeLocks = 2

func lifeLock(r *rand.Rand) string { return fmt.Sprint("life", r.IntN(lifeLocks)) }

// hasLives reports whether the files of a lock have lives.
func hasLives(lock string) bool { return strings.HasPrefix(lock, "life") }

// operation is what a section does to a file.
type operation struct {
	file, text string
	kind       kind
	offset     int64 // of a cut
}

// kind is what an operation does, as etcd has it.
type kind byte

const (
	appending kind = iota
	replacing
	removing
	cutting
)

func (k kind) String() string { return [...]string{"append", "replace", "remove", "cut"}[k] }

// operationOf is what a section does that says a line, its nth: on most locks it appends that.
func operationOf(lock, line string, n int) operation {
	o := operation{file: fileOf(lock, n), text: line}
	if !hasLives(lock) {
		return o
	}
	chance := chanceOf(line)
	o.text += filler(lock, line)
	switch may := chance % 8; {
	case n == 0 && tagOf(line) != "": // what has a tag says it
		if may < 2 {
			o.kind = replacing
		}
	case may == 0:
		return operation{file: o.file, kind: removing}
	case may < 3:
		return operation{file: o.file, kind: cutting, offset: int64(chance >> 8 % []uint64{300, 100_000}[chance>>40%2])}
	case may == 3:
		o.kind = replacing
	}
	return o
}

// chanceOf is a number that nobody knows who does not know the line.
func chanceOf(line string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(line)) // it has no errors
	return rand.New(rand.NewPCG(h.Sum64(), 0)).Uint64()
}

// filler is what follows on a line, so that some files have several chunks.
func filler(lock, line string) string {
	if !hasLives(lock) {
		return ""
	}
	size, chance := 0, chanceOf(line)
	switch chance >> 16 % 24 {
	case 0:
		size = 70_000
	case 1, 2, 3:
		size = 5_000
	}
	if size == 0 {
		return ""
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], chance)
	return strings.Repeat(hex.EncodeToString(b[:]), size/16) + "\n"
}

// says is an operation for a history: its line, and what else it does than to append that.
func (o operation) says() string {
	line := firstLine(o.text)
	switch {
	case o.kind == appending:
		return line + "\n"
	case o.text != "":
		line += "\n"
	}
	return fmt.Sprintf("%s%v %s %d\n", line, o.kind, o.file, o.offset)
}

// plausible reports whether a worker does such a thing to a file of a lock.
func (o operation) plausible(lock string) bool {
	line, rest, _ := strings.Cut(o.text, "\n")
	if o.text == "" {
		return hasLives(lock) && (o.kind == removing || o.kind == cutting) && slices.Contains(fileNames(lock), o.file)
	}
	return (o.kind == appending || o.kind == replacing && hasLives(lock)) && o.file == fileOf(lock, numberOf(line)) &&
		rest == filler(lock, line+"\n")
}

// message is an operation as the API has it.
func (o operation) message() *dlmv1.Operation {
	switch o.kind {
	case replacing:
		return client.Replace(o.file, []byte(o.text))
	case removing:
		return client.Remove(o.file)
	case cutting:
		return client.Cut(o.file, o.offset)
	}
	return client.Append(o.file, []byte(o.text))
}

// request is an operation as an append, that is staged under a token.
func (o operation) request(session, lock string, token int64, request string, number uint64) *dlmv1.AppendRequest {
	r := &dlmv1.AppendRequest{Session: session, Lock: lock, Token: token, Request: request, Number: number}
	if o.kind == appending {
		r.File, r.Data = o.file, []byte(o.text)
	} else {
		r.Operation = o.message()
	}
	return r
}

// parts reads what etcd has of operations.
type parts struct {
	rest []byte
	bad  bool
}

func (p *parts) number() uint64 {
	n, size := binary.Uvarint(p.rest)
	if size <= 0 {
		p.bad, p.rest = true, nil
		return 0
	}
	p.rest = p.rest[size:]
	return n
}

func (p *parts) text() string {
	size := p.number()
	if size > uint64(len(p.rest)) {
		p.bad, p.rest = true, nil
		return ""
	}
	text := string(p.rest[:size])
	p.rest = p.rest[size:]
	return text
}

// target reads what is done, and to which file. What it is done with follows.
func (p *parts) target() (o operation) {
	if len(p.rest) > 1 && p.rest[0] == 0 {
		o.kind, p.rest = kind(p.rest[1]), p.rest[2:]
		p.bad = p.bad || o.kind == appending || o.kind > cutting
	}
	o.file = p.text()
	return o
}

// with takes in what an operation is done with.
func (p *parts) with(o *operation, text string) {
	switch o.kind {
	case appending, replacing:
		o.text = text
	case cutting:
		offset := parts{rest: []byte(text)}
		o.offset = int64(offset.number())
		p.bad = p.bad || offset.bad || len(offset.rest) > 0
	default:
		p.bad = p.bad || text != ""
	}
}

// parseStaged reads a record: its place in its section, and what it does.
func parseStaged(value []byte) (number uint64, o operation, err error) {
	p := parts{rest: value}
	number = p.number()
	o = p.target()
	p.with(&o, string(p.rest))
	if p.bad {
		return 0, o, fmt.Errorf("a record is malformed: %.80q", value)
	}
	return number, o, nil
}

// parseOperations reads what a section does that is published in one call.
func parseOperations(value []byte) (all []operation, err error) {
	p := parts{rest: value}
	for len(p.rest) > 0 && !p.bad {
		o := p.target()
		p.with(&o, p.text())
		all = append(all, o)
	}
	if p.bad {
		return nil, fmt.Errorf("a section is malformed: %.80q", value)
	}
	return all, nil
}

// firstLine is what of a text is not filler.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
