package devcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Size is how many servers there are.
const Size = 3

// Config says what cluster is to be run.
type Config struct {
	Program string   // the binary whose command "server" is run
	Dir     string   // of the data; empty: a temporary one, which is deleted in the end
	Ports   []int    // of the servers; empty: 50051 to 50053 if they are free, else any
	Args    []string // more arguments of each server
	In      *os.File // the keys
	Out     *os.File
}

// stopTime is how long servers have that were told to end, before they are killed.
const stopTime = 5 * time.Second

const keys = `Keys: 1 2 3 choose a server; k kill it (kill -9), s stop it (SIGSTOP), c let it continue, r run it again;
      l kill the leader; i tell who is what; h show this; q quit. "2k" kills server 2.`

// Run runs the cluster until ctx ends, or the key for it comes. Its error is that it could not
// begin.
func Run(ctx context.Context, cfg Config) (err error) {
	dir, kept := cfg.Dir, ", which are kept"
	if dir == "" {
		if dir, err = os.MkdirTemp("", "dlm-dev-cluster-"); err != nil {
			return err
		}
		kept = ", which is deleted in the end"
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	} else if err = os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	c := &cluster{out: &output{to: cfg.Out}, ended: make(chan *run, maxEnded), leads: nobody}
	if c.servers, err = newServers(cfg, dir, c.out); err != nil {
		return err
	}
	words, restore := listen(cfg.In)
	defer restore()

	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	leaders, work := make(chan int), make(chan func())
	c.work = work
	running.Go(func() { watchLeader(ctx, c.servers, leaders) })
	running.Go(func() {
		// The kernel ends a child with the thread that started it, so that has to stay.
		runtime.LockOSThread()
		for start := range work {
			start()
		}
	})
	defer close(work)
	defer cancel()
	defer c.stop()

	var addrs []string
	for _, s := range c.servers {
		addrs = append(addrs, s.addr)
	}
	c.out.say("three servers on %s; their data in %s%s", strings.Join(addrs, ", "), dir, kept)
	if len(cfg.Ports) == 0 && addrs[0] != local(FirstPort) {
		c.out.say("ports %d to %d are not free: clients of the coursework do not find these servers by themselves", FirstPort, FirstPort+Size-1)
	}
	c.out.say("in another terminal: export DLM_ENDPOINTS=%s", strings.Join(addrs, ","))
	c.out.say("%s", keys)
	for _, s := range c.servers {
		c.start(s)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case word, more := <-words:
			if !more {
				words = nil // nobody to give orders any more, but perhaps somebody who uses the servers
			} else if quit := c.obey(word); quit {
				return nil
			}
		case leader := <-leaders:
			c.lead(leader)
		case r := <-c.ended:
			if s := r.server; s.run == r {
				s.run = nil
				c.out.say("server %d has ended by itself: %s; r runs it again", s.number, r.how())
			}
		}
	}
}

// cluster is the servers, and who leads. One goroutine has it.
type cluster struct {
	servers [Size]*server
	chosen  int // its index
	leads   int
	led     bool // there has been a leader
	out     *output
	work    chan<- func() // is done on the thread that the servers live with
	ended   chan *run     // what has ended, for whatever reason
}

// maxEnded bounds the processes of whose end nobody has heard yet.
const maxEnded = 100

// nobody is who leads when there is no leader.
const nobody = -1

// lead takes note of who leads.
func (c *cluster) lead(leader int) {
	switch {
	case leader == c.leads:
		return
	case leader != nobody:
		c.out.say("server %d leads", leader+1)
		c.led = true
	case c.led:
		c.out.say("nobody leads; two of the three have to be there to choose")
	}
	c.leads = leader
}

// obey carries out a word: a digit, a key, or a digit and a key. It reports whether that is to
// quit.
func (c *cluster) obey(word string) (quit bool) {
	key := word
	if digit := word[0]; digit >= '1' && digit <= '0'+Size {
		c.chosen = int(digit - '1')
		if key = word[1:]; key == "" {
			c.out.say("server %d is chosen; it %s", c.chosen+1, c.servers[c.chosen].state())
		}
	}
	s := c.servers[c.chosen]
	switch key {
	case "":
	case "k":
		c.kill(s)
	case "s", "c":
		c.pause(s, key == "s")
	case "r":
		if s.run != nil {
			c.out.say("server %d %s already", s.number, s.state())
		} else {
			c.start(s)
		}
	case "l":
		if c.leads == nobody {
			c.out.say("nobody leads")
		} else {
			c.kill(c.servers[c.leads])
		}
	case "i":
		c.tell()
	case "h", "?":
		c.out.say("%s", keys)
	case "q":
		return true
	default:
		c.out.say("no key %q; h shows which there are", word)
	}
	return false
}

// tell tells who is what.
func (c *cluster) tell() {
	for i, s := range c.servers {
		is := s.state()
		if i == c.leads && s.run != nil && !s.run.stopped { // or it has led until now
			is += " and leads"
		}
		if i == c.chosen {
			is += "; it is chosen"
		}
		c.out.say("server %d, on %s, %s", s.number, s.addr, is)
	}
}

func (c *cluster) start(s *server) {
	started := make(chan error)
	c.work <- func() { started <- s.start(c.ended) }
	if err := <-started; err != nil {
		c.out.say("server %d does not start: %v", s.number, err)
		return
	}
	c.out.say("server %d was started", s.number)
}

// kill kills a server and waits for its end.
func (c *cluster) kill(s *server) {
	r := s.run
	if r == nil {
		c.out.say("server %d does not run; r runs it again", s.number)
		return
	}
	if err := r.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		c.out.say("server %d: %v", s.number, err)
		return
	}
	<-r.over
	s.run = nil
	c.out.say("server %d was killed; r runs it again", s.number)
}

// pause stops a server, or lets it continue.
func (c *cluster) pause(s *server, stop bool) {
	switch r := s.run; {
	case r == nil:
		c.out.say("server %d does not run; r runs it again", s.number)
	case r.stopped == stop:
		c.out.say("server %d %s already", s.number, s.state())
	default:
		if err := pause(r.cmd.Process, stop); err != nil {
			c.out.say("server %d: %v", s.number, err)
			return
		}
		r.stopped = stop
		c.out.say("server %d %s", s.number, s.state())
	}
}

// stop ends all servers. What they say of each other's end is of no interest.
func (c *cluster) stop() {
	c.out.hush()
	for _, s := range c.servers {
		if s.run != nil {
			s.run.end()
		}
	}
	patience := time.NewTimer(stopTime)
	defer patience.Stop()
	for _, s := range c.servers {
		if s.run == nil {
			continue
		}
		select {
		case <-s.run.over:
		case <-patience.C:
			for _, s := range c.servers {
				if s.run != nil {
					_ = s.run.cmd.Process.Kill() // it may have ended
				}
			}
			<-s.run.over
		}
	}
	c.out.say("all servers have ended")
}

// newServers are the servers of a cluster in a directory, none of which runs.
func newServers(cfg Config, dir string, out *output) (all [Size]*server, err error) {
	serving, err := servingPorts(cfg.Ports)
	if err != nil {
		return all, err
	}
	peers, err := peerPorts(filepath.Join(dir, "peers"))
	if err != nil {
		return all, err
	}
	admin, err := freePorts()
	if err != nil {
		return all, err
	}
	var members []string
	for i, port := range peers {
		members = append(members, fmt.Sprintf("s%d=%s", i+1, local(port)))
	}
	for i := range all {
		s := &server{number: i + 1, addr: local(serving[i]), etcd: local(admin[i]), program: cfg.Program, out: out}
		s.args = append([]string{
			"server", "--listen", s.addr, "--data-dir", filepath.Join(dir, fmt.Sprintf("s%d", i+1)), "--log-level", "error",
			"--log-format", "text", "--cluster-name", fmt.Sprintf("s%d", i+1), "--cluster-members", strings.Join(members, ","),
			"--cluster-peer-listen", local(peers[i]), "--cluster-client-listen", s.etcd,
		}, cfg.Args...)
		all[i] = s
	}
	return all, nil
}
