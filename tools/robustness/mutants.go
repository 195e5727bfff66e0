package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// mutant is one rule of docs/protocol.md, broken. Who breaks it is built into a second binary by
// the sites of sites.go, none of which is in the product, and chosen by mutantEnv when that starts.
type mutant struct {
	name string // also in the site
	rule string // that is broken, as docs/protocol.md says it
	slow bool   // it is not found within seconds: it takes a race, or a state that is rare
}

// mutantEnv chooses which mutant a process is.
const mutantEnv = "DLM_MUTANT"

// mutants are all rules that can be broken.
func mutants() []mutant {
	return []mutant{
		{name: "append-without-guard", rule: "append: guard"},
		{name: "append-guarded-by-memory", rule: "append: the guard is compared, not looked at before", slow: true},
		{name: "append-twice", rule: "append: c(record)=0", slow: true},
		{name: "guard-without-token", rule: "guard: m(locks/L)=T"},
		{name: "guard-without-session", rule: "guard: Lease(locks/L)=S"},
		{name: "release-without-guard", rule: "release: guard"},
		{name: "release-without-marker", rule: "release: put the marker"},
		{name: "publish-apart", rule: "release: the marker in the same transaction"},
		{name: "marker-of-anybody", rule: "the marker says that it is S's", slow: true},
		{name: "commit-keeps-token", rule: "commit: put locks/L again"},
		{name: "discard-without-note", rule: "discard: a note for the marker"},
		{name: "evict-without-note", rule: "evict: put the note"},
		{name: "evict-without-token", rule: "evict: m(locks/L)=T", slow: true},
		{name: "grant-of-a-held-lock", rule: "acquire: c(locks/L)=0"},
		{name: "grant-past-the-queue", rule: "acquire: m(waited/L); try: nothing under queue/L//", slow: true},
		{name: "place-beside-a-hold", rule: "wait: held by this very (S, r)", slow: true},
		{name: "pass-to-the-last", rule: "release: the first waiter"},
		{name: "pass-by-name", rule: "places are in the order of their CreateRevision"},
		{name: "pass-beyond-the-watch", rule: "a waiter is next only as far as the watch has come"},
		{name: "pass-to-who-left", rule: "release: its key at its CreateRevision"},
		{name: "pass-without-lease", rule: "release: put locks/L on the waiter's lease"},
		{name: "promote-a-held-lock", rule: "promote: c(locks/L)=0", slow: true},
		{name: "cancel-unseen-grant", rule: "cancel: held by (S, r): it was granted", slow: true},
		{name: "heartbeat-from-memory", rule: "a heartbeat reads etcd"},
		{name: "truth-says-success", rule: "the truth rule: success only for what was published"},
		{name: "truth-forgets", rule: "the truth rule: history is asked"},
		{name: "sweep-blindly", rule: "sweep: m(locks/L)≠T, c(commits/L//T)=0"},
		{name: "fold-without-heads", rule: "fold: m(files/L//F) as it was read", slow: true},
		{name: "fold-keeps-marker", rule: "fold: delete the markers in the last step"},
		{name: "fold-out-of-order", rule: "fold: the oldest sections first"},
		{name: "publish-without-fresh", rule: "publish: V(applied/L//lane) is below its number"},
		{name: "publish-though-forgotten", rule: "publish: forgotten is not above born", slow: true},
		{name: "publish-to-a-held-lock", rule: "publish: c(locks/L)=0"},
		{name: "publish-past-the-queue", rule: "publish: m(waited/L) as acquire has it", slow: true},
		{name: "publish-beside-a-grant", rule: "a batch has either publishes of a lock or a grant of it", slow: true},
		{name: "publish-into-a-taken-slot", rule: "publish: nothing in its slot", slow: true},
		{name: "publish-without-note", rule: "publish: put applied/L//lane"},
		{name: "publish-without-latest", rule: "publish: with it put latest/L"},
		{name: "withdraw-without-note", rule: "withdraw: put applied/L//lane, withdrawn"},
		{name: "withdrawn-as-published", rule: "publish: what applied/L//lane says of this number"},
		{name: "condition-without-latest", rule: "publish: with a condition m(latest/L) as it was when that held"},
		{name: "conflict-from-memory", rule: "a conflict is told only of a condition that is false by now"},
		{name: "finish-without-fresh", rule: "finish: the lane as in publish"},
		{name: "finish-without-note", rule: "finish: put applied/L//lane"},
		{name: "finish-without-condition", rule: "finish: the condition is evaluated while T holds"},
		{name: "run-without-fresh", rule: "run: each lane as in publish", slow: true},
		{name: "run-past-a-waiter", rule: "run: the first waiters are publishes"},
		{name: "run-beside-a-grant", rule: "run: grants nobody"},
		{name: "fold-without-version", rule: "fold: put folded/L"},
		{name: "fold-bundles-by-slot", rule: "sections are in the order of their versions"},
		{name: "version-without-n", rule: "a file's version is (token, n)"},
		{name: "fold-ignores-removals", rule: "an operation of a section is done, whatever it is"},
		{name: "life-at-old-positions", rule: "a life begins where the one before has ended"},
		{name: "life-without-n", rule: "a life is named by the version of the section that began it"},
		{name: "cut-without-base", rule: "what is cut is before an offset of its life"},
		{name: "fold-without-garbage", rule: "fold: put garbage/L//F of what was replaced, removed or cut"},
		{name: "clean-one-too-many", rule: "clean: delete chunks that garbage/L//F says can go"},
		{name: "pieces-of-any-life", rule: "all pieces that are read are of the life that was asked for"},
		{name: "read-what-is-cleaned", rule: "who finds a chunk gone looks at the head again", slow: true},
		{name: "tail-mixes-lives", rule: "a tail is told that a file is replaced"},
		{name: "condition-adds-up-lives", rule: "a condition is evaluated on what the sections come to", slow: true},
		{name: "sdk-success-without-evidence", rule: "an answer is true, the SDK's as well"},
		{name: "sdk-repeats-under-another-request", rule: "a repeat under the same request is the same attempt", slow: true},
		{name: "sdk-tail-of-any-life", rule: "a tail goes on at another server in the life that it was in"},
		{name: "sdk-publishes-under-another-number", rule: "a repeat of a publish has its number", slow: true},
	}
}

// overlay writes the broken source into dir, and returns the file that tells go build of it.
func overlay(dir, root string) (file string, err error) {
	replaced, err := brokenSources(root)
	if err != nil {
		return "", err
	}
	for pkg, a := range added() {
		replaced[filepath.Join(root, pkg, "mutated.go")] = fmt.Sprintf(
			"package %s\n\nimport (\n\t\"os\"%s\n)\n\nvar mutation = os.Getenv(%q)\n\nfunc mutated(name string) bool { return mutation == name }\n%s",
			filepath.Base(pkg), a.imports, mutantEnv, a.code)
	}
	var o struct{ Replace map[string]string }
	o.Replace = map[string]string{}
	for path, text := range replaced {
		at := filepath.Join(dir, fmt.Sprint("mutated", len(o.Replace), ".go"))
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			return "", err
		}
		o.Replace[path] = at
	}
	b, err := json.Marshal(o)
	if err != nil {
		return "", err
	}
	file = filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, b, 0o600)
}

// brokenSources are the files with sites, all of them broken.
func brokenSources(root string) (map[string]string, error) {
	text := map[string]string{}
	for _, s := range sites() {
		path := filepath.Join(root, s.file)
		if text[path] == "" {
			b, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			text[path] = string(b)
		}
		if n := strings.Count(text[path], s.old); n != 1 {
			return nil, fmt.Errorf("%s has changed: it has %d times, want once:\n%s", s.file, n, s.old)
		}
		text[path] = strings.Replace(text[path], s.old, s.broken, 1)
	}
	return text, nil
}
