package etcdstore_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/etcdstore"
	"github.com/distributed-lock-manager/dlm/etcdstore/storetest"
)

// A page token of somebody's says nothing, and is of use to that identity alone, for the listing
// that it is of, through every store.
func TestPageTokens(t *testing.T) {
	t.Parallel()
	etcd := startEtcd(t)
	here, elsewhere := openStore(t, etcd), openStore(t, etcd)
	c := begin(t, here)
	for i := range 4 {
		lock := fmt.Sprint("hidden/", i)
		c.Publish(lock, fmt.Sprint("secret", i), "x")
		c.Publish("hidden", fmt.Sprint("secret", i), "x")
		c.Acquire(lock)
	}
	for i := range 200 {
		intrude(t, etcd, fmt.Sprintf("locks/hidden/bad%03d", i), "malformed")
	}
	type list func(ctx context.Context, s *etcdstore.Store, after string) (entries int, next string, err error)
	locks := func(prefix string) list {
		return func(ctx context.Context, s *etcdstore.Store, after string) (int, string, error) {
			all, next, err := s.List(ctx, prefix, 100, after)
			return len(all), next, err
		}
	}
	files := func(lock string) list {
		return func(ctx context.Context, s *etcdstore.Store, after string) (int, string, error) {
			all, next, err := s.ListFiles(ctx, lock, 3, after)
			return len(all), next, err
		}
	}
	listings := map[string]list{
		"locks": locks(""), "locks below a prefix": locks("hidden"), "files of all": files(""), "files of one": files("hidden"),
		"problems": func(ctx context.Context, s *etcdstore.Store, after string) (int, string, error) {
			all, next, err := s.Problems(ctx, after)
			return len(all), next, err
		},
	}
	in := func(owner string) context.Context { return etcdstore.WithOwner(storetest.Bounded(t), owner) }
	tokens := map[string]string{}
	for name, list := range listings {
		var of [2]int
		for i, owner := range []string{none, alice} {
			token := ""
			for page := 0; page == 0 || token != ""; page++ {
				n, next, err := list(in(owner), []*etcdstore.Store{here, elsewhere}[page%2], token)
				if err != nil || page > 20 {
					t.Fatalf("%s, page %d of %q: %v", name, page, owner, err)
				}
				of[i] += n
				token = next
				if owner == alice && page == 0 {
					tokens[name] = next
				}
			}
		}
		if of[0] != of[1] || of[0] == 0 {
			t.Errorf("%s: %d entries in plain pages, %d in sealed ones", name, of[0], of[1])
		}
	}
	for name, token := range tokens {
		raw, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || strings.Contains(token+string(raw), "hidden") || strings.Contains(token+string(raw), "secret") {
			t.Errorf("%s: the token %q is %q, %v; want it to say nothing", name, token, raw, err)
		}
		for _, caller := range []string{alice, bob} { // to nobody it is a name like any other
			for other, list := range listings {
				if caller == alice && other == name {
					continue
				}
				_, _, err := list(in(caller), here, token)
				storetest.Want(t, fmt.Sprintf("%s with the token of %s, by %q", other, name, caller), err, etcdstore.ErrInvalidArgument)
			}
		}
		for _, forged := range []string{token + "A", token[1:], token[:len(token)-1], "A", "hidden/1", strings.ToLower(token), token + "="} {
			_, _, err := listings[name](in(alice), here, forged)
			storetest.Want(t, fmt.Sprintf("%s with %q", name, forged), err, etcdstore.ErrInvalidArgument)
		}
	}
}
