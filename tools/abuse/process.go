package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// process is a child of this one. Its input's end tells it to end.
type process struct {
	name  string
	cmd   *exec.Cmd
	input io.WriteCloser
	ended chan struct{}
}

// self returns the arguments that have this program do a part.
func self(args ...string) []string {
	exe, err := os.Executable()
	if err != nil {
		panic(err) // it runs
	}
	return append([]string{exe}, args...)
}

// meek has a process use one processor, when nobody else wants it.
func meek(args []string) []string { return append([]string{"nice", "-n", "19"}, args...) }

// start starts the process. Its errors go to log, nil: to this one's. Its output is read until that
// ends.
func (p *process) start(args []string, log *os.File, read func(out io.Reader), env ...string) error {
	p.cmd = exec.Command(args[0], args[1:]...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "DLM_") {
			p.cmd.Env = append(p.cmd.Env, v)
		}
	}
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.SysProcAttr = childOf()
	if p.cmd.Stderr = os.Stderr; log != nil {
		p.cmd.Stderr = log
	}
	var err error
	if p.input, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.ended = make(chan struct{})
	go func() {
		defer close(p.ended)
		read(out)
		_, _ = io.Copy(io.Discard, out)
		_ = p.cmd.Wait()
	}()
	return nil
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill ends the process at once, and waits for that.
func (p *process) kill() {
	if p.ended == nil {
		return // it was not started
	}
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// wait waits for the process's end, and kills it if that does not come.
func (p *process) wait(ctx context.Context, within time.Duration) error {
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
	case <-time.After(within):
	}
	p.kill()
	return errors.Join(ctx.Err(), fmt.Errorf("%s did not end within %v", p.name, within))
}

// quit tells a process of this program to end.
func (p *process) quit(ctx context.Context) {
	if p.ended == nil {
		return
	}
	p.input.Close()
	_ = p.wait(ctx, 10*time.Second) // it was killed then
}

// says returns what a process says first.
func says(ctx context.Context, p *process, lines <-chan string, within time.Duration) (string, error) {
	select {
	case text, ok := <-lines:
		if ok {
			return text, nil
		}
		return "", fmt.Errorf("%s ended", p.name)
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(within):
		return "", fmt.Errorf("%s says nothing", p.name)
	}
}

// toLines returns a reader of output that sends what it says.
func toLines(n int) (chan string, func(io.Reader)) {
	lines := make(chan string, n)
	return lines, func(out io.Reader) {
		defer close(lines)
		for text := bufio.NewScanner(out); text.Scan(); {
			select {
			case lines <- text.Text():
			default: // nobody asks for it
			}
		}
	}
}

// ceiling is how much memory a server may take before it is killed.
const ceiling = 3 << 30

// server is a server with fresh data.
type server struct {
	process
	dir  string
	addr string
	log  *os.File

	peak     atomic.Int64
	tooLarge atomic.Bool
}

// startServer starts a server whose memory is watched.
func startServer(ctx context.Context, binary, dir string, files int, args []string) (s *server, err error) {
	s = &server{process: process{name: "the server"}}
	if s.dir, err = os.MkdirTemp(dir, "server."); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.discard()
		}
	}()
	if s.log, err = os.Create(filepath.Join(s.dir, "log")); err != nil {
		return nil, err
	}
	command := append([]string{binary, "server", "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(s.dir, "data")}, args...)
	if files > 0 {
		command = append([]string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$@"`, files), "sh"}, command...)
	}
	lines, read := toLines(1)
	if err := s.start(command, s.log, read); err != nil {
		return nil, err
	}
	said, err := says(ctx, &s.process, lines, time.Minute)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, s.lastLines())
	}
	after, ok := strings.CutPrefix(said, "dlm is ready on ")
	if !ok {
		return nil, fmt.Errorf("the server said %q", said)
	}
	s.addr, _, _ = strings.Cut(after, ",")
	go s.watchMemory()
	return s, nil
}

// watchMemory looks at the server's memory until it has ended, and ends it if that is too large.
func (s *server) watchMemory() {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-s.ended:
			return
		case <-tick.C:
		}
		now, err := s.memory()
		if err != nil {
			continue // it is about to end
		}
		s.peak.Store(max(s.peak.Load(), now))
		if now > ceiling {
			s.tooLarge.Store(true)
			_ = s.cmd.Process.Kill()
			return
		}
	}
}

// memory returns what the server has of memory that is its own, in bytes.
func (s *server) memory() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	return rssAnon(string(text))
}

func rssAnon(status string) (int64, error) {
	for l := range strings.Lines(status) {
		if rest, is := strings.CutPrefix(l, "RssAnon:"); is {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("no RssAnon: is this Linux?")
}

// logged returns how many bytes of log there are.
func (s *server) logged() int64 {
	info, err := s.log.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// lastLines returns the end of the log.
func (s *server) lastLines() string {
	const most = 2000
	from := max(0, s.logged()-most)
	b := make([]byte, most)
	n, _ := s.log.ReadAt(b, from)
	return strings.ToValidUTF8(string(b[:n]), "?")
}

// terminate has the server end as it should, and reports whether it did.
func (s *server) terminate(ctx context.Context, within time.Duration) error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return s.wait(ctx, within)
}

// discard ends the server and removes what is left of it.
func (s *server) discard() {
	s.kill()
	if s.log != nil {
		s.log.Close()
	}
	_ = os.RemoveAll(s.dir)
}
