package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	lockservice "github.com/distributed-lock-manager/dlm/facade/api/lock_service"
)

// What the coursework's API answers is held against what happened.
func TestJudgeCoursework(t *testing.T) {
	t.Parallel()
	data := record("a", 10, 0)
	say := func(kind string, token int64, change func(*answer)) answer {
		a := answer{Call: viaCoursework + kind, Lock: "a", Token: token, Begun: time.Unix(5, 0), Answered: time.Unix(100, 0)}
		change(&a)
		return a
	}
	same := func(*answer) {}
	for name, test := range map[string]struct {
		answers []answer
		untrue  bool
	}{
		"granted":                  {[]answer{say(callAcquire, 0, func(a *answer) { a.Got = 10 })}, false},
		"granted, and it was not":  {[]answer{say(callAcquire, 0, func(a *answer) { a.Got = 11 })}, true},
		"appended":                 {[]answer{say(callAppend, 10, func(a *answer) { a.Data = data })}, false},
		"appended, and it is not":  {[]answer{say(callAppend, 10, func(a *answer) { a.Data = record("a", 10, 1) })}, true},
		"refused":                  {[]answer{say(callAppend, 10, func(a *answer) { a.Data, a.Reason = record("a", 10, 1), "TIMEOUT_ERROR" })}, false},
		"released":                 {[]answer{say(callRelease, 10, same)}, false},
		"released, and evicted":    {[]answer{say(callRelease, 12, same)}, true},
		"released, and of nobody":  {[]answer{say(callRelease, 11, same)}, true},
		"released, without it all": {[]answer{say(callAppend, 10, func(a *answer) { a.Data = record("a", 10, 4) }), say(callRelease, 10, same)}, true},
		"of a client of before":    {[]answer{say(callRelease, 11, func(a *answer) { a.Begun = time.Unix(-5, 0) })}, false},
	} {
		v := judge(test.answers, []*epoch{past()}, true)
		if got := slices.ContainsFunc(v.untrue, func(a accusation) bool { return a.checker == byCoursework }); got != test.untrue {
			t.Errorf("%s: got %v; want any: %t", name, v.untrue, test.untrue)
		}
	}
}

// awayServer is a server of the coursework's API that acts on each call, and answers some.
type awayServer struct {
	lockservice.UnimplementedLockServiceServer

	mu    sync.Mutex
	r     *rand.Rand
	calls map[string]int
}

func (s *awayServer) answer(request string) (*lockservice.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[request]++
	if s.r.IntN(3) == 0 {
		return nil, status.Error(codes.Unavailable, "lost")
	}
	return &lockservice.Response{Version: 5}, nil
}

func (s *awayServer) LockAcquire(_ context.Context, a *lockservice.LockArgs) (*lockservice.Response, error) {
	return s.answer(a.GetRequestId())
}

func (s *awayServer) LockRelease(_ context.Context, a *lockservice.LockArgs) (*lockservice.Response, error) {
	return s.answer(a.GetRequestId())
}

func (s *awayServer) FileAppend(_ context.Context, a *lockservice.FileArgs) (*lockservice.Response, error) {
	return s.answer(a.GetRequestId())
}

// A client of the coursework's API repeats what is not answered under the same number, and numbers
// its calls one after the other.
func TestCourseworkWorker(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &awayServer{r: rand.New(rand.NewPCG(1, 1)), calls: map[string]int{}}
	server := grpc.NewServer()
	lockservice.RegisterLockServiceServer(server, s)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	dir := t.TempDir()
	h, err := newHistory(filepath.Join(dir, "a.history"))
	if err != nil {
		t.Fatal(err)
	}
	servers, err := clientsOf(reach{endpoints: []string{listener.Addr().String()}}, lockservice.NewLockServiceClient)
	if err != nil {
		t.Fatal(err)
	}
	w := &courseworkWorker{h: h, rand: rand.New(rand.NewPCG(1, 2)), servers: servers, id: 7}
	for range 20 {
		w.section(t.Context(), time.Now())
	}
	repeated := 0
	for i := range w.counter {
		n := s.calls[fmt.Sprintf("7-%d", i+1)]
		if n == 0 {
			t.Errorf("call %d was not made", i+1)
		}
		if n > 1 {
			repeated++
		}
	}
	answers, err := readHistories(dir)
	if err != nil {
		t.Fatal(err)
	}
	if repeated == 0 || len(answers) < w.counter {
		t.Errorf("%d of %d calls were repeated, and %d answers written down", repeated, w.counter, len(answers))
	}
}

// A plain store takes no token that is lower than one before, whoever writes at once.
func TestPlainStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "tree0"+plainEnding)
	for _, token := range []int64{5, 5, 7, 6, 7} {
		if err := plainAppend(path, token); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("torn"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	var writing sync.WaitGroup
	for i := range int64(20) {
		writing.Go(func() {
			if err := plainAppend(path, 10+i); err != nil {
				t.Error(err)
			}
		})
	}
	writing.Wait()
	writes, err := plainWrites(dir, "tree0")
	if err != nil {
		t.Fatal(err)
	}
	highest, refused := int64(0), 0
	for _, w := range writes {
		if w.refused {
			refused++
			continue
		}
		if w.token < highest {
			t.Errorf("%d came after %d", w.token, highest)
		}
		highest = w.token
	}
	if len(writes) != 25 || refused < 1 || highest != 29 {
		t.Errorf("got %d writes, of which %d refused, up to %d; want 25, some, 29", len(writes), refused, highest)
	}
}

// Who writes after its lock has passed on, and a dlm lock that says what is not so, are accused.
func TestJudgeTrees(t *testing.T) {
	t.Parallel()
	released := &section{token: 10, end: 20, ended: time.Unix(20, 0)}
	evicted := &section{token: 10, end: 20, ended: time.Unix(20, 0), noted: true}
	held := &section{token: 10}
	for name, test := range map[string]struct {
		at      int64
		refused bool
		s       *section
		untrue  bool
	}{
		"while it is held":          {30, false, held, false},
		"before it is released":     {19, false, released, false},
		"after it is released":      {21, false, released, true},
		"refused though released":   {19, true, released, true},
		"a little after an evict":   {21, true, evicted, false},
		"long after an evict":       {40, false, evicted, true},
		"of what a restore undid":   {40, true, nil, false},
		"accepted, after the evict": {21, false, evicted, false},
	} {
		v := &verdicts{}
		v.treeWrite(plainWrite{token: 10, at: time.Unix(test.at, 0), refused: test.refused}, "tree0", test.s)
		if got := len(v.untrue) > 0; got != test.untrue {
			t.Errorf("write %s: got %v; want any: %t", name, v.untrue, test.untrue)
		}
	}
	for name, test := range map[string]struct {
		code, want int64
		token      int64
		reason     string
		s          *section
		untrue     bool
	}{
		"well":                   {0, 0, 10, ok, released, false},
		"well, and evicted":      {0, 0, 10, ok, evicted, true},
		"well, and held":         {0, 0, 10, ok, held, true},
		"well, and never":        {0, 0, 10, ok, nil, true},
		"failed":                 {3, 3, 10, ok, evicted, false},
		"failed with something":  {4, 3, 10, ok, released, true},
		"well though it failed":  {0, 3, 10, ok, released, true},
		"lost":                   {70, 0, 10, ok, evicted, false},
		"busy":                   {75, 0, 0, ok, nil, false},
		"busy, and it ran":       {75, 0, 10, ok, released, true},
		"no server":              {69, 0, 0, ok, nil, false},
		"not ended":              {71, 0, 10, ok, released, true},
		"runs on":                {0, 0, 10, runsOn, released, true},
		"killed":                 {-1, 0, 10, killed, held, false},
		"well, and did not run?": {0, 0, 0, ok, nil, true},
	} {
		v := &verdicts{}
		v.treeEnd(answer{Call: callTree, Lock: "tree0", Token: test.token, Got: test.code, Request: strconv.FormatInt(test.want, 10), Reason: test.reason}, test.s)
		if got := len(v.untrue) > 0; got != test.untrue {
			t.Errorf("end %s: got %v; want any: %t", name, v.untrue, test.untrue)
		}
	}
}

// A process that outlives its dlm lock is seen, whoever has started it.
func TestTree(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"ends": ok, "leaves": runsOn} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			h, err := newHistory(filepath.Join(dir, "a.history"))
			if err != nil {
				t.Fatal(err)
			}
			w := workload{h: h, dir: dir, dlm: filepath.Join("testdata", name), to: reach{endpoints: []string{"nowhere"}}}
			w.tree(t.Context(), rand.New(rand.NewPCG(1, 1)))
			answers, err := readHistories(dir)
			if err != nil {
				t.Fatal(err)
			}
			if len(answers) != 1 || answers[0].Reason != want || answers[0].Token != 5 || answers[0].Got != 0 {
				t.Errorf("got %v; want %q under token 5, with code 0", answers, want)
			}
		})
	}
}

// Each workload is chosen by some seed, and by the same one again.
func TestChosenWorkloads(t *testing.T) {
	t.Parallel()
	for secured, want := range map[bool]int{false: 5, true: 4} {
		testChosenWorkloads(t, secured, want)
	}
}

func testChosenWorkloads(t *testing.T, secured bool, want int) {
	t.Helper()
	seen := map[string]bool{}
	names := func(seed uint64) (all string) {
		for _, more := range chosenWorkloads(rand.New(rand.NewPCG(seed, 200)), secured) {
			all += runtime.FuncForPC(reflect.ValueOf(more).Pointer()).Name() + "\n"
		}
		return all
	}
	for seed := range uint64(50) {
		got := names(seed)
		if again := names(seed); again != got {
			t.Errorf("seed %d chooses %q, and then %q", seed, got, again)
		}
		for name := range strings.Lines(got) {
			seen[name] = true
		}
	}
	if len(seen) != want {
		t.Errorf("got %v; want %d", seen, want)
	}
}

// What is answered while histories are read is left out, and so is half an answer.
func TestReadHistories(t *testing.T) {
	t.Parallel()
	dir, text := t.TempDir(), ""
	for _, at := range []time.Time{time.Now(), time.Now().Add(time.Hour)} {
		text += answer{Call: callRead, Answered: at}.String() + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "worker.history"), []byte(text+`{"call`), 0o600); err != nil {
		t.Fatal(err)
	}
	if all, err := readHistories(dir); err != nil || len(all) != 1 {
		t.Errorf("got %v, %v; want the first answer", all, err)
	}
}
