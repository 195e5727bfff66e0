package config

import (
	"math"
	"strconv"
	"strings"
)

// unit is what sizes are counted in.
type unit struct {
	name  string
	bytes int64
}

// units returns them all, the largest first.
func units() []unit {
	return []unit{
		{"GiB", 1 << 30}, {"GB", 1e9}, {"MiB", 1 << 20}, {"MB", 1e6}, {"KiB", 1 << 10}, {"KB", 1e3},
	}
}

// ParseSize reads a whole number of bytes, or of a unit.
func ParseSize(text string) (bytes int64, ok bool) {
	times := int64(1)
	for _, u := range units() {
		if number, found := strings.CutSuffix(text, u.name); found {
			text, times = strings.TrimRight(number, " "), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n > math.MaxInt64/times || n < math.MinInt64/times {
		return 0, false
	}
	return n * times, true
}

// FormatSize is bytes in the largest unit of which they are a whole number.
func FormatSize(bytes int64) string {
	for _, u := range units() {
		if bytes != 0 && bytes%u.bytes == 0 {
			return strconv.FormatInt(bytes/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(bytes, 10)
}
