package auth_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/distributed-lock-manager/dlm/facade/auth"
)

// What Below says of a text is what Allows says of the names that begin with it.
func TestBelow(t *testing.T) {
	policy, err := auth.ParsePolicy([]byte(`
rules:
  - {identity: "cn:a", locks: [b, a/b/c, a/bb, ab/a/a], allow: [read]}
  - {identity: "cn:a", locks: [a, b/a, b/b/b, c], deny: [read]}
  - {identity: "cn:b", locks: ["*"], allow: [read]}
  - {identity: "cn:b", locks: [a, b/a], deny: [read]}
  - {identity: "cn:b", locks: [a/b], allow: [read]}
`))
	if err != nil {
		t.Fatal(err)
	}
	var names, level []string
	level = []string{""}
	for range 4 {
		var next []string
		for _, above := range level {
			for _, segment := range []string{"a", "b", "c", "aa", "ab", "bb", "zz"} {
				next = append(next, strings.TrimPrefix(above+"/"+segment, "/"))
			}
		}
		names, level = append(names, next...), next
	}
	for _, id := range []auth.Identity{"cn:a", "cn:b", "cn:c"} {
		view := policy.For(id)
		below := map[string]bool{}
		for _, name := range names {
			if view.Allows(auth.Read, name) {
				for n := range len(name) + 1 {
					below[name[:n]] = true
				}
			}
		}
		for _, text := range append(names[:len(names)-len(level)], "", "a/", "b/", "b/a/", "b/b/b/", "c/", "d", "a/b/c", "a/b/", "ab/a/", "b/b/") {
			if got := view.Below(auth.Read, text); got != below[text] {
				t.Errorf("%s, below %q: %v, want %v", id, text, got, below[text])
			}
		}
	}
	if view := (*auth.Policy)(nil).For("cn:a"); !view.Below(auth.Read, "a") || !view.OfLock("a") {
		t.Error("without a policy something is denied")
	}
	for id, want := range map[auth.Identity]string{"cn:a": "[false true false]", "cn:b": "[false true true]", "cn:c": "[false false false]"} {
		view := policy.For(id)
		if got := fmt.Sprint([]bool{view.OfLock("a"), view.OfLock("b"), view.OfLock("zz")}); got != want {
			t.Errorf("%s: anything of a, b, zz: %s, want %s", id, got, want)
		}
	}
}
