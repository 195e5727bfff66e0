package auth

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/distributed-lock-manager/dlm/etcdstore"
)

// Policy says who may do what: see the package's comment. It does not change; another file makes
// another policy. The nil Policy allows everything to everybody.
type Policy struct {
	rules   []rule
	revoked []Revocation

	mu    sync.Mutex
	views map[Identity]*View
}

// rule is one entry of the file.
type rule struct {
	line    int
	who     pattern
	locks   []string // empty text: all
	allowed [verbs]bool
	denied  [verbs]bool
}

// Revocation takes away from identities what they may do.
type Revocation struct {
	who    pattern
	before time.Time // only what was issued before; zero: whatever was issued
	// EndsSessions is whether their sessions are ended as well. Else they end when nobody renews
	// them.
	EndsSessions bool
}

// Covers reports whether a credential of an identity is revoked, by when it was issued.
func (r Revocation) Covers(id Identity, issued time.Time) bool {
	return r.who.matches(id) && (r.before.IsZero() || issued.Before(r.before))
}

// policyFile is the file's form.
type policyFile struct {
	Rules   []ruleText       `yaml:"rules"`
	Revoked []revocationText `yaml:"revoked"`
}

type ruleText struct {
	Identity string   `yaml:"identity"`
	Locks    []string `yaml:"locks"`
	Allow    []string `yaml:"allow"`
	Deny     []string `yaml:"deny"`

	line int
}

// UnmarshalYAML notes where the rule stands.
func (r *ruleText) UnmarshalYAML(node *yaml.Node) error {
	type plain ruleText
	r.line = node.Line
	return strictly(node, (*plain)(r), "identity", "locks", "allow", "deny")
}

type revocationText struct {
	Identity     string    `yaml:"identity"`
	IssuedBefore time.Time `yaml:"issued-before"`
	Sessions     string    `yaml:"sessions"`

	line int
}

// UnmarshalYAML notes where the revocation stands.
func (r *revocationText) UnmarshalYAML(node *yaml.Node) error {
	type plain revocationText
	r.line = node.Line
	return strictly(node, (*plain)(r), "identity", "issued-before", "sessions")
}

// strictly decodes a mapping, of which a key that is not known is an error. The decoder's own
// setting for that does not reach into types that decode themselves.
func strictly(node *yaml.Node, to any, keys ...string) error {
	for i := 0; node.Kind == yaml.MappingNode && i < len(node.Content); i += 2 {
		if key := node.Content[i]; !slices.Contains(keys, key.Value) {
			return fault(key.Line, "there is no key %q here: want %s", key.Value, strings.Join(keys, ", "))
		}
	}
	return node.Decode(to)
}

func fault(line int, format string, args ...any) error {
	return fmt.Errorf("line %d: %s", line, fmt.Sprintf(format, args...))
}

// ParsePolicy reads a policy's file. The error names every fault that was found, one a line.
func ParsePolicy(text []byte) (*Policy, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	var file policyFile
	var all []error
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		all = append(all, err)
	} else if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		all = append(all, errors.New("there is more than one document in it"))
	}
	p := &Policy{views: map[Identity]*View{}}
	for _, r := range file.Rules {
		parsed, err := r.parse()
		p.rules, all = append(p.rules, parsed), append(all, err)
	}
	for _, r := range file.Revoked {
		parsed, err := r.parse()
		p.revoked, all = append(p.revoked, parsed), append(all, err)
	}
	if err := errors.Join(all...); err != nil {
		return nil, err
	}
	return p, nil
}

func (r ruleText) parse() (rule, error) {
	var all []error
	say := func(err error) {
		if err != nil {
			all = append(all, fault(r.line, "%v", err))
		}
	}
	parsed := rule{line: r.line}
	var err error
	parsed.who, err = parsePattern(r.Identity)
	say(err)
	if len(r.Locks) == 0 {
		say(errors.New(`locks are missing: name prefixes, or "*" for all`))
	}
	everywhere := true
	for _, lock := range r.Locks {
		if lock == "*" {
			parsed.locks = append(parsed.locks, "")
			continue
		}
		everywhere = false
		if err := etcdstore.CheckLock(lock); err != nil {
			say(fmt.Errorf(`%w (a prefix is written without a slash at its end and without a star; "*" alone means all locks)`, err))
		}
		parsed.locks = append(parsed.locks, lock)
	}
	if len(r.Allow)+len(r.Deny) == 0 {
		say(errors.New("it neither allows nor denies anything"))
	}
	for _, list := range []struct {
		names []string
		to    *[verbs]bool
	}{{r.Allow, &parsed.allowed}, {r.Deny, &parsed.denied}} {
		for _, name := range list.names {
			verb, err := ParseVerb(name)
			say(err)
			if err == nil && verb == Admin && !everywhere {
				say(errors.New(`admin is not about single locks: give it in a rule with locks: ["*"]`))
			}
			if err == nil {
				list.to[verb] = true
			}
		}
	}
	return parsed, errors.Join(all...)
}

func (r revocationText) parse() (Revocation, error) {
	who, err := parsePattern(r.Identity)
	if err != nil {
		err = fault(r.line, "%v", err)
	}
	if r.Sessions != "" && r.Sessions != "keep" && r.Sessions != "end" {
		err = errors.Join(err, fault(r.line, "sessions %q: want keep or end", r.Sessions))
	}
	return Revocation{who: who, before: r.IssuedBefore, EndsSessions: r.Sessions == "end"}, err
}

// Revoked reports whether a credential of an identity is revoked, by when it was issued.
func (p *Policy) Revoked(id Identity, issued time.Time) bool {
	return p != nil && slices.ContainsFunc(p.revoked, func(r Revocation) bool { return r.Covers(id, issued) })
}

// EndsSessions reports whether the sessions of an identity are to be ended that were begun with a
// credential of that age.
func (p *Policy) EndsSessions(id Identity, issued time.Time) bool {
	return p != nil && slices.ContainsFunc(p.revoked, func(r Revocation) bool { return r.EndsSessions && r.Covers(id, issued) })
}

// EndsAny reports whether there is anybody whose sessions are to be ended.
func (p *Policy) EndsAny() bool {
	return p != nil && slices.ContainsFunc(p.revoked, func(r Revocation) bool { return r.EndsSessions })
}

// maxViews bounds how many identities' views are kept.
const maxViews = 4096

// For returns what of the policy concerns an identity. It is to be kept by whoever asks often.
func (p *Policy) For(id Identity) *View {
	if p == nil {
		return &View{unlimited: true}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := p.views[id]; v != nil {
		return v
	}
	if len(p.views) >= maxViews {
		clear(p.views)
	}
	v := p.view(id)
	p.views[id] = v
	return v
}

// view arranges the rules that match an identity by the segments of their prefixes.
func (p *Policy) view(id Identity) *View {
	v := &View{}
	for i := range p.rules {
		if r := &p.rules[i]; r.who.matches(id) {
			for _, lock := range r.locks {
				v.root.at(lock).add(r)
			}
		}
	}
	v.root.look(v)
	return v
}

// View is a policy as it concerns one identity.
type View struct {
	root      node
	unlimited bool        // there is no policy
	somewhere [verbs]bool // the verb is allowed for some lock
	everyone  [verbs]bool // and denied for none
}

// node is a prefix of names, up to a slash or the end.
type node struct {
	below    nodes
	verdicts [verbs]verdict
}

type nodes map[string]*node

// any reports whether a verb is allowed at or below any of those whose segments begin with some
// text.
func (all nodes) any(text string, verb Verb) bool {
	for segment, n := range all {
		if strings.HasPrefix(segment, text) && (n.verdicts[verb].allowed || n.below.any("", verb)) {
			return true
		}
	}
	return false
}

// verdict is what the rules of one prefix say of a verb.
type verdict struct {
	rule    *rule // which has decided; nil: none says anything
	allowed bool
}

func (n *node) at(prefix string) *node {
	for prefix != "" {
		segment, rest, _ := strings.Cut(prefix, "/")
		next := n.below[segment]
		if next == nil {
			next = &node{}
			if n.below == nil {
				n.below = nodes{}
			}
			n.below[segment] = next
		}
		n, prefix = next, rest
	}
	return n
}

// add has a rule count that stands behind those that were added.
func (n *node) add(r *rule) {
	for v := range verbs {
		if !r.allowed[v] && !r.denied[v] {
			continue
		}
		now, allowed := &n.verdicts[v], !r.denied[v]
		switch {
		case now.rule == nil, r.who.exact && !now.rule.who.exact:
		case now.rule.who.exact != r.who.exact, !now.allowed || allowed:
			continue
		}
		*now = verdict{r, allowed}
	}
}

// look finds out what is allowed somewhere, and what is everywhere.
func (n *node) look(v *View) {
	for verb, verdict := range n.verdicts {
		v.somewhere[verb] = v.somewhere[verb] || verdict.rule != nil && verdict.allowed
		if n == &v.root {
			v.everyone[verb] = verdict.rule != nil && verdict.allowed
		} else if verdict.rule != nil && !verdict.allowed {
			v.everyone[verb] = false
		}
	}
	for _, next := range n.below {
		next.look(v)
	}
}

// decide finds the verdict of the longest prefix that has one.
func (v *View) decide(verb Verb, lock string) verdict {
	n := &v.root
	found := n.verdicts[verb]
	for lock != "" && n.below != nil {
		segment, rest, _ := strings.Cut(lock, "/")
		if n = n.below[segment]; n == nil {
			break
		}
		if of := n.verdicts[verb]; of.rule != nil {
			found = of
		}
		lock = rest
	}
	return found
}

// Allows reports whether a verb is allowed for a lock; without a name: for what no prefix is of.
func (v *View) Allows(verb Verb, lock string) bool {
	return v.unlimited || v.decide(verb, lock).allowed
}

// Somewhere reports whether a verb is allowed for any lock.
func (v *View) Somewhere(verb Verb) bool { return v.unlimited || v.somewhere[verb] }

// Below reports whether a verb is allowed for any lock whose name begins with some text, byte for
// byte.
func (v *View) Below(verb Verb, text string) bool {
	n := &v.root
	allowed := v.unlimited || n.verdicts[verb].allowed
	for n != nil {
		segment, rest, whole := strings.Cut(text, "/")
		if !whole { // it may be longer
			return allowed || n.below.any(segment, verb)
		}
		if n = n.below[segment]; n != nil && n.verdicts[verb].rule != nil {
			allowed = n.verdicts[verb].allowed
		}
		text = rest
	}
	return allowed
}

// OfLock reports whether any verb is allowed for a lock.
func (v *View) OfLock(lock string) bool {
	for verb := range verbs {
		if v.Allows(verb, lock) {
			return true
		}
	}
	return false
}

// Everywhere reports whether a verb is allowed for all locks.
func (v *View) Everywhere(verb Verb) bool { return v.unlimited || v.everyone[verb] }

// Anything reports whether any verb is allowed for any lock.
func (v *View) Anything() bool { return v.unlimited || slices.Contains(v.somewhere[:], true) }

// Explain says for people whether a verb is allowed for a lock, and which rule has decided.
func (v *View) Explain(verb Verb, lock string) (allowed bool, why string) {
	if v.unlimited {
		return true, "there is no policy"
	}
	of := v.decide(verb, lock)
	if of.rule == nil {
		return false, "no rule names the verb for this identity and lock"
	}
	word := "denies"
	if of.allowed {
		word = "allows"
	}
	return of.allowed, fmt.Sprintf("the rule at line %d %s it: identity %q, locks %s", of.rule.line, word, of.rule.who.text, shown(of.rule.locks))
}

// shown is a list of prefixes for people.
func shown(locks []string) string {
	var out []string
	for _, lock := range locks {
		out = append(out, cmp.Or(lock, "*"))
	}
	return strings.Join(out, ", ")
}
