package config

import (
	"errors"
	"strings"
	"time"
)

// Hold says how long locks may be held.
type Hold struct {
	Max []HoldMax
}

// HoldMax is how long the locks may be held whose names begin with a prefix.
type HoldMax struct {
	Prefix  string // whole segments of names; "*": all locks
	MaxHold time.Duration
}

// everyLock is the prefix of all locks.
const everyLock = "*"

func holdSettings() []setting {
	return []setting{
		{name: "hold.max", field: func(c *Config) any { return &c.Hold.Max },
			meaning: "List of how long locks may be held before their holder is evicted, counted from the grant, each with `prefix` (of names, up to a slash or the end; `\"*\"`: all locks) and `max-hold` (" +
				bounds(minHold, maxHold) + ", or `0s`: for ever). The longest prefix counts, or what the holder asked for if that is shorter. Taken over on SIGHUP, for what is granted from then on. In the environment as YAML or JSON."},
	}
}

// holdText is a HoldMax as it is written. A duration of its own would take a number for one of
// nanoseconds.
type holdText struct {
	Prefix  string `yaml:"prefix"`
	MaxHold string `yaml:"max-hold"`
}

func parseHoldMax(value any) ([]HoldMax, error) {
	const want = "a list of sections with prefix and max-hold, a duration with its unit"
	texts, err := parseList[holdText](value)
	if err != nil {
		return nil, errors.New(want)
	}
	var list []HoldMax
	for _, text := range texts {
		d, err := time.ParseDuration(text.MaxHold)
		if err != nil {
			return nil, errors.New(want)
		}
		list = append(list, HoldMax{text.Prefix, d})
	}
	return list, nil
}

func holdTexts(list []HoldMax) (texts []holdText) {
	for _, h := range list {
		texts = append(texts, holdText{h.Prefix, duration(h.MaxHold)})
	}
	return texts
}

// validate checks all but whether a prefix can be that of a name, which the store knows.
func (h Hold) validate(f *faults) {
	seen := map[string]bool{}
	for _, limit := range h.Max {
		f.check(limit.Prefix != "", "hold.max", limit.Prefix, `a prefix of names with each, or "*" for all locks`)
		f.check(limit.Prefix == everyLock || !strings.ContainsAny(limit.Prefix, "*"), "hold.max", limit.Prefix,
			`a prefix without a star, or "*" alone for all locks`)
		f.check(!seen[limit.Prefix], "hold.max", limit.Prefix, "each prefix once")
		seen[limit.Prefix] = true
		if limit.MaxHold != 0 {
			f.between("hold.max", limit.MaxHold, minHold, maxHold)
		}
	}
}

// All reports whether the limit is that of all locks.
func (h HoldMax) All() bool { return h.Prefix == everyLock }
