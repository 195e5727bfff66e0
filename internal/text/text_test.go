package text_test

import (
	"encoding/json"
	"testing"

	"github.com/distributed-lock-manager/dlm/internal/text"
)

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"cron@host:7":              "cron@host:7",
		"naïve 漢字 שלום \U0001f600": "naïve 漢字 שלום \U0001f600",
		"a\u200db":                 "a\u200db", // joins letters, and emoji
		"a\x00\x1b[31m\x7f\n":      `a\x00\x1b[31m\x7f\n`,
		"a\u0085\u009bb":           `a\u0085\u009bb`,
		"ab\u202ecd\u202c":         `ab\u202ecd\u202c`,
		"\u061c\u200e\u200f":       `\u061c\u200e\u200f`,
		"\u2066\u2067\u2068\u2069": `\u2066\u2067\u2068\u2069`,
		"a\u2028b\u2029":           `a\u2028b\u2029`,
		"a\xff\xfe":                `a\xff\xfe`,
		"a\xed\xa0\x80":            `a\xed\xa0\x80`,
		`a\u202e"'`:                `a\u202e"'`,
		"it's \u202e":              `it's \u202e`,
		"\ufffd":                   "\ufffd",
	} {
		got := text.Escape(in)
		if got != want || !text.Plain(got) || text.Escape(got) != got || text.Plain(in) != (in == want) {
			t.Errorf("Escape(%q) = %q, plain: %t; want %q", in, got, text.Plain(got), want)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("a\x00\u202e\xff")
	f.Fuzz(func(t *testing.T, s string) {
		if got := text.Escape(s); !text.Plain(got) || text.Escape(got) != got {
			t.Errorf("Escape(%q) = %q is not plain", s, got)
		}
		before, err := json.Marshal(map[string]string{s: s})
		if err != nil {
			t.Fatal(err)
		}
		var was, is map[string]string
		after := text.EscapeLines(before)
		if json.Unmarshal(before, &was) != nil || json.Unmarshal(after, &is) != nil || !text.Plain(string(after)) {
			t.Fatalf("%q became %q", before, after)
		}
		for k, v := range was {
			if is[k] != v {
				t.Errorf("%q became %q, which says something else", before, after)
			}
		}
	})
}
