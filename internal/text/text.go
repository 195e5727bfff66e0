package text

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Plain reports whether a text may be shown as it is: it is UTF-8, without control characters, line
// and paragraph separators, and what changes the direction of writing.
func Plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unsafe)
}

// unsafe reports whether a character is not to be shown.
func unsafe(r rune) bool {
	if r <= unicode.MaxASCII { // as nearly all are
		return r < ' ' || r == '\x7f'
	}
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// Escape returns a text with everything in it that is not to be shown as an escape of Go's. It
// returns a text that is plain as it is, and what it has returned before.
func Escape(s string) string {
	if Plain(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case unsafe(r):
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		default:
			b.WriteRune(r)
		}
		s = s[size:]
	}
	return b.String()
}

// EscapeLines returns lines of JSON, or of a log, with everything that is not to be shown as an
// escape of JSON's, which says the same within its strings. Lines stay lines, and tabs tabs.
func EscapeLines(lines []byte) []byte {
	hidden := func(r rune) bool { return r != '\n' && r != '\t' && unsafe(r) }
	if utf8.Valid(lines) && !bytes.ContainsFunc(lines, hidden) {
		return lines
	}
	var b []byte
	for _, r := range string(lines) {
		if hidden(r) { // all of them lie below U+10000
			b = fmt.Appendf(b, `\u%04x`, r)
		} else {
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}
