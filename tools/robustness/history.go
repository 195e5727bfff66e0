package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Calls of a history.
const (
	callAcquire   = "acquire"
	callAppend    = "append"
	callRelease   = "release"
	callCommit    = "commit"
	callDiscard   = "discard"
	callHeartbeat = "heartbeat" // one acquisition of one heartbeat
	callEvict     = "evict"
	callRead      = "read" // of the whole file
	callPublish   = "publish"
	callWithdraw  = "withdraw"
	callDlmAppend = "dlm append"
	callDlmChange = "dlm rm, cut" // what has no data to say who it is
	callPiece     = "read a piece"
	callTail      = "tail" // one piece of it
)

// What was answered, besides the reasons of the API.
const (
	ok            = "" // success
	indeterminate = "INDETERMINATE"
	busy          = "BUSY"
	cancelled     = "CANCELLED"
	published     = "PUBLISHED" // to a discard: it came too late
	conflict      = "CONFLICT"
	withdrawn     = "WITHDRAWN"                 // to a publish, or to its withdrawal
	notSent       = "NOT SENT"                  // the SDK's word of a publish
	unasked       = "OUTCOME_UNKNOWN (UNASKED)" // the SDK's word, which found no server to ask
)

// answer is one answer to one call, as a worker saw it.
type answer struct {
	Call     string    `json:"call"`
	Asked    time.Time `json:"asked"`
	Answered time.Time `json:"answered"`
	Session  string    `json:"session,omitempty"` // public id of the caller; empty: the session that was granted Token
	Lock     string    `json:"lock,omitempty"`
	Token    int64     `json:"token,omitempty"` // the call's
	Request  string    `json:"request,omitempty"`
	Begun    time.Time `json:"begun,omitzero"`  // when a client of the coursework's API was
	Other    bool      `json:"other,omitempty"` // of a section that is not the caller's
	Appended bool      `json:"appended,omitempty"`
	Data     string    `json:"data,omitempty"`  // an append's; of a publish its tag
	File     string    `json:"file,omitempty"`  // a read's
	Sends    int       `json:"sends,omitempty"` // how often the call had been sent, as far as is known
	Reason   string    `json:"reason,omitempty"`
	Got      int64     `json:"got,omitempty"` // a token (of a publish the holder's), a revision, or a file's size, that was answered
	Sum      uint32    `json:"sum,omitempty"` // of a file that was read, CRC-32
	Holding  bool      `json:"holding,omitempty"`
	Text     string    `json:"text,omitempty"` // of an error, for people

	Version    version `json:"version,omitzero"`     // of a publish, or of a file that was read
	Lane       string  `json:"lane,omitempty"`       // of a publish by the API, 32 hex digits
	Number     uint64  `json:"number,omitempty"`     // in its lane
	Born       int64   `json:"born,omitempty"`       // as far as it was said
	Operations int     `json:"operations,omitempty"` // of a publish
	Client     string  `json:"client,omitempty"`     // of the SDK, that publishes one thing after the other

	Piece *piece `json:"piece,omitempty"` // of a file that has lives

	If    *condition `json:"if,omitempty"`    // of a publish
	Roams bool       `json:"roams,omitempty"` // a publish that is sent under several sessions, or under none as well
	Now   *lockNow   `json:"now,omitempty"`   // what a conflict was told of; nil: nothing was said
}

func (a answer) String() string {
	b, _ := json.Marshal(a)
	return string(b)
}

// history is a worker's file of answers: each is written at once, so that a worker that is killed
// loses none.
type history struct {
	mu   sync.Mutex
	file *os.File
}

func newHistory(path string) (*history, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return &history{file: f}, err
}

func (h *history) add(a answer) {
	a.Answered = time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, err := h.file.WriteString(a.String() + "\n"); err != nil {
		panic(err)
	}
}

// readHistories reads the answers of all workers up to now. A last line that was cut off by a kill
// was no answer to anybody. The files are read one after the other: what was answered meanwhile is
// left out, or there would be reads of what others have written down after their file was read.
func readHistories(dir string) (all []answer, err error) {
	now := time.Now()
	files, err := filepath.Glob(filepath.Join(dir, "*.history"))
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		var bad string
		for lines.Scan() {
			if bad != "" {
				return nil, fmt.Errorf("%s: malformed line %q", name, bad)
			}
			var a answer
			if json.Unmarshal(lines.Bytes(), &a) != nil {
				bad = lines.Text()
				continue
			}
			if !a.Answered.After(now) {
				all = append(all, a)
			}
		}
		if err := lines.Err(); err != nil {
			return nil, err
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// record is the text of one append: it says which section it belongs to, and where in it.
func record(lock string, token int64, n int) string {
	return fmt.Sprintf("%s %d %d\n", lock, token, n)
}

func parseRecord(line string) (lock string, token int64, n int, err error) {
	_, err = fmt.Sscanf(strings.TrimSpace(line), "%s %d %d", &lock, &token, &n)
	return lock, token, n, err
}
