package client

import (
	"strconv"
	"testing"

	dlmv1 "github.com/distributed-lock-manager/dlm/facade/api/dlm/v1"
)

// Of a section's appends over more streams than can be named, those over the first and the last
// ones are.
func TestLastAppendsAreBounded(t *testing.T) {
	l := &Lock{}
	const streams = 2 * maxLast
	for i := range uint64(streams) {
		for _, rev := range []uint64{10*i + 2, 10*i + 1} {
			l.took(strconv.FormatUint(rev, 10), answer{link: i + 1, msg: &dlmv1.StreamResponse{
				Response: &dlmv1.StreamResponse_Append{Append: &dlmv1.AppendResponse{Revision: int64(rev)}},
			}})
		}
	}
	got := l.last()
	if len(got) != maxLast || got[0] != "2" || got[1] != strconv.Itoa(10*(streams-maxLast+1)+2) || got[maxLast-1] != strconv.Itoa(10*(streams-1)+2) {
		t.Errorf("named are %q", got)
	}
}
