package frames_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/net/http2"

	"github.com/distributed-lock-manager/dlm/facade/internal/frames"
)

// log writes down what a scanner tells.
type log struct {
	lines []string
	data  []byte
}

func (l *log) Begin(f frames.Frame) {
	l.lines = append(l.lines, fmt.Sprintf("begin %+v", f))
	l.data = nil
}
func (l *log) Data(_ frames.Frame, b []byte) { l.data = append(l.data, b...) }
func (l *log) End(f frames.Frame) {
	l.lines = append(l.lines, fmt.Sprintf("end %d %q", f.Stream, l.data))
}

// In whatever pieces frames come, they are told as golang.org/x/net has written them.
func TestPieces(t *testing.T) {
	t.Parallel()
	var sent bytes.Buffer
	sent.WriteString(frames.Preface)
	f := http2.NewFramer(&sent, nil)
	for _, write := range []error{
		f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1}),
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte("headers")}),
		f.WriteContinuation(1, true, []byte("more")),
		f.WriteData(1, false, []byte("data")),
		f.WriteDataPadded(1, false, []byte("padded"), make([]byte, 200)),
		f.WriteData(1, true, nil),
		f.WriteRSTStream(3, http2.ErrCodeCancel),
		f.WritePing(false, [8]byte{}),
	} {
		if write != nil {
			t.Fatal(write)
		}
	}
	want := []string{
		"begin {Type:4 Flags:0 Stream:0 Length:6}", `end 0 ""`,
		"begin {Type:1 Flags:0 Stream:1 Length:7}", `end 1 ""`,
		"begin {Type:9 Flags:4 Stream:1 Length:4}", `end 1 ""`,
		"begin {Type:0 Flags:0 Stream:1 Length:4}", `end 1 "data"`,
		"begin {Type:0 Flags:8 Stream:1 Length:207}", `end 1 "padded"`,
		"begin {Type:0 Flags:1 Stream:1 Length:0}", `end 1 ""`,
		"begin {Type:3 Flags:0 Stream:3 Length:4}", `end 3 ""`,
		"begin {Type:6 Flags:0 Stream:0 Length:8}", `end 0 ""`,
	}
	for _, piece := range []int{1, 2, 3, 7, 1 << 20} {
		got := &log{}
		scanner := frames.FromClient(got)
		for some := range slices.Chunk(sent.Bytes(), piece) {
			scanner.Pass(some)
		}
		if !slices.Equal(got.lines, want) {
			t.Errorf("in pieces of %d:\n%q\nwant\n%q", piece, got.lines, want)
		}
	}
}
