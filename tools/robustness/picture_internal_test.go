package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What is untrue is drawn beside what really happened, and nothing of it is taken for markup.
func TestPicture(t *testing.T) {
	t.Parallel()
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	refused := answer{Call: callRelease, Session: alice, Lock: "a", Token: 10, Appended: true, Reason: "LOCK_EXPIRED", Asked: at(12), Answered: at(13), Text: "<script>"}
	other := answer{Call: callRelease, Session: bob, Lock: "a", Token: 12, Reason: "LOCK_EXPIRED", Asked: at(14), Answered: at(14)}
	elsewhere := answer{Call: callRelease, Session: bob, Lock: "b", Token: 12, Asked: at(13), Answered: at(13)}
	answers, epochs := []answer{refused, other, elsewhere}, []*epoch{past()}
	v := judge(answers[:2], epochs, true)
	if len(v.untrue) != 1 {
		t.Fatalf("untrue: %v; want the one", v.untrue)
	}
	fig := figureOf(v.untrue[0], answers, epochs)
	if len(fig.Lanes) != 2 || fig.Lanes[0].Name != alice || fig.Lanes[1].Name != bob {
		t.Fatalf("lanes %+v; want those of alice and bob", fig.Lanes)
	}
	if s := fig.Lanes[0].Sections; len(s) != 1 || s[0].Class != "published" || s[0].X != 0 || s[0].Width != width/4 {
		t.Errorf("alice's sections %+v; want one, published, over the first quarter", s)
	}
	if c := fig.Lanes[0].Calls; len(c) != 1 || c[0].Class != "accused" {
		t.Errorf("alice's calls %+v; want the untrue one", c)
	}
	if s, c := fig.Lanes[1].Sections, fig.Lanes[1].Calls; len(s) != 1 || s[0].Class != "undone" || len(c) != 1 || c[0].Class != "refused" {
		t.Errorf("bob's sections %+v and calls %+v; want one undone, and one refused", s, c)
	}
	path := filepath.Join(t.TempDir(), "untrue.html")
	if err := picture(path, "a run", v, answers, epochs); err != nil {
		t.Fatal(err)
	}
	html, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(html), "<script>") || !strings.Contains(string(html), "refused, and published") {
		t.Errorf("the page is not as it should be:\n%s", html)
	}
}
