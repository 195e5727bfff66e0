package coursework

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// Two ids are two requests of the store, whose form they have whatever is in them, and which can be
// taken apart again.
func FuzzRequest(f *testing.F) {
	for _, ids := range [][2]string{
		{"1-1", "1-01"}, {"1-0", "1-00"}, {"1-1", "1-+1"}, {"1-1", " 1-1"}, {"1-1", "2-1"}, {"", "."}, {"1-1", "1-1\x00"},
		{"1-9223372036854775807", "1-9223372036854775808"}, {"1-18446744073709551615", "1--1"}, {"h", "é"},
	} {
		f.Add(int32(1), ids[0], ids[1], int32(0))
	}
	f.Add(int32(math.MaxInt32), "2147483647-9223372036854775807", "2147483647-", int32(math.MaxInt32))
	f.Fuzz(func(t *testing.T, client int32, id, other string, era int32) {
		if client <= 0 || era < 0 {
			t.Skip() // never given
		}
		c := &caller{Client: etcdstore.Client{ID: client}, record: record{Era: int(era)}}
		request := c.request(id)
		if id != other && request == c.request(other) {
			t.Errorf("%q and %q are both %s", id, other, request)
		}
		if len(request) > etcdstore.MaxRequest || strings.Trim(request, "h0123456789abcdef.") != "" {
			t.Errorf("%q is %q, which is no request", id, request)
		}
		number, n, ok := parseRequest(request)
		if want, _ := counter(client, id); !ok || number != client || n != want {
			t.Errorf("%q is %s, which is parsed as %d, %d, %v; want %d, %d", id, request, number, n, ok, client, want)
		}
		if n, ok := counter(client, id); ok && id != fmt.Sprintf("%d-%d", client, n) {
			t.Errorf("%q counts as %d", id, n)
		}
	})
}

// What is taken for a request of this API is one that it makes: anybody may choose what stands in a
// lock.
func FuzzParseRequest(f *testing.F) {
	for _, request := range []string{
		"c1.1.0", "c01.1.0", "c+1.1.0", "c1.01.0", "c1.1.00", "c1.1.-0", "c-1.1.0", "c1.99999999999999999999.0", "c1..0", "c1.h.0",
		"c1.1.0.0", "c2147483648.1.0", "c1.9223372036854775808.0", "c1.h0123456789abcdef0123456789abcdef.3", "c1.1.0\n", "1",
	} {
		f.Add(request)
	}
	f.Fuzz(func(t *testing.T, request string) {
		number, n, ok := parseRequest(request)
		if !ok {
			if number != 0 || n != 0 {
				t.Errorf("%q is refused, and parsed as %d, %d", request, number, n)
			}
			return
		}
		parts := strings.Split(request, ".")
		name := strconv.FormatUint(n, 10)
		if n == 0 {
			name = parts[1]
		}
		era, err := strconv.Atoi(parts[len(parts)-1])
		if again := fmt.Sprintf("c%d.%s.%d", number, name, era); err != nil || again != request || number <= 0 {
			t.Errorf("%q is parsed as %s, %v", request, again, err)
		}
		if hash, is := strings.CutPrefix(name, "h"); is && (len(hash) != 32 || strings.Trim(hash, "0123456789abcdef") != "") {
			t.Errorf("%q has the hash %q", request, hash)
		}
	})
}

// A record that can be read is the same after it was written; what is remembered is found,
// forgotten, and bounded.
func FuzzRecord(f *testing.F) {
	many := record{Session: "0123456789abcdef.secret"}
	for i := range keptCalls + 2 {
		many.Calls = append(many.Calls, call{ID: fmt.Sprint("1-", i), Token: int64(i)})
	}
	for _, r := range []record{
		{},
		many,
		{Session: "a.b", Held: 7, Released: 6, Missed: 5, Wrote: 7, Last: math.MaxUint64, Era: 3},
		{Calls: []call{{ID: "1-1", Token: refused, Acquire: true}, {ID: "1-1", Wrote: true}, {ID: "\x00é\u2028"}}},
	} {
		stored, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(stored, "1-1")
	}
	for _, stored := range []string{`null`, `{"calls":null}`, `{"calls":[null]}`, `{"held":1e3}`, `{"era":-1}`, `{"CALLS":[{}]}`} {
		f.Add([]byte(stored), "")
	}
	f.Fuzz(func(t *testing.T, stored []byte, id string) {
		var r, again record
		if json.Unmarshal(stored, &r) != nil {
			return
		}
		written, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(written, &again); err != nil {
			t.Fatalf("%s, written as %s: %v", stored, written, err)
		}
		if len(r.Calls) == 0 {
			r.Calls, again.Calls = nil, nil
		}
		if !reflect.DeepEqual(r, again) {
			t.Errorf("%s became %s", stored, written)
		}

		known, seen := r.find(id)
		if seen && known.ID != id && known.ID != kept(id) {
			t.Errorf("%q is found as %+v", id, known)
		}
		if seen {
			r.lost(known)
		}
		for r.forget(id); seen; r.forget(id) { // a stored record may have it more than once
			_, seen = r.find(id)
		}
		before := len(r.Calls)
		made := call{ID: id, Token: 9, Acquire: true}
		r.remember(made)
		made.ID = kept(id)
		if got, ok := r.find(id); !ok || got != made {
			t.Errorf("%+v was remembered as %+v, %v", made, got, ok)
		}
		if n := len(r.Calls); n != min(before+1, keptCalls) {
			t.Errorf("%d calls are remembered after %d", n, before)
		}
		if lost := r.lost(made); lost != (r.Released < made.Token) {
			t.Errorf("lost %v, released %d", lost, r.Released)
		}
	})
}

// What is remembered of a client has a bound, whatever ids it chooses.
func TestRecordIsBounded(t *testing.T) {
	t.Parallel()
	c := &caller{Client: etcdstore.Client{ID: math.MaxInt32}, record: record{
		Session: strings.Repeat("s", 49), Held: math.MaxInt64, Released: math.MaxInt64, Missed: math.MaxInt64,
		Wrote: math.MaxInt64, Last: math.MaxUint64, Era: math.MaxInt64,
	}}
	for _, unit := range []string{"x", "\x00", "é", "\"", "<", "\U0010ffff", "\u2028"} {
		for n := range keptCalls + 2 {
			id := fmt.Sprint(n, strings.Repeat(unit, maxID/len(unit)))
			c.join(id)
			c.remember(call{ID: id, Token: math.MaxInt64, Kind: aRelease, Wrote: true, Session: c.Session, Staged: true, Done: true})
			if found, seen := c.find(id); !seen || !c.waiting(id) {
				t.Fatalf("%q is found as %+v, %v", id, found, seen)
			}
		}
		if stored, err := json.Marshal(c.record); err != nil || len(stored) >= 32<<10 || len(c.Place.IDs) != keptIDs {
			t.Errorf("with ids of %q: %d bytes, %d ids of a place, %v", unit, len(stored), len(c.Place.IDs), err)
		}
	}
	if kept("h:x") == "h:x" {
		t.Error("an id looks like a hash")
	}
}

// A file has one name, whatever path stands before it.
func FuzzFile(f *testing.F) {
	for _, name := range []string{
		"file_0", "file_99", "file_100", "file_00", "file_-1", "file_+1", "a/b/file_1", "file_1/", "file_1/.", "../file_7", "/", "",
		"file_1\n", "\nfile_1", "file_1\x00", "file_٣", `a\file_1`, "FILE_1",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		name, ok := file(sent)
		if !ok {
			for n := range Files {
				if last := fmt.Sprint("file_", n); sent == last || strings.HasSuffix(sent, "/"+last) {
					t.Errorf("%q is refused", sent)
				}
			}
			return
		}
		n, err := strconv.Atoi(strings.TrimPrefix(name, "file_"))
		if err != nil || n < 0 || n >= Files || name != fmt.Sprint("file_", n) {
			t.Errorf("%q is %q", sent, name)
		}
		if sent != name && !strings.HasSuffix(sent, "/"+name) {
			t.Errorf("%q is taken for %q", sent, name)
		}
	})
}
