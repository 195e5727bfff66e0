package main

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
	"github.com/distributed-lock-manager/dlm/internal/await"
)

const patience = time.Minute

func TestFloodsHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range floods() {
		if f.name == "" || f.says == "" || f.prepare == nil || f.bar <= 1 || seen[f.name] {
			t.Errorf("flood %q: %+v", f.name, f)
		}
		seen[f.name] = true
		if got, err := floodNamed(f.name); err != nil || got.name != f.name {
			t.Errorf("floodNamed(%q) = %q, %v", f.name, got.name, err)
		}
	}
	if _, err := floodNamed("nothing"); err == nil {
		t.Error("there is a flood of a name that there is not")
	}
}

func TestFloodsAreChosen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args, names string // empty: refused
	}{
		{"-only ^unread$", "unread"},
		{"-short -only ^(slow|pings)$", "slow pings"}, // whatever is named
		{"-only nothing", ""},
		{"-only (", ""},
		{"-forever", ""},
	} {
		var out, errs strings.Builder
		code := play(append(strings.Fields(c.args), "-list"), nil, &out, &errs)
		var names []string
		for line := range strings.Lines(out.String()) {
			name, _, _ := strings.Cut(line, " ")
			names = append(names, name)
		}
		if got := strings.Join(names, " "); got != c.names || (code == 0) != (c.names != "") || (code == 0) != (errs.String() == "") {
			t.Errorf("%s: %d, %q, %q", c.args, code, got, errs.String())
		}
	}
}

func TestWhatTheHonestClientNoticed(t *testing.T) {
	t.Parallel()
	zero := time.Unix(1000, 0)
	at := func(millisecond int) time.Time { return zero.Add(time.Duration(millisecond) * time.Millisecond) }
	cycles := []cycle{
		{at(10), 10 * time.Millisecond, ""},
		{at(20), 5 * time.Millisecond, ""},
		{at(320), 290 * time.Millisecond, ""},
		{at(325), 5 * time.Millisecond, "no server available"},
		{at(400), 20 * time.Millisecond, ""},
	}
	for _, c := range []struct {
		name     string
		from, to int
		took     []int
		gap      int
	}{
		{"all", 0, 400, []int{5, 5, 10, 20, 290}, 300},
		{"one that began in it", 25, 100, []int{290}, 75},
		{"one that began before and ended after", 100, 200, []int{290}, 100},
		{"a failed one does not end a gap", 321, 401, []int{5, 20}, 79},
		{"nothing", 500, 800, nil, 300},
	} {
		var want []time.Duration
		for _, each := range c.took {
			want = append(want, time.Duration(each)*time.Millisecond)
		}
		if got := underWay(cycles, at(c.from), at(c.to)); !slices.Equal(got, want) {
			t.Errorf("%s: took %v, want %v", c.name, got, want)
		}
		if got := longestGap(cycles, at(c.from), at(c.to)); got != time.Duration(c.gap)*time.Millisecond {
			t.Errorf("%s: gap %v, want %d ms", c.name, got, c.gap)
		}
	}
	if got := percentile([]time.Duration{1, 2, 3, 4, 5}, 0.5); got != 3 {
		t.Errorf("p50 of 1 to 5 is %d", got)
	}
	if got := percentile(nil, 0.5); got != 0 {
		t.Errorf("p50 of nothing is %d", got)
	}
}

func TestCycleIsRead(t *testing.T) {
	t.Parallel()
	got, err := parseCycle(`1700000000000000001 2500000 "a \"b\""`)
	if want := (cycle{time.Unix(0, 1700000000000000001), 2500 * time.Microsecond, `a "b"`}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", "1", "1 2", `x 2 ""`, `1 x ""`, "1 2 x"} {
		if _, err := parseCycle(bad); err == nil {
			t.Errorf("parseCycle(%q) succeeds", bad)
		}
	}
}

func TestMemoryIsRead(t *testing.T) {
	t.Parallel()
	got, err := rssAnon("VmRSS:\t  4000 kB\nRssAnon:\t    1234 kB\nRssFile:\t 1 kB\n")
	if err != nil || got != 1234<<10 {
		t.Errorf("got %d, %v", got, err)
	}
	if _, err := rssAnon("VmRSS:\t  4000 kB\n"); err == nil {
		t.Error("memory is known though nothing says it")
	}
}

func TestEveryBarIsHeld(t *testing.T) {
	t.Parallel()
	good := measured{
		flood: flood{bar: 3}, p50: 3 * time.Millisecond, control: time.Millisecond, gap: time.Second,
		idle: 50 * mebibyte, peak: 300 * mebibyte, after: 132 * mebibyte, passedOn: 4 * time.Second, logged: logBytes,
	}
	const budget = 100 * mebibyte
	if unmet := good.unmet(budget); len(unmet) > 0 || good.again(budget) {
		t.Fatalf("at its bars: %v", unmet)
	}
	for name, c := range map[string]struct {
		change func(m *measured)
		again  bool
	}{
		"above p50":           {func(m *measured) { m.p50++ }, true},
		"above gap":           {func(m *measured) { m.gap++ }, true},
		"took more":           {func(m *measured) { m.passedOn++ }, true},
		"p50 above 3x":        {func(m *measured) { m.p50 = 0 }, true}, // no cycle at all
		"peak above 300 MiB":  {func(m *measured) { m.peak++ }, false},
		"after 30s above 132": {func(m *measured) { m.after++ }, false},
		"log above":           {func(m *measured) { m.logged++ }, false},
		"it ended":            {func(m *measured) { m.faults = []string{"it ended"} }, false},
		"both":                {func(m *measured) { m.gap++; m.faults = []string{"both"} }, false},
	} {
		m := good
		c.change(&m)
		verdict := m.verdict(budget)
		if !strings.HasPrefix(verdict, "UNMET") || m.again(budget) != c.again {
			t.Errorf("%s: %q, again %v", name, verdict, m.again(budget))
		}
		if word, _, _ := strings.Cut(name, " "); name != "above p50" && name != "above gap" && !strings.Contains(verdict, word) {
			t.Errorf("%s: %q", name, verdict)
		}
	}
}

// scripted is a server that answers reads with data, refuses inspects, and leaves the rest.
type scripted struct {
	dlmv1.UnimplementedLockServiceServer
	appended chan int
}

func (scripted) Read(context.Context, *dlmv1.ReadRequest) (*dlmv1.ReadResponse, error) {
	return &dlmv1.ReadResponse{Data: make([]byte, 1<<20)}, nil
}

func (scripted) Inspect(context.Context, *dlmv1.InspectRequest) (*dlmv1.InspectResponse, error) {
	return nil, status.Error(codes.ResourceExhausted, "enough")
}

func (s scripted) Append(_ context.Context, req *dlmv1.AppendRequest) (*dlmv1.AppendResponse, error) {
	s.appended <- len(req.GetData())
	return &dlmv1.AppendResponse{}, nil
}

func (scripted) Stream(stream grpc.BidiStreamingServer[dlmv1.StreamRequest, dlmv1.StreamResponse]) error {
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func serve(t *testing.T) (addr string, s scripted) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.appended = make(chan int, 1)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(16 << 20))
	dlmv1.RegisterLockServiceServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := await.Receive(t, patience, "the server's end", served); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String(), s
}

func dialed(t *testing.T, addr string, window uint32, tally *tally) *wire {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	w, err := dial(ctx, addr, window, tally)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); w.close() })
	return w
}

func TestWireCounts(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t)
	var tally tally
	w := dialed(t, addr, wide, &tally)
	w.most = 10
	for range 100 { // 100 MB of answers
		for method, m := range map[string]proto.Message{
			dlmv1.LockService_Read_FullMethodName:    &dlmv1.ReadRequest{},
			dlmv1.LockService_Inspect_FullMethodName: &dlmv1.InspectRequest{},
			dlmv1.LockService_Evict_FullMethodName:   &dlmv1.EvictRequest{},
		} {
			if err := w.call(method, encode(m)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	await.Eventually(t, patience, "all answers", func() bool {
		return tally.answered.Load() == 100 && tally.refused.Load() == 100 && tally.failed.Load() == 100
	})
	if sent, cut := tally.sent.Load(), tally.cut.Load(); sent != 300 || cut != 0 {
		t.Errorf("%d sent, %d cut", sent, cut)
	}
}

func TestWireKeepsToTheServersWindows(t *testing.T) {
	t.Parallel()
	addr, s := serve(t)
	var tally tally
	w := dialed(t, addr, wide, &tally)
	const size = 10 << 20 // far more than any window
	if err := w.call(dlmv1.LockService_Append_FullMethodName, encode(&dlmv1.AppendRequest{Data: make([]byte, size)})); err != nil {
		t.Fatal(err)
	}
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	if got := await.Receive(t, patience, "the append", s.appended); got != size {
		t.Errorf("%d bytes came", got)
	}
}

func TestWireReadsNothingIfItIsNotTo(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t)
	var tally tally
	w := dialed(t, addr, narrow, &tally)
	for _, method := range []string{dlmv1.LockService_Read_FullMethodName, dlmv1.LockService_Inspect_FullMethodName} {
		if err := w.call(method, framed(nil, false)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	// The later one is answered, for it has no data.
	await.Eventually(t, patience, "the refusal", func() bool { return tally.refused.Load() == 1 })
	if n := tally.answered.Load(); n != 0 {
		t.Errorf("%d answers", n)
	}
}

func TestWireNoticesTheEnd(t *testing.T) {
	t.Parallel()
	addr, _ := serve(t)
	var tally tally
	w := dialed(t, addr, wide, &tally)
	if err := w.write(func() error { return w.framer.WriteContinuation(1, true, nil) }); err != nil {
		t.Fatal(err)
	}
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	await.Receive(t, patience, "the end of the connection", w.ended)
	if err := w.hold(t.Context()); err == nil {
		t.Error("the connection is still there")
	}
	if tally.cut.Load() != 1 {
		t.Errorf("%d cut", tally.cut.Load())
	}
}

func TestBombsAreSmall(t *testing.T) {
	t.Parallel()
	var m dlmv1.StreamRequest
	if err := proto.Unmarshal(inStream(emptyMessages(100)), &m); err != nil {
		t.Fatal(err)
	}
	if n := len(m.GetHeartbeat().GetUnfinished()); n != 50 {
		t.Errorf("%d messages in 100 bytes", n)
	}
	if n := len(gzipped(emptyMessages(bombSize))); n > 32<<10 {
		t.Errorf("a bomb has %d bytes", n)
	}
}
