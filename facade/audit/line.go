package audit

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/distributed-lock-manager/dlm/internal/text"
)

// Line is what the log says of a call. The package's comment has what its fields mean.
type Line struct {
	Time     time.Time     `json:"-"`
	Server   string        `json:"server,omitempty"`
	Identity string        `json:"identity,omitempty"`
	Peer     string        `json:"peer,omitempty"`
	Verb     string        `json:"verb,omitempty"`
	Method   string        `json:"method,omitempty"`
	Lock     string        `json:"lock,omitempty"`
	Request  string        `json:"request,omitempty"`
	Session  string        `json:"session,omitempty"`
	Token    int64         `json:"token,omitempty"`
	Revision int64         `json:"revision,omitempty"`
	Reason   string        `json:"reason,omitempty"`
	Outcome  string        `json:"outcome,omitempty"`
	Took     time.Duration `json:"-"`

	// Refusal: the call was refused before it could change anything. Such a line may be dropped by
	// a required log, too.
	Refusal bool `json:"-"`
}

// entry is what waits to be written: a line, or a number of lines that were dropped.
type entry struct {
	Line
	dropped int64
}

// encode returns entries as lines.
func encode(entries []entry) []byte {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	encoder.SetEscapeHTML(false)
	for _, e := range entries {
		at := e.Time.UTC().Format("2006-01-02T15:04:05.000000Z")
		var line any = struct {
			Time string `json:"time"`
			Line
			Took int64 `json:"took_us"`
		}{at, e.Line, e.Took.Microseconds()}
		if e.dropped > 0 {
			line = struct {
				Time    string `json:"time"`
				Dropped int64  `json:"dropped"`
			}{at, e.dropped}
		}
		_ = encoder.Encode(line) // text and numbers can be encoded
	}
	return text.EscapeLines(lines.Bytes())
}
