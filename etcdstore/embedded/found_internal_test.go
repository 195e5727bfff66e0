package embedded

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// town is a set of members that are to found a cluster, without a network and without etcd. Every
// step is one answer, or what one member makes of its answers: between any two of them another
// member may stop, start, or lose its disk.
type town struct {
	t       *testing.T
	dir     string
	list    map[string]string
	members []*citizen
	wiped   int
	past    map[string]bool // clusters that have, or had, a quorum
	steps   []string
}

type citizen struct {
	name    string
	dir     string
	f       *founder          // nil: it is down, or runs etcd
	answers map[string]answer // as far as they are in
	decided string            // the token with which it is about to start etcd
	data    string            // the token of the cluster that its etcd is of
	up      bool              // of etcd
}

func newTown(t *testing.T, size int) *town {
	w := &town{t: t, dir: t.TempDir(), list: map[string]string{}, past: map[string]bool{}}
	for i := range size {
		w.list[fmt.Sprintf("m%d", i)] = fmt.Sprintf("h%d:1", i)
	}
	for _, name := range slices.Sorted(maps.Keys(w.list)) {
		w.members = append(w.members, &citizen{name: name})
		w.wipe(w.members[len(w.members)-1])
	}
	return w
}

func (w *town) log(format string, args ...any) {
	w.steps = append(w.steps, fmt.Sprintf(format, args...))
}

func (w *town) fail(format string, args ...any) {
	w.t.Helper()
	for _, s := range w.steps {
		w.t.Log(s)
	}
	w.t.Fatalf(format, args...)
}

// start starts the process of a member that is down.
func (w *town) start(c *citizen) {
	w.log("%s starts", c.name)
	if c.data != "" {
		c.up = true
		return
	}
	n, err := readNote(c.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	c.answers = map[string]answer{}
	c.f = &founder{
		name: c.name, members: w.list, dir: c.dir, note: n,
		identify: func(token string) (string, error) { return token, nil },
	}
}

func (w *town) kill(c *citizen) {
	w.log("%s is killed", c.name)
	c.f, c.answers, c.decided, c.up = nil, nil, "", false
}

// wipe takes the disk of a member that is down.
func (w *town) wipe(c *citizen) {
	w.wiped++
	c.dir, c.data = filepath.Join(w.dir, fmt.Sprint(w.wiped)), ""
	w.log("%s has an empty disk, %d", c.name, w.wiped)
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) byName(name string) *citizen {
	return w.members[slices.IndexFunc(w.members, func(c *citizen) bool { return c.name == name })]
}

// step lets a founder get one more answer, or use the ones it has.
func (w *town) step(c *citizen, pick func(n int) int) {
	if c.decided != "" {
		w.log("%s starts etcd", c.name)
		c.data, c.up, c.decided, c.f = c.decided, true, "", nil
		w.began(c)
		return
	}
	var missing []string
	for name := range w.list {
		if _, ok := c.answers[name]; !ok && name != c.name {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		other := w.byName(missing[pick(len(missing))])
		c.answers[other.name] = other.answer()
		w.log("%s asks %s", c.name, other.name)
		return
	}
	token, _, err := c.f.decide(c.answers)
	if err != nil {
		w.t.Fatal(err)
	}
	w.log("%s makes of it %q, %+v", c.name, token, c.f.note.Agreed)
	c.answers, c.decided = map[string]answer{}, token
}

func (c *citizen) answer() answer {
	switch {
	case c.up:
		return answer{cluster: c.data}
	case c.f == nil || c.decided != "":
		return answer{err: os.ErrDeadlineExceeded}
	}
	return answer{standing: standing{Name: c.name, Members: c.f.members, note: c.f.note}}
}

// began checks what must hold when an etcd has started: no cluster begins beside one that has data.
func (w *town) began(c *citizen) {
	count := map[string]int{}
	for _, m := range w.members {
		if m.data != "" {
			count[m.data]++
		}
	}
	if len(count) > 1 {
		w.fail("%s begins a cluster beside one that has data", c.name)
	}
	if count[c.data] > len(w.members)/2 {
		w.past[c.data] = true
	}
}

// settle lets everything go on, without faults, and wants it to end in one cluster of all.
func (w *town) settle(pick func(n int) int) {
	for _, c := range w.members {
		if c.f == nil && !c.up {
			w.start(c)
		}
	}
	running := func() bool {
		return !slices.ContainsFunc(w.members, func(c *citizen) bool { return !c.up })
	}
	for range 100 * len(w.members) {
		for range w.members {
			if c := w.members[pick(len(w.members))]; c.f != nil {
				w.step(c, pick)
			}
		}
		if running() {
			break
		}
	}
	if !running() {
		w.fail("they do not found a cluster")
	}
	for _, c := range w.members {
		if c.data != w.members[0].data {
			w.fail("%s is of another cluster than %s", c.name, w.members[0].name)
		}
	}
}

// Members stop and start at any moment, and disks are lost. No cluster begins beside one that has
// data; and as long as nobody lost its disk who had agreed, all of them end in one.
func TestFoundingUnderFaults(t *testing.T) {
	t.Parallel()
	seeds := uint64(400)
	if testing.Short() {
		seeds = 50
	}
	started, settled := 0, 0
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 0))
		w := newTown(t, 2+r.IntN(3))
		agreed := false // somebody who lost its disk then
		for range 20 + r.IntN(150) {
			c := w.members[r.IntN(len(w.members))]
			down := c.f == nil && !c.up
			switch n := r.IntN(40); {
			case down && n < 20:
				w.start(c)
			case down && n > 35:
				// Once it has agreed another one may start etcd, and is alone with its data then.
				n, err := readNote(c.dir)
				if err != nil {
					t.Fatal(err)
				}
				agreed = agreed || n.Agreed != nil
				w.wipe(c)
			case !down && n > 37:
				w.kill(c)
			case c.f != nil:
				w.step(c, r.IntN)
			}
		}
		if !agreed {
			w.settle(r.IntN)
			settled++
		}
		started += len(w.past)
	}
	if started < int(seeds)/2 || settled < int(seeds)/4 || settled == int(seeds) {
		t.Errorf("%d clusters founded, %d towns of %d without a late loss: the test looks at too little", started, settled, seeds)
	}
}

// What the members say to an emptied one.
func TestEmptiedMemberWaits(t *testing.T) {
	t.Parallel()
	w := newTown(t, 3)
	pick := rand.New(rand.NewPCG(1, 2)).IntN
	w.settle(pick)
	for _, c := range w.members {
		w.kill(c)
	}
	w.wipe(w.members[0])
	w.wipe(w.members[1])
	w.start(w.members[0])
	w.start(w.members[1])
	wait := func() *obstacle {
		for range 20 {
			w.step(w.members[0], pick)
			w.step(w.members[1], pick)
		}
		_, o, err := w.members[0].f.decide(map[string]answer{"m1": w.members[1].answer(), "m2": w.members[2].answer()})
		if err != nil || o == nil {
			w.fail("decide = %v, %v; want an obstacle", o, err)
		}
		return o
	}
	if o := wait(); len(o.silent) != 1 || len(o.data) != 0 {
		w.fail("they wait because of %q, want one that does not answer", o)
	}
	w.start(w.members[2])
	if o := wait(); len(o.silent) != 0 || len(o.data) != 1 {
		w.fail("they wait because of %q, want one that has data", o)
	}
	w.kill(w.members[2])
	w.wipe(w.members[2])
	w.settle(pick)
}

// Whoever has agreed joins the cluster that it agreed to, and no other.
func TestAgreedMemberKnowsItsCluster(t *testing.T) {
	t.Parallel()
	w := newTown(t, 3)
	c := w.members[0]
	w.start(c)
	ids := map[string]string{"m0": c.f.note.ID, "m1": "one", "m2": "two"}
	if err := c.f.agree(&agreement{Members: w.list, IDs: ids}); err != nil {
		t.Fatal(err)
	}
	own := c.f.note.Agreed.cluster()
	for cluster, want := range map[string]string{own: own, own + "x": ""} {
		token, wait, err := c.f.decide(map[string]answer{"m1": {cluster: cluster}, "m2": {err: os.ErrDeadlineExceeded}})
		if err != nil || token != want || want == "" && len(wait.data) != 1 {
			t.Errorf("beside an etcd of cluster %q: decide = %q, %v, %v; want %q", cluster, token, wait, err, want)
		}
	}
}
