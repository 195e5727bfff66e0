package etcdstore

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of names and of texts for people, in bytes.
const (
	MaxLockName     = 255
	MaxLockSegments = 16 // not bytes: between the slashes of a lock's name
	MaxFileName     = 128
	MaxRequest      = 64
	MaxLabel        = 128
	MaxOwner        = 512
	MaxReason       = 256
)

// quoted quotes a client's name, cut to a length that is safe to log or to send back. The name may
// be anything: it is an error's to say that it is none.
func quoted(name string) string {
	const most = 64
	if len(name) > most {
		return strconv.Quote(name[:most]) + "…"
	}
	return strconv.Quote(name)
}

// plain reports whether s is not empty and has only the bytes that names are made of.
func plain(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return s != ""
}

// segment reports whether s may stand between the slashes of a name. "." and ".." may not, so that
// a name can be used as a path.
func segment(s string) bool { return plain(s) && s != "." && s != ".." }

// CheckLock returns nil if a lock can have a name, and an [ErrInvalidName] that says why if it
// cannot. A name has 1 to [MaxLockSegments] segments of [A-Za-z0-9._-]+, but for "." and "..", with
// single slashes between them, and [MaxLockName] bytes at most.
func CheckLock(name string) error {
	if len(name) == 0 || len(name) > MaxLockName {
		return fmt.Errorf("%w: lock %s: want 1 to %d bytes, got %d", ErrInvalidName, quoted(name), MaxLockName, len(name))
	}
	n := 0
	for s := range strings.SplitSeq(name, "/") {
		if n++; n > MaxLockSegments {
			return fmt.Errorf("%w: lock %s: more than %d segments", ErrInvalidName, quoted(name), MaxLockSegments)
		}
		if !segment(s) {
			return fmt.Errorf("%w: lock %s: segment %s: want [A-Za-z0-9._-]+, not . or ..", ErrInvalidName, quoted(name), quoted(s))
		}
	}
	return nil
}

// isLock reports whether a lock can have a name. Unlike CheckLock it does not say why, and
// allocates nothing: every key that the watch brings is asked about.
func isLock(name string) bool {
	if len(name) == 0 || len(name) > MaxLockName || strings.Count(name, "/") >= MaxLockSegments {
		return false
	}
	for s := range strings.SplitSeq(name, "/") {
		if !segment(s) {
			return false
		}
	}
	return true
}

func isFile(name string) bool { return len(name) <= MaxFileName && segment(name) }

func isRequest(request string) bool { return len(request) <= MaxRequest && plain(request) }

func checkFile(name string) error {
	if !isFile(name) {
		return fmt.Errorf("%w: file %s: want one segment of [A-Za-z0-9._-], %d bytes at most, not . or ..", ErrInvalidName, quoted(name), MaxFileName)
	}
	return nil
}

func checkRequest(request string) error {
	if !isRequest(request) {
		return fmt.Errorf("%w: request %s: want [A-Za-z0-9._-]{1,%d}", ErrInvalidName, quoted(request), MaxRequest)
	}
	return nil
}

func checkAcquisition(a Acquisition) error {
	if err := CheckLock(a.Lock); err != nil {
		return err
	}
	return checkRequest(a.Request)
}

// checkPrefix accepts what a lock's name may begin with: whole segments, the last of which may be
// cut short.
func checkPrefix(prefix string) error {
	if len(prefix) > MaxLockName {
		return fmt.Errorf("%w: prefix %s: want at most %d bytes, got %d", ErrInvalidArgument, quoted(prefix), MaxLockName, len(prefix))
	}
	last := strings.LastIndexByte(prefix, '/')
	whole, cut := prefix[:max(last, 0)], prefix[last+1:]
	if last >= 0 && CheckLock(whole) != nil || cut != "" && !plain(cut) {
		return fmt.Errorf("%w: prefix %s: no lock's name begins like this", ErrInvalidArgument, quoted(prefix))
	}
	return nil
}

// checkText bounds what only people read. Control characters could change what a terminal shows.
func checkText(what, text string, most int) error {
	if len(text) > most {
		return fmt.Errorf("%w: %s of %d bytes: want at most %d", ErrInvalidArgument, what, len(text), most)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return fmt.Errorf("%w: %s %s: want UTF-8 without control characters", ErrInvalidArgument, what, quoted(text))
	}
	return nil
}

func checkToken(token int64) error {
	if token <= 0 {
		return fmt.Errorf("%w: token %d: want what a grant answered", ErrInvalidArgument, token)
	}
	return nil
}

func checkTTL(ttl time.Duration) error {
	if ttl < MinTTL || ttl > MaxTTL {
		return fmt.Errorf("%w: %s: want %s to %s", ErrInvalidTTL, ttl, MinTTL, MaxTTL)
	}
	return nil
}

func checkWait(wait time.Duration) error {
	if wait != WaitForever && (wait < 0 || wait > MaxWait) {
		return fmt.Errorf("%w: wait %s: want 0 to %s", ErrInvalidArgument, wait, MaxWait)
	}
	return nil
}

func checkHold(hold time.Duration) error {
	if hold != 0 && (hold < MinHold || hold > MaxHold) {
		return fmt.Errorf("%w: hold %s: want 0, or %s to %s", ErrInvalidArgument, hold, MinHold, MaxHold)
	}
	return nil
}

// requestNumber is a request's number, if it has one: decimal, from 1, without leading zeros, so
// that no two requests have the same.
func requestNumber(request string) (uint64, bool) {
	if request == "" || request[0] < '1' || request[0] > '9' {
		return 0, false // "+1" and "01" are names like any other
	}
	n, err := strconv.ParseUint(request, 10, 64)
	return n, err == nil
}
