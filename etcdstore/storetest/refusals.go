package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// testRefusals makes calls that must be refused, each with its error. After each, a commit of an
// empty section shows that nothing was written: it is the only change, so its token is the last
// one's successor.
func testRefusals(t *testing.T, s Subject) {
	c, o := lettered(t, s, "c"), Begin(t, s, "o")
	standing := c.Acquire("refusals/held")
	c.Append(standing, "f", "kept")
	probe := c.Acquire("refusals/probe")
	probe = c.Commit(probe)

	for _, r := range refusals(t, s, c, o, standing) {
		t.Run(r.name, func(t *testing.T) {
			err := r.call(Bounded(t))
			switch {
			case r.anyError && err == nil:
				t.Error("no error; want one")
			case !r.anyError && !errors.Is(err, r.want):
				t.Errorf("%v; want %v", err, r.want)
			}
			next := *probe
			token, err := s.Commit(Bounded(t), next.Section)
			if err != nil {
				t.Fatalf("Commit: %v", err)
			}
			if token != probe.Token+1 {
				t.Errorf("%d changes were made; want none", token-probe.Token-1)
			}
			probe = c.Section(probe.Lock, probe.request, token)
		})
	}
	if got := Inspect(t, s, "refusals/held"); got.Holder == nil || got.Holder.Token != standing.Token || got.Staged != 1 || got.QueueLength != 0 {
		t.Errorf("after all refusals the lock is %+v; want it held under %d, with one record", got, standing.Token)
	}
	c.Release(standing)
	WantContents(t, s, "refusals/held", "f", "kept")
	h := c.Acquire("refusals/large")
	c.Append(h, "f", strings.Repeat("x", etcdstore.MaxRecord))
	c.Release(h)
	if got := len(Contents(t, s, "refusals/large", "f")); got != etcdstore.MaxRecord {
		t.Errorf("the largest record has %d bytes; want %d", got, etcdstore.MaxRecord)
	}
}

// lettered begins a session whose id has a letter in its second half, so that there are upper-case
// forms of it. Etcd's lease ids are random enough: one in 43 has none.
func lettered(t *testing.T, s Subject, label string) *Client {
	t.Helper()
	for range 10 {
		if c := Begin(t, s, label); strings.ContainsAny(c.ID[8:], "abcdef") {
			return c
		}
	}
	t.Fatal("ten sessions in a row have ids without a letter")
	return nil
}

type refusal struct {
	name     string
	want     error // nil: the call succeeds, and changes nothing
	anyError bool  // instead: a wire may have no way to carry the argument at all
	call     func(context.Context) error
}

func refusals(t *testing.T, s Subject, c, o *Client, h *Held) (all []refusal) {
	add := func(name string, want error, call func(context.Context) error) {
		all = append(all, refusal{name: name, want: want, call: call})
	}
	acquire := func(c *Client, lock, request string, wait time.Duration, label string) func(context.Context) error {
		return func(ctx context.Context) error {
			args := c.Args(lock, request, wait)
			args.Label = label
			_, err := s.Acquire(ctx, args)
			return err
		}
	}
	badNames(s, c, h, add)
	badCredentials(t, s, c, o, h, add)
	badSections(s, c, o, h, add)

	for _, ttl := range []time.Duration{-1, -time.Hour, 1, time.Second, 2*time.Second - 1, 10*time.Minute + 1, 11 * time.Minute, 1 << 62} {
		add("TTL "+ttl.String(), etcdstore.ErrInvalidTTL, func(ctx context.Context) error {
			_, err := s.Init(ctx, etcdstore.InitArgs{TTL: ttl, Label: "c"})
			return err
		})
	}
	for _, wait := range []time.Duration{-2, -time.Hour, etcdstore.MaxWait + 1, 1 << 62} {
		add("wait "+wait.String(), etcdstore.ErrInvalidArgument, acquire(c, "refusals/free", "w", wait, ""))
	}
	for _, label := range []string{strings.Repeat("x", etcdstore.MaxLabel+1), "a\nb", "a\x00b", "a\x7fb", "a\u0085b", "a\xffb"} {
		first := len(all)
		add("label "+brief(label), etcdstore.ErrInvalidArgument, func(ctx context.Context) error {
			_, err := s.Init(ctx, etcdstore.InitArgs{Label: label})
			return err
		})
		add("acquisition's label "+brief(label), etcdstore.ErrInvalidArgument, acquire(c, "refusals/free", "l", 0, label))
		add("reason "+brief(label), etcdstore.ErrInvalidArgument, func(ctx context.Context) error {
			_, err := s.Evict(ctx, h.Lock, h.Token, label+strings.Repeat("x", etcdstore.MaxReason-etcdstore.MaxLabel))
			return err
		})
		for i := range all[first:] {
			all[first+i].anyError = strings.Contains(label, "\xff")
		}
	}
	add("no reason", etcdstore.ErrInvalidArgument, func(ctx context.Context) error {
		_, err := s.Evict(ctx, h.Lock, h.Token, "")
		return err
	})
	add("Evict under a negative token", etcdstore.ErrInvalidArgument, func(ctx context.Context) error {
		_, err := s.Evict(ctx, h.Lock, -1, "reason")
		return err
	})
	add("Evict of a free lock", etcdstore.ErrLockNotFound, func(ctx context.Context) error {
		_, err := s.Evict(ctx, "refusals/free", 0, "reason")
		return err
	})
	add("Evict under a token that is not the holder's", nil, func(ctx context.Context) error {
		out, err := s.Evict(ctx, h.Lock, h.Token-1, "reason")
		if out != nil {
			return fmt.Errorf("evicted %+v", *out)
		}
		return err
	})
	add("too many unfinished", etcdstore.ErrInvalidArgument, func(ctx context.Context) error {
		_, err := s.Heartbeat(ctx, etcdstore.HeartbeatArgs{Credential: c.Credential, Highest: 1, Unfinished: make([]etcdstore.Acquisition, etcdstore.MaxUnfinished+1)})
		return err
	})
	for _, n := range []int64{-1, -1 << 63} {
		add(fmt.Sprintf("Read at %d", n), etcdstore.ErrInvalidArgument, func(ctx context.Context) error {
			_, err := s.Read(ctx, etcdstore.ReadArgs{Lock: h.Lock, File: "f", Offset: n})
			return err
		})
		add(fmt.Sprintf("Tail at %d", n), etcdstore.ErrInvalidArgument, func(ctx context.Context) error {
			return s.Tail(ctx, etcdstore.TailArgs{Lock: h.Lock, File: "f", Offset: n}, func(etcdstore.Piece) error { return nil })
		})
	}
	add("Read of -1 bytes", etcdstore.ErrInvalidArgument, func(ctx context.Context) error {
		_, err := s.Read(ctx, etcdstore.ReadArgs{Lock: h.Lock, File: "f", Limit: -1})
		return err
	})
	add("Read of a staged file", etcdstore.ErrFileNotFound, func(ctx context.Context) error {
		_, err := s.Read(ctx, etcdstore.ReadArgs{Lock: h.Lock, File: "f"})
		return err
	})
	add("a page of -1", etcdstore.ErrInvalidArgument, func(ctx context.Context) error {
		_, _, err := s.ListFiles(ctx, "", -1, "")
		_, _, err2 := s.List(ctx, "", -1, "")
		if !errors.Is(err2, etcdstore.ErrInvalidArgument) {
			return err2
		}
		return err
	})
	for _, token := range []string{strings.Repeat("x", 4096), "/", "..", "a//b", "a\x00", "a/"} {
		add("a page token of locks "+brief(token), etcdstore.ErrInvalidArgument, func(ctx context.Context) error {
			_, _, err := s.List(ctx, "", 1, token)
			return err
		})
		add("a page token of files "+brief(token), etcdstore.ErrInvalidArgument, func(ctx context.Context) error {
			_, _, err := s.ListFiles(ctx, "a", 1, token)
			return err
		})
		add("a page token of all files "+brief("a//"+token), etcdstore.ErrInvalidArgument, func(ctx context.Context) error {
			_, _, err := s.ListFiles(ctx, "", 1, "a//"+token)
			return err
		})
	}
	add("a page token of one lock's files, for all", etcdstore.ErrInvalidArgument, func(ctx context.Context) error {
		_, _, err := s.ListFiles(ctx, "", 1, "f")
		return err
	})
	for _, prefix := range []string{"/", "a//", "a b", "a\x00", "ü", strings.Repeat("x", etcdstore.MaxLockName+1)} {
		add("prefix "+brief(prefix), etcdstore.ErrInvalidArgument, func(ctx context.Context) error {
			_, _, err := s.List(ctx, prefix, 0, "")
			return err
		})
		add("watch of prefix "+brief(prefix), etcdstore.ErrInvalidArgument, func(ctx context.Context) error {
			return s.Watch(ctx, prefix, func(*etcdstore.News) error { return nil })
		})
	}
	return all
}

// badNames puts malformed names wherever a name goes.
func badNames(s Subject, c *Client, h *Held, add func(string, error, func(context.Context) error)) {
	locks := []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a b", "a\nb", "a\x00b", "a\x7f", "ü", "a:b", "a*",
		strings.Repeat("x", etcdstore.MaxLockName+1),
		strings.TrimSuffix(strings.Repeat("a/", etcdstore.MaxLockSegments+1), "/"),
	}
	for _, lock := range locks {
		section := etcdstore.Section{Credential: c.Credential, Lock: lock, Token: h.Token}
		for name, call := range map[string]func(context.Context) error{
			"Acquire": func(ctx context.Context) error {
				_, err := s.Acquire(ctx, c.Args(lock, "bad", 0))
				return err
			},
			"Cancel": func(ctx context.Context) error {
				_, err := s.Cancel(ctx, c.Credential, etcdstore.Acquisition{Lock: lock, Request: "bad"})
				return err
			},
			"Heartbeat": func(ctx context.Context) error {
				_, err := s.Heartbeat(ctx, etcdstore.HeartbeatArgs{Credential: c.Credential, Highest: 1 << 40, Unfinished: []etcdstore.Acquisition{{Lock: lock, Request: "bad"}}})
				return err
			},
			"Release": func(ctx context.Context) error { return s.Release(ctx, section) },
			"Commit": func(ctx context.Context) error {
				_, err := s.Commit(ctx, section)
				return err
			},
			"Discard": func(ctx context.Context) error {
				_, err := s.Discard(ctx, section)
				return err
			},
			"Append": func(ctx context.Context) error {
				return AppendTo(ctx, s, etcdstore.Record{
					Credential: c.Credential, Lock: lock, Token: h.Token, Request: "bad", File: "f",
				})
			},
			"Read": func(ctx context.Context) error {
				_, err := s.Read(ctx, etcdstore.ReadArgs{Lock: lock, File: "f"})
				return err
			},
			"Tail": func(ctx context.Context) error {
				return s.Tail(ctx, etcdstore.TailArgs{Lock: lock, File: "f"}, func(etcdstore.Piece) error { return nil })
			},
			"Inspect": func(ctx context.Context) error {
				_, err := s.Inspect(ctx, lock)
				return err
			},
			"ListFiles": func(ctx context.Context) error {
				if lock == "" {
					return etcdstore.ErrInvalidName // means all of them
				}
				_, _, err := s.ListFiles(ctx, lock, 0, "")
				return err
			},
			"Evict": func(ctx context.Context) error {
				_, err := s.Evict(ctx, lock, 0, "reason")
				return err
			},
		} {
			add(name+" of lock "+brief(lock), etcdstore.ErrInvalidName, call)
		}
	}
	for _, file := range []string{"", ".", "..", "a/b", "/", "a b", "a\x00", "a\x1b[2J", "ü", strings.Repeat("x", etcdstore.MaxFileName+1)} {
		add("Append to file "+brief(file), etcdstore.ErrInvalidName, func(ctx context.Context) error {
			r := c.Record(h, file, "x")
			return AppendTo(ctx, s, r)
		})
		add("Read of file "+brief(file), etcdstore.ErrInvalidName, func(ctx context.Context) error {
			_, err := s.Read(ctx, etcdstore.ReadArgs{Lock: h.Lock, File: file})
			return err
		})
	}
	for _, request := range []string{"", "a/b", "a b", "a\x00", "ü", strings.Repeat("x", etcdstore.MaxRequest+1)} {
		add("Acquire by request "+brief(request), etcdstore.ErrInvalidName, func(ctx context.Context) error {
			_, err := s.Acquire(ctx, c.Args("refusals/free", request, 0))
			return err
		})
		add("Append by request "+brief(request), etcdstore.ErrInvalidName, func(ctx context.Context) error {
			r := c.Record(h, "f", "x")
			r.Request = request
			return AppendTo(ctx, s, r)
		})
	}
}

// badCredentials makes every call that needs a session with something that is none, or not one's
// own.
func badCredentials(t *testing.T, s Subject, c, o *Client, h *Held, add func(string, error, func(context.Context) error)) {
	id, secret, ok := strings.Cut(c.Credential, ".")
	if !ok || id != c.ID {
		t.Fatalf("the credential of %s is not its id, a dot and a secret", c.ID)
	}
	_, others, _ := strings.Cut(o.Credential, ".")
	flipped := "0"
	if secret[0] == '0' {
		flipped = "1"
	}
	all := func(name, credential string, guarded, living error) {
		section := etcdstore.Section{Credential: credential, Lock: h.Lock, Token: h.Token, Appended: true}
		add("Acquire with "+name, living, func(ctx context.Context) error {
			_, err := s.Acquire(ctx, etcdstore.AcquireArgs{Credential: credential, Acquisition: h.Acquisition()})
			return err
		})
		add("Cancel with "+name, living, func(ctx context.Context) error {
			_, err := s.Cancel(ctx, credential, h.Acquisition())
			return err
		})
		add("Heartbeat with "+name, living, func(ctx context.Context) error {
			_, err := s.Heartbeat(ctx, etcdstore.HeartbeatArgs{Credential: credential, Highest: o.Requests()})
			return err
		})
		add("Append with "+name, guarded, func(ctx context.Context) error {
			r := c.Record(h, "f", "x")
			r.Credential = credential
			return AppendTo(ctx, s, r)
		})
		add("Release with "+name, guarded, func(ctx context.Context) error { return s.Release(ctx, section) })
		add("Commit with "+name, guarded, func(ctx context.Context) error {
			_, err := s.Commit(ctx, section)
			return err
		})
		discarding := guarded
		if errors.Is(guarded, etcdstore.ErrLockExpired) {
			discarding = nil // it does not hold the lock, which is all that is asked
		}
		add("Discard with "+name, discarding, func(ctx context.Context) error {
			_, err := s.Discard(ctx, section)
			return err
		})
	}
	for name, credential := range map[string]string{
		"nothing":         "",
		"an id alone":     id,
		"no secret":       id + ".",
		"half a secret":   id + "." + secret[:len(secret)/2],
		"a long secret":   id + "." + secret + secret,
		"no id":           "." + secret,
		"a short id":      id[1:] + "." + secret,
		"a zero id":       "0000000000000000." + secret,
		"no hexadecimals": "xxxxxxxxxxxxxxxx." + secret,
		"a path":          "../" + id[3:] + "." + secret,
		"noise":           strings.Repeat("x", 10_000),

		// Whoever may inspect a lock sees its session's id: in any other form it must not pass for
		// that session's.
		"an upper-case id, and zeros":  strings.ToUpper(id) + "." + strings.Repeat("0", len(secret)),
		"an upper-case id":             strings.ToUpper(id) + "." + secret,
		"an id half in upper case":     id[:8] + strings.ToUpper(id[8:]) + "." + secret,
		"an upper-case secret":         id + "." + strings.Repeat("A", len(secret)),
		"a secret without hexadecimal": id + "." + strings.Repeat("x", len(secret)),
		"a secret with a line's end":   id + "." + secret[1:] + "\n",
	} {
		all(name, credential, etcdstore.ErrInvalidArgument, etcdstore.ErrInvalidArgument)
		add("CloseSession with "+name, etcdstore.ErrInvalidArgument, func(ctx context.Context) error { return s.CloseSession(ctx, credential) })
	}
	for name, credential := range map[string]string{
		"a wrong secret":   id + "." + flipped + secret[1:],
		"another's secret": id + "." + others,
		"zeros":            id + "." + strings.Repeat("0", len(secret)),
	} {
		all(name, credential, etcdstore.ErrSessionExpired, etcdstore.ErrSessionExpired)
		add("CloseSession with "+name, etcdstore.ErrSessionExpired, func(ctx context.Context) error { return s.CloseSession(ctx, credential) })
	}
	// What became of a section can be asked after its session's end, so an unknown session is no
	// error by itself.
	unknown := "7000000000000001." + secret
	all("an unknown session", unknown, etcdstore.ErrLockExpired, etcdstore.ErrSessionExpired)
	add("CloseSession with an unknown session", nil, func(ctx context.Context) error { return s.CloseSession(ctx, unknown) })
	all("another session", o.Credential, etcdstore.ErrLockExpired, nil)
}

// badSections uses tokens that do not hold the lock.
func badSections(s Subject, c, o *Client, h *Held, add func(string, error, func(context.Context) error)) {
	for _, b := range []struct {
		name  string
		token int64
		want  error
	}{
		{"token 0", 0, etcdstore.ErrInvalidArgument},
		{"token -1", -1, etcdstore.ErrInvalidArgument},
		{"a token above", h.Token + 1, etcdstore.ErrLockExpired},
		{"a token from the future", 1<<63 - 1, etcdstore.ErrWentBack},
		{"a token before the session", 1, etcdstore.ErrLockExpired},
	} {
		for _, appended := range []bool{false, true} {
			section := etcdstore.Section{Credential: c.Credential, Lock: h.Lock, Token: b.token, Appended: appended}
			add(fmt.Sprintf("Release under %s, %t", b.name, appended), b.want, func(ctx context.Context) error { return s.Release(ctx, section) })
			add(fmt.Sprintf("Commit under %s, %t", b.name, appended), b.want, func(ctx context.Context) error {
				_, err := s.Commit(ctx, section)
				return err
			})
		}
		add("Append under "+b.name, b.want, func(ctx context.Context) error {
			r := c.Record(h, "f", "x")
			r.Token = b.token
			return AppendTo(ctx, s, r)
		})
	}
	add("a record one byte too large", etcdstore.ErrTooLarge, func(ctx context.Context) error {
		return AppendTo(ctx, s, c.Record(h, "f", strings.Repeat("x", etcdstore.MaxRecord+1)))
	})
	add("a record of 10 MB", etcdstore.ErrTooLarge, func(ctx context.Context) error {
		return AppendTo(ctx, s, c.Record(h, "f", strings.Repeat("x", 10_000_000)))
	})
	add("a held lock, by another session", nil, func(ctx context.Context) error {
		g, err := s.Acquire(ctx, o.Args(h.Lock, o.Request(), 0))
		if err == nil && g.Outcome != etcdstore.Busy {
			err = fmt.Errorf("%+v; want busy", g)
		}
		return err
	})
}
