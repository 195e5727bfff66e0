package devcluster

import (
	"os"
	"os/exec"
	"strings"
	"time"
)

// server is one of the servers, whether it runs or not.
type server struct {
	number     int    // from 1
	addr, etcd string // host:port
	program    string
	args       []string
	out        *output
	run        *run // nil: it does not run
}

// run is a server's process.
type run struct {
	server  *server
	cmd     *exec.Cmd
	stopped bool
	over    chan struct{} // closed when it has ended
}

// state is what is said of it behind its name.
func (s *server) state() string {
	switch {
	case s.run == nil:
		return "does not run"
	case s.run.stopped:
		return "is stopped"
	}
	return "runs"
}

// start starts the server, on the data that it left if it ran before. It is to be called on a
// thread that lives as long as the program.
func (s *server) start(ended chan<- *run) error {
	cmd := exec.Command(s.program, s.args...)
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "DLM_") { // which are for clients, or for another server
			cmd.Env = append(cmd.Env, entry)
		}
	}
	lines := s.out.of(s.number)
	cmd.Stdout, cmd.Stderr = lines, lines
	cmd.WaitDelay = time.Second
	apart(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	r := &run{server: s, cmd: cmd, over: make(chan struct{})}
	s.run = r
	go func() { // waited for by whoever ends the server, at the latest in the end
		_ = cmd.Wait() // how it ended is in the process's state
		lines.flush()
		close(r.over)
		select {
		case ended <- r:
		default: // nobody asks any more
		}
	}()
	return nil
}

// how is how it has ended.
func (r *run) how() string { return r.cmd.ProcessState.String() }

// end asks the process to end, or ends it if it is stopped and could not hear.
func (r *run) end() {
	if r.stopped || terminate(r.cmd.Process) != nil {
		_ = r.cmd.Process.Kill() // it may have ended
	}
}
