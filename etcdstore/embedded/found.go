package embedded

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
	"go.uber.org/zap"
)

// note is what a member remembers of a founding while it has no etcd yet.
type note struct {
	ID     string     `json:"id"`               // of this data directory; another one once it was emptied
	Agreed *agreement `json:"agreed,omitempty"` // nil: not yet
}

// agreement is who founds a cluster: which members, each with the data directory that it has.
type agreement struct {
	Members map[string]string `json:"members"` // name -> peer host:port
	IDs     map[string]string `json:"ids"`     // name -> note.ID
}

// cluster is etcd's token, from which it makes the ids of the cluster and its members. Two
// foundings never have one in common, even with the same names and addresses, so that members of
// one never talk to members of the other.
func (a *agreement) cluster() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(a.Members)) {
		fmt.Fprintf(h, "%q %q %q\n", name, a.Members[name], a.IDs[name])
	}
	return clusterToken + "-" + hex.EncodeToString(h.Sum(nil)[:16])
}

func (a *agreement) equal(b *agreement) bool {
	return a != nil && b != nil && maps.Equal(a.Members, b.Members) && maps.Equal(a.IDs, b.IDs)
}

func notePath(dir string) string { return filepath.Join(dir, "founding") }

// readNote returns the note of a directory, and makes it at the first time.
func readNote(dir string) (note, error) {
	var n note
	text, err := os.ReadFile(notePath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		n.ID = rand.Text()
		return n, n.write(dir)
	}
	if err != nil {
		return note{}, fmt.Errorf("read the note of the founding: %w", err)
	}
	if err := json.Unmarshal(text, &n); err != nil || n.ID == "" {
		return note{}, fmt.Errorf("read the note of the founding: %s is empty or torn: this member has founded nothing yet, so "+
			"delete the file", notePath(dir))
	}
	return n, nil
}

func (n note) write(dir string) error {
	text, err := json.Marshal(n)
	if err == nil {
		err = replaceFile(notePath(dir), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write the note of the founding: %w", err)
	}
	return nil
}

// founder is a member with an empty data directory that is to found a cluster with others.
//
// A member whose disk was emptied looks like one that never was, so all members are asked, and a
// cluster is founded only if none has data:
//
//  1. Each makes an id for its directory, writes it down, and tells it to whoever asks.
//  2. Who knows the ids of all writes them down, which it tells too: it has agreed.
//  3. Who sees that all others have agreed to the same starts etcd, and tells nothing any more.
//     Who has agreed and sees an etcd of that very cluster starts as well: its founder has seen
//     that all have agreed.
//
// Until 3 nobody has data, and ids that have changed, because a disk was lost meanwhile, are agreed
// upon anew. From 3 on every member knows all it needs by itself, so it may stop, and start much
// later. A member that is emptied then has another id and can never have agreed.
type founder struct {
	name     string
	members  map[string]string
	dir      string
	identify func(token string) (string, error) // the id of the cluster with this token

	mu      sync.Mutex
	note    note // written before it is told
	claimed claim
}

// claim is by whom this member is taken for one of theirs: somebody has tried to connect to it as
// the members of a cluster do.
type claim struct {
	cluster, from string // empty: nobody has
}

// How long a founder listens before it starts its etcd. Members of a cluster try to connect to one
// that is silent several times a second, or once in two if its machine was down. Who is alone on
// its list has nobody else to learn it from.
const (
	claimWait      = time.Second
	claimWaitAlone = 3 * time.Second
)

// found waits until a cluster may be founded, and returns its token. A single member founds at
// once.
func (c Config) found(ctx context.Context, ec *embed.Config, logger *zap.Logger) (string, error) {
	members := c.Members
	if len(members) == 0 {
		members = map[string]string{ec.Name: nowhere}
	}
	n, err := readNote(c.DataDir)
	if err != nil {
		return "", err
	}
	f := &founder{name: ec.Name, members: members, dir: c.DataDir, note: n, identify: identify(ec)}
	if n.Agreed != nil && !maps.Equal(n.Agreed.Members, members) {
		if err := f.agree(nil); err != nil { // on another list than the configured one
			return "", err
		}
	}
	if len(ec.ListenPeerUrls) == 0 {
		token, _, err := f.decide(nil)
		return token, err
	}
	serving, err := f.serve(ec)
	if err != nil {
		return "", err
	}
	defer serving.close()
	ready := time.Now().Add(claimWait)
	if len(members) == 1 {
		ready = time.Now().Add(claimWaitAlone)
	}
	p, err := newPeers(ec, members, logger)
	if err != nil {
		return "", err
	}
	var token string
	err = p.until(ctx, "found the cluster", func(answers map[string]answer) (bool, *obstacle, error) {
		var wait *obstacle
		var err error
		token, wait, err = f.decide(answers)
		if token != "" {
			if err := f.unclaimed(token); err != nil {
				return false, nil, err
			}
			if time.Now().Before(ready) {
				return false, nil, nil
			}
		}
		return token != "", wait, err
	})
	return token, err
}

// identify returns how to tell a cluster's id from its token.
func identify(ec *embed.Config) func(token string) (string, error) {
	return func(token string) (string, error) {
		urls, err := types.NewURLsMap(ec.InitialCluster)
		if err != nil {
			return "", err
		}
		cluster, err := membership.NewClusterFromURLsMap(zap.NewNop(), token, urls)
		if err != nil {
			return "", err
		}
		return cluster.ID().String(), nil
	}
}

// decide takes the step that the others' answers allow. It returns the token when this member may
// start its etcd, and otherwise what stands in the way, if anything does.
func (f *founder) decide(answers map[string]answer) (token string, wait *obstacle, err error) {
	ids := map[string]string{f.name: f.note.ID}
	agreed := f.note.Agreed
	all := agreed != nil
	wait = &obstacle{}
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		a := answers[name]
		where := fmt.Sprintf("%s at %s", name, f.members[name])
		switch {
		case a.err != nil:
			wait.silent = append(wait.silent, fmt.Sprintf("%s does not answer (%v)", where, a.err))
		case a.cluster != "":
			if agreed != nil {
				own, err := f.identify(agreed.cluster())
				if err != nil {
					return "", nil, err
				}
				if own == a.cluster {
					return agreed.cluster(), nil, nil
				}
			}
			wait.data = append(wait.data, where+" has data")
		case a.Name != name || !maps.Equal(a.Members, f.members):
			wait.other = append(wait.other, fmt.Sprintf("%s is configured as %s of %s", where, a.Name, listed(a.Members)))
		default:
			ids[name] = a.ID
			all = all && agreed.equal(a.Agreed)
		}
	}
	if len(ids) < len(f.members) {
		wait.remedy = f.remedy(wait)
		return "", wait, nil
	}
	if all {
		return agreed.cluster(), nil, nil
	}
	next := &agreement{Members: f.members, IDs: ids}
	if next.equal(agreed) {
		return "", nil, nil // The others will agree soon.
	}
	if err := f.agree(next); err != nil {
		return "", nil, err
	}
	if len(f.members) == 1 {
		return next.cluster(), nil, nil
	}
	return "", nil, nil
}

func (f *founder) remedy(wait *obstacle) string {
	replace := fmt.Sprintf("`dlm member remove %s`, `dlm member add %s %s`, and start it with an empty data directory and cluster.state "+
		"existing", f.name, f.name, f.members[f.name])
	switch {
	case len(wait.data) > 0:
		return "this data directory is empty, and a cluster that exists is not founded again. If this member's disk is new, or lost, " +
			"replace the member: " + replace + ". If the cluster has lost most of its members, restore it from one that has data, as " +
			"docs/operations.md says"
	case len(wait.other) > 0:
		return "give all of them the same cluster.members"
	}
	return "a cluster is founded by all of its members together: start them. If it was founded before, and this member's disk is new, " +
		"or lost, replace this member: " + replace
}

func (f *founder) agree(a *agreement) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := note{ID: f.note.ID, Agreed: a}
	if err := n.write(f.dir); err != nil {
		return err
	}
	f.note = n
	return nil
}

// claim notes that a member of a cluster has tried to connect. Those of the cluster that is founded
// just now do so as well.
func (f *founder) claim(cluster, from string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.note.Agreed; a != nil {
		if own, err := f.identify(a.cluster()); err == nil && own == cluster {
			return
		}
	}
	f.claimed = claim{cluster, from}
}

// unclaimed refuses to found what others take for lost: a cluster that none of the members of this
// list have data of has this one among its own. So the list is not the one that this member had.
func (f *founder) unclaimed(token string) error {
	f.mu.Lock()
	c := f.claimed
	f.mu.Unlock()
	if own, err := f.identify(token); err != nil || c.cluster == "" || own == c.cluster {
		return err
	}
	return fmt.Errorf("%w: %s connects to %s as to a member of its cluster, %s, and cluster.members, which is %s, does not name it. A "+
		"cluster that exists is not founded again. If this member's disk is new, or lost, replace the member: `dlm member remove %s`, "+
		"`dlm member add %s %s`, and start it with an empty data directory and the configuration that this prints", ErrEmptied, c.from,
		f.members[f.name], c.cluster, listed(f.members), f.name, f.name, f.members[f.name])
}

// tell is the answer to those who ask.
func (f *founder) tell() ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return json.Marshal(standing{Name: f.name, Members: f.members, note: f.note})
}

// standing is what a member that has not founded yet tells the others.
type standing struct {
	Name    string            `json:"name"`
	Members map[string]string `json:"list"` // as it is configured
	note
}

// listed is members as in a configuration.
func listed(members map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(members)) {
		all = append(all, name+"="+members[name])
	}
	return "[" + strings.Join(all, ", ") + "]"
}
